"""What the server keeps after a flood: no large tables, no transports, no free memory."""

import asyncio
import contextlib
import gc
import socket
import struct
import sys
import weakref
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eshet import Client, codec
from eshet.messages import HelloId, pack
from eshet.protocol.framing import frame
from eshet.server import Server, memory
from eshet.server.memory import Trimmer, shrunk
from tests.conftest import Advance
from tests.support.waiting import until

MANY = 20_000
RESET = struct.pack("ii", 1, 0)  # linger, for no time: closing resets the connection


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times at which memory was given back."""
    times: list[float] = []

    def trim_heap() -> None:
        times.append(asyncio.get_running_loop().time())

    monkeypatch.setattr(memory, "_trim_heap", trim_heap)
    return times


# --- tables -----------------------------------------------------------------------------------

TABLES: dict[str, Any] = {
    "dict": {n: str(n) for n in range(MANY)},
    "defaultdict": defaultdict(list, {n: [n] for n in range(MANY)}),
    "set": set(range(MANY)),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("left", [0, 1, 50, 1000])
def test_a_table_shrinks_when_few_entries_are_left(name: str, left: int) -> None:
    table = TABLES[name].copy()
    copies = 0
    for n in range(MANY - left):
        table.remove(n) if name == "set" else table.pop(n)
        now = shrunk(table)
        copies += now is not table
        table = now
    assert type(table) is type(TABLES[name])
    assert sorted(table) == list(range(MANY - left, MANY))
    assert sys.getsizeof(table) < max(4097, 512 * left)
    assert copies < 10  # each is of a quarter at most of the one before


@pytest.mark.parametrize("size", [0, 1, 10, 1000, MANY])
def test_a_table_that_only_grew_is_not_copied(size: int) -> None:
    table = {n: n for n in range(size)}
    assert shrunk(table) is table


def test_a_small_defaultdict_still_makes_its_values() -> None:
    table = TABLES["defaultdict"].copy()
    for n in range(MANY):
        del table[n]
    assert shrunk(table)["new"] == []


async def test_the_tables_of_a_server_are_small_again_after_a_flood(advance: Advance) -> None:
    async with Server() as server, Client(server=server, client_id="stays") as stays:
        await stays.state_register("/a/stays")
        empty = _tables(server)
        crowd = [Client(server=server, client_id=number) for number in range(300)]
        for client in crowd:
            await client.wait_for_connection()
            await client.state_observe("/a/stays", lambda _: None)
        for number in range(1000):
            await crowd[0].state_register(f"/a/n{number}")
        full = _tables(server)
        for client in crowd:
            await client.close()
        await until(lambda: len(server.router.peers) == 1, advance)
        assert all(full[name] > 2 * size for name, size in empty.items())
        assert all(size <= 4096 for size in _tables(server).values())


def _tables(server: Server) -> dict[str, int]:
    tree = server.router.tree
    directory: Any = tree.look_up(b"/a")
    tables = {
        "peers": server.router.peers,
        "sessions": server._sessions,
        "index": tree._index,
        "heard": tree._listened,
        "children": directory.children,
        "listeners": tree.find(b"/a/stays").listeners,
    }
    return {name: sys.getsizeof(table) for name, table in tables.items()}


# --- when it is given back --------------------------------------------------------------------


async def test_memory_is_given_back_a_while_after_much_was_freed(
    trims: list[float], advance: Advance
) -> None:
    trimmer = Trimmer(asyncio.get_running_loop())
    begin = asyncio.get_running_loop().time()
    trimmer.freed(1 << 20)
    await advance(1)
    trimmer.freed(1 << 20)
    assert not trims
    await advance(10)
    assert trims == [pytest.approx(begin + 2)]
    trimmer.freed(1 << 20)
    await advance(10)
    assert len(trims) == 2


async def test_little_is_not_worth_it_until_it_adds_up(
    trims: list[float], advance: Advance
) -> None:
    trimmer = Trimmer(asyncio.get_running_loop())
    for _ in range(3):
        trimmer.freed(1 << 18)
        await advance(10)
    assert not trims
    trimmer.freed(1 << 18)
    await advance(10)
    assert len(trims) == 1


async def test_a_closed_server_gives_nothing_back(trims: list[float], advance: Advance) -> None:
    server = Server()
    server._trimmer.freed(1 << 20)
    await server.close()
    await advance(10)
    assert not trims


@pytest.mark.parametrize("flood", ["clients", "nodes", "bytes"])
async def test_each_kind_of_flood_is_noticed(
    trims: list[float], advance: Advance, flood: str
) -> None:
    async with Server() as server:
        clients = [Client(server=server) for _ in range(260 if flood == "clients" else 1)]
        for client in clients:
            await client.wait_for_connection()
        if flood == "nodes":
            for number in range(1800):
                await clients[0].state_register(f"/n{number}")
        if flood == "bytes":
            state = await clients[0].state_register("/much")
            for number in range(20):
                await state.changed(f"{number}" + "x" * 60_000)
        for client in clients:
            await client.close()
        await advance(10)
        assert len(trims) == 1


async def test_one_client_that_comes_and_goes_is_no_flood(
    trims: list[float], advance: Advance
) -> None:
    async with Server() as server:
        for _ in range(20):
            async with Client(server=server) as client:
                await client.state_register("/n")
            await advance(5)
        assert not trims


# --- what is given back -----------------------------------------------------------------------


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_memory_goes_back_to_the_system() -> None:
    if memory._malloc_trim() is None:
        pytest.skip("this C library has no malloc_trim")
    before = _resident()
    freed = [bytes(2000) for _ in range(30_000)]
    last = bytes(2000)  # at the end of the heap, which without it would shrink by itself
    full = _resident()
    del freed
    memory._trim_heap()
    assert full - before > 40 << 20
    assert _resident() - before < 10 << 20
    assert len(last) == 2000


@pytest.fixture
def frozen() -> Iterator[None]:
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
def test_what_somebody_has_frozen_stays_frozen() -> None:
    before = gc.get_freeze_count()
    memory._trim_heap()
    assert gc.get_freeze_count() == before


@pytest.mark.parametrize("end", ["closed", "reset", "aborted"])
async def test_the_transport_of_a_connection_is_freed_without_the_collector(
    end: str, advance: Advance
) -> None:
    async with Server() as server:
        await server.listen(port=0)
        host, port = server.addresses[0]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(frame(pack(HelloId(1, 0, codec.pack("one")))))
        await reader.readexactly(4)
        (session,) = server._sessions
        assert session._transport is not None
        transport = weakref.ref(session._transport)
        gc.collect()
        gc.disable()
        try:
            if end == "aborted":
                session.abort()
            elif end == "reset":
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.close()
            await until(lambda: not server._sessions, advance)
            del session
            for _ in range(10):
                await advance(0)
            assert transport() is None
        finally:
            gc.enable()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
