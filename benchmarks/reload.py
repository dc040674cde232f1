"""How fast a saved file is live, in one run and as ratios.

    .venv/bin/python benchmarks/reload.py

From a save to the new version being live, for 1 of 500 modules, beside a restart of the process
with the same 500; the loading of 1,000 modules, and the memory that they take, beside importing the
same files bare. The aims are those of the issue on the runner. The watcher's settling time, which
is waited on purpose, is not in it.
"""

import asyncio
import importlib.util
import io
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eshet import Client
from eshet.server import Server
from eshet_rules.logs import make_logger
from eshet_rules.modules.discovery import discover
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope

MODULE = '''
"""A rule as people write them."""

from eshet import yarp
from eshet_rules import rule

VERSION = {version}


@rule
async def light():
    motion = await yarp.event_listen("/{number}/motion")
    lux = await yarp.state_observe("/{number}/lux")
    moved = yarp.len(yarp.time_window(motion, 120)) > 0
    await yarp.state_register("/{number}/light", yarp.no_repeat(moved & (lux < 40)))
'''

RESTART = "import benchmarks.reload as b; b.run_once({folder!r})"


def write(folder: Path, number: int, version: int = 0) -> None:
    """Save a module."""
    (folder / f"room_{number}.py").write_text(MODULE.format(number=number, version=version))


@contextmanager
def rules(modules: int) -> Iterator[Path]:
    """Make a folder of rules."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(modules):
            write(Path(name), number)
        yield Path(name)


async def in_house(folder: Path, use: Callable[[Reloader], Awaitable[None]]) -> None:
    """Let a reloader of the folder be used in a house with a server."""
    own_tasks_by_scope(asyncio.get_running_loop())
    async with Server() as server:
        reloader = Reloader(
            Importer(folder, TaskScope),
            lambda module: Client(server=server, client_id=module),
            make_logger(io.StringIO(), "json"),
        )
        await use(reloader)
        await reloader.close()


def run_once(folder: str) -> None:
    """Load a folder, as a process that has just started does."""

    async def load(reloader: Reloader) -> None:
        await reloader.update(discover(Path(folder)))

    asyncio.run(in_house(Path(folder), load))


def reload_times(folder: Path, modules: int, rounds: int = 40) -> list[float]:
    """Return how long it takes from a save to the new version being live, each time."""
    times: list[float] = []

    async def measure(reloader: Reloader) -> None:
        known = discover(folder)
        await reloader.update(known)
        for round_ in range(rounds):
            write(folder, (round_ * 37) % modules, round_ + 1)
            began = time.perf_counter()
            known = await asyncio.to_thread(discover, folder, known)
            await reloader.update(known)
            times.append(time.perf_counter() - began)

    asyncio.run(in_house(folder, measure))
    return times


def restart_time(folder: Path, rounds: int = 3) -> float:
    """Return how long a process takes from its start to all rules being set up."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        code = RESTART.format(folder=str(folder))
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def import_bare(folder: Path) -> list[object]:
    """Import all files as Python does, without running their rules."""
    modules = []
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"bare_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    return modules


def import_ours(folder: Path) -> Importer:
    """Import all files as the runner does."""
    importer = Importer(folder, TaskScope)
    importer.sources = discover(folder)
    for name in importer.sources:
        importer.load(name)
    return importer


def cost(load: Callable[[Path], object], folder: Path) -> tuple[float, int]:
    """Return the seconds and the bytes that it takes to load a folder, each without the other."""
    began = time.perf_counter()
    load(folder)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    kept = load(folder)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return seconds, size


def report(name: str, value: float, unit: str, aim: str) -> None:
    """Print a line."""
    print(f"{name:<58} {value:>10.3g} {unit:<6} aim: {aim}")


def main() -> None:
    """Measure all, and print it."""
    sys.dont_write_bytecode = True  # so that both import from the text
    with rules(500) as folder:
        times = reload_times(folder, 500)
        restart = restart_time(folder)
        median = statistics.median(times)
        report("save to live, 1 of 500, median", median * 1000, "ms", "under 50")
        report("save to live, 1 of 500, worst of 40", max(times) * 1000, "ms", "")
        report("restart with 500, median of 3", restart * 1000, "ms", "")
        report("times as fast as a restart", restart / median, "", "100")
    with rules(1000) as folder:
        import_ours(folder)  # so that what both need is loaded
        bare_seconds, bare_size = cost(import_bare, folder)
        our_seconds, our_size = cost(import_ours, folder)
        report(
            "importing 1,000, times what it takes bare", our_seconds / bare_seconds, "", "under 3"
        )
        report("memory of 1,000, times what it takes bare", our_size / bare_size, "", "under 3")
        began = time.perf_counter()
        run_once(str(folder))
        report("loading 1,000, until all are set up", time.perf_counter() - began, "s", "")


if __name__ == "__main__":
    main()
