"""A flood of events at a rule that takes a millisecond for each: memory, order, other rules, stop.

    python benchmarks/runner/flood.py [--events 1000000] [--handled 20000]

One module receives the events as fast as the server relays them, another one a calm 100 events/s.
First so many events that all are handled: each of them once, in order. Then so many that most of
them still wait when the runner is asked to stop. Then a flood of changes of a state.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.runner.forwarders import Forwarder, Process, until_answered
from benchmarks.wire import serve_ours, server_process
from eshet import Client

IN_FLIGHT: Final = 512
CALM: Final = 0.01
"""Seconds between two calm events."""


class Flood:
    """Emits the flood, and measures the other module.

    Args:
        client: emits.
        process: the runner.
    """

    def __init__(self, client: Client, process: Process) -> None:
        self.client = client
        self.process = process
        self.latencies: list[float] = []
        self.latest: list[object] = []
        self.arrived = asyncio.Event()  # set when the last value of the state was forwarded
        self.memory = 0.0

    def sink(self, value: float) -> None:
        """Receive what the calm module forwards."""
        self.latencies.append((time.perf_counter() - value) * 1e3)

    def follow(self, value: object) -> None:
        """Receive a value of the flooded state."""
        self.latest.append(value)
        if value == "last":
            self.arrived.set()

    async def calm(self) -> None:
        """Emit calm events, and note the memory of the runner, forever."""
        while True:
            await self.client.event_emit("/bench/event", time.perf_counter())
            self.memory = max(self.memory, self.process.memory())
            await asyncio.sleep(CALM)

    async def emit(self, first: int, count: int) -> float:
        """Emit events with increasing numbers as fast as possible; return the seconds it took."""
        start, numbers = time.perf_counter(), iter(range(first, first + count))

        async def work() -> None:
            for number in numbers:
                await self.client.event_emit("/bench/flood", number)

        await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
        return time.perf_counter() - start

    async def handled(self) -> tuple[int, bool]:
        """Return how many events were handled, and whether in order."""
        count, in_order = await self.client.action_call("/bench/handled")
        return count, in_order

    def report(self, what: str, before: float) -> None:
        """Print the latencies of the calm module, and the growth of memory, since the last call."""
        taken = sorted(self.latencies)
        p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        print(
            f"{what:<34} memory +{self.memory - before:5.1f} MiB, other module: {len(taken)} "
            f"events, p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {taken[-1]:.2f} ms",
            flush=True,
        )
        self.latencies.clear()


async def measure(address: str, events: int, to_handle: int) -> None:
    """Run the floods, and print what they did."""
    with tempfile.TemporaryDirectory() as name:
        async with Client(server=address, client_id="bench") as client:
            await client.event_register("/bench/flood")
            await client.event_register("/bench/event")
            flooded = await client.state_register("/bench/flooded")
            forwarder = Forwarder("flood", ("forward", "slow", "latest"))
            with forwarder.running(address, Path(name)) as process:
                flood = Flood(client, process)
                await client.action_register("/bench/sink", flood.sink)
                await client.action_register("/bench/latest", flood.follow)
                await until_answered(client, "/bench/handled")
                await until_answered(client)
                calm = asyncio.create_task(flood.calm())
                await asyncio.sleep(5)
                before = process.memory()
                flood.report("at rest", before)
                taken = await flood.emit(0, to_handle)
                handled = await flood.handled()  # its call waits in order, behind all events
                flood.report(f"{to_handle:,} events in {taken:.1f} s", before)
                print(f"  handled: {handled}")
                await states(flood, flooded.changed, before)
                taken = await flood.emit(to_handle, events)
                flood.report(f"{events:,} events in {taken:.1f} s", before)
                await asyncio.sleep(10)
                flood.report("10 s later", before)
                calm.cancel()
                start = time.perf_counter()
                await asyncio.to_thread(process.end)
                print(f"  stopped in {time.perf_counter() - start:.2f} s")
        for line in (Path(name) / "log").read_text().splitlines():
            if '"level":"error"' in line or '"level":"warning"' in line:
                print(f"  logged: {line[:300]}")


async def states(flood: Flood, change: Callable[[object], Awaitable[None]], before: float) -> None:
    """Change a state 100,000 times, and report how soon the last value was forwarded."""
    numbers = iter(range(100_000))

    async def work() -> None:
        for number in numbers:
            await change(number)

    await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    await change("last")
    start = time.perf_counter()
    await asyncio.wait_for(flood.arrived.wait(), 60)
    took = (time.perf_counter() - start) * 1e3
    flood.report(f"100,001 changes, {len(flood.latest):,} handled", before)
    print(f"  the last value was forwarded {took:.1f} ms after the flood")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--handled", type=int, default=20_000)
    options = parser.parse_args()
    with server_process(serve_ours) as (address, _):
        asyncio.run(measure(":".join(map(str, address)), options.events, options.handled))


if __name__ == "__main__":
    main()
