"""What one client may take, and what happens when it wants more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eshet import Client, codec
from eshet.address import Address
from eshet.messages import (
    EventEmit,
    EventListen,
    EventNotify,
    HelloAccepted,
    HelloId,
    NotifyKnown,
    Ping,
    ReplyUnknown,
    StateChanged,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol.framing import frame
from eshet.server import Limits, Server
from tests.conformance.script import error, hello, ok, v
from tests.conftest import Advance
from tests.support.raw import RawPeer, connect_raw
from tests.support.waiting import passing_time, until

MakeServer = Callable[..., Any]


@pytest.fixture
async def make_server() -> AsyncIterator[MakeServer]:
    servers = []

    async def make(**limits: Any) -> tuple[Server, Address]:
        server = Server(limits=Limits(**limits))
        servers.append(server)
        await server.listen(port=0)
        return server, Address(*server.addresses[0])

    yield make
    for server in servers:
        await server.close()


def test_a_limit_is_a_positive_number() -> None:
    with pytest.raises(ValueError, match="the limit clients must be more than 0, not 0"):
        Limits(clients=0)


async def test_no_more_clients_than_that_are_let_in(make_server: MakeServer) -> None:
    _, address = await make_server(clients=2)
    first = await hello(address, "first")
    await hello(address, "second")
    third = await connect_raw(address)
    third.send(HelloId(1, 0, v("third")))
    assert await third.closed() == []
    first.transport.close()
    await first.closed()
    assert await hello(address, "fourth")


async def test_no_more_nodes_than_that_are_registered_and_heard(make_server: MakeServer) -> None:
    _, address = await make_server(nodes=3)
    peer = await hello(address, "greedy")
    peer.send(
        StateRegister(1, "/a"), EventListen(2, "/b"), StateObserve(3, "/c"), StateRegister(4, "/d")
    )
    assert [await peer.receive() for _ in range(4)] == [
        ok(1), ok(2), ReplyUnknown(3), error(4, "too_many_nodes"),
    ]  # fmt: skip
    other = await hello(address, "modest")
    other.send(StateRegister(1, "/d"))
    assert await other.receive() == ok(1)


async def test_a_path_longer_than_that_is_invalid(make_server: MakeServer) -> None:
    _, address = await make_server(path_length=10)
    peer = await hello(address, "x")
    peer.send(StateRegister(1, "/123456789"), StateRegister(2, "/1234567890"))
    assert [await peer.receive() for _ in range(2)] == [ok(1), error(2, "invalid_path")]


@pytest.mark.parametrize("padding", [b"", bytes(100)], ids=["short", "long"])
async def test_a_value_nested_deeper_than_that_ends_the_connection(
    make_server: MakeServer, padding: bytes
) -> None:
    _, address = await make_server(nesting=16)

    def nested(depth: int) -> bytes:
        lists = b"\x91" * (depth - 1)
        return b"\x92" + codec.pack(padding) + lists + b"\x01"

    peer = await hello(address, "x")
    peer.send(StateRegister(1, "/s"), StateChanged(2, "/s", nested(16)))
    assert [await peer.receive() for _ in range(2)] == [ok(1), ok(2)]
    peer.send(StateChanged(3, "/s", nested(17)))
    assert await peer.closed() == []


async def test_registrations_that_come_too_fast_wait(
    make_server: MakeServer, advance: Advance
) -> None:
    _, address = await make_server(registrations=100)
    peer = await hello(address, "hasty")
    for burst in range(4):
        peer.send(*[EventListen(n, f"/e{burst}_{n}") for n in range(100)])
    answers = [asyncio.ensure_future(peer.receive()) for _ in range(400)]
    await until(lambda: answers[0].done(), advance)
    peer.send(Ping(1))
    done: list[int] = []
    for _ in range(6):
        await advance(1)
        await advance(0)
        done.append(sum(answer.done() for answer in answers))
    assert done[-1] == 400
    pong = await peer.receive()
    assert pong == ok(1)


# --- a client that does not read --------------------------------------------------------------


async def deaf(address: Address, name: str) -> RawPeer:
    peer = await hello(address, name)
    peer.send(EventListen(1, "/e"), StateObserve(2, "/s"))
    assert [await peer.receive() for _ in range(2)] == [ok(1), ReplyUnknown(2)]
    peer.transport.pause_reading()
    return peer


async def test_a_state_observer_that_reads_again_gets_the_last_value(
    make_server: MakeServer, advance: Advance
) -> None:
    server, address = await make_server(soft_queue=50_000, hard_queue=100_000)
    slow = await deaf(address, "slow")
    async with Client(server=server) as owner:
        state = await owner.state_register("/s")
        text = "x" * 10_000
        for number in range(2_000):
            await state.changed([number, text])
        slow.transport.resume_reading()
        last = 0
        while last != 1_999:
            message = await slow.receive()
            assert isinstance(message, NotifyKnown)
            number = codec.unpack(message.value)[0]
            assert number > last or number == last == 0, "changes come in their order"
            last = number


async def test_a_listener_that_does_not_read_is_cut_once_and_another_gets_everything(
    make_server: MakeServer, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    _, address = await make_server(soft_queue=500_000, hard_queue=2_000_000)
    slow = await deaf(address, "slow")
    healthy, emitter = await hello(address, "healthy"), await hello(address, "emitter")
    healthy.send(EventListen(1, "/e"))
    assert await healthy.receive() == ok(1)
    emit = frame(pack(EventEmit(1, "/e", v("x" * 60_000))))
    count = 400

    async def send_all() -> None:
        for _ in range(count):
            emitter.send(emit)
            assert await emitter.receive() == ok(1)

    async def hear_all() -> None:
        for _ in range(count):
            assert isinstance(await healthy.receive(), EventNotify)

    both = asyncio.gather(send_all(), hear_all())
    while not both.done():
        await advance(0.005)
    await both
    cut = [record for record in caplog.messages if "wait for it" in record]
    assert len(cut) == 1
    slow.transport.resume_reading()
    await slow.closed()


async def test_a_client_that_reads_too_slowly_for_too_long_is_cut_though_nobody_sends(
    make_server: MakeServer, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server, address = await make_server(soft_queue=100_000, soft_time=1.0)
    slow = await deaf(address, "slow")
    async with Client(server=server) as emitter:
        queue = 0
        while queue <= 100_000:
            await passing_time(emitter.event_emit("/e", "x" * 60_000), advance, step=0.001)
            told = await passing_time(emitter.action_call("/meta/clients"), advance, step=0.001)
            queue = max(client["queue"] for client in told["clients"])
        assert "reads too slowly" not in caplog.text
        await advance(1.0)
        await until(lambda: "reads too slowly" in caplog.text, advance)
        slow.transport.resume_reading()
        await slow.closed()


async def test_an_accepted_hello_is_needed_for_everything(make_server: MakeServer) -> None:
    _, address = await make_server()
    peer = await connect_raw(address)
    peer.send(HelloId(1, 0, v("x")), StateRegister(1, "/s"))
    assert [await peer.receive() for _ in range(2)] == [HelloAccepted(), ok(1)]
