"""A running house of rules: loads them, follows what changes, and ends them."""

import asyncio
import contextlib
import functools
import itertools
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet_rules.audit.records import (
    ConfigurationInvalid,
    FileExcluded,
    RunnerStarted,
    RunnerStopped,
    SlowStart,
    TerminalClosed,
    emit,
)
from eshet_rules.audit.redaction import Redaction
from eshet_rules.config import Configuration, ConfigurationFile
from eshet_rules.exceptions import ConfigurationError, NoRules, NotReloaded
from eshet_rules.modules.discovery import Discovery, Source
from eshet_rules.modules.importer import Importer
from eshet_rules.modules.watcher import watch, watch_file
from eshet_rules.reload.checkpoint import Checkpoint
from eshet_rules.reload.checkpoint_writer import CheckpointWriter, wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.runner.components import attempt, keep_running
from eshet_rules.runner.control import Control
from eshet_rules.runner.overrides import RuleOverrides
from eshet_rules.runner.publisher import Publisher, runner_name
from eshet_rules.runner.signals import on_signal
from eshet_rules.runner.systemd import Notifier
from eshet_rules.runner.terminal import Terminal
from eshet_rules.supervision.guard.guard import Guard
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.threads import RunnerThreads

__all__ = ["Runner"]


_LONG_START: Final = 15.0
"""Seconds after which a start that goes on is reported."""


class Runner:
    """The rooms of a running runner, from `async with` to its end.

    Args:
        folder: of the rules.
        log: where to tell what happens.
        make_client: makes the client of a module, or that of the runner, whose name is empty.
        place: the state folder; None to keep nothing.
        configuration: with which to begin.
        only: a glob of the rules that run at all.
        guard: watches the rules, if it is given.
        redaction: of what is published.
        terminal: with which the runner ends, if it has one.
    """

    def __init__(
        self,
        folder: Path,
        log: FilteringBoundLogger,
        make_client: Callable[[str], Client],
        place: Path | None,
        configuration: Configuration,
        only: str,
        guard: Guard | None,
        redaction: Redaction | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self._folder: Final = folder
        self._discovery: Final = Discovery(folder, configuration.watch.exclude)
        self._log = log
        self._make_client = make_client
        self._redaction = redaction
        self._terminal = terminal
        self._configuration = configuration
        self._threads = RunnerThreads()
        checkpoint = None if place is None else Checkpoint(place / "checkpoint", log)
        self._reloader = Reloader(
            Importer(folder, TaskScope),
            self._make_client,
            log,
            inherited=None if checkpoint is None else checkpoint.read(wall_epoch()),
        )
        self._switches = RuleOverrides(None if place is None else place / "switches.json", log)
        self._control = Control(
            self._reloader,
            configuration,
            self._switches,
            log,
            look=self._look,
            only=only,
            guard=guard,
        )
        self._rememberer = (
            None
            if checkpoint is None
            else CheckpointWriter(self._reloader, checkpoint, log, self._threads)
        )
        self._systemd = Notifier()
        self._guard = guard
        self._watching = contextlib.ExitStack()

    async def __aenter__(self) -> "Runner":
        if self._guard is not None:
            self._guard.begin(self._discovery())
            self._watching.enter_context(self._guard.watching(self._reloader.supervised))
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._systemd.stopping()
        if self._guard is not None:
            self._guard.ends()
        if self._rememberer is not None:
            await self._rememberer.write()
        await self._reloader.close()
        self._systemd.close()
        self._watching.close()
        self._threads.close()
        emit(self._log, RunnerStopped())

    def write_again(self) -> None:
        """Write what is kept over a restart again, as the state folder was deleted."""
        self._switches.write_again()
        if self._guard is not None:
            self._guard.write_again()

    async def run_once(self) -> int:
        """Set up all rules, and return the exit code."""
        return 0 if await self._load(self._discovery()) else 1

    async def run(self, file: ConfigurationFile | None, *, reload: bool) -> int:
        """Run, and follow what changes, until this is cancelled.

        Args:
            file: of the configuration.
            reload: whether to follow changes of files.
        """
        contents = self._watch() if reload else _as_it_is(self._discovery)
        hangup = asyncio.Event()
        async with contextlib.aclosing(contents), self._publisher() as publisher:
            with on_signal(signal.SIGHUP, lambda: self._hang_up(hangup)):
                await self._load_at_start(await anext(contents))
                watches = itertools.chain([contents], iter(self._watch, None))
                async with asyncio.TaskGroup() as tasks:
                    components: dict[str, Callable[[], Awaitable[object]]] = {
                        "publisher": publisher.run,
                        "systemd watchdog": self._systemd.keep_alive,
                        "systemd status": lambda: self._systemd.keep_told(self._in_short),
                        "hang-up": lambda: self._reload_at(hangup, file),
                        "watcher": lambda: self._follow_folder(next(watches), tasks),
                    }
                    if self._rememberer is not None:
                        components["checkpoint"] = self._rememberer.run
                    if file is not None and reload and not file.is_pipe:
                        components["configuration"] = lambda: self._follow(file)
                    for name, run in components.items():
                        tasks.create_task(keep_running(name, run, self._log))
                    self._systemd.ready(self._in_short())
        return 0

    async def _follow_folder(
        self, contents: AsyncGenerator[dict[str, Source], None], tasks: asyncio.TaskGroup
    ) -> None:
        """Reload what changes in the rules folder."""
        async for sources in contents:
            # Not awaited: a change while another is prepared takes its place.
            update = functools.partial(self._update, sources)
            tasks.create_task(attempt("update", update, self._log))

    async def _load_at_start(self, sources: dict[str, Source]) -> None:
        """Load all modules; the system is told that this runs, even if the server is away."""
        loading = asyncio.ensure_future(self._load(sources))
        try:
            await asyncio.wait([loading], timeout=_LONG_START)
            if not loading.done():
                emit(self._log, SlowStart(after_s=_LONG_START))
                self._systemd.ready("runner.start_slow")
            await loading
        finally:
            loading.cancel()
            await asyncio.wait([loading])

    async def _load(self, sources: dict[str, Source]) -> bool:
        admitted = self._admitted(sources)
        succeeded = await self._reloader.update(admitted)
        if succeeded and not self._reloader.alive and admitted == sources:
            raise NoRules(self._folder)
        if succeeded:
            self._control.check_only()
        self._control.check_patterns()
        kept, afresh = self._reloader.resumed
        modules, folder = len(self._reloader.alive), str(self._folder)
        emit(self._log, RunnerStarted(modules=modules, folder=folder, kept=kept, afresh=afresh))
        return succeeded

    async def _update(self, sources: dict[str, Source]) -> None:
        self._systemd.reloading()
        await self._reloader.update(self._admitted(sources))
        self._systemd.ready(self._in_short())

    async def _look(self) -> dict[str, Source]:
        """Return what is in the rules folder now, and may be imported."""
        return self._admitted(await self._threads.run(self._discovery))

    def _admitted(self, sources: dict[str, Source]) -> dict[str, Source]:
        """Return what may be imported, and log what is not even looked at."""
        for path, why in self._discovery.newly_excluded().items():
            emit(self._log, FileExcluded(file=str(path), why=why))
        return sources if self._guard is None else self._guard.see(sources)

    def _hang_up(self, hangup: asyncio.Event) -> None:
        if self._terminal is not None and self._terminal.has_gone:
            emit(self._log, TerminalClosed())
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            hangup.set()

    async def _reload_at(self, hangup: asyncio.Event, file: ConfigurationFile | None) -> None:
        """Reload the configuration and all modules at each signal."""
        while True:
            await hangup.wait()
            hangup.clear()
            self._systemd.reloading()
            if file is not None:
                await self._configure(file)
            with contextlib.suppress(NotReloaded):  # which the log has told
                await self._control.reload()
            self._systemd.ready(self._in_short())

    def _watch(self) -> AsyncGenerator[dict[str, Source], None]:
        settings = self._configuration.watch
        return watch(
            self._folder,
            self._log,
            find=self._discovery,
            settle=settings.settle,
            rescan=settings.rescan,
            threads=self._threads,
        )

    async def _follow(self, file: ConfigurationFile) -> None:
        settings = self._configuration.watch
        contents = watch_file(
            file.path,
            self._log,
            settle=settings.settle,
            rescan=settings.rescan,
            threads=self._threads,
        )
        async with contextlib.aclosing(contents):
            async for content in contents:
                if content != file.content:
                    await self._configure(file)

    async def _configure(self, file: ConfigurationFile) -> None:
        """Take what is configured now, or tell what is wrong with it."""
        try:
            configuration = await self._threads.run(file.read)
        except ConfigurationError as error:
            for problem in error.problems:
                emit(
                    self._log,
                    ConfigurationInvalid(
                        file=problem.file, line=problem.line, key=problem.key, error=problem.text
                    ),
                )
        else:
            await self._control.configure(configuration)

    @contextlib.asynccontextmanager
    async def _publisher(self) -> AsyncIterator[Publisher]:
        publisher = Publisher(
            self._make_client(""),
            runner_name(self._configuration.server.name, self._folder),
            self._reloader,
            self._control,
            self._log,
            self._folder,
            self._redaction,
        )
        try:
            yield publisher
        finally:
            await publisher.close()

    def _in_short(self) -> str:
        """Return how it is, in a line."""
        states = self._reloader.states()
        return ", ".join(f"{number} {state}" for state, number in states.items()) or "no rules"


async def _as_it_is(discovery: Discovery) -> AsyncGenerator[dict[str, Source], None]:
    """Iterate over what is in the folder now, and never again."""
    yield discovery()
    await asyncio.Event().wait()
