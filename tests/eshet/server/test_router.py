"""The router without I/O: what each client gets, in order, and who has to be flushed."""

from typing import Any

import pytest

from eshet import codec
from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_SERVER,
    NIL,
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    EventNotify,
    EventRegister,
    Get,
    Hello,
    Message,
    NotifyKnown,
    NotifyUnknown,
    Ping,
    PropGet,
    PropRegister,
    PropSet,
    Reply,
    ReplyError,
    ReplyKnown,
    ReplyKnownT,
    ReplyUnknown,
    ReplyUnknownT,
    Set,
    StateChanged,
    StateObserve,
    StateObserveT,
    StateRegister,
    StateSet,
    StateUnknown,
    pack,
    unpack,
)
from eshet.protocol.framing import FrameReader
from eshet.server.limits import Limits
from eshet.server.peer import Peer
from eshet.server.router import Router
from eshet.server.tree import NodeKind, TreeError
from tests.conformance.script import error, ok, v


class Line:
    """A connection that records what the router does with it."""

    def __init__(self, name: str) -> None:
        self.peername = f"place of {name}"
        self.congestion = 0.0
        self.flushed = 0
        self.closed: list[str] = []

    def flush(self) -> None:
        self.flushed += 1

    def close(self, reason: str) -> None:
        self.closed.append(reason)

    def describe(self) -> dict[str, Any]:
        return {}


class Hub:
    """A router with the clients `a`, `b` and `c`, and a clock."""

    def __init__(self, **limits: Any) -> None:
        self.time = 100.0
        self.router = Router(lambda: self.time, Limits(**limits))
        self.lines: dict[str, Line] = {}
        self.peers: dict[str, Peer] = {}
        for name in "abc":
            self.join(name)

    def join(self, name: str, client_id: Any = None) -> None:
        self.lines[name] = Line(name)
        peer = Peer(codec.pack(client_id or name), [], self.lines[name])  # type: ignore[arg-type]
        self.peers[name] = peer
        self.router.join(peer)

    def sends(self, name: str, *messages: Message | bytes) -> bool:
        payloads = [m if isinstance(m, bytes) else pack(m) for m in messages]
        return self.router.handle(self.peers[name], payloads)

    def gets(self, name: str) -> list[Message]:
        """Return what a client got since the last call."""
        out = self.peers[name].out
        payloads = list(FrameReader().feed(b"".join(out)))
        out.clear()
        return [unpack(payload, FROM_SERVER) for payload in payloads]

    def all_get(self) -> list[list[Message]]:
        return [self.gets(name) for name in "abc"]

    def flushed(self) -> str:
        """Return the names of the clients that a flush has sent output to."""
        for line in self.lines.values():
            line.flushed = 0
        self.router.flush()
        assert not self.router.has_to_flush
        return "".join(name for name, line in self.lines.items() if line.flushed)


REGISTER = {
    "action": ActionRegister,
    "prop": PropRegister,
    "event": EventRegister,
    "state": StateRegister,
}


def of_each_kind(hub: Hub) -> None:
    """Let `a` own a node of each kind, and `b` listen to the event and the state."""
    hub.sends("a", *[REGISTER[kind](1, f"/d/{kind}") for kind in REGISTER])
    hub.sends("b", EventListen(1, "/d/event"), StateObserve(2, "/d/state"))
    hub.flushed()
    hub.all_get()


REQUESTS: dict[str, tuple[Any, dict[str, list[Message]]]] = {
    "call": (
        lambda path: ActionCall(7, path, v([1])),
        {"action": [ActionCall(0, "/d/action", v([1]))]},
    ),
    "get": (lambda path: Get(7, path), {"prop": [PropGet(0, "/d/prop")]}),
    "set": (
        lambda path: Set(7, path, v(5)),
        {"prop": [PropSet(0, "/d/prop", v(5))], "state": [StateSet(0, "/d/state", v(5))]},
    ),
    "emit": (lambda path: EventEmit(7, path, v(5)), {}),
}
ANSWERED: dict[tuple[str, str], Message] = {
    ("emit", "event"): ok(7),
    ("get", "state"): error(7, "state_unknown"),
}


@pytest.mark.parametrize("kind", REGISTER)
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_forwarded_to_the_owner_of_a_node_of_its_kind(
    kind: str, request_: str
) -> None:
    hub = Hub()
    of_each_kind(hub)
    make, forwarded = REQUESTS[request_]
    hub.sends("c", make(f"/d/{kind}"))
    to_a, to_b, to_c = hub.all_get()
    if kind in forwarded:
        assert (to_a, to_b, to_c) == (forwarded[kind], [], [])
        assert hub.flushed() == "a"
        hub.sends("a", Reply(0, v("done")))
        assert hub.all_get() == [[], [], [ok(7, "done")]]
        assert hub.flushed() == "c"
    else:
        answer = ANSWERED.get((request_, kind), error(7, "path_is_wrong_type"))
        assert (to_a, to_c) == ([], [answer])
        assert to_b == ([EventNotify("/d/event", v(5))] if answer == ok(7) else [])
        assert hub.flushed() == ("b" if answer == ok(7) else "")


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/d", "path_is_directory"),
        ("/d/x", "path_not_found"),
        ("/d/state/x", "not_a_directory"),
        ("d", "invalid_path"),
    ],
)
def test_a_request_about_no_node_is_answered_with_the_reason(
    request_: str, path: str, code: str
) -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("c", REQUESTS[request_][0](path))
    assert hub.all_get() == [[], [], [error(7, code)]]
    assert not hub.router.has_to_flush


@pytest.mark.parametrize("make", [lambda n: Reply(n, v(1)), lambda n: ReplyError(n, v("no"))])
def test_an_answer_goes_to_the_client_that_asked_with_its_own_id(make: Any) -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("b", ActionCall(5, "/d/action", v([])))
    hub.sends("c", ActionCall(9, "/d/action", v([])), ActionCall(5, "/d/action", v([])))
    assert [message.id for message in hub.gets("a")] == [0, 1, 2]  # type: ignore[attr-defined]
    hub.sends("a", make(2), make(0), make(1))
    assert (hub.gets("b"), hub.gets("c")) == ([make(5)], [make(5), make(9)])


def test_an_event_or_state_without_an_owner_can_be_heard_but_not_asked() -> None:
    hub = Hub()
    hub.sends("b", StateObserve(1, "/s"), EventListen(2, "/e"))
    hub.sends("c", Set(1, "/s", v(1)), Get(2, "/s"), EventEmit(3, "/e", v(1)))
    assert hub.gets("c") == [error(1, "no_owner"), error(2, "state_unknown"), ok(3)]
    assert hub.gets("b") == [ReplyUnknown(1), ok(2), EventNotify("/e", v(1))]


def test_a_request_to_the_server_itself_is_passed_to_it_and_flushes_nobody() -> None:
    class Owner:
        def ask(self, asked: Any, code: int, rest: bytes) -> None:
            peer, request_id = asked
            peer.reply(request_id, v([code, rest]))

    hub = Hub()
    hub.router.tree.register(b"/meta/x", NodeKind.ACTION, Owner(), 0.0)
    hub.sends("c", ActionCall(7, "/meta/x", v([1])))
    assert hub.gets("c") == [ok(7, [ActionCall.code, b"/meta/x\0" + v([1])])]
    assert hub.flushed() == ""


# --- states -----------------------------------------------------------------------------------


def test_observers_get_each_change_after_the_owner_has_its_reply() -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("c", StateObserve(3, "/d/state"))
    hub.gets("c")
    hub.sends("a", StateChanged(2, "/d/state", v(1)))
    assert hub.all_get() == [[ok(2)], *[[NotifyKnown("/d/state", v(1))]] * 2]
    assert hub.flushed() == "bc"
    hub.sends("a", StateUnknown(3, "/d/state"))
    assert hub.all_get() == [[ok(3)], *[[NotifyUnknown("/d/state")]] * 2]
    hub.sends("c", Get(1, "/d/state"))
    assert hub.gets("c") == [error(1, "state_unknown")]
    hub.sends("a", StateChanged(2, "/d/state", v(2)))
    hub.sends("c", Get(1, "/d/state"), StateObserve(2, "/d/state"))
    assert hub.gets("c") == [NotifyKnown("/d/state", v(2)), ok(1, 2), ReplyKnown(2, v(2))]


@pytest.mark.parametrize("make", [lambda p: StateChanged(7, p, v(1)), lambda p: StateUnknown(7, p)])
@pytest.mark.parametrize(
    ("who", "path", "code"),
    [
        ("b", "/d/state", "not_owner"),
        ("a", "/d/prop", "wrong_type_of_node"),
        ("b", "/d/event", "wrong_type_of_node"),
        ("a", "/d", "wrong_type_of_node"),
        ("a", "/x", "no_such_node"),
        ("a", "/d/state/x", "no_such_node"),
        ("a", "x", "invalid_path"),
    ],
)
def test_only_the_owner_of_a_state_changes_it(make: Any, who: str, path: str, code: str) -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends(who, make(path))
    assert hub.gets(who) == [error(7, code)]
    assert hub.flushed() == ""


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, 0), (0.0004, 0), (0.0016, 2), (1.5, 1500), (1e9, 0xFFFF_FFFF)]
)
@pytest.mark.parametrize("known", [True, False])
def test_the_age_of_a_state_is_in_milliseconds_since_its_last_change(
    seconds: float, age: int, known: bool
) -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.time = 150.0
    hub.sends("a", StateChanged(2, "/d/state", v(1)) if known else StateUnknown(2, "/d/state"))
    hub.time += seconds
    hub.sends("c", StateObserveT(4, "/d/state"))
    expected = ReplyKnownT(4, age, v(1)) if known else ReplyUnknownT(4, age)
    assert hub.gets("c") == [expected]


# --- clients ----------------------------------------------------------------------------------


def test_a_client_that_leaves_gives_up_its_nodes_and_fails_what_it_was_asked() -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("a", StateChanged(2, "/d/state", v(1)), EventListen(3, "/heard"))
    hub.sends("c", ActionCall(5, "/d/action", v([])), StateObserve(6, "/d/state"))
    hub.all_get()
    hub.flushed()
    hub.router.leave(hub.peers["a"])
    assert hub.gets("b") == [NotifyUnknown("/d/state")]
    assert hub.gets("c") == [NotifyUnknown("/d/state"), error(5, "client_exited")]
    assert hub.flushed() == "bc"
    assert hub.router.tree.paths() == [b"/d/event", b"/d/state"]
    hub.router.leave(hub.peers["a"])
    assert hub.all_get()[1:] == [[], []]
    hub.sends("c", StateRegister(1, "/d/state"))
    assert hub.gets("c") == [ok(1)]


def test_observers_hear_nothing_of_a_state_that_was_unknown_when_its_owner_leaves() -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.router.leave(hub.peers["a"])
    assert hub.gets("b") == []
    assert hub.flushed() == ""


def test_a_client_with_the_id_of_another_replaces_it() -> None:
    hub = Hub()
    of_each_kind(hub)
    older = hub.peers["a"]
    hub.sends("a", StateChanged(2, "/d/state", v(1)))
    hub.gets("b")
    line = hub.lines["a"]
    hub.join("new", "a")
    assert line.closed == [
        "another client uses the same id, 'a': the one at place of new has replaced the one at "
        "place of a"
    ]
    assert hub.gets("b") == [NotifyUnknown("/d/state")]
    assert hub.router.peers[codec.pack("a")] is hub.peers["new"]
    hub.router.leave(older)  # as its connection ends
    assert hub.router.peers[codec.pack("a")] is hub.peers["new"]
    assert set(hub.router.peers) == {codec.pack(name) for name in "abc"}


def test_a_very_long_client_id_is_shown_shortened() -> None:
    hub = Hub()
    hub.join("d", "x" * 500)
    hub.join("e", "x" * 500)
    [reason] = hub.lines["d"].closed
    assert len(reason) < 200


def test_allocated_ids_are_numbers_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    hub.join("d", 7)
    numbers = iter([7, 7, 9])
    monkeypatch.setattr("secrets.randbits", lambda bits: next(numbers) if bits == 53 else 0)
    assert codec.unpack(hub.router.allocate_id()) == 9


@pytest.mark.parametrize(
    ("who", "path", "paths", "notified"),
    [
        ("a", "/d/state", "action prop event state", True),  # `b` still observes it
        ("a", "/d/prop", "action event state", False),
        ("b", "/d/event", "action prop event state", False),
        ("b", "/d/state", "action prop event state", False),
        ("c", "/d/state", None, False),
        ("c", "/x", None, False),
    ],
)
def test_a_client_withdraws_its_registrations_and_observations_only(
    who: str, path: str, paths: str | None, notified: bool
) -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("a", StateChanged(2, "/d/state", v(1)))
    hub.all_get()
    hub.flushed()
    if paths is None:
        with pytest.raises(TreeError) as raised:
            hub.router.withdraw(hub.peers[who], path.encode())
        assert raised.value.code == ("not_owner" if path == "/d/state" else "path_not_found")
        return
    hub.router.withdraw(hub.peers[who], path.encode())
    assert {p.decode() for p in hub.router.tree.paths()} == {f"/d/{k}" for k in paths.split()}
    assert hub.gets("b") == ([NotifyUnknown("/d/state")] if notified else [])
    assert hub.flushed() == ("b" if notified or who == "b" else "")
    hub.sends("a", StateChanged(2, "/d/state", v(2)))
    expected = (who == "b" and path == "/d/state") or notified
    assert hub.gets("b") == ([] if expected else [NotifyKnown("/d/state", v(2))])


def test_an_owner_that_observes_its_own_state_withdraws_both_at_once() -> None:
    hub = Hub()
    hub.sends("a", StateRegister(1, "/s"), StateObserve(2, "/s"), StateChanged(3, "/s", v(1)))
    hub.gets("a")
    hub.router.withdraw(hub.peers["a"], b"/s")
    assert hub.router.tree.paths() == []
    assert hub.gets("a") == []


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        pack(Ping(1))[:2],
        pack(Ping(1)) + b"x",
        pack(NotifyUnknown("/s")),
        pack(Hello(1, 0)),
        pack(Get(1, "/s")) + b"x",
        pack(StateUnknown(1, "/s"))[:-1],
        pack(EventEmit(1, "/e", v(1)))[:-1],
        pack(ActionCall(1, "/a", v(1))) + b"x",
        pack(Set(1, "/s", v(1))) + b"\xc0",
        pack(StateChanged(1, "/s", b"\xc1")),
        pack(Reply(5, b"")),
        pack(Reply(5, v(1))),  # nobody asked
        bytes([250, 0, 1]),
    ],
)
def test_a_wrong_message_is_an_error_after_the_ones_before_it(payload: bytes) -> None:
    hub = Hub()
    with pytest.raises(ProtocolError):
        hub.sends("a", Ping(1), payload, Ping(2))
    assert hub.gets("a") == [ok(1)]


def test_messages_are_answered_in_order_with_their_own_ids() -> None:
    hub = Hub()
    assert hub.sends("a", Ping(1), Ping(0x1234), StateRegister(0xFFFF, "/s"))
    assert hub.gets("a") == [ok(1), ok(0x1234), ok(0xFFFF)]
    assert not hub.router.has_to_flush


@pytest.mark.parametrize("make", [StateRegister, EventListen, StateObserve, StateObserveT])
def test_registrations_and_observations_are_counted_also_refused_ones(make: Any) -> None:
    hub = Hub()
    hub.sends("a", make(1, "/x"), make(2, "/x/y"), make(3, "z"))
    assert hub.peers["a"].registrations == 3
    assert hub.peers["b"].registrations == 0


@pytest.mark.parametrize(
    ("limits", "path", "code"),
    [
        ({"path_length": 4}, "/abc", None),
        ({"path_length": 4}, "/abcd", "invalid_path"),
        ({"path_depth": 2}, "/a/b", None),
        ({"path_depth": 2}, "/a/b/c", "invalid_path"),
        ({"nodes": 2}, "/a", None),
        ({"nodes": 1}, "/a", "too_many_nodes"),
    ],
)
def test_a_client_can_register_up_to_each_limit(
    limits: dict[str, int], path: str, code: str | None
) -> None:
    hub = Hub(**limits)
    hub.sends("a", EventListen(1, "/e"), StateRegister(2, path))
    assert hub.gets("a")[1:] == [ok(2) if code is None else error(2, code)]
    hub.sends("b", StateRegister(1, "/other"[: limits.get("path_length", 9)]))
    assert hub.gets("b") == [ok(1)]


def test_the_worst_congestion_of_the_receivers_is_returned() -> None:
    hub = Hub()
    of_each_kind(hub)
    hub.sends("c", StateObserve(1, "/d/state"))
    hub.flushed()
    for name, congestion in (("a", 9.0), ("b", 0.5), ("c", 2.0)):
        hub.lines[name].congestion = congestion
    assert hub.router.flush() == 0.0
    hub.sends("a", StateChanged(2, "/d/state", NIL))
    assert hub.router.flush() == 2.0
    assert hub.router.flush() == 0.0
