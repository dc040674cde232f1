"""A house of 300 modules and 10,000 nodes: on one runner, and on a cluster of three.

    python benchmarks/cluster_scale.py [--modules 300] [--states 33] [--rate 200]

The one runner uses one server of ours, in a process of its own; the three share the modules through
three NATS servers. All of them run on this machine. Each module owns states, and answers each of
its events with a call. Ratios are to the one runner, in the same run: 2.0 takes twice as long, or
twice the memory.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.runner.forwarders import Process
from benchmarks.wire import serve_ours, server_process
from eshet import Client, EshetError
from tests.support.mosquitto import free_port
from tests.support.nats import nats_cluster

RULE: Final = """
import asyncio
import os

from eshet import yarp
from eshet_rules import rule

RUNNER = os.environ["RUNNER"]


@rule
async def answer(client):
    pressed = await yarp.event_listen("/press/{name}")
    pressed.on_event(lambda number: client.action_call("/answer", "{name}", number, RUNNER))
    states = (yarp.state_register(f"/many/{name}/n{{n}}", yarp.Value(n)) for n in range({states}))
    await asyncio.gather(*states)
"""

_PATIENCE: Final = 120.0


class Figures(NamedTuple):
    start: float
    """s until all modules answer"""
    p50: float
    """ms from an event to the answer"""
    p99: float
    cpu: float
    """ms of all runners together for an answer"""
    idle: float
    """% of a core of all runners together at rest"""
    memory: float
    """MiB of one runner, on average"""
    gone: float
    """s without an answer of a module after kill -9 of its runner, the worst; 0 without others"""
    stopped: float
    """the same after a runner was stopped"""
    lost: int
    """events without an answer then"""
    twice: int
    """events with several answers, in all of the time"""


class House:
    """Presses the buttons of all modules in turn, and notes the answers.

    Args:
        client: of any server.
        modules: the names of the modules.
        rate: presses per second.
    """

    def __init__(self, client: Client, modules: Sequence[str], rate: float) -> None:
        self.client = client
        self.modules = modules
        self.pressed: dict[tuple[str, int], float] = {}
        self.answered: dict[tuple[str, int], list[float]] = {}
        self.runner_of: dict[str, str] = {}
        self._pause = 1 / rate
        self._number = 0

    async def open(self) -> None:
        for name in self.modules:
            await self.client.event_register(f"/press/{name}")
        await self.client.action_register("/answer", self._on_answer)

    def _on_answer(self, name: str, number: int, runner: str) -> None:
        self.answered.setdefault((name, number), []).append(time.monotonic())
        self.runner_of[name] = runner

    async def press(self, seconds: float) -> None:
        due = time.monotonic()
        end = due + seconds
        while due < end:
            for name in self.modules:
                due += self._pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self.press_one(name)
                if due >= end:
                    return

    async def press_one(self, name: str) -> None:
        self._number += 1
        self.pressed[name, self._number] = time.monotonic()
        with contextlib.suppress(EshetError):
            await self.client.event_emit(f"/press/{name}", self._number)

    async def all_answer(self) -> float:
        """Press those that have not answered each second; return how long it took until all had."""
        began = time.monotonic()
        missing = set(self.modules)
        first, pressed_at = self._number, -math.inf
        while missing:
            if time.monotonic() - pressed_at > 1:
                pressed_at = time.monotonic()
                for name in missing:
                    await self.press_one(name)
            await asyncio.sleep(0.02)
            missing -= {name for name, number in self.answered if number > first}
            if time.monotonic() - began > _PATIENCE:
                raise TimeoutError(f"{len(missing)} modules do not answer")
        return time.monotonic() - began

    def times(self) -> list[float]:
        """Return the times from events to their answers, in ms, and forget all events."""
        times = [
            (self.answered[each][0] - at) * 1000
            for each, at in self.pressed.items()
            if each in self.answered
        ]
        self.forget()
        return times

    def forget(self) -> None:
        self.pressed.clear()
        self.answered.clear()

    def gap(self, names: set[str], since: float) -> float:
        """Return the longest time without an answer of one of these modules."""
        times: dict[str, list[float]] = {name: [since] for name in names}
        for (name, _), answers in self.answered.items():
            if name in names and answers[0] > since:
                times[name].append(answers[0])
        return max(
            (max(b - a for a, b in itertools.pairwise(each)) for each in times.values()),
            default=0.0,
        )

    @property
    def lost(self) -> int:
        return len(self.pressed.keys() - self.answered.keys())

    @property
    def twice(self) -> int:
        return sum(len(each) > 1 for each in self.answered.values())


@contextlib.contextmanager
def runner(name: str, rules: Path, folder: Path, *options: str) -> Iterator[Process]:
    """Run a runner in a process of its own."""
    folder.mkdir()
    command = [sys.executable, "-m", "eshet_rules", "run", str(rules), "--state-dir", str(folder)]
    environment = dict(os.environ, RUNNER=name)
    with (folder / "log").open("wb") as log:
        popen = subprocess.Popen(
            [*command, *options], env=environment, stdout=log, stderr=log, text=True
        )
    try:
        yield Process(popen)
    finally:
        popen.kill()
        popen.wait()


@contextlib.asynccontextmanager
async def house_of(server: str, modules: Sequence[str], rate: float) -> AsyncIterator[House]:
    async with Client(server=server) as client:
        await client.wait_for_connection()
        house = House(client, modules, rate)
        await house.open()
        yield house


async def measure(house: House, runners: dict[str, Process], began: float) -> Figures:
    await house.all_answer()
    start = time.monotonic() - began
    await asyncio.sleep(8)  # until modules have moved to the runner of their choice
    house.forget()
    cpu = sum(each.cpu() for each in runners.values())
    await house.press(15)
    await asyncio.sleep(1)
    answers, twice = len(house.answered), house.twice
    cpu = sum(each.cpu() for each in runners.values()) - cpu
    times = sorted(house.times())
    idle = sum(each.cpu() for each in runners.values())
    await asyncio.sleep(10)
    idle = sum(each.cpu() for each in runners.values()) - idle
    memory = statistics.mean(each.memory() for each in runners.values())
    gone = stopped = 0.0
    lost = 0
    if len(runners) > 1:
        stopped, lost, doubled = await _without(house, runners, "runner3", "stop")
        twice += doubled
        gone, _, doubled = await _without(house, runners, "runner2", "kill")
        twice += doubled
    return Figures(
        start,
        statistics.median(times),
        times[int(0.99 * len(times))],
        1000 * cpu / answers,
        10 * idle,
        memory,
        gone,
        stopped,
        lost,
        twice,
    )


async def _without(
    house: House, runners: dict[str, Process], name: str, how: str
) -> tuple[float, int, int]:
    """End a runner while buttons are pressed: return the gap, and what was lost or doubled."""
    await house.all_answer()
    house.forget()
    pressing = asyncio.create_task(house.press(25))
    await asyncio.sleep(5)
    names = {each for each, runner in house.runner_of.items() if runner == name}
    since = time.monotonic()
    if how == "stop":
        await asyncio.to_thread(runners[name].end)
    else:
        runners[name].popen.kill()
    await pressing
    await asyncio.sleep(2)
    return house.gap(names, since), house.lost, house.twice


async def alone(rules: Path, place: Path, modules: Sequence[str], rate: float) -> Figures:
    began = time.monotonic()
    with server_process(serve_ours) as ((host, port), _):
        server = f"{host}:{port}"
        with runner("runner1", rules, place / "alone", "--server", server) as process:
            async with house_of(server, modules, rate) as house:
                return await measure(house, {"runner1": process}, began)


async def clustered(rules: Path, place: Path, modules: Sequence[str], rate: float) -> Figures:
    with nats_cluster(place / "nats") as nats, contextlib.ExitStack() as stack:
        await asyncio.sleep(5)  # until they know each other
        began = time.monotonic()
        processes = {}
        for number in (1, 2, 3):
            name = f"runner{number}"
            configuration = place / f"{name}.toml"
            configuration.write_text(
                f'[cluster]\nname = "bench"\nrunner = "{name}"\nserver = "{nats.url}/scale"\n'
                f'listen = "127.0.0.1:{free_port()}"\n'
            )
            processes[name] = stack.enter_context(
                runner(name, rules, place / name, "--config", str(configuration))
            )
        async with house_of(f"{nats.url}/scale", modules, rate) as house:
            return await measure(house, processes, began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--modules", type=int, default=300)
    parser.add_argument("--states", type=int, default=33)
    parser.add_argument("--rate", type=float, default=200)
    options = parser.parse_args()
    modules = [f"m{number:03}" for number in range(options.modules)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rules = place / "rules"
        rules.mkdir()
        for name in modules:
            (rules / f"{name}.py").write_text(RULE.format(name=name, states=options.states))
        one = await alone(rules, place, modules, options.rate)
        three = await clustered(rules, place, modules, options.rate)
    nodes = options.modules * (options.states + 1) + 1
    print(f"{options.modules} modules, {nodes} nodes, {options.rate:g} events/s")
    for name in ("start", "p50", "p99", "cpu", "idle", "memory"):
        before, after = getattr(one, name), getattr(three, name)
        unit = {"start": "s", "cpu": "ms", "idle": "%", "memory": "MiB"}.get(name, "ms")
        figures = f"one {before:8.2f} {unit:<4} three {after:8.2f}"
        print(f"  {name:<8} {figures}  ratio {after / before:.2f}")
    print(f"  a runner stops: worst gap {three.stopped:.2f} s, {three.lost} events lost")
    print(
        f"  a runner is killed: worst gap {three.gone:.2f} s; answered twice in all: {three.twice}"
    )


if __name__ == "__main__":
    asyncio.run(main())
