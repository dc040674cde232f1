"""How fast the server and the client are, beside the least that asyncio can do.

    python benchmarks/wire.py [--server HOST:PORT]

Everything is measured in one run, as ratios. The floor is a bare asyncio server in a process of its
own, as ours is: it splits frames and answers what it got (echo), or writes it to each listener, the
frames of one read joined into one write for each (fan-out). A ratio of 0.5 is half as fast as that.
The load comes over blocking sockets from this process, which parses as little as it can.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection as Pipe

from eshet import codec
from eshet.messages import (
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    HelloId,
    Message,
    Ping,
    Reply,
    StateChanged,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol.framing import frame
from eshet.server import Server

ROUNDS = 7
SECONDS = 0.25  # for each figure of each round
IN_FLIGHT = 64


LISTEN = b"\x47\x00\x01L"
"""What makes a client of the floor a listener."""

Address = tuple[str, int]
Serve = Callable[[Pipe], Coroutine[object, object, None]]

# --- servers in processes of their own --------------------------------------------------------


class Floor(asyncio.Protocol):
    """Splits frames; echoes them, or writes them to every listener: whoever sent `L` first."""

    def __init__(self, listeners: "dict[Floor, None]") -> None:
        self.listeners = listeners
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.listeners.pop(self, None)

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        start, end, frames = 0, len(data), []
        while start + 3 <= end:
            after = start + 3 + (data[start + 1] << 8 | data[start + 2])
            if after > end:
                break
            frames.append(data[start:after])
            start = after
        self.rest = data[start:]
        if frames and frames[0] == LISTEN:
            self.listeners[self] = None
            self.transport.write(LISTEN)
        elif frames:
            joined = b"".join(frames)
            self.transport.write(joined)
            for listener in self.listeners:
                listener.transport.write(joined)


async def serve_floor(ready: Pipe) -> None:
    listeners: dict[Floor, None] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Floor(listeners), "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname())
    await loop.create_future()


async def serve_ours(ready: Pipe) -> None:
    server = Server()
    await server.listen(port=0)
    ready.send(server.addresses[0])
    await asyncio.get_running_loop().create_future()


def run_server(ready: Pipe, serve: Serve, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(serve(ready))


@contextmanager
def server_process(serve: Serve, core: int | None = None) -> Iterator[tuple[Address, int]]:
    """Run a server; gives its address and the id of its process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_server, args=(theirs, serve, core), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield ours.recv(), process.pid
    finally:
        process.kill()
        process.join()


# --- load -------------------------------------------------------------------------------------


class Raw:
    """A client that sends bytes and counts those that come back."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def hello(self, name: str) -> "Raw":
        self.ask(HelloId(1, 0, codec.pack(name)), length=4)
        return self

    def ask(self, *messages: Message, length: int) -> None:
        self.ask_raw(b"".join(frame(pack(message)) for message in messages), length)

    def ask_raw(self, data: bytes, length: int) -> None:
        self.socket.sendall(data)
        self.skip(length)

    def skip(self, length: int) -> None:
        """Read so many bytes."""
        while length > 0:
            length -= len(self.socket.recv(min(length, 1 << 18)))


OK = 7  # bytes of the frame of a reply with nil


def rate(send: Callable[[], None], take: Callable[[], None], count: int) -> float:
    """Return how many messages a second get through, with so many in flight.

    They are in two halves, so that the server has work while one half is taken and sent again.
    """
    halves = 2 if count > 1 else 1
    for _ in range(halves):
        send()
    deadline = time.perf_counter() + SECONDS
    started, turns = time.perf_counter(), 0
    while time.perf_counter() < deadline:
        take()
        send()
        turns += 1
    elapsed = time.perf_counter() - started
    for _ in range(halves):
        take()
    return turns * count / halves / elapsed


def half(count: int) -> int:
    return max(1, count // 2)


def pings(address: Address, count: int, *, floor: bool) -> float:
    client = Raw(address) if floor else Raw(address).hello("pinger")
    batch = b"".join(frame(pack(Ping(n))) for n in range(half(count)))
    length = len(batch) if floor else OK * half(count)
    return rate(lambda: client.socket.sendall(batch), lambda: client.skip(length), count)


def calls(address: Address, count: int) -> float:
    owner, caller = Raw(address).hello("owner"), Raw(address).hello("caller")
    owner.ask(ActionRegister(1, "/bench/action"), length=OK)
    value = codec.pack([1, "x"])
    asked = [frame(pack(ActionCall(n, "/bench/action", value))) for n in range(half(count))]
    batch = b"".join(asked)
    # The ids of what the owner is asked go round, so its answers can be made before.
    every = b"".join(frame(pack(Reply(n, b"\x01"))) for n in range(0x10000))
    length = OK * half(count)
    answers = itertools.cycle(every[at : at + length] for at in range(0, len(every), length))

    def take() -> None:
        owner.skip(len(batch))
        owner.socket.sendall(next(answers))
        caller.skip(length)

    return rate(lambda: caller.socket.sendall(batch), take, count)


def fan_out(address: Address, count: int, listeners: int, *, floor: bool) -> float:
    """Return how many notifications arrive in a second."""
    value = codec.pack([1, "x"])
    emitted = [frame(pack(EventEmit(n, "/bench/event", value))) for n in range(half(count))]
    batch = b"".join(emitted)
    notified = len(batch) if floor else len(batch) - 2 * half(count)  # they have no id
    replies = len(batch) if floor else OK * half(count)
    hearing = [listener(address, number, floor=floor) for number in range(listeners)]
    emitter = Raw(address) if floor else Raw(address).hello("emitter")

    def take() -> None:
        for each in hearing:
            each.skip(notified)
        emitter.skip(replies)

    return listeners * rate(lambda: emitter.socket.sendall(batch), take, count)


def listener(address: Address, number: int, *, floor: bool) -> "Raw":
    if not floor:
        hears = Raw(address).hello(f"listener {number}")
        hears.ask(EventListen(1, "/bench/event"), length=OK)
        return hears
    hears = Raw(address)
    hears.ask_raw(LISTEN, len(LISTEN))
    return hears


def state_updates(address: Address, count: int) -> float:
    owner, observer = Raw(address).hello("state owner"), Raw(address).hello("observer")
    owner.ask(StateRegister(1, "/bench/state"), length=OK)
    observer.ask(StateObserve(1, "/bench/state"), length=6)
    changed = [frame(pack(StateChanged(n, "/bench/state", b"\x05"))) for n in range(half(count))]
    batch = b"".join(changed)

    def take() -> None:
        observer.skip(len(batch) - 2 * half(count))
        owner.skip(OK * half(count))

    return rate(lambda: owner.socket.sendall(batch), take, count)


# --- comparison -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """What is measured of a server and of the floor; the ratio is to be at least `aim`."""

    name: str
    measure: Callable[[Address], float]
    floor: Callable[[Address], float]
    aim: float | None = None


def ping_floor(count: int) -> Callable[[Address], float]:
    return partial(pings, count=count, floor=True)


def fan_out_floor(listeners: int) -> Callable[[Address], float]:
    return partial(fan_out, count=IN_FLIGHT, listeners=listeners, floor=True)


FIGURES = [
    Figure("ping, 64 in flight", partial(pings, count=64, floor=False), ping_floor(64), 0.5),
    Figure("call, 64 in flight / ping floor", partial(calls, count=64), ping_floor(64), 0.25),
    Figure("call, sequential / ping floor", partial(calls, count=1), ping_floor(1)),
    *[
        Figure(
            f"fan-out to {listeners}",
            partial(fan_out, count=IN_FLIGHT, listeners=listeners, floor=False),
            fan_out_floor(listeners),
            0.4,
        )
        for listeners in (1, 10, 100)
    ],
    Figure(
        "state update, 64 in flight / fan-out floor",
        partial(state_updates, count=IN_FLIGHT),
        fan_out_floor(1),
    ),
]
ON_ONE_CORE = Figure(
    "ping, sequential, all on one core",
    partial(pings, count=1, floor=False),
    ping_floor(1),
    0.8,
)


def compare(figure: Figure, ours: Address, floor: Address) -> None:
    ratios, rates = [], []
    for _ in range(ROUNDS):
        rates.append(figure.measure(ours))
        ratios.append(rates[-1] / figure.floor(floor))
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    aim = f"aim {figure.aim}" if figure.aim else ""
    per_second = f"{statistics.median(rates):,.0f}/s"
    print(f"{figure.name:<44}{statistics.median(ratios):6.2f}  {spread}  {aim:<9}{per_second:>12}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="HOST:PORT of a server to measure instead of ours")
    named = parser.parse_args().server
    print(f"{'ratios to the asyncio floor':<44}median  (lowest to highest of {ROUNDS})")
    with server_process(serve_floor) as (floor, _), server_process(serve_ours) as (ours, _):
        if named:
            host, _, port = named.rpartition(":")
            ours = (host, int(port))
        for figure in FIGURES:
            compare(figure, ours, floor)
    os.sched_setaffinity(0, {0})
    with server_process(serve_floor, 0) as (floor, _), server_process(serve_ours, 0) as (ours, _):
        compare(ON_ONE_CORE, ours, floor)


if __name__ == "__main__":
    main()
