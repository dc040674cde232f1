"""How the runner grows with the number of modules: start, memory, CPU at rest, latency, save, stop.

    python benchmarks/scale.py [--modules 10,100,1000,3000]

Each module has one rule: a window over an event, published as a state. Figures are those of the
runner's process; the server and what measures are processes of their own. Ratios are to the
smallest number of modules.
"""

import argparse
import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.runner.forwarders import Process
from benchmarks.wire import serve_ours, server_process
from eshet import Client, EshetError

RULE: Final = """
from eshet import yarp
from eshet_rules import keep, rule


@rule
async def count():
    level = yarp.event_to_value(await yarp.event_listen("/bench/{number}/level"), 0)
    seen = keep("seen", 0)
    warm = yarp.fn(lambda new, last: new + last)(level, seen)
    await yarp.state_register("/bench/{number}/warm", warm)
    await yarp.state_register("/bench/{number}/{edit}", yarp.Value(1))
"""

REST: Final = 10.0
"""Seconds at rest in which the CPU time is measured."""

SAMPLES: Final = 300


class Figures(NamedTuple):
    """What was measured with one number of modules."""

    modules: int
    start_s: float
    kib: float
    rest: float
    p50_ms: float
    p99_ms: float
    save_ms: float
    stop_s: float


def write(folder: Path, number: int, edit: str = "first") -> None:
    """Write one module."""
    (folder / f"m{number}.py").write_text(RULE.format(number=number, edit=edit))


async def until(ask: Callable[[], Awaitable[object]], wanted: object = None) -> None:
    """Repeat a request until it succeeds, with the wanted result if one is given."""
    while True:
        with suppress(EshetError):
            if await ask() == wanted or wanted is None:
                return
        await asyncio.sleep(0.002)


async def latency(client: Client) -> list[float]:
    """Return latencies in ms from an event to the state that follows from it."""
    heard: asyncio.Queue[object] = asyncio.Queue()
    await client.event_register("/bench/0/level")
    await client.state_observe("/bench/0/warm", heard.put_nowait)
    taken = []
    for number in range(1, SAMPLES):
        await asyncio.sleep(0.01)
        start = time.perf_counter()
        await client.event_emit("/bench/0/level", number)
        await heard.get()
        taken.append((time.perf_counter() - start) * 1e3)
    return sorted(taken)


async def use(process: Process, folder: Path, address: str) -> tuple[float, list[float], float]:
    """Return the CPU share at rest, latencies in ms, and the time from save to live in ms."""
    async with Client(server=address) as client:
        used = process.cpu()
        await asyncio.sleep(REST)
        rest = (process.cpu() - used) / REST
        latencies = await latency(client)
        saved = []
        for number in range(5):
            await asyncio.sleep(1)
            start = time.perf_counter()
            write(folder, number, f"edit{number}")
            await until(functools.partial(client.get, f"/bench/{number}/edit{number}"))
            saved.append((time.perf_counter() - start) * 1e3)
        return rest, latencies, sorted(saved)[2]


def measure(count: int, address: str) -> Figures:
    """Return the figures with a number of modules."""
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name) / "rules", Path(name) / "log"
        folder.mkdir()
        for number in range(count):
            write(folder, number)
        command = [str(Path(sys.executable).parent / "eshet-rules"), "run", str(folder)]
        command += ["--state-dir", f"{name}/state", "--log-format", "json"]
        environment = {**os.environ, "ESHET_SERVER": address}
        start = time.perf_counter()
        with (
            log.open("w") as out,
            subprocess.Popen(command, env=environment, stdout=out, stderr=out, text=True) as popen,
        ):
            process = Process(popen)
            while "runner.started" not in log.read_text():
                time.sleep(0.05)
            started = time.perf_counter() - start
            time.sleep(5 + count / 200)  # until all rules are published and in the checkpoint
            memory = process.memory() * 1024
            rest, latencies, saved = asyncio.run(use(process, folder, address))
            start = time.perf_counter()
            process.end()
            stopped = time.perf_counter() - start
        for line in log.read_text().splitlines():
            if '"error"' in line or '"warning"' in line:
                print(f"  logged: {line}")
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    return Figures(count, started, memory, rest, p50, p99, saved, stopped)


def main() -> None:
    """Measure each number of modules, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--modules", default="10,100,1000,3000")
    counts = list(map(int, parser.parse_args().modules.split(",")))
    print(
        "modules  start s  KiB/module  CPU at rest  p50 ms (ratio)  p99 ms (ratio)  save ms  stop s"
    )
    least: Figures | None = None
    with server_process(serve_ours) as (address, _):
        for count in counts:
            now = measure(count, ":".join(map(str, address)))
            least = least or now
            kib = (now.kib - least.kib) / (count - least.modules) if count > least.modules else 0
            print(
                f"{count:7}  {now.start_s:7.1f}  {kib:10.1f}  {now.rest:10.2%}  "
                f"{now.p50_ms:6.2f} ({now.p50_ms / least.p50_ms:5.2f})  "
                f"{now.p99_ms:6.2f} ({now.p99_ms / least.p99_ms:5.2f})  "
                f"{now.save_ms:7.1f}  {now.stop_s:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
