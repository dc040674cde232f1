"""The three runners of a simulated house, whose files are saved and whose disk fails."""

import asyncio
import io
import json
import os
import random
import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from watchfiles import Change

from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import Damage, Filter, Reader
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.trail import Trail
from eshet_rules.exceptions import RulesError
from eshet_rules.logs import make_logger
from eshet_rules.runner.main import run
from tests.simulation.history import History
from tests.simulation.network import Host, Network
from tests.simulation.process import Process

__all__ = ["RUNNERS", "Folder", "SimulatedRunner", "simulated_runners"]

_RULES = Path(__file__).parent / "rules"
RUNNERS = {
    folder.name: sorted(file.stem for file in folder.iterdir())
    for folder in sorted(_RULES.iterdir())
}
"""The names of the modules of each runner."""

_BROKEN = "\nthis is not Python\n"


class Folder:
    """A rules folder, whose modules are saved again and again.

    Args:
        name: of the runner.
        path: of the folder.
        chance: how long a save in two parts takes.
    """

    def __init__(self, name: str, path: Path, chance: random.Random) -> None:
        self.path = path
        self.versions = dict.fromkeys(RUNNERS[name], 0)
        self.lost_hints = 0.0
        self._chance = chance
        self._saved = asyncio.Event()
        self._stamp = 0
        shutil.copytree(_RULES / name, path, ignore=shutil.ignore_patterns("__pycache__"))
        self._texts = {module: (path / f"{module}.py").read_text() for module in self.versions}
        for module in self.versions:
            self.save(module)

    def save(self, module: str) -> None:
        """Save a module with the next version number."""
        self.versions[module] += 1
        self._write(module, self._text(module))

    def save_broken(self, module: str) -> None:
        """Save a module with an error."""
        self._write(module, self._text(module) + _BROKEN)

    async def save_in_parts(self, module: str) -> None:
        """Save a module's next version, first a part of it."""
        self.versions[module] += 1
        text = self._text(module)
        self._write(module, text[: self._chance.randrange(len(text))])
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        self._write(module, self._text(module))

    def save_all(self) -> None:
        """Save all that may be broken."""
        for module in self.versions:
            self.save(module)

    async def hints(
        self, *_: Any, rust_timeout: int, **__: Any
    ) -> AsyncGenerator[set[tuple[Change, str]], None]:
        """Iterate over changes, as `watchfiles.awatch` does, in the time of the house."""
        while True:
            try:
                async with asyncio.timeout(rust_timeout / 1000):
                    await self._saved.wait()
                await asyncio.sleep(0.05)
                self._saved.clear()
                yield {(Change.modified, str(self.path))}
            except TimeoutError:
                yield set()

    def _text(self, module: str) -> str:
        return self._texts[module].replace("VERSION = 0", f"VERSION = {self.versions[module]}")

    def _write(self, module: str, text: str) -> None:
        file = self.path / f"{module}.py"
        file.write_text(text)
        # Saves follow each other faster here than the clock of the file system moves.
        self._stamp += 1
        os.utime(file, ns=(self._stamp * 1000, self._stamp * 1000))
        if self._chance.random() >= self.lost_hints:
            self._saved.set()


class SimulatedRunner:
    """A runner that can be killed, and is started again by whoever looks after it."""

    def __init__(
        self, name: str, network: Network, history: History, place: Path, chance: random.Random
    ) -> None:
        self.name = name
        self.history = history
        self.folder = Folder(name, place / name, chance)
        self.process = Process(name)
        self.acknowledged: list[bytes] = []
        """The lines of which its trail has said that they are kept."""
        self.records: list[dict[str, Any]] = []
        self._state = place / "state"
        self._network = network

    def start(self) -> None:
        """Begin, or begin again after a kill."""
        self.process = Process(self.name, self._died)
        self._log = io.StringIO()
        self._task: asyncio.Task[int] = self.process.run(asyncio.create_task, self._run())
        self._task.add_done_callback(self._ended)

    async def kill(self) -> None:
        """End it at once, and wait until nothing is left of it in this process."""
        if self.process.alive:
            self.process.alive = False
            self._died()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Let it end as by a signal."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def _died(self) -> None:
        self.history.killed(self.name)
        for connection in self._network.of(self.process):
            connection.cut()

    @property
    def has_ended(self) -> bool:
        return self._task.done() or not self.process.alive

    async def _run(self) -> int:
        recorder = Recorder()
        return await run(
            self.folder.path,
            make_logger(self._log, "json", recorder=recorder),
            server=Host(self._network, self.process),
            state=self._state,
            recorder=recorder,
        )

    def _ended(self, task: asyncio.Task[int]) -> None:
        if self.process.alive:  # else nobody reads what it logs
            self.records += [json.loads(line) for line in self._log.getvalue().splitlines()]
        if task.cancelled() or not self.process.alive:
            return
        error = task.exception()
        if not (isinstance(error, RulesError) and self.process.disk_failed):
            self.history.violate(f"{self.name} ended by {error!r}")

    def read_log(self) -> list[dict[str, Any]]:
        """Return what it has logged since it began."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def check_trail(self) -> None:
        """See that all that was acknowledged is in the trail, and can be read."""
        [file] = self._state.glob(f"{self.name}-*/audit/trail.jsonl")
        lines = set(file.read_bytes().splitlines(keepends=True))
        lost = [line for line in self.acknowledged if line not in lines]
        if lost:
            self.history.violate(
                f"the trail of {self.name} lost {len(lost)}, among them {lost[0]!r}"
            )
        damages: list[Damage] = []
        read = sum(1 for _ in Reader(file, Filter(), damages.append).records())
        if damages:
            self.history.violate(f"the trail of {self.name} is damaged: {damages}")
        if read != len(file.read_bytes().splitlines()):
            self.history.violate(f"the trail of {self.name} has lines that are not read")


@contextmanager
def simulated_runners(runners: dict[str, SimulatedRunner]) -> Iterator[None]:
    """Let runners work in the time of the house, within a `with` statement."""

    class AcknowledgingTrail(Trail):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            name = self.file.parent.parent.name.rpartition("-")[0]
            self._acknowledged = runners[name].acknowledged
            self._pending: list[bytes] = []

        def collect(self, record: Any, time: str) -> bool:
            self._pending.append(encode(record))
            return super().collect(record, time)

        def flush(self) -> bool:
            pending, self._pending = self._pending, []
            acknowledged = super().flush()
            if acknowledged:
                self._acknowledged += pending
            return acknowledged

    def hints(folder: Path, **settings: Any) -> AsyncGenerator[set[tuple[Change, str]], None]:
        return runners[folder.name].folder.hints(**settings)

    with (
        mock.patch("eshet_rules.runner.main.Trail", AcknowledgingTrail),
        mock.patch("eshet_rules.modules.watcher.awatch", hints),
        mock.patch("eshet_rules.runner.runner.on_signal", mock.MagicMock()),
    ):
        yield
