"""What the client costs, in CPU time and memory, beside the least that asyncio can do.

    python benchmarks/wire_client.py [--server HOST:PORT] [--only TEXT]

The server is in a process of its own, and so is the other client that answers, calls and emits.
Figures are µs of CPU of this process alone, for each call, answer or event: how long the others
take does not count. The floor is a bare asyncio client, which splits frames, keeps a future for
each request, and neither packs nor checks anything.
"""

import argparse
import asyncio
import gc
import logging
import multiprocessing
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from eshet import Client, codec
from eshet.address import Address
from eshet.messages import ActionCall, ActionRegister, EventListen, HelloId, Message, pack
from eshet.protocol.framing import frame
from eshet.server import Server

ROUNDS = 7
COUNT = 10_000
IN_FLIGHT = 64
VALUE = [1, "x"]

Main = Callable[[Pipe, str], Coroutine[object, object, None]]

# --- the other processes ----------------------------------------------------------------------


async def serve(ready: Pipe, address: str) -> None:
    _, _, given = address.rpartition(":")
    server = Server()
    await server.listen(port=int(given or 0))
    host, port = server.addresses[0]
    ready.send(f"{host}:{port}")
    await asyncio.get_running_loop().create_future()


async def help_out(ready: Pipe, address: str) -> None:
    """Own an action for the client under test, and call it or emit to it when asked to."""
    client = Client(server=address)
    await client.wait_for_connection()
    emit = await client.event_register("/bench/event")

    async def repeat(count: int, act: Callable[[], Awaitable[object]]) -> None:
        todo = iter(range(count))

        async def work() -> None:
            for _ in todo:
                await act()

        await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])

    await client.action_register("/bench/echo", lambda *args: args)
    await client.action_register(
        "/bench/call_me",
        lambda count: repeat(count, lambda: client.action_call("/bench/mine", *VALUE)),
    )
    await client.action_register("/bench/emit", lambda count: repeat(count, lambda: emit(VALUE)))
    ready.send(address)
    await asyncio.get_running_loop().create_future()


def run(ready: Pipe, main: Main, address: str) -> None:
    asyncio.run(main(ready, address))


@contextmanager
def process(main: Main, address: str = "") -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    started = multiprocessing.Process(target=run, args=(theirs, main, address), daemon=True)
    started.start()
    try:
        yield ours.recv()
    finally:
        started.kill()
        started.join()


# --- the floor --------------------------------------------------------------------------------


class Floor(asyncio.Protocol):
    """The least that a client can do: it knows the codes and where the id is, and nothing else."""

    def __init__(self) -> None:
        self.rest = b""
        self.pending: dict[int, asyncio.Future[bytes]] = {}
        self.heard = 0
        self.out: list[bytes] = []
        self.loop = asyncio.get_running_loop()
        self.answer = frame(b"\x05\0\0" + codec.pack(VALUE))[6:]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self, data: bytes) -> None:
        if not self.out:
            self.loop.call_soon(self.flush)
        self.out.append(data)

    def flush(self) -> None:
        self.transport.write(b"".join(self.out))
        self.out.clear()

    def ask(self, message: Message) -> asyncio.Future[bytes]:
        return self.ask_bytes(message.id, frame(pack(message)))  # type: ignore[attr-defined]

    def ask_bytes(self, request_id: int, data: bytes) -> asyncio.Future[bytes]:
        self.send(data)
        self.pending[request_id] = future = self.loop.create_future()
        return future

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        start, end = 0, len(data)
        while start + 3 <= end:
            after = start + 3 + (data[start + 1] << 8 | data[start + 2])
            if after > end:
                break
            payload = data[start + 3 : after]
            start = after
            if payload[0] == 0x05:
                self.pending.pop(payload[1] << 8 | payload[2]).set_result(payload[3:])
            elif payload[0] == 0x11:
                self.send(b"\x47\x00\x07\x05" + payload[1:3] + self.answer)
            elif payload[0] == 0x33:
                self.heard += 1
        self.rest = data[start:]


@asynccontextmanager
async def floor(address: str) -> AsyncIterator[Floor]:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(Floor, host, int(port))
    transport.write(frame(pack(HelloId(1, 0, codec.pack("floor")))))
    yield client
    transport.close()


# --- what is measured -------------------------------------------------------------------------

Measure = Callable[[str], Coroutine[object, object, float]]


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    async with Client(server=address, client_id="measured") as client:
        yield client


class Stopwatch:
    """CPU time of this process within a `with` statement, in µs for each of `COUNT`."""

    def __enter__(self) -> "Stopwatch":
        gc.collect()
        self.started = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.each = (time.process_time() - self.started) / COUNT * 1e6


async def pipelined(ask: Callable[[int], Awaitable[object]]) -> float:
    """Let 64 workers ask, each one request after the other."""
    todo = iter(range(COUNT))

    async def work() -> None:
        for number in todo:
            await ask(number)

    with Stopwatch() as taken:
        await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    return taken.each


async def calls(address: str) -> float:
    async with connected(address) as client:
        return await pipelined(lambda _: client.action_call("/bench/echo", *VALUE))


async def calls_floor(address: str) -> float:
    call = pack(ActionCall(0, "/bench/echo", codec.pack(VALUE)))
    head, rest = frame(call)[:4], call[3:]
    async with floor(address) as client:

        def ask(number: int) -> Awaitable[object]:
            number &= 0xFFFF
            return client.ask_bytes(number, head + number.to_bytes(2, "big") + rest)

        return await pipelined(ask)


async def gets(address: str) -> float:
    async with connected(address) as client:
        await (await client.state_register("/bench/state")).changed(21.5)
        return await pipelined(lambda _: client.get("/bench/state"))


async def changes(address: str) -> float:
    async with connected(address) as client:
        state = await client.state_register("/bench/state")
        return await pipelined(state.changed)


async def answers(address: str) -> float:
    async with connected(address) as client:
        await client.action_register("/bench/mine", lambda *args: args)
        with Stopwatch() as taken:
            await client.action_call("/bench/call_me", COUNT)
        return taken.each


async def answers_floor(address: str) -> float:
    async with floor(address) as client:
        await client.ask(ActionRegister(1, "/bench/mine"))
        with Stopwatch() as taken:
            await client.ask(ActionCall(2, "/bench/call_me", codec.pack([COUNT])))
        return taken.each


async def events(address: str) -> float:
    async with connected(address) as client:
        heard = 0

        def hear(_: object) -> None:
            nonlocal heard
            heard += 1

        await client.event_listen_cb("/bench/event", hear)
        with Stopwatch() as taken:
            await client.action_call("/bench/emit", COUNT)
        assert heard == COUNT
        return taken.each


async def events_floor(address: str) -> float:
    async with floor(address) as client:
        await client.ask(EventListen(1, "/bench/event"))
        with Stopwatch() as taken:
            await client.ask(ActionCall(2, "/bench/emit", codec.pack([COUNT])))
        assert client.heard == COUNT
        return taken.each


@dataclass(frozen=True)
class Figure:
    """CPU of one call, answer or event of the client, in µs; to be at most `aim`."""

    name: str
    measure: Measure
    floor: Measure | None = None
    aim: float | None = None


FIGURES = [
    Figure("call, 64 in flight", calls, calls_floor, 9),
    Figure("get of a state, 64 in flight", gets),
    Figure("change of a state, 64 in flight", changes),
    Figure("answer to a call", answers, answers_floor, 8),
    Figure("event heard", events, events_floor, 2),
]


def show(figure: Figure, address: str) -> None:
    taken: list[float] = []
    floors: list[float] = []
    for _ in range(ROUNDS):
        taken.append(asyncio.run(figure.measure(address)))
        if figure.floor is not None:
            floors.append(asyncio.run(figure.floor(address)))
    median = statistics.median(taken)
    beside = ""
    if floors:
        least = statistics.median(floors)
        beside = f"floor {least:5.2f}  ratio {least / median:4.2f}"
    aim = f"aim {figure.aim}" if figure.aim is not None else ""
    spread = f"({min(taken):.2f} to {max(taken):.2f})"
    print(f"{figure.name:<40}{median:6.2f} µs  {spread:<17}{aim:<8}{beside}")


# --- memory and start -------------------------------------------------------------------------


async def memory_of_clients(address: str, count: int = 200) -> float:
    """Return KiB for each idle client."""
    with allocated() as kept:
        clients = [Client(server=address) for _ in range(count)]
        for client in clients:
            await client.wait_for_connection()
    for client in clients:
        await client.close()
    return kept.kib / count


async def memory_of_nodes(address: str, kind: str, count: int = 5_000) -> float:
    """Return KiB for each node registered or observed; `kind` is the method that does it."""

    def heard(_: object) -> None:
        pass

    arguments = (heard,) if kind != "event_register" else ()
    async with connected(address) as client:
        paths = [f"/bench/nodes/n{number}" for number in range(count)]
        with allocated() as kept:
            for path in paths:
                await getattr(client, kind)(path, *arguments)
        return kept.kib / count


class allocated:  # noqa: N801 - reads as one
    """What is allocated within a `with` statement and still there in the end, in KiB."""

    def __enter__(self) -> "allocated":
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        gc.collect()
        self.kib = tracemalloc.get_traced_memory()[0] / 1024
        tracemalloc.stop()


class Watched:
    """An address that knows when it was connected to."""

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address)
        self.connected_at = 0.0

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        transport = await self._address.connect(factory)
        self.connected_at = time.perf_counter()
        return transport


async def seconds_to_restore(count: int) -> float:
    """Return how long it takes until all states are back, from the connection to a new server."""
    with process(serve) as address:
        watched = Watched(address)
        client = Client(server=watched)
        await client.wait_for_connection()
        for number in range(count):
            await (await client.state_register(f"/bench/nodes/n{number}")).changed(number)
    with process(serve, address):
        while client.connected:  # noqa: ASYNC110 - nothing tells of a lost connection
            await asyncio.sleep(0.01)
        await client.wait_for_connection()
        seconds = time.perf_counter() - watched.connected_at
    await client.close()
    return seconds


def import_seconds(names: str) -> float:
    """Return the CPU time of an interpreter that imports these and ends: the least of some runs."""
    program = f"import time; import {names}; print(time.process_time())"
    times = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True).stdout)
        for _ in range(10)
    ]
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="HOST:PORT of a server to use instead of ours")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # servers are killed here
    with process(serve) as ours:
        address = options.server or ours
        with process(help_out, address):
            for figure in FIGURES:
                if options.only in figure.name:
                    show(figure, address)
        if options.only in "memory":
            print(f"{'idle client':<40}{asyncio.run(memory_of_clients(address)):6.2f} KiB  aim 12")
            for kind in ("state_register", "action_register", "state_observe", "event_listen_cb"):
                kib = asyncio.run(memory_of_nodes(address, kind))
                print(f"{kind + ' of a node':<40}{kib:6.2f} KiB  aim 1")
    if options.only in "restore":
        seconds = asyncio.run(seconds_to_restore(COUNT))
        print(f"{f'{COUNT:,} states restored':<40}{seconds:6.2f} s")
    if options.only in "import":
        ratio = import_seconds("eshet") / import_seconds("asyncio, msgpack")
        print(f"{'import eshet / import asyncio, msgpack':<40}{ratio:6.2f}      aim 1.5")


if __name__ == "__main__":
    main()
