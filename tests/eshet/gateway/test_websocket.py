"""One WebSocket, and its connection to the server."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from eshet import Client, Unknown
from eshet.address import Address
from eshet.exceptions import ErrorValue
from eshet.gateway.access import Access
from eshet.gateway.gateway import Gateway
from eshet.gateway.listening import serve
from eshet.gateway.tokens import TokenFile
from eshet.server import Server
from tests.conftest import Advance
from tests.support.gateway import GatewayHouse, Socket, gateway_house

HOW = "this needs a token of the scope act"


@pytest.fixture(autouse=True)
def _shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eshet.gateway")


async def test_it_owns_every_kind_of_node(house: GatewayHouse) -> None:
    socket = await house.greeted()
    for number, kind in enumerate(["action", "prop", "event", "state"]):
        assert await socket.ask(f"{kind}_register", number, f"/my/{kind}") == [
            "reply",
            number,
            ["ok", None],
        ]

    async def answered(asking: Any, *expected: Any, reply: list[Any]) -> Any:
        task = asyncio.ensure_future(asking)
        name, number, *rest = await socket.receive()
        assert [name, *rest] == [*expected]
        await socket.send("reply", number, reply)
        return await task

    owner = house.owner
    assert (
        await answered(
            owner.action_call("/my/action", 1, b"x"),
            "action_call",
            "/my/action",
            [1, b"x"],
            reply=["ok", 3],
        )
        == 3
    )
    assert await answered(owner.get("/my/prop"), "prop_get", "/my/prop", reply=["ok", 4]) == 4
    await answered(
        owner.set("/my/prop", {1: 2}), "prop_set", "/my/prop", {1: 2}, reply=["ok", None]
    )
    await answered(owner.set("/my/state", 5), "state_set", "/my/state", 5, reply=["ok", None])
    with pytest.raises(ErrorValue, match="too hot"):
        await answered(
            owner.set("/my/state", 9), "state_set", "/my/state", 9, reply=["error", "too hot"]
        )
    assert await socket.ask("state_changed", 10, "/my/state", 7) == ["reply", 10, ["ok", None]]
    assert await owner.get("/my/state") == 7
    assert await socket.ask("state_unknown", 11, "/my/state") == ["reply", 11, ["ok", None]]
    with pytest.raises(ErrorValue, match="state_unknown"):
        await owner.get("/my/state")


async def test_it_observes_and_listens(house: GatewayHouse) -> None:
    state = await house.owner.state_register("/s")
    socket = await house.greeted(token="")
    assert await socket.ask("state_observe", 1, "/s") == ["reply_state", 1, ["ok", "unknown"]]
    await state.changed(b"\x00")
    assert await socket.receive() == ["state_changed", "/s", ["known", b"\x00"]]
    await state.unknown()
    assert await socket.receive() == ["state_changed", "/s", "unknown"]
    assert await socket.ask("event_listen", 2, "/e") == ["reply", 2, ["ok", None]]
    await house.owner.event_emit("/e", 5)
    assert await socket.receive() == ["event_notify", "/e", 5]


async def test_it_tells_the_age_of_a_value(house: GatewayHouse, advance: Advance) -> None:
    await (await house.owner.state_register("/s")).changed(1)
    await advance(0.8)
    socket = await house.greeted(token="")
    answer = await socket.ask("state_observe_t", 1, "/s")
    assert answer == ["reply_state", 1, ["ok", ["known", 1], 0.8]]


async def test_what_it_owns_ends_with_it(house: GatewayHouse, advance: Advance) -> None:
    socket = await house.greeted()
    await socket.ask("state_register", 1, "/s")
    await socket.ask("state_changed", 2, "/s", 1)
    values: asyncio.Queue[Any] = asyncio.Queue()
    assert await house.owner.state_observe("/s", values.put_nowait) == 1
    await socket.response.close()
    assert await values.get() is Unknown


async def test_requests_with_the_same_id_are_both_answered(house: GatewayHouse) -> None:
    socket = await house.greeted(token="")
    await socket.send("ping", 2**53 - 1)
    await socket.send("ping", 2**53 - 1)
    for _ in range(2):
        assert await socket.receive() == ["reply", 2**53 - 1, ["ok", None]]


# --- the hello --------------------------------------------------------------------------------


async def test_a_client_with_its_own_id_replaces_another_one(house: GatewayHouse) -> None:
    async with Client(server=house.server, client_id="me") as other:
        socket = await house.socket()
        assert await socket.ask("hello_id", 1, 0, "me") == ["hello"]
        clients = await house.owner.action_call("/meta/clients")
        assert [each["id"] for each in clients["clients"]].count("me") == 1
        assert not other.connected


async def test_a_client_that_can_not_act_replaces_nobody(house: GatewayHouse) -> None:
    async with Client(server=house.server, client_id="me") as other:
        socket = await house.socket(token="")
        assert await socket.ask("hello_id", 1, 0, "me") == ["hello"]
        assert await socket.ask("ping", 1) == ["reply", 1, ["ok", None]]
        assert other.connected


@pytest.mark.parametrize(
    "text",
    [
        '["ping", 1]',
        '["hello", 2, 0]',
        '["hello", 1, 0, "me"]',
        "nonsense",
    ],
)
async def test_anything_else_than_a_hello_ends_it(house: GatewayHouse, text: str) -> None:
    socket = await house.socket()
    await socket.response.send_str(text)
    assert await socket.closed() == 1011


# --- its end ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '["hello", 1, 0]',
        '["nonsense", 1]',
        '["set", 1, "/a", {"a": 1, "a": 2}]',
        '["reply", 5, ["ok", null]]',
        '["set", 1, "/a", ' + "[" * 5000 + "]" * 5000 + "]",
        '["set", 1, "/a", "\\ud800"]',
        '["set", 1, "/a", 99999999999999999999999999]',
    ],
)
async def test_a_fault_of_the_client_ends_it(
    house: GatewayHouse, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await house.greeted()
    await socket.response.send_str(text)
    assert await socket.closed() == 1011
    assert "WebSocket of actor at 127.0.0.1 ended: the client sent" in caplog.text


async def test_bytes_are_a_fault(house: GatewayHouse) -> None:
    socket = await house.greeted()
    await socket.response.send_bytes(b'["ping", 1]')
    assert await socket.closed() == 1011


async def test_a_silent_client_is_disconnected(house: GatewayHouse, advance: Advance) -> None:
    socket = await house.greeted(token="", idle=50)
    closing = asyncio.create_task(socket.closed())
    await advance(45)
    await socket.send("ping", 1)
    await advance(45)
    assert not closing.done()
    await advance(10)
    assert await closing == 4000


async def test_a_client_without_a_hello_is_disconnected(
    house: GatewayHouse, advance: Advance
) -> None:
    socket = await house.socket()
    closing = asyncio.create_task(socket.closed())
    await advance(31)
    assert await closing == 4000


async def test_the_end_of_the_server_is_its_end(tmp_path: Path) -> None:
    async with gateway_house(tmp_path, over_tcp=True) as house:
        socket = await house.greeted()
        await house.server.close()
        assert await socket.closed() == 1011
        again = await house.socket()
        await again.send("hello", 1, 0)
        assert await again.closed() == 1011


async def test_the_end_of_the_gateway_is_its_end(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    access = Access(tokens)
    async with Server() as server, Client(server=server) as client, ClientSession() as session:
        routes = Gateway(client, access).routes()
        async with serve(routes, Address("127.0.0.1", 0), access=access) as url:
            socket = Socket(await session.ws_connect(f"{url}/ws"))
            await socket.ask("hello", 1, 0)
            closing = asyncio.create_task(socket.closed())
        assert await closing == 1001


async def test_the_connection_to_the_server_is_kept_alive(tmp_path: Path, advance: Advance) -> None:
    async with gateway_house(tmp_path, over_tcp=True) as house:
        socket = await house.greeted()
        for _ in range(10):
            reading = asyncio.create_task(socket.receive())
            await advance(30)
            await socket.send("ping", 1)
            assert await reading == ["reply", 1, ["ok", None]]


# --- what it may do ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        ("action_register", 1, "/x"),
        ("prop_register", 1, "/x"),
        ("event_register", 1, "/x"),
        ("state_register", 1, "/x"),
        ("action_call", 1, "/x", []),
        ("set", 1, "/x", 1),
        ("event_emit", 1, "/x", 1),
        ("state_changed", 1, "/x", 1),
        ("state_unknown", 1, "/x"),
    ],
)
@pytest.mark.parametrize("token", ["", "reader"])
async def test_acting_needs_a_token(
    house: GatewayHouse, message: tuple[Any, ...], token: str, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await house.greeted(token and house.reader)
    name, number, result, how = await socket.ask(*message)
    assert (name, number, result) == ("reply", 1, ["error", "not_permitted"])
    assert how.startswith(HOW)
    assert "/x from 127.0.0.1: WebSocket: not_permitted" in caplog.text
    assert (await house.get("/ls/x")).json == "path_not_found"


async def test_a_reader_gets_and_lists(house: GatewayHouse) -> None:
    await (await house.owner.state_register("/s")).changed(1)
    socket = await house.greeted(token="")
    assert await socket.ask("get", 1, "/s") == ["reply", 1, ["ok", 1]]
    listing = await socket.ask("action_call", 2, "/meta/ls", ["/s"])
    assert listing == ["reply", 2, ["ok", "state"]]


async def test_a_removed_token_ends_its_rights(house: GatewayHouse) -> None:
    socket = await house.greeted()
    house.tokens.remove("actor")
    assert (await socket.ask("set", 1, "/x", 1))[2] == ["error", "not_permitted"]


async def test_on_a_public_server_a_removed_token_ends_the_connection(
    house: GatewayHouse,
) -> None:
    house.access.public = True
    state = await house.owner.state_register("/s")
    socket = await house.greeted(house.reader)
    await socket.ask("state_observe", 1, "/s")
    house.tokens.remove("reader")
    await state.changed("secret")
    assert await socket.closed() == 1008


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "error"),
    [("", "invalid_path"), ("/a\0\x05", "invalid_path"), ("/ä", "invalid_path")],
)
async def test_a_path_can_not_smuggle_bytes(house: GatewayHouse, path: str, error: str) -> None:
    socket = await house.greeted()
    assert await socket.ask("set", 1, path, 1) == ["reply", 1, ["error", error]]


async def test_too_long_a_message_is_an_error(house: GatewayHouse) -> None:
    socket = await house.greeted()
    await socket.ask("action_register", 1, "/a")
    too_long = ["reply", 2, ["error", "message_too_long"]]
    assert await socket.ask("set", 2, "/x", "x" * 70_000) == too_long
    calling = asyncio.create_task(house.owner.action_call("/a"))
    _, number, *_ = await socket.receive()
    await socket.send("reply", number, ["ok", "x" * 70_000])
    with pytest.raises(ErrorValue, match="reply_too_long"):
        await calling


async def test_too_many_requests_are_errors(house: GatewayHouse) -> None:
    async def wait(_: str) -> None:
        await asyncio.Event().wait()

    await house.owner.action_register("/wait", wait)
    socket = await house.greeted()
    for number in range(140):
        await socket.send("action_call", number, "/wait", ["x" * 60_000])
    answer = await socket.receive()
    assert answer[2] == ["error", "too_many_requests"]


async def test_a_client_that_does_not_read_is_conflated(house: GatewayHouse) -> None:
    state = await house.owner.state_register("/s")
    socket = await house.greeted(token="")
    await socket.ask("state_observe", 1, "/s")
    transport = socket.response._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()
    for number in range(1000):
        await state.changed([number, "x" * 20_000])
    transport.resume_reading()
    received = [(await socket.receive())[2][1][0]]
    while received[-1] != 999:
        received.append((await socket.receive())[2][1][0])
    assert received == sorted(received)
    assert len(received) < 700


async def test_a_client_that_does_not_read_events_is_disconnected(
    house: GatewayHouse, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await house.greeted(token="")
    await socket.ask("event_listen", 1, "/e")
    transport = socket.response._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()
    emit = functools.partial(house.owner.event_emit, "/e", "x" * 60_000)
    with pytest.raises(ErrorValue, match="path_not_found"):  # nobody listens any more
        await repeat(emit, 1000)
    await advance(2)
    assert "ended: it does not read" in caplog.text
    transport.resume_reading()
    assert await socket.closed() == 1006


async def repeat(function: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await function()
