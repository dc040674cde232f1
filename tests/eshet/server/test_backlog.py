"""What waits for a client that reads too slowly."""

from eshet.messages import EventNotify, Message, NotifyKnown, NotifyUnknown, Reply, pack
from eshet.protocol.framing import frame
from eshet.server import Limits
from eshet.server.backlog import Backlog

LIMITS = Limits(soft_queue=1000, soft_time=1.0, hard_queue=8000)


def framed(*messages: Message) -> list[bytes]:
    return [frame(pack(message)) for message in messages]


def test_of_each_state_only_the_last_change_waits_at_its_place() -> None:
    out: list[bytes] = []
    backlog = Backlog(out, LIMITS)
    padding = EventNotify("/e", b"\xc5\x01\x00" + bytes(256))
    out += framed(
        NotifyKnown("/a", b"\x01"),
        padding,
        NotifyKnown("/b", b"\x02"),
        NotifyKnown("/a", b"\x03"),
        Reply(1, b"\xc0"),
        NotifyUnknown("/b"),
        NotifyKnown("/ab", b"\x04"),
    )
    assert backlog.measure(now=0.0) is None
    assert out == framed(
        padding,
        NotifyKnown("/a", b"\x03"),
        Reply(1, b"\xc0"),
        NotifyUnknown("/b"),
        NotifyKnown("/ab", b"\x04"),
    )
    assert backlog.size == sum(map(len, out))


def test_events_and_replies_are_never_dropped() -> None:
    out = framed(*[EventNotify("/e", b"\x01") for _ in range(100)], Reply(1, b"\xc0"))
    before = out.copy()
    assert Backlog(out, LIMITS).measure(now=0.0) is None
    assert out == before


def test_a_state_that_changes_for_ever_takes_no_more_room() -> None:
    out: list[bytes] = []
    backlog = Backlog(out, LIMITS)
    longest = 0
    for number in range(100_000):
        out += framed(NotifyKnown("/s", number.to_bytes(1, "big") if number < 128 else b"\x00"))
        if number % 10 == 0:
            assert backlog.measure(now=float(number)) is None
        longest = max(longest, len(out))
    assert longest < 200


def test_more_than_the_soft_limit_may_wait_for_so_long() -> None:
    out: list[bytes] = []
    backlog = Backlog(out, LIMITS)
    event = framed(EventNotify("/e", b"\xc4\xfa" + bytes(250)))
    out += event * 5
    assert backlog.measure(now=10.0) is None
    assert backlog.long_since == 10.0
    assert backlog.measure(now=10.9) is None
    reason = backlog.measure(now=11.0)
    assert reason == f"it reads too slowly: {len(event[0]) * 5} bytes wait for it"


def test_a_queue_that_gets_short_again_in_time_is_forgiven() -> None:
    out: list[bytes] = []
    backlog = Backlog(out, LIMITS)
    out += framed(EventNotify("/e", b"\xc4\xfa" + bytes(250))) * 5
    assert backlog.measure(now=10.0) is None
    out.clear()
    backlog.clear()
    assert backlog.long_since is None
    out += framed(EventNotify("/e", b"\xc4\xfa" + bytes(250))) * 5
    assert backlog.measure(now=20.0) is None


def test_more_than_the_hard_limit_may_never_wait() -> None:
    out = framed(EventNotify("/e", b"\xc4\xfa" + bytes(250))) * 40
    assert (Backlog(out, LIMITS).measure(now=0.0) or "").startswith("it does not read: ")
