"""What a client makes of a network that cuts, stalls, delays, splits and swallows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eshet import Client, Disconnected, ErrorValue, TimeoutConfig, Unknown
from eshet.address import Address
from eshet.messages import ActionCall, ActionRegister, HelloAccepted, HelloId, Reply
from eshet.server import Server
from tests.conformance.script import ok, v
from tests.conftest import Advance
from tests.support.proxy import Proxy
from tests.support.raw import connect_raw
from tests.support.waiting import passing_time, until


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        await server.listen(port=0)
        yield server


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.addresses[0]) as proxy:
        yield proxy


@pytest.fixture
async def near(server: Server) -> AsyncIterator[Client]:
    """A client that no fault touches."""
    async with Client(server=server, client_id="near") as client:
        yield client


async def test_a_connection_cut_at_any_byte_comes_back_with_all_that_was_registered(
    proxy: Proxy, near: Client, advance: Advance
) -> None:
    counted: list[int] = []
    await near.action_register("/count", counted.append)
    await (await near.state_register("/shown")).changed("near")
    cut_at = 0
    while await is_cut_and_comes_back(cut_at, proxy, near, advance):
        cut_at += 1
    assert cut_at > 40, "the whole conversation was gone through"
    assert sorted(set(counted)) == sorted(counted), "nothing was sent twice"


async def is_cut_and_comes_back(cut_at: int, proxy: Proxy, near: Client, advance: Advance) -> bool:
    """Cut a conversation after so many bytes; return whether it was as long as that."""
    observed: list[Any] = []
    async with Client(server=proxy.address, client_id="far") as far:
        await far.action_register("/far/double", lambda x: 2 * x)
        await (await far.state_register("/far/state")).changed(cut_at)
        assert await far.state_observe("/shown", observed.append) == "near"
        await advance(2)  # a connection that lasted is made again at once
        before = proxy.connections
        proxy.cut_after(cut_at)
        outcomes = await asyncio.gather(
            far.action_call("/count", cut_at),
            near.action_call("/far/double", 21),
            return_exceptions=True,
        )
        for outcome in outcomes:
            assert outcome in (None, 42) or isinstance(outcome, Disconnected | ErrorValue)
        if not proxy.was_cut:
            proxy.cut()
            assert outcomes == [None, 42]
        await until(lambda: proxy.connections > before, advance)
        await far.wait_for_connection()
        assert await near.action_call("/far/double", 21) == 42
        assert await near.get("/far/state") == cut_at
        assert observed == [Unknown, "near"]
        return outcomes != [None, 42]


async def test_bytes_that_come_one_by_one_are_as_good_as_any(
    proxy: Proxy, near: Client, advance: Advance
) -> None:
    proxy.slice = 1
    heard: list[Any] = []
    async with Client(server=proxy.address) as far:
        await far.action_register("/far/echo", lambda *args: args)
        await far.event_listen_cb("/bell", heard.append)
        await near.event_emit("/bell", {"n": [1.5, None, b"\x47\x00"]})
        assert await near.action_call("/far/echo", "G" * 300, 1) == ["G" * 300, 1]
        await until(lambda: len(heard) == 1, advance)
        assert heard == [{"n": [1.5, None, b"\x47\x00"]}]


async def test_a_slow_network_delays_and_loses_nothing(
    proxy: Proxy, near: Client, advance: Advance
) -> None:
    await near.action_register("/double", lambda x: 2 * x)
    proxy.delay = 0.5
    far = Client(server=proxy.address)
    await passing_time(far.wait_for_connection(), advance)
    doubled = asyncio.gather(*[far.action_call("/double", n) for n in range(100)])
    assert await passing_time(doubled, advance) == [2 * n for n in range(100)]
    await advance(60)
    assert far.connected
    assert proxy.connections == 1
    await far.close()


async def test_a_network_that_stalls_for_a_while_ends_nothing(
    proxy: Proxy, near: Client, advance: Advance
) -> None:
    await near.action_register("/double", lambda x: 2 * x)
    async with Client(server=proxy.address) as far:
        await advance(14)
        proxy.stall()
        doubled = asyncio.ensure_future(far.action_call("/double", 2))
        await advance(4)
        assert not doubled.done()
        proxy.flow()
        assert await doubled == 4
        assert proxy.connections == 1


async def test_a_connection_that_is_half_open_is_found_by_a_ping(
    proxy: Proxy, near: Client, server: Server, advance: Advance
) -> None:
    timeouts = TimeoutConfig(idle_ping=15, server_timeout=30, ping_timeout=5)
    observed: list[Any] = []
    far = Client(server=proxy.address, timeout_cfg=timeouts)
    await far.wait_for_connection()
    await (await far.state_register("/far/state")).changed(1)
    assert await near.state_observe("/far/state", observed.append) == 1
    proxy.swallowing = True
    waiting = asyncio.ensure_future(far.get("/far/state"))
    await advance(15 + 5 - 0.1)
    assert far.connected
    await advance(0.2)
    with pytest.raises(Disconnected, match="did not answer a ping"):
        await waiting
    assert observed == [], "the server can't know yet"
    await advance(30 - 20)
    assert observed == [Unknown], "the client was silent for server_timeout"
    proxy.swallowing = False
    await passing_time(far.wait_for_connection(), advance)
    await until(lambda: observed == [Unknown, 1], advance)
    await far.close()


async def test_a_client_that_is_thrown_out_by_another_of_its_id_comes_back(
    server: Server, near: Client, advance: Advance
) -> None:
    address = Address(*server.addresses[0])
    client = Client(server=str(address), client_id="same")
    await client.wait_for_connection()
    gate = asyncio.Event()
    await client.action_register("/mine", gate.wait)
    waiting = asyncio.ensure_future(near.action_call("/mine"))
    await advance(0)

    thief = await connect_raw(address)
    thief.send(HelloId(1, 0, v("same")), ActionRegister(1, "/mine"))
    assert await thief.receive() == HelloAccepted()
    assert await thief.receive() == ok(1)
    with pytest.raises(ErrorValue, match="client_exited"):
        await waiting
    asked = asyncio.ensure_future(near.action_call("/mine"))
    call = await thief.receive()
    assert isinstance(call, ActionCall), "it is the thief's now"
    thief.send(Reply(call.id, v("stolen")))
    assert await asked == "stolen"

    assert not client.connected
    await passing_time(client.wait_for_connection(), advance)
    assert await thief.closed() == []
    gate.set()
    assert await near.action_call("/mine") is True
    await client.close()


async def test_an_owner_that_dies_in_mid_call_is_an_error_to_the_caller(
    proxy: Proxy, near: Client, advance: Advance
) -> None:
    far = Client(server=proxy.address)
    await far.wait_for_connection()
    called = asyncio.Event()

    async def slow() -> None:
        called.set()
        await asyncio.get_running_loop().create_future()

    await far.action_register("/far/slow", slow)
    calls = asyncio.gather(
        *[near.action_call("/far/slow") for _ in range(3)], return_exceptions=True
    )
    await called.wait()
    proxy.cut()
    assert [str(outcome) for outcome in await calls] == ["call /far/slow: client_exited"] * 3
    assert near.connected
    await far.close()
