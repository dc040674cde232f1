"""What the log costs: input to output with it and without, in one run and as ratios.

    .venv/bin/python benchmarks/audit.py

A rule hears of an event and publishes a state; all of it, the server too, is in one process and
without sockets, so that the log is as large a part as it can be. That causes are kept track of,
which loops of rules are found by, is there without a log, too; what it costs is told for itself.
The aim of the issue on the log: what the trail costs is less than 25 % of the throughput. Then: how
many bytes a record has, as it is written and compressed.
"""

import asyncio
import gc
import io
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from eshet import Client
from eshet.server import Server
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.trail import Trail
from eshet_rules.logs import make_logger
from eshet_rules.modules.discovery import discover
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.loops import LoopObserver
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope

RULE = """
from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    level = await yarp.event_listen("/hall/level")
    await yarp.state_register("/hall/light", yarp.event_to_value(level) * 2)
"""

INPUTS = 4000
BATCH = 50
ROUNDS = 9
MODES = {
    "off": "logging off",
    "trail": "trail in a file",
    "console": "console that shows all (-v), no trail",
    "both": "trail and console",
    "bare": "logging off, and no causes",
}


class HouseWitness(LoopObserver, RecordingObserver):
    """As in the runner: it looks for loops of rules, and records."""


async def measure(mode: str, folder: Path) -> tuple[float, list[int]]:
    """Return inputs per second, and how many bytes records have, raw and compressed."""
    own_tasks_by_scope(asyncio.get_running_loop())
    recorder = Recorder()
    shown = io.StringIO()
    level = "debug" if mode in ("console", "both") else "error"
    log = make_logger(shown, level=level, recorder=recorder)
    observer = None if mode == "bare" else HouseWitness(log, recorder)
    async with AsyncExitStack() as stack:
        trail = None
        if mode in ("trail", "both"):
            trail = Trail(folder / "audit" / "trail.jsonl")
            stack.enter_context(recorder.keeping(trail))
        server = await stack.enter_async_context(Server())

        def make_client(module: str) -> Client:
            with use_actor(Actor(module=module)):
                client = Client(server=server, client_id=module)
            if observer is not None:
                client.attach(observer)
            return client

        reloader = Reloader(Importer(folder, TaskScope), make_client, log)
        assert await reloader.update(discover(folder))
        outside = await stack.enter_async_context(Client(server=server))
        seconds = await send(outside)
        await reloader.close()
    return INPUTS / seconds, sizes(folder / "audit" / "trail.jsonl") if trail else []


async def send(outside: Client) -> float:
    """Send all inputs, and wait for the output of each; return how long that took."""
    heard = asyncio.Event()
    last = 0.0

    def observe(value: float) -> None:
        if value == last:
            heard.set()

    await outside.event_register("/hall/level")
    await outside.state_observe("/hall/light", observe)
    gc.collect()
    began = time.perf_counter()
    for start in range(0, INPUTS, BATCH):
        heard.clear()
        last = (start + BATCH - 1) * 0.2
        async with asyncio.TaskGroup() as tasks:
            for number in range(start, start + BATCH):
                tasks.create_task(outside.event_emit("/hall/level", number * 0.1))
        await heard.wait()
    return time.perf_counter() - began


def sizes(file: Path) -> list[int]:
    """Return the bytes of a record, raw and compressed."""
    data = file.read_bytes()
    records = data.count(b"\n")
    closed = file.with_name("trail-000001-20261125T032241.jsonl")
    file.rename(closed)
    trail = Trail(file)
    trail.open()
    trail.close()
    file.unlink()
    [compressed] = closed_files(file)
    result = [len(data) // records, compressed.stat().st_size // records]
    compressed.unlink()
    return result


def main() -> None:
    figures: dict[str, list[float]] = {mode: [] for mode in MODES}
    size: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hall.py").write_text(RULE)
        for _ in range(ROUNDS):
            for mode in MODES:
                throughput, found = asyncio.run(measure(mode, folder))
                figures[mode].append(throughput)
                size = found or size
    base = statistics.median(figures["off"])
    print(f"{'':40}  inputs/s   throughput    cost")
    for mode, what in MODES.items():
        median = statistics.median(figures[mode])
        print(f"{what:40}  {median:8.0f}   {median / base:9.0%}   {1 - median / base:6.0%}")
    raw, compressed = size
    print(f"a record: {raw} bytes, compressed {compressed} bytes; two for each input")


if __name__ == "__main__":
    main()
