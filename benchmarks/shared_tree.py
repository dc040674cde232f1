"""How fast servers that share a tree through NATS are, beside one server.

    python benchmarks/shared_tree.py [--nodes 10000] [--observers 1,10,100] [--seconds 3]

Each figure is for one server of ours over TCP, in a process of its own, and for clients at NATS:
each with a server in its process. There, NATS is one server that stores everything once, or three
that store it three times. The owner of the nodes is another process than the one that measures.
Ratios are to the one server of ours, in the same run: 2.0 takes twice as long, or twice the CPU.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.wire import serve_ours, server_process
from eshet import Client, Unknown
from tests.support.mosquitto import PATH
from tests.support.nats import nats_cluster, nats_program, nats_server

AT_ONCE: Final = 100
"""Calls under way."""


class Figures(NamedTuple):
    call_p50: float
    """ms"""
    call_p99: float
    calls: float
    """per second, `AT_ONCE` under way"""
    caller_cpu: float
    """µs of the caller for each of them"""
    changes: dict[int, float]
    """ms from a change to the last of so many observers, each with a connection of its own"""
    change_cpu: float
    """µs of the owner for a change"""
    start: float
    """s until all nodes are observed"""
    start_cpu: float


# --- the owner, in a process of its own -------------------------------------------------------


def own(url: str, nodes: int, pipe: Pipe) -> None:
    asyncio.run(_own(url, nodes, pipe))


async def _own(url: str, nodes: int, pipe: Pipe) -> None:
    async with Client(server=url, client_id="owner") as client:
        await client.action_register("/bench/echo", lambda value: value)
        await client.state_register("/bench/state")
        for start in range(0, nodes, 500):
            paths = [f"/bench/many/n{n}" for n in range(start, min(start + 500, nodes))]
            await asyncio.gather(*(client.state_register(path) for path in paths))
            await asyncio.gather(*(client.state_changed(path, start) for path in paths))
        pipe.send(None)
        loop = asyncio.get_running_loop()
        while (order := await loop.run_in_executor(None, pipe.recv)) is not None:
            count, pause = order
            before = time.process_time()
            for _ in range(count):
                await client.state_changed("/bench/state", time.monotonic_ns())
                await asyncio.sleep(pause)
            pipe.send((time.process_time() - before) / max(count, 1))


@contextlib.contextmanager
def owner(url: str, nodes: int) -> Iterator[Pipe]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=own, args=(url, nodes, theirs))
    process.start()
    ours.recv()
    yield ours
    ours.send(None)
    process.join()


# --- what is measured -------------------------------------------------------------------------


async def measure(url: str, nodes: int, observers: list[int], seconds: float) -> Figures:
    with owner(url, nodes) as pipe:
        async with Client(server=url) as client:
            p50, p99 = await call_latency(client, seconds)
            calls, cpu = await call_rate(client, seconds)
        changes, change_cpu = {}, 0.0
        for count in observers:
            changes[count], change_cpu = await change_latency(url, count, pipe)
        start, start_cpu = await start_time(url, nodes)
    return Figures(p50, p99, calls, cpu, changes, change_cpu, start, start_cpu)


async def call_latency(client: Client, seconds: float) -> tuple[float, float]:
    taken = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        await client.action_call("/bench/echo", 1)
        taken.append(time.perf_counter() - began)
    taken.sort()
    return 1e3 * statistics.median(taken), 1e3 * taken[int(len(taken) * 0.99)]


async def call_rate(client: Client, seconds: float) -> tuple[float, float]:
    done = 0
    until = time.monotonic() + seconds

    async def keep_calling() -> None:
        nonlocal done
        while time.monotonic() < until:
            await client.action_call("/bench/echo", 1)
            done += 1

    cpu = time.process_time()
    began = time.monotonic()
    await asyncio.gather(*(keep_calling() for _ in range(AT_ONCE)))
    return done / (time.monotonic() - began), 1e6 * (time.process_time() - cpu) / done


async def change_latency(url: str, count: int, pipe: Pipe) -> tuple[float, float]:
    """Return the median from a change to the last observer, in ms, and the CPU of the owner."""
    loop = asyncio.get_running_loop()
    seen: dict[int, int] = {}
    last: list[float] = []

    def observe(value: object) -> None:
        if isinstance(value, int):
            seen[value] = seen.get(value, 0) + 1
            if seen[value] == count:
                last.append((time.monotonic_ns() - value) / 1e6)

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            client = await stack.enter_async_context(Client(server=url))
            await client.state_observe("/bench/state", observe)
        pipe.send((100, max(0.002, 0.0005 * count)))
        cpu: float = await loop.run_in_executor(None, pipe.recv)
        await asyncio.sleep(0.3)
    return statistics.median(last), 1e6 * cpu


async def start_time(url: str, nodes: int) -> tuple[float, float]:
    began, cpu = time.monotonic(), time.process_time()
    async with Client(server=url) as client:
        paths = [f"/bench/many/n{n}" for n in range(nodes)]
        values = await asyncio.gather(*(client.state_observe(path, print) for path in paths))
        assert Unknown not in values
        return time.monotonic() - began, time.process_time() - cpu


# --- where ------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_server(_: Path) -> Iterator[str]:
    with server_process(serve_ours) as ((host, port), _):
        yield f"{host}:{port}"


def at_nats(program: str, *, cluster: bool = False) -> Callable[[Path], Iterator[str]]:
    @contextlib.contextmanager
    def run(folder: Path) -> Iterator[str]:
        with (nats_cluster if cluster else nats_server)(folder, program) as servers:
            yield f"{servers.url}/bench"

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--observers", default="1,10,100")
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    observers = [int(each) for each in options.observers.split(",")]
    places = {"one server": one_server}
    if shutil.which("nats-server", path=PATH):
        places["NATS of Debian"] = at_nats(nats_program("debian"))
    places["NATS 2.14"] = at_nats(nats_program("pypi"))
    places["three NATS 2.14"] = at_nats(nats_program("pypi"), cluster=True)
    reference: Figures | None = None
    for name, place in places.items():
        with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as url:
            found = asyncio.run(measure(url, options.nodes, observers, options.seconds))
        reference = reference or found
        show(name, found, reference)


def show(name: str, found: Figures, reference: Figures) -> None:
    print(f"\n{name}")

    def line(what: str, figure: float, unit: str, of: float) -> None:
        print(f"  {what:<44} {figure:9.2f} {unit:<4} {figure / of:6.2f}")

    line("call, p50", found.call_p50, "ms", reference.call_p50)
    line("call, p99", found.call_p99, "ms", reference.call_p99)
    line(f"calls, {AT_ONCE} under way", found.calls, "/s", reference.calls)
    line("CPU of the caller for each", found.caller_cpu, "µs", reference.caller_cpu)
    for count, taken in found.changes.items():
        line(f"change of a state to {count} observers", taken, "ms", reference.changes[count])
    line("CPU of the owner for a change", found.change_cpu, "µs", reference.change_cpu)
    line("start: all nodes observed", found.start, "s", reference.start)
    line("CPU of that", found.start_cpu, "s", reference.start_cpu)


if __name__ == "__main__":
    main()
