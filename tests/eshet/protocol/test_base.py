"""What both sides do: the round, and request ids, without any I/O."""

import pytest

from eshet.exceptions import ProtocolError, TooManyRequests
from eshet.messages import Hello, Ping, pack
from eshet.protocol import ServerProtocol
from eshet.protocol.framing import frame
from eshet.protocol.requests import Requests


def test_ids_go_round_and_skip_those_that_are_open() -> None:
    requests: Requests[str] = Requests()
    assert [requests.open(f"item {n}") for n in range(65_536)] == list(range(65_536))
    with pytest.raises(TooManyRequests, match="all 65536 request ids"):
        requests.open("one more")
    assert requests.close(7) == "item 7"
    assert requests.close(9) == "item 9"
    assert [requests.open("new"), requests.open("new")] == [7, 9]


def test_a_request_is_closed_once() -> None:
    requests: Requests[str] = Requests()
    request_id = requests.open("item")
    assert requests.close(request_id) == "item"
    with pytest.raises(ProtocolError, match="a reply to request 0, which is not open"):
        requests.close(request_id)


def test_all_requests_can_be_closed_at_once() -> None:
    requests: Requests[str] = Requests()
    for item in "abc":
        requests.open(item)
    assert requests.close_all() == ["a", "b", "c"]
    assert len(requests) == 0
    assert requests.close_all() == []


@pytest.fixture
def server() -> ServerProtocol:
    """A server's side that has been greeted."""
    protocol = ServerProtocol(now=0.0)
    hello = pack(Hello(1, 0))
    assert list(protocol.receive(frame(hello), now=0.0)) == [hello]
    return protocol


def test_what_is_queued_comes_out_together(server: ServerProtocol) -> None:
    server.send(b"one")
    server.out.append(b"two")
    assert server.data_to_send(now=0.0) == b"onetwo"
    assert server.data_to_send(now=0.0) == b""


def test_what_came_before_a_broken_frame_comes_out_first(server: ServerProtocol) -> None:
    payloads = list(server.receive(frame(b"1") + frame(b"2") + b"X" + frame(b"3"), now=1.0))
    assert payloads == [b"1", b"2"]
    assert server.closing == (
        "the peer broke the protocol: it sent a frame that begins with 0x58, not 0x47"
    )


def test_nothing_goes_in_or_out_after_the_end(server: ServerProtocol) -> None:
    server.send(b"before")
    server.close("enough")
    server.close("more than enough")
    server.send(b"after")
    assert server.closing == "enough"
    assert server.data_to_send(now=0.0) == b"before"
    assert list(server.receive(frame(pack(Ping(1))), now=0.0)) == []
    assert server.data_to_send(now=0.0) == b""


def test_a_caller_may_end_the_connection_between_two_payloads(server: ServerProtocol) -> None:
    seen = []
    for payload in server.receive(frame(b"1") + frame(b"2"), 0.0):
        seen.append(payload)
        server.close("enough")
    assert seen == [b"1"]
