"""What a client says on the wire, held against a scripted server: message for message."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eshet import Client, Disconnected, ErrorValue, TimeoutConfig, Unknown
from eshet.address import Address
from eshet.connection import Connector
from eshet.messages import (
    NIL,
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    EventNotify,
    Get,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
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
    ReplyUnknown,
    Set,
    StateChanged,
    StateObserve,
    StateRegister,
    StateSet,
    StateUnknown,
)
from tests.conformance.script import error, ok, v
from tests.conftest import Advance
from tests.support.raw import RawPeer, RawServer
from tests.support.waiting import passing_time


@pytest.fixture(params=["tcp", "link"])
async def raw_server(request: pytest.FixtureRequest) -> AsyncIterator[tuple[RawServer, Connector]]:
    """A scripted server, and where to connect to it."""
    if request.param == "link":
        raw = RawServer()
        yield raw, raw
    else:
        async with tcp_server() as (raw, address):
            yield raw, address


@asynccontextmanager
async def tcp_server() -> AsyncIterator[tuple[RawServer, Connector]]:
    raw = RawServer()
    listener = await asyncio.get_running_loop().create_server(raw.new_peer, "127.0.0.1", 0)
    async with listener:
        yield raw, Address(*listener.sockets[0].getsockname())


@pytest.fixture
async def pair(
    raw_server: tuple[RawServer, Connector],
) -> AsyncIterator[tuple[Client, RawPeer]]:
    """A client that has just been greeted, and the server's end of its connection."""
    async with greeted(*raw_server) as pair:
        yield pair


@asynccontextmanager
async def greeted(raw: RawServer, connector: Connector) -> AsyncIterator[tuple[Client, RawPeer]]:
    client = Client(server=connector, client_id="me")
    server = await raw.accept()
    assert await server.receive() == HelloId(1, 30, v("me"))
    server.send(HelloAccepted())
    await client.wait_for_connection()
    yield client, server
    await client.close()


def ignore(*_: Any) -> None:
    pass


async def listen(client: Client) -> None:
    await client.event_listen_cb("/e", ignore)


Call = Callable[[Client], Any]

# What the user calls, what goes out, what comes back, and what the user gets.
REQUESTS: list[tuple[str, Call, Message, Message, Any]] = [
    (
        "action_register",
        lambda c: c.action_register("/a", ignore),
        ActionRegister(0, "/a"),
        ok(0),
        None,
    ),
    (
        "action_call",
        lambda c: c.action_call("/a", 1, "x"),
        ActionCall(0, "/a", v([1, "x"])),
        ok(0, [7]),
        [7],
    ),
    (
        "prop_register",
        lambda c: c.prop_register("/p", ignore),
        PropRegister(0, "/p"),
        ok(0),
        None,
    ),
    ("get", lambda c: c.get("/s"), Get(0, "/s"), ok(0, 21.5), 21.5),
    ("set", lambda c: c.set("/s", 5), Set(0, "/s", v(5)), ok(0), None),
    (
        "event_emit",
        lambda c: c.event_emit("/e", [1]),
        EventEmit(0, "/e", v([1])),
        ok(0),
        None,
    ),
    (
        "event_listen_cb",
        listen,
        EventListen(0, "/e"),
        ok(0),
        None,
    ),
    (
        "state_changed",
        lambda c: c.state_changed("/s", 1),
        StateChanged(0, "/s", v(1)),
        ok(0),
        None,
    ),
    (
        "state_changed to Unknown",
        lambda c: c.state_changed("/s", Unknown),
        StateUnknown(0, "/s"),
        ok(0),
        None,
    ),
    ("state_unknown", lambda c: c.state_unknown("/s"), StateUnknown(0, "/s"), ok(0), None),
    (
        "state_observe of a known state",
        lambda c: c.state_observe("/s", ignore),
        StateObserve(0, "/s"),
        ReplyKnown(0, v(3)),
        3,
    ),
    (
        "state_observe of an unknown state",
        lambda c: c.state_observe("/s", ignore),
        StateObserve(0, "/s"),
        ReplyUnknown(0),
        Unknown,
    ),
]


@pytest.mark.parametrize(("call", "sent", "reply", "result"), [row[1:] for row in REQUESTS],
                         ids=[row[0] for row in REQUESTS])  # fmt: skip
async def test_a_request_is_one_message_and_its_reply_the_result(
    pair: tuple[Client, RawPeer], call: Call, sent: Message, reply: Message, result: Any
) -> None:
    client, server = pair
    asked = asyncio.ensure_future(call(client))
    assert await server.receive() == sent
    server.send(reply)
    assert await asked == result


@pytest.mark.parametrize(("call", "sent"), [row[1:3] for row in REQUESTS],
                         ids=[row[0] for row in REQUESTS])  # fmt: skip
async def test_an_error_says_what_was_asked_and_what_came_back(
    pair: tuple[Client, RawPeer], call: Call, sent: Message
) -> None:
    client, server = pair
    asked = asyncio.ensure_future(call(client))
    await server.receive()
    server.send(error(0, ["any", {"error": "value"}]))
    with pytest.raises(ErrorValue, match=rf"{sent.path}.*any.*error") as caught:  # type: ignore[attr-defined]
        await asked
    assert caught.value.value == ["any", {"error": "value"}]


LASTING = [row for row in REQUESTS if row[2].code in {
    ActionRegister.code, PropRegister.code, EventListen.code, StateObserve.code
}]  # fmt: skip
ASKING = [row for row in REQUESTS if row not in LASTING]


@pytest.mark.parametrize("call", [row[1] for row in ASKING], ids=[row[0] for row in ASKING])
async def test_what_is_in_flight_when_the_connection_ends_is_disconnected(
    pair: tuple[Client, RawPeer], call: Call
) -> None:
    client, server = pair
    asked = asyncio.ensure_future(call(client))
    await server.receive()
    server.transport.close()
    with pytest.raises(Disconnected):
        await asked
    assert not client.connected


@pytest.mark.parametrize("call", [row[1] for row in ASKING], ids=[row[0] for row in ASKING])
async def test_a_request_before_the_first_connection_is_disconnected_at_once(call: Call) -> None:
    client = Client(server=RawServer())
    with pytest.raises(Disconnected, match="not connected to the server yet"):
        await call(client)
    await client.close()


@pytest.mark.parametrize(("call", "sent", "reply", "result"), [row[1:] for row in LASTING],
                         ids=[row[0] for row in LASTING])  # fmt: skip
async def test_a_registration_before_the_first_connection_is_made_when_there_is_one(
    call: Call, sent: Message, reply: Message, result: Any
) -> None:
    raw = RawServer()
    client = Client(server=raw)
    asked = asyncio.ensure_future(call(client))
    server = await raw.accept()
    assert await server.receive() == Hello(1, 30)
    server.send(HelloAllocated(v(7)))
    assert await server.receive() == sent
    server.send(reply)
    outcome = await asked
    assert outcome == result
    await client.close()


@pytest.mark.parametrize(("call", "sent", "reply", "result"), [row[1:] for row in LASTING],
                         ids=[row[0] for row in LASTING])  # fmt: skip
async def test_a_registration_in_flight_when_the_connection_ends_is_made_over_the_next_one(
    raw_server: tuple[RawServer, Connector],
    advance: Advance, call: Call, sent: Message, reply: Message, result: Any,
) -> None:  # fmt: skip
    raw, address = raw_server
    client = Client(server=address)
    first = await raw.accept()
    assert await first.receive() == Hello(1, 30)
    first.send(HelloAllocated(v(7)))
    await client.wait_for_connection()
    asked = asyncio.ensure_future(call(client))
    assert await first.receive() == sent
    first.transport.close()
    second = await passing_time(raw.accept(), advance)
    assert await second.receive() == HelloId(1, 30, v(7))
    second.send(HelloAccepted())
    assert await second.receive() == sent
    second.send(reply)
    assert await asked == result
    await client.close()


# --- what the server asks ---------------------------------------------------------------------


async def registered(asked: Any, server: RawPeer) -> Any:
    """Let a registration of the client succeed, and return its result."""
    future = asyncio.ensure_future(asked)
    message = await server.receive()
    server.send(Reply(message.id, NIL))  # type: ignore[attr-defined]
    return await future


async def test_a_call_of_an_action_is_answered_with_its_result(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    await registered(client.action_register("/a", lambda x, y: x + y), server)
    server.send(ActionCall(41, "/a", v([1, 2])))
    assert await server.receive() == ok(41, 3)


async def test_an_async_action_does_not_hold_up_others(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    gate = asyncio.Event()

    async def slow(_: int) -> str:
        await gate.wait()
        return "slow"

    await registered(client.action_register("/slow", slow), server)
    await registered(client.action_register("/fast", lambda: "fast"), server)
    server.send(ActionCall(1, "/slow", v([0])), ActionCall(2, "/fast", v([])))
    assert await server.receive() == ok(2, "fast")
    gate.set()
    assert await server.receive() == ok(1, "slow")


def no_such_room() -> None:
    raise ValueError("no such room")


async def no_such_room_later() -> None:
    raise ValueError("no such room")


@pytest.mark.parametrize("action", [no_such_room, no_such_room_later])
async def test_what_an_action_raises_is_the_answer_and_is_reported(
    pair: tuple[Client, RawPeer], action: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client, server = pair
    await registered(client.action_register("/a", action), server)
    server.send(ActionCall(1, "/a", v([])), ActionCall(2, "/b", v([])))
    assert {await server.receive(), await server.receive()} == {
        error(1, "no such room"),
        error(2, "not_implemented"),
    }
    assert "action of /a failed" in caplog.text
    assert "no such room" in caplog.text


@pytest.mark.parametrize("result", [{1, 2}, "x" * 70_000], ids=["a set", "70 kB"])
async def test_a_result_that_cannot_be_sent_is_an_error_to_the_caller(
    pair: tuple[Client, RawPeer], result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client, server = pair
    await registered(client.action_register("/a", lambda: result), server)
    server.send(ActionCall(1, "/a", v([])))
    answer = await server.receive()
    assert isinstance(answer, ReplyError)
    assert "action of /a failed" in caplog.text


async def test_an_error_without_end_is_cut(
    pair: tuple[Client, RawPeer], caplog: pytest.LogCaptureFixture
) -> None:
    client, server = pair
    caplog.set_level(logging.CRITICAL, "eshet")  # half a character can't be passed between workers

    def fail() -> None:
        raise ValueError("\ud800" + "x" * 100_000)

    await registered(client.action_register("/a", fail), server)
    server.send(ActionCall(1, "/a", v([])))
    cut = r"\ud800" + "x" * 7_481 + "… 90001 characters more …" + "x" * 2_493
    assert await server.receive() == error(1, cut)


async def test_arguments_that_are_no_list_are_an_error(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    await registered(client.action_register("/a", ignore), server)
    server.send(ActionCall(1, "/a", v("text")))
    assert await server.receive() == error(1, "the arguments are not a list: 'text'")


async def test_a_property_is_asked_for_its_value_and_told_what_it_is_set_to(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    value: list[Any] = [20]

    async def get() -> int:
        return value[-1]

    await registered(client.prop_register("/p", get, value.append), server)
    server.send(PropGet(3, "/p"))
    assert await server.receive() == ok(3, 20)
    server.send(PropSet(4, "/p", v(21)))
    assert await server.receive() == ok(4)
    server.send(PropGet(5, "/p"))
    assert await server.receive() == ok(5, 21)


async def test_a_property_without_a_setter_can_only_be_got(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    await registered(client.prop_register("/p", lambda: "value"), server)
    server.send(PropSet(1, "/p", v(1)), PropGet(2, "/p"))
    assert await server.receive() == error(1, "not_implemented")
    assert await server.receive() == ok(2, "value")


async def test_setting_a_state_calls_its_callback(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    got: list[Any] = []
    await registered(client.state_register("/s", got.append), server)
    server.send(StateSet(5, "/s", v([1])))
    assert await server.receive() == ok(5)
    assert got == [[1]]


async def test_setting_a_state_without_a_callback_is_not_implemented(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    await registered(client.state_register("/s"), server)
    server.send(StateSet(5, "/s", v(1)), PropSet(6, "/p", v(1)), PropGet(7, "/p"))
    assert [await server.receive() for _ in range(3)] == [
        error(n, "not_implemented") for n in (5, 6, 7)
    ]


# --- notifications ----------------------------------------------------------------------------


async def test_listeners_get_each_payload_and_ignore_what_they_did_not_ask_for(
    pair: tuple[Client, RawPeer], advance: Advance
) -> None:
    client, server = pair
    one: list[Any] = []
    two: list[Any] = []
    await registered(client.event_listen_cb("/e", one.append), server)
    await registered(client.event_listen_cb("/e", two.append), server)
    server.send(EventNotify("/e", v(1)), EventNotify("/other", v(2)), EventNotify("/e", v(None)))
    server.send(NotifyKnown("/s", v(1)), NotifyUnknown("/t"))
    await client_has_read(client, server)
    assert one == two == [1, None]


async def client_has_read(client: Client, server: RawPeer) -> None:
    """Wait until the client has read all that the server has sent."""
    await registered(client.get("/marker"), server)


async def test_a_listener_that_raises_is_reported_and_the_others_hear(
    pair: tuple[Client, RawPeer], caplog: pytest.LogCaptureFixture
) -> None:
    client, server = pair
    got: list[Any] = []

    def fail(payload: Any) -> None:
        raise RuntimeError(f"can't bear {payload}")

    await registered(client.event_listen_cb("/e", fail), server)
    await registered(client.event_listen_cb("/e", got.append), server)
    server.send(EventNotify("/e", v(1)), EventNotify("/e", v(2)))
    await client_has_read(client, server)
    assert got == [1, 2]
    assert caplog.text.count("listener of /e failed") == 2
    assert "can't bear 2" in caplog.text


async def test_an_async_listener_runs_in_a_task(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    got: asyncio.Queue[Any] = asyncio.Queue()
    await registered(client.event_listen_cb("/e", got.put), server)
    server.send(EventNotify("/e", v(1)))
    assert await got.get() == 1


async def test_the_iterator_of_an_event_ends_with_its_loop(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    payloads = client.event_listen("/e")
    first = asyncio.ensure_future(anext(payloads))
    message = await server.receive()
    assert message == EventListen(0, "/e")
    server.send(ok(0), EventNotify("/e", v(1)), EventNotify("/e", v(2)))
    assert await first == 1
    assert await anext(payloads) == 2
    await payloads.aclose()  # type: ignore[attr-defined]
    assert await server.receive() == ActionCall(1, "/meta/unregister", v(["/e"]))
    server.send(error(1, "path_not_found"), EventNotify("/e", v(3)))
    await client_has_read(client, server)
    with pytest.raises(StopAsyncIteration):
        await anext(payloads)


async def test_an_observer_gets_subsequent_values_and_the_call_the_current_one(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    got: list[Any] = []
    asked = asyncio.ensure_future(client.state_observe("/s", got.append))
    await server.receive()
    server.send(ReplyKnown(0, v(1)), NotifyKnown("/s", v(2)), NotifyUnknown("/s"))
    assert await asked is Unknown, "what the state is when the call returns"
    assert got == [2, Unknown]


# --- what is taken back -----------------------------------------------------------------------


def unregister(request_id: int, path: str) -> ActionCall:
    return ActionCall(request_id, "/meta/unregister", v([path]))


async def test_the_last_of_the_listeners_of_a_path_is_taken_back(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    heard: list[Any] = []
    first = await registered(client.event_listen_cb("/e", heard.append), server)
    second = await registered(client.event_listen_cb("/e", ignore), server)
    first.dispose()
    first.dispose()
    server.send(EventNotify("/e", v(1)))
    await client_has_read(client, server)
    assert heard == []
    second.dispose()
    assert await server.receive() == unregister(3, "/e")


async def test_unobserve_returns_when_the_server_has_taken_note(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    for callback in (ignore, print):
        asked = asyncio.ensure_future(client.state_observe("/s", callback))
        reply = ReplyUnknown((await server.receive()).id)  # type: ignore[attr-defined]
        server.send(reply)
        await asked
    await client.unobserve("/s", print)
    leaving = asyncio.ensure_future(client.unobserve("/s", ignore))
    assert await server.receive() == unregister(2, "/s")
    assert not leaving.done()
    server.send(ok(2))
    await leaving
    await client.unobserve("/s", ignore)


async def test_a_listen_that_is_given_up_is_taken_back(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    asked = asyncio.ensure_future(client.event_listen_cb("/e", ignore))
    assert await server.receive() == EventListen(0, "/e")
    asked.cancel()
    assert await server.receive() == unregister(1, "/e")
    server.send(ok(0), ok(1))
    await client_has_read(client, server)


async def test_a_registration_that_is_given_up_is_taken_back(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    asked = asyncio.ensure_future(client.action_register("/a", ignore))
    assert await server.receive() == ActionRegister(0, "/a")
    asked.cancel()
    await asyncio.wait([asked])
    again = asyncio.ensure_future(client.action_register("/a", ignore))
    server.send(ok(0))
    assert await server.receive() == unregister(1, "/a")
    assert not again.done()
    server.send(ok(1))
    assert await server.receive() == ActionRegister(2, "/a"), "now that it is free"
    server.send(ok(2))
    await again


async def test_a_node_is_taken_back_with_its_value(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    state = await registered(client.state_register("/s", ignore), server)
    await registered(state.changed(1), server)
    leaving = asyncio.ensure_future(client.unregister("/s"))
    assert await server.receive() == unregister(2, "/s")
    server.send(StateSet(1, "/s", v(1)), ok(2))
    await leaving
    assert await server.receive() == error(1, "not_implemented")
    await client.unregister("/s")
    again = asyncio.ensure_future(client.state_register("/s"))
    assert await server.receive() == StateRegister(3, "/s")
    server.send(ok(3))
    await again


async def test_a_server_that_cannot_forget_a_node_keeps_it_unknown(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    state = await registered(client.state_register("/s"), server)
    await registered(state.changed(1), server)
    leaving = asyncio.ensure_future(client.unregister("/s"))
    assert await server.receive() == unregister(2, "/s")
    server.send(error(2, "path_not_found"))
    assert await server.receive() == StateUnknown(3, "/s")
    server.send(ok(3))
    await leaving
    with pytest.raises(ErrorValue, match="change state /s: not_owner"):
        await state.changed(2)
    state = await client.state_register("/s")  # the server is not asked: this client has it
    await registered(state.changed(3), server)


async def test_what_is_also_observed_is_not_taken_back_from_the_server(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    state = await registered(client.state_register("/s"), server)
    await registered(state.changed(1), server)
    observed: list[Any] = []
    asked = asyncio.ensure_future(client.state_observe("/s", observed.append))
    await server.receive()
    server.send(ReplyKnown(2, v(1)))
    await asked
    leaving = asyncio.ensure_future(client.unregister("/s"))
    assert await server.receive() == StateUnknown(3, "/s")
    server.send(ok(3), NotifyUnknown("/s"))
    await leaving
    assert observed == [Unknown]
    both = asyncio.ensure_future(client.unobserve("/s"))
    assert await server.receive() == unregister(4, "/s")
    server.send(ok(4))
    await both


# --- when there is too much of it -------------------------------------------------------------


@pytest.mark.parametrize("raw_server", ["tcp"], indirect=True)  # one will do: ids have no transport
async def test_requests_wait_their_turn_when_all_ids_are_taken(
    pair: tuple[Client, RawPeer], advance: Advance
) -> None:
    client, server = pair
    asked = [asyncio.ensure_future(client.get("/s")) for _ in range(65_538)]
    sent = {(await server.receive()).id for _ in range(65_535)}  # type: ignore[attr-defined]
    assert len(sent) == 65_535
    await advance(15)
    ping = await server.receive()
    assert isinstance(ping, Ping), "the last id is kept for it"
    asked[65_535].cancel()
    server.send(ok(ping.id), ok(7, "seventh"), ok(9, "ninth"))
    assert await asked[7] == "seventh"
    assert await asked[9] == "ninth"
    assert {(await server.receive()).path for _ in range(2)} == {"/s"}  # type: ignore[attr-defined]
    server.transport.close()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Disconnected) for outcome in outcomes) == 65_535, "all others"


@pytest.mark.parametrize("raw_server", ["link"], indirect=True)
async def test_ids_that_are_still_waiting_are_passed_over_when_they_wrap(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    slow = [asyncio.ensure_future(client.get("/slow")) for _ in range(1_000)]
    waiting = {(await server.receive()).id for _ in slow}  # type: ignore[attr-defined]
    for _ in range(34):
        quick = asyncio.gather(*[client.get("/quick") for _ in range(2_000)])
        for _ in range(2_000):
            message = await server.receive()
            assert isinstance(message, Get)
            assert message.id not in waiting
            server.send(ok(message.id, message.id))
        assert len(set(await quick)) == 2_000
    server.send(*[ok(request_id, request_id) for request_id in waiting])
    assert set(await asyncio.gather(*slow)) == waiting


async def test_requests_wait_while_the_server_does_not_read(advance: Advance) -> None:
    payload = "x" * 60_000
    async with tcp_server() as tcp, greeted(*tcp) as (client, server):
        server.transport.pause_reading()
        asked = [asyncio.ensure_future(client.event_emit("/e", payload)) for _ in range(1_000)]
        await advance(0)
        asked[-1].cancel()
        server.transport.resume_reading()
        for number in range(999):
            assert await server.receive() == EventEmit(number, "/e", v(payload))
            server.send(ok(number))
        await asyncio.gather(*asked[:-1])
        await client_has_read(client, server)  # and the one that was given up never came


# --- the connection ---------------------------------------------------------------------------


async def test_a_client_without_an_id_keeps_the_one_it_is_given(
    raw_server: tuple[RawServer, Connector], advance: Advance
) -> None:
    raw, connector = raw_server
    client = Client(server=connector, timeout_cfg=TimeoutConfig(20, 40, 10))
    first = await raw.accept()
    assert await first.receive() == Hello(1, 40)
    first.send(HelloAllocated(v(["id", 5])))
    await client.wait_for_connection()
    first.transport.close()
    second = await passing_time(raw.accept(), advance)
    assert await second.receive() == HelloId(1, 40, v(["id", 5]))
    await client.close()


async def test_it_pings_when_idle_and_only_then(
    pair: tuple[Client, RawPeer], advance: Advance
) -> None:
    client, server = pair
    await advance(10)
    asked = asyncio.ensure_future(client.get("/s"))
    assert await server.receive() == Get(0, "/s")
    server.send(ok(0))
    await asked
    await advance(14.5)
    asked = asyncio.ensure_future(client.get("/s"))
    assert await server.receive() == Get(1, "/s"), "no ping came before"
    server.send(ok(1))
    await asked
    await advance(15)
    assert await server.receive() == Ping(2)
    server.send(ok(2))
    await client_has_read(client, server)
    await advance(15)
    assert await server.receive() == Ping(4)
    assert client.connected


async def test_a_ping_that_is_not_answered_ends_the_connection(
    pair: tuple[Client, RawPeer], advance: Advance
) -> None:
    client, server = pair
    waiting = asyncio.ensure_future(client.get("/s"))
    await server.receive()
    await advance(15)
    assert await server.receive() == Ping(1)
    await advance(4.9)
    assert client.connected
    await advance(0.1)
    with pytest.raises(Disconnected, match="did not answer a ping in 5 s"):
        await waiting
    assert await server.closed() == []


async def test_a_hello_that_is_not_answered_ends_the_connection(
    raw_server: tuple[RawServer, Connector], advance: Advance
) -> None:
    raw, connector = raw_server
    client = Client(server=connector)
    server = await raw.accept()
    await server.receive()
    await advance(5)
    assert await server.closed() == []
    await client.close()


BREACHES: dict[str, Message | bytes] = {
    "garbage": b"garbage",
    "an empty payload": b"\x47\x00\x00",
    "an unknown type": b"\x47\x00\x01\xee",
    "a message that only a client sends": Get(1, "/s"),
    "a second hello": HelloAccepted(),
    "a reply to nothing": Reply(1234, NIL),
    "a reply that is cut short": b"\x47\x00\x02\x05\x00",
    "a reply without its value": b"\x47\x00\x03\x05\x00\x00",
    "an unknown state with a value": b"\x47\x00\x04\x08\x00\x00\xc0",
    "an age that is cut short": b"\x47\x00\x05\x0b\x00\x00\x00\x00",
    "an event that nobody here listens to, with half a value": EventNotify("/e", b"\x92\x01"),
    "an event without the end of its path": b"\x47\x00\x03\x33/e",
    "a state with two values": NotifyKnown("/s", v(1) + v(2)),
    "an unknown state with something after it": b"\x47\x00\x05\x45/s\x00\xc0",
    "a call with an extension type": ActionCall(1, "/a", b"\x91\xd4\x01\x00"),
    "a timestamp": EventNotify("/e", b"\xd6\xff\x00\x00\x00\x00"),
}


@pytest.mark.parametrize("sent", list(BREACHES.values()), ids=list(BREACHES))
async def test_a_server_that_breaks_the_protocol_is_left(
    pair: tuple[Client, RawPeer], sent: Message | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client, server = pair
    server.send(sent)
    await server.closed()
    assert not client.connected
    assert "the peer broke the protocol" in caplog.text


async def test_a_reply_after_a_cancelled_call_is_no_offence(
    pair: tuple[Client, RawPeer],
) -> None:
    client, server = pair
    asked = asyncio.ensure_future(client.get("/slow"))
    assert await server.receive() == Get(0, "/slow")
    asked.cancel()
    await asyncio.wait([asked])
    other = asyncio.ensure_future(client.get("/s"))
    assert await server.receive() == Get(1, "/s"), "the id is reserved until the reply comes"
    server.send(ok(0), ok(1, "here"))
    assert await other == "here"


async def test_close_ends_the_connection_and_all_that_waits(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    observed: list[Any] = []
    asked = asyncio.ensure_future(client.state_observe("/s", observed.append))
    await server.receive()
    server.send(ReplyKnown(0, v(1)))
    await asked
    waiting = asyncio.ensure_future(client.get("/s"))
    await server.receive()
    await client.close()
    with pytest.raises(Disconnected):
        await waiting
    with pytest.raises(Disconnected, match="this client is closed"):
        await client.get("/s")
    with pytest.raises(Disconnected, match="this client is closed"):
        await client.wait_for_connection()
    assert await server.closed() == []
    assert observed == []
    await client.close()


async def test_a_client_registers_its_event_and_emits(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    emit = await registered(client.event_register("/e"), server)
    emitting = asyncio.ensure_future(emit({"x": 1}))
    assert await server.receive() == EventEmit(1, "/e", v({"x": 1}))
    server.send(ok(1))
    await emitting


async def test_a_registered_state_knows_its_path(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    state = await registered(client.state_register("/s"), server)
    assert (state.client, state.path) == (client, "/s")
    changing = asyncio.ensure_future(state.changed(1))
    assert await server.receive() == StateChanged(1, "/s", v(1))
    server.send(ok(1))
    await changing
    clearing = asyncio.ensure_future(state.unknown())
    assert await server.receive() == StateUnknown(2, "/s")
    server.send(ok(2))
    await clearing


async def test_messages_of_one_turn_leave_in_one_write(pair: tuple[Client, RawPeer]) -> None:
    client, server = pair
    writes: list[bytes] = []
    passed_on = server.data_received
    server.data_received = lambda data: (writes.append(data), passed_on(data))[1]  # type: ignore[method-assign]
    asked = asyncio.gather(*[client.get("/s") for _ in range(50)])
    for number in range(50):
        assert await server.receive() == Get(number, "/s")
        server.send(ok(number, number))
    assert await asked == list(range(50))
    assert len(writes) == 1
