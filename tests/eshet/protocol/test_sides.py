"""Hello, keep-alive and idle time-outs of either side, with a clock that is passed in."""

import pytest

from eshet.exceptions import ProtocolError
from eshet.messages import (
    NIL,
    Get,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Ping,
    Reply,
    pack,
)
from eshet.protocol import ClientProtocol, ServerProtocol, TimeoutConfig
from eshet.protocol.framing import frame

TIMEOUTS = TimeoutConfig(idle_ping=15, server_timeout=30, ping_timeout=5)


def greeted(now: float = 0.0) -> ClientProtocol[str]:
    client: ClientProtocol[str] = ClientProtocol(None, TIMEOUTS, now)
    client.data_to_send(now)
    assert list(client.receive(frame(pack(HelloAllocated(b"\x07"))), now)) != []
    return client


def test_a_client_says_hello_with_its_id_or_without() -> None:
    assert ClientProtocol(None, TIMEOUTS, 0.0).data_to_send(0.0) == frame(pack(Hello(1, 30)))
    with_id = ClientProtocol(b"\x05", TIMEOUTS, 0.0)
    assert with_id.data_to_send(0.0) == frame(pack(HelloId(1, 30, b"\x05")))


def test_a_client_takes_the_id_it_is_given() -> None:
    assert greeted().client_id == b"\x07"


def test_a_client_waits_for_the_answer_to_its_hello_for_so_long() -> None:
    client: ClientProtocol[str] = ClientProtocol(None, TIMEOUTS, 100.0)
    assert client.next_deadline() == 105.0
    client.handle_deadline(104.9)
    assert client.closing is None
    client.handle_deadline(105.0)
    assert client.closing == "the server did not answer a hello in 5 s"


def test_a_client_pings_after_it_has_sent_nothing_for_so_long() -> None:
    client = greeted()
    assert client.requests.open("a request") == 0
    client.send(frame(pack(Get(0, "/a"))))
    client.data_to_send(now=10.0)
    assert client.next_deadline() == 25.0
    client.handle_deadline(24.9)
    assert client.data_to_send(24.9) == b""
    client.handle_deadline(25.0)
    assert client.data_to_send(25.0) == frame(pack(Ping(1)))
    assert client.next_deadline() == 30.0
    assert client.requests.close(1) is None
    client.pong()
    assert client.next_deadline() == 40.0


def test_a_client_gives_up_when_a_ping_is_not_answered_though_other_things_come() -> None:
    client = greeted()
    client.handle_deadline(15.0)
    client.data_to_send(15.0)
    assert list(client.receive(frame(pack(Reply(0, NIL))), 19.0)) == [pack(Reply(0, NIL))]
    client.handle_deadline(20.0)
    assert client.closing == "the server did not answer a ping in 5 s"


@pytest.mark.parametrize("early", [HelloAccepted(), HelloAllocated(b"\x01")])
def test_a_second_hello_ends_a_client(early: HelloAccepted | HelloAllocated) -> None:
    client = greeted()
    with pytest.raises(ProtocolError, match="a second hello"):
        client.accept(pack(early))


def test_a_client_hears_nothing_before_the_hello() -> None:
    client: ClientProtocol[str] = ClientProtocol(None, TIMEOUTS, 0.0)
    with pytest.raises(ProtocolError, match="a message Reply before its hello"):
        client.accept(pack(Reply(0, NIL)))


def test_a_server_waits_for_a_hello_for_so_long() -> None:
    server = ServerProtocol(0.0, hello_timeout=5.0)
    assert server.next_deadline() == 5.0
    list(server.receive(frame(pack(Ping(1))), 4.0))
    assert server.data_to_send(4.0) == frame(pack(Reply(1, NIL)))
    server.handle_deadline(5.0)
    assert server.closing == "the client did not say hello in time"


def test_a_server_gives_a_silent_client_up() -> None:
    server = ServerProtocol(0.0)
    assert list(server.receive(frame(pack(Hello(1, 30))), 1.0)) == [pack(Hello(1, 30))]
    assert server.next_deadline() == 31.0
    list(server.receive(frame(pack(Ping(1))), 30.0))
    server.handle_deadline(31.0)
    assert server.closing is None
    assert server.next_deadline() == 60.0
    server.handle_deadline(60.0)
    assert server.closing == "the client sent nothing for 30 s"


def test_a_server_never_gives_up_a_client_that_said_so() -> None:
    server = ServerProtocol(0.0)
    list(server.receive(frame(pack(Hello(1, 0))), 1.0))
    assert server.next_deadline() is None
    server.handle_deadline(1e9)
    assert server.closing is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"idle_ping": 30}, "server_timeout must be more than idle_ping"),
        ({"idle_ping": 0}, "more than 0"),
        ({"ping_timeout": -1}, "more than 0"),
        ({"server_timeout": 70_000}, "from 0 to 65535"),
    ],
)
def test_timeouts_that_cannot_work_are_refused(fields: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TimeoutConfig(**fields)


def test_a_server_timeout_of_zero_is_never() -> None:
    assert TimeoutConfig(idle_ping=60, server_timeout=0).server_timeout == 0
