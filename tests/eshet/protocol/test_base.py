"""What both sides do: request ids and replies, without any I/O."""

import pytest

from eshet.exceptions import MessageTooLong, ProtocolError, TooManyRequests
from eshet.messages import NIL, EventEmit, Get, HelloAccepted, Ping, Reply, pack
from eshet.protocol import ClientProtocol, TimeoutConfig
from eshet.protocol.base import RequestIds
from eshet.protocol.framing import frame


def test_ids_go_round_and_skip_those_that_are_open() -> None:
    ids = RequestIds()
    assert [ids.take() for _ in range(65_536)] == list(range(65_536))
    with pytest.raises(TooManyRequests, match="all 65536 request ids"):
        ids.take()
    ids.release(7)
    ids.release(9)
    assert [ids.take(), ids.take()] == [7, 9]


def test_an_id_is_released_once() -> None:
    ids = RequestIds()
    taken = ids.take()
    ids.release(taken)
    with pytest.raises(ProtocolError, match="a reply to request 0, which nobody made"):
        ids.release(taken)


@pytest.fixture
def client() -> ClientProtocol:
    """A client's side that has been greeted."""
    protocol = ClientProtocol(b"\x01", TimeoutConfig(), now=0.0)
    protocol.data_to_send(now=0.0)
    assert list(protocol.receive(frame(pack(HelloAccepted())), now=0.0)) == [HelloAccepted()]
    return protocol


def test_what_is_queued_comes_out_together(client: ClientProtocol) -> None:
    assert client.request(Get, "/a") == 0
    assert client.request(Get, "/b") == 1
    assert client.data_to_send(now=0.0) == frame(pack(Get(0, "/a"))) + frame(pack(Get(1, "/b")))
    assert client.data_to_send(now=0.0) == b""


def test_a_message_too_long_is_not_queued_and_waits_for_no_reply(client: ClientProtocol) -> None:
    with pytest.raises(MessageTooLong):
        client.request(EventEmit, "/a", b"\xc5\xff\xff" + b"x" * 65_535)
    assert client.data_to_send(now=0.0) == b""
    assert list(client.receive(frame(pack(Reply(0, NIL))), now=0.0)) == []
    assert client.closing is not None


def test_a_reply_to_nothing_ends_the_connection_after_what_came_before(
    client: ClientProtocol,
) -> None:
    client.request(Get, "/a")
    replies = frame(pack(Reply(0, NIL))) + frame(pack(Reply(0, NIL))) + frame(pack(Reply(0, NIL)))
    assert list(client.receive(replies, now=1.0)) == [Reply(0, NIL)]
    assert client.closing == (
        "the peer broke the protocol: it sent a reply to request 0, which nobody made"
    )


def test_nothing_goes_in_or_out_after_the_end(client: ClientProtocol) -> None:
    client.request(Get, "/a")
    client.close("enough")
    client.close("more than enough")
    client.send(Ping(5))
    assert client.closing == "enough"
    assert client.data_to_send(now=0.0) == frame(pack(Get(0, "/a"))), "what was queued before"
    assert list(client.receive(frame(pack(Reply(0, NIL))), now=0.0)) == []


def test_a_caller_may_end_the_connection_between_two_messages(client: ClientProtocol) -> None:
    client.request(Get, "/a")
    client.request(Get, "/b")
    seen = []
    for message in client.receive(frame(pack(Reply(0, NIL))) + frame(pack(Reply(1, NIL))), 0.0):
        seen.append(message)
        client.close("enough")
    assert seen == [Reply(0, NIL)]
