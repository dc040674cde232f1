"""From an event through a rule to a call: the runner beside a bare script, in one run.

    python benchmarks/runner [--rounds 5] [--only TEXT]

The server and what forwards are processes of their own; this one emits and receives. All variants
take turns, and the figures are medians over the rounds. Ratios are to the bare script of twelve
lines in `forwarders.py`, which uses the same client.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.runner.forwarders import BARE_STATE, Forwarder, Process, until_answered
from benchmarks.wire import serve_ours, server_process
from eshet import Client

COUNT: Final = 20_000
IN_FLIGHT: Final = 256
RATE: Final = 1000
CALM: Final = 3.0
"""Seconds for which the latency is measured."""

FORWARDERS: Final = (
    Forwarder("bare script"),
    Forwarder("runner", ("forward",)),
    Forwarder("runner, trail", ("forward",), trail=True),
)

OTHERS: Final = (
    Forwarder("bare script, states", script=BARE_STATE),
    Forwarder("states", ("states",)),
    Forwarder("5 operators", ("operators",)),
    Forwarder("retries", ("retries",)),
    Forwarder("100 rules", ("hundred",)),
)


Emit = Callable[[float], Awaitable[object]]


class Figures(NamedTuple):
    """What one round has measured.

    Args:
        throughput: events per second.
        cpu: µs of the forwarder for each event.
        calm: latencies in ms at a calm rate.
        after: latencies in ms at that rate, from one second after a burst on.
    """

    throughput: float
    cpu: float
    calm: list[float]
    after: list[float]


class Bench:
    """Emits, and receives what is forwarded.

    Args:
        emit: emits an event, or changes a state.
        is_state: whether it is a state, whose values need not all arrive.
    """

    def __init__(self, emit: Emit, *, is_state: bool) -> None:
        self.received = 0
        self.latencies: list[float] = []
        self._emit = emit
        self._is_state = is_state
        self._last = self._last_received = 0.0
        self._emitted = 0
        self._arrived = asyncio.Event()

    def sink(self, value: float) -> None:
        """Receive a forwarded value: the time of its emission."""
        self.received += 1
        self._last_received = value
        self.latencies.append((time.perf_counter() - value) * 1e3)
        if self._has_arrived():
            self._arrived.set()

    async def emit(self) -> None:
        """Emit the time."""
        self._last = time.perf_counter()
        self._emitted += 1
        await self._emit(self._last)

    async def arrived(self) -> None:
        """Wait until all values were received; of a state, the last one."""
        self._arrived.clear()
        if not self._has_arrived():
            await asyncio.wait_for(self._arrived.wait(), 120)

    def _has_arrived(self) -> bool:
        if self._is_state:
            return self._last_received == self._last
        return self.received >= self._emitted

    async def burst(self, count: int) -> int:
        """Emit as fast as possible, and return how many values were received."""
        todo, before = iter(range(count)), self.received

        async def work() -> None:
            for _ in todo:
                await self.emit()

        await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
        await self.arrived()
        return self.received - before

    async def calm(self, seconds: float) -> list[float]:
        """Emit at a calm rate, and return the latencies in ms."""
        self.latencies.clear()
        start = time.perf_counter()
        tasks = []
        for number in range(int(seconds * RATE)):
            pause = start + number / RATE - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            tasks.append(asyncio.ensure_future(self.emit()))
        await asyncio.gather(*tasks)
        await self.arrived()
        return list(self.latencies)


@asynccontextmanager
async def running(forwarder: Forwarder, address: str) -> AsyncIterator[tuple[Bench, Process]]:
    """Run a forwarder until it is ready."""
    is_state = "states" in forwarder.name
    with tempfile.TemporaryDirectory() as name:
        async with Client(server=address, client_id="bench") as client:
            if is_state:
                emit = (await client.state_register("/bench/state")).changed
            else:
                emit = await client.event_register("/bench/event")
            bench = Bench(emit, is_state=is_state)
            await client.action_register("/bench/sink", bench.sink)
            with forwarder.running(address, Path(name)) as process:
                await until_answered(client)
                await bench.burst(500)
                await asyncio.sleep(0.5)
                yield bench, process


async def measure(forwarder: Forwarder, address: str) -> Figures:
    """Return the figures of one round."""
    async with running(forwarder, address) as (bench, process):
        cpu, start = process.cpu(), time.perf_counter()
        received = await bench.burst(COUNT)
        elapsed, used = time.perf_counter() - start, process.cpu() - cpu
        await asyncio.sleep(1.0)
        after = await bench.calm(CALM)
        await asyncio.sleep(2.0)
        calm = await bench.calm(CALM)
        return Figures(received / elapsed, used / received * 1e6, calm, after)


def percentile(values: list[float], share: float) -> float:
    """Return a percentile."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def show(name: str, rounds: list[Figures], bare: list[Figures]) -> None:
    """Print one line, with the ratios to the bare script."""

    def median(of: list[Figures], figure: Callable[[Figures], float]) -> float:
        return statistics.median(map(figure, of))

    cells = []
    for figure in COLUMNS.values():
        value = median(rounds, figure)
        cells.append(f"{value:>9.{0 if value > 100 else 2}f} ({value / median(bare, figure):4.2f})")
    print(f"{name:<22}" + " ".join(cells), flush=True)


COLUMNS: Final[dict[str, Callable[[Figures], float]]] = {
    "events/s": lambda f: f.throughput,
    "µs CPU": lambda f: f.cpu,
    "p50 ms": lambda f: percentile(f.calm, 0.5),
    "p99 ms": lambda f: percentile(f.calm, 0.99),
    "p50 after": lambda f: percentile(f.after, 0.5),
    "p99 after": lambda f: percentile(f.after, 0.99),
}


def main() -> int:
    """Measure, and print one line for each forwarder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only variants whose name contains this")
    options = parser.parse_args()
    bare, *others = (*FORWARDERS, *OTHERS)
    chosen = [bare, *[each for each in others if options.only in each.name]]
    results: dict[str, list[Figures]] = {each.name: [] for each in chosen}
    with server_process(serve_ours) as (address, _):
        for _ in range(options.rounds):
            for each in chosen:
                where = ":".join(map(str, address))
                results[each.name].append(asyncio.run(measure(each, where)))
    print(" " * 22 + " ".join(f"{label:>16}" for label in COLUMNS))
    for name, rounds in results.items():
        reference = "bare script, states" if name == "states" else bare.name
        show(name, rounds, results.get(reference, results[bare.name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
