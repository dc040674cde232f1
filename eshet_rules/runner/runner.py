"""The runner: loads the rules, follows changes of files, and shuts everything down."""

import asyncio
import contextlib
import functools
import itertools
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.clock import wall_now
from eshet.interpreter import without_collections
from eshet.paths import word
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.control import ConfigurationInvalid
from eshet_rules.audit.records.modules import FileExcluded
from eshet_rules.audit.records.runner import RunnerStarted, RunnerStopped, SlowStart, TerminalClosed
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.redaction import Redaction
from eshet_rules.audit.trail import open_file
from eshet_rules.config import Configuration, ConfigurationFile
from eshet_rules.exceptions import ConfigurationError, NoRules, NotReloaded
from eshet_rules.modules.discovery import Discovery, Source
from eshet_rules.modules.importer import Importer
from eshet_rules.modules.watcher import watch, watch_file
from eshet_rules.reload.checkpoint import Checkpoint, SnapshotPacker
from eshet_rules.reload.checkpoint_writer import CheckpointWriter, wall_epoch
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.reload.owner_watch import OwnerWatch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.bridges import PAGE, Bridges, MakeClient
from eshet_rules.runner.committed import committed_sources, last_live_sources
from eshet_rules.runner.components import attempt, keep_running
from eshet_rules.runner.control import Control
from eshet_rules.runner.drive_reports import DriveReports
from eshet_rules.runner.explaining import Explaining
from eshet_rules.runner.path_warnings import PathWarnings
from eshet_rules.runner.probation import Probation
from eshet_rules.runner.publisher import SETTING, Publisher, runner_name
from eshet_rules.runner.replays import Replays
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.runner.saves import Saves
from eshet_rules.runner.signals import HAND_OVER_TIME, on_signal
from eshet_rules.runner.state_folder import trail_place
from eshet_rules.runner.switches import RuleSwitches
from eshet_rules.runner.systemd import Notifier
from eshet_rules.runner.terminal import Terminal
from eshet_rules.runner.version_writer import VersionWriter
from eshet_rules.runner.view import Page, RunnerView
from eshet_rules.supervision.guard.guard import Guard
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.threads import OneThread, RunnerThreads
from eshet_rules.why_not.answering import Answering

if TYPE_CHECKING:
    from eshet_rules.cluster.cluster import Cluster

__all__ = ["Runner"]


_LONG_START: Final = 15.0
"""Seconds after which a start that is not complete is logged."""


_BRIDGES_FIRST: Final = 2.0
"""Seconds for which the rules wait for the devices of bridges at the start."""


class Runner:
    """Owns the components of a running runner, within an `async with` statement.

    Args:
        folder: the rules folder.
        log: receives all log messages.
        make_client: makes the clients of modules, of bridges and of the runner.
        place: the state folder; None to keep no state.
        configuration: the initial configuration.
        only: a glob of the rules or modules to run.
        guard: watches the rules; None for no guard.
        recorder: removes secrets from published texts, and has the last records.
        terminal: when this terminal is closed, the runner stops.
        with_bridges: whether to run the configured bridges.
        page: serves a page; None for no page.
        cluster: the runners that share the modules; None to run all modules here.
    """

    def __init__(
        self,
        folder: Path,
        log: FilteringBoundLogger,
        make_client: MakeClient,
        place: Path | None,
        configuration: Configuration,
        only: str,
        guard: Guard | None,
        recorder: Recorder | None = None,
        terminal: Terminal | None = None,
        *,
        with_bridges: bool = True,
        page: Page | None = None,
        cluster: "Cluster | None" = None,
    ) -> None:
        self._folder: Final = folder
        self._discovery: Final = Discovery(folder, configuration.watch.exclude)
        self._log = log
        self._since: Final = wall_now(UTC)
        self._make_client = make_client
        self._recorder = recorder
        self._terminal = terminal
        self._configuration = configuration
        self._threads = RunnerThreads()
        checkpoint = None if place is None else Checkpoint(place / "checkpoint", log)
        inherited = {} if checkpoint is None else checkpoint.read(wall_epoch())
        self._reloader = Reloader(
            Importer(folder, TaskScope),
            self._make_client,
            log,
            inherited=inherited if cluster is None else None,
        )
        self._cluster = cluster
        if cluster is not None:
            cluster.attach(self._reloader, inherited, guard)
            if recorder is not None and recorder.trail is not None:
                recorder.token_of = cluster.token_of
                cluster.share_trail(recorder.trail.file, OneThread(self._threads))
        self._published = (
            None
            if cluster is None
            else cluster.published_rules(
                folder,
                configuration.watch.exclude,
                self._discovery.turn,
                OneThread(self._threads),
            )
        )
        self._store = None if place is None else VersionStore(place / "versions")
        self._version_writer = (
            None if self._store is None else VersionWriter(self._store, log, self._threads)
        )
        self._reloader.on_take_over = self._on_take_over
        self._switches = RuleSwitches(None if place is None else place / "switches.json", log)
        self._roll_backs = RollBacks(None if place is None else place / "roll-backs.json", log)
        self._trail = trail_place(configuration.audit, place)
        self._saves = Saves(
            self._reloader,
            committed_sources(
                configuration.watch,
                place,
                log,
                functools.partial(self._last_live, inherited.keys()),
            ),
            self._roll_backs,
            Replays(folder, configuration, self._trail, log, self._reloader.importing),
            self._threads,
            log,
            find=lambda: self._threads.run(self._discovery),
            admit=self._admitted,
        )
        rolling_back = RollingBack(
            self._reloader,
            self._roll_backs,
            self._store,
            self._threads,
            log,
            find=self._saves.find,
            admit=self._admitted,
            on_written=self._saves.written,
            kept=None if self._version_writer is None else self._version_writer.written,
        )
        self._probation = Probation(self._reloader, rolling_back, configuration.reload.probation)
        self._control = Control(
            self._reloader,
            configuration,
            self._switches,
            log,
            scan=self._scan,
            only=only,
            guard=guard,
            rolling_back=rolling_back,
            saves=self._saves,
            cluster=cluster,
        )
        self._checkpoint_writer = self._make_checkpoint_writer(checkpoint)
        last = recorder.last if recorder is not None and recorder.wants_debug else None
        redaction = None if recorder is None else recorder.redaction
        self._explaining = Explaining(self._reloader, last, redaction, folder)
        self._answering = Answering(
            lambda: self._reloader.instances.values(),
            self._reloader.reports,
            last,
            redaction,
            lambda: self._reloader.broken,
            lambda module: source.data if (source := self._reloader.newest.get(module)) else b"",
            DriveReports(self._reloader, redaction).of,
        )
        self._bridges = Bridges(make_client, log)
        self._with_bridges = with_bridges
        self._page = page
        self._running_bridges: asyncio.Task[None] | None = None
        self._systemd = Notifier()
        self._guard = guard
        self._watching = contextlib.ExitStack()

    async def __aenter__(self) -> "Runner":
        if self._published is not None:
            await self._published.begin()
        if self._guard is not None:
            self._guard.begin(self._roll_backs.apply(self._saves.of_files(self._discovery())))
            self._watching.enter_context(self._guard.watching(self._reloader.supervised))
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._systemd.stopping()
        if self._cluster is None:  # else inputs that arrive meanwhile are for the next runners
            self._reloader.begin_end()
        if self._guard is not None:
            self._guard.mark_clean_exit()
        await self._saves.close()
        if self._checkpoint_writer is not None:
            await self._checkpoint_writer.write()
        if self._cluster is not None:
            await self._cluster.close(HAND_OVER_TIME)
        await self._reloader.close()
        if self._version_writer is not None:
            await self._version_writer.close()
        if self._running_bridges is not None:
            self._running_bridges.cancel()
            await asyncio.wait([self._running_bridges])
        self._systemd.close()
        self._watching.close()
        emit(self._log, RunnerStopped())
        if self._cluster is not None:
            await attempt("shared trail", self._cluster.finish_trail, self._log)
        self._threads.close()

    def write_again(self) -> None:
        """Write the files of the state folder again after it was deleted."""
        self._switches.write_again()
        self._roll_backs.write_again()
        self._saves.write_again()
        if self._version_writer is not None:
            for instance in self._reloader.instances.values():
                self._version_writer.add(instance.version)
        if self._guard is not None:
            self._guard.write_again()

    async def run_once(self) -> int:
        """Set up all rules, and return the exit code: 1 if one could not be set up."""
        succeeded = await self._load(self._discovery())
        await self._reloader.log_conflicts()
        return 0 if succeeded else 1

    async def run(self, file: ConfigurationFile | None, *, reload: bool) -> int:
        """Run, and follow changes of files, until this is cancelled.

        Args:
            file: the configuration file.
            reload: whether to reload changed files.
        """
        self._configure_bridges(self._configuration)
        # They begin before the rules and end after them: a rule that finds no device fails, and
        # would react to the end of the bridges.
        self._running_bridges = asyncio.create_task(
            keep_running("bridges", self._bridges.run, self._log)
        )
        await self._bridges.wait_until_ready(_BRIDGES_FIRST)
        contents = self._watch() if reload else _once(self._discovery)
        hangup = asyncio.Event()
        client = self._make_client("")
        owner_watch = OwnerWatch(client, lambda: self._reloader.drives, self._reloader.outputs)
        async with contextlib.aclosing(contents), self._publisher(client) as publisher:
            with on_signal(signal.SIGHUP, lambda: self._hang_up(hangup)):
                await self._load_at_start(await anext(contents))
                watches = itertools.chain([contents], iter(self._watch, None))
                async with asyncio.TaskGroup() as tasks:
                    components: dict[str, Callable[[], Awaitable[object]]] = {
                        "publisher": publisher.run,
                        "owner watch": owner_watch.run,
                        "probation": self._probation.run,
                        "path warnings": self._path_warnings.run,
                        "systemd watchdog": self._systemd.keep_alive,
                        "systemd status": lambda: self._systemd.report_status(self._status),
                        "hang-up": lambda: self._reload_at(hangup, file),
                        "watcher": lambda: self._follow_folder(next(watches), tasks),
                    }
                    if self._checkpoint_writer is not None:
                        components["checkpoint"] = self._checkpoint_writer.run
                    if file is not None and reload and not file.is_pipe:
                        components["configuration"] = lambda: self._follow(file)
                    if self._cluster is not None:
                        components["cluster"] = self._cluster.run
                        components["shared trail"] = self._cluster.run_trail
                    if self._published is not None and reload:
                        components["published rules"] = self._published.run
                    if self._page is not None:
                        components["page"] = functools.partial(self._serve, self._page)
                    for name, run in components.items():
                        tasks.create_task(keep_running(name, run, self._log))
                    self._systemd.ready(self._status())
        return 0

    async def _serve(self, page: Page) -> None:
        async with self._make_client(PAGE) as client:
            await page.serve(self._view(client))

    def _view(self, client: Client) -> RunnerView:
        redaction = Redaction() if self._recorder is None else self._recorder.redaction
        return RunnerView(
            self._name,
            self._folder,
            self._since,
            client,
            self._reloader,
            self._control,
            self._explaining,
            self._answering,
            DriveReports(self._reloader, redaction),
            self._path_warnings.is_ignored,
            self._bridges.reports,
            self._store,
            None if self._trail is None else open_file(self._trail),
            self._recorder,
            redaction,
            OneThread(self._threads),
            self._log,
            None if self._cluster is None else self._summary,
        )

    async def _follow_folder(
        self, contents: AsyncGenerator[dict[str, Source], None], tasks: asyncio.TaskGroup
    ) -> None:
        """Reload modules when the rules folder changes."""
        async for sources in contents:
            # Not awaited: a newer change supersedes one that is being prepared.
            update = functools.partial(self._update, sources)
            tasks.create_task(attempt("update", update, self._log))

    async def _load_at_start(self, sources: dict[str, Source]) -> None:
        """Load all modules. If it takes long, as without a server, report readiness before."""
        loading = asyncio.ensure_future(self._load(sources))
        try:
            with contextlib.nullcontext() if self._guard is None else without_collections():
                await asyncio.wait([loading], timeout=_LONG_START)
            if not loading.done():
                emit(self._log, SlowStart(after_s=_LONG_START))
                self._systemd.ready("runner.start_slow")
            await loading
        finally:
            loading.cancel()
            await asyncio.wait([loading])

    async def _load(self, sources: dict[str, Source]) -> bool:
        admitted = self._admitted(self._saves.of_files(sources))
        succeeded = await self._reloader.update(admitted)
        is_complete = self._cluster is None and admitted.keys() == sources.keys()
        if succeeded and not self._reloader.instances and is_complete:
            raise NoRules(self._folder)
        if succeeded:
            self._control.check_only()
        self._control.check_patterns()
        event = RunnerStarted(modules=len(self._reloader.instances), folder=str(self._folder))
        if any(self._reloader.restored):
            event.kept, event.afresh = self._reloader.restored
        emit(self._log, event)
        await self._saves.report(sources)
        return succeeded

    async def _update(self, sources: dict[str, Source]) -> None:
        self._systemd.reloading()
        await self._saves.on_save(sources)
        self._systemd.ready(self._status())

    async def _scan(self) -> dict[str, Source]:
        """Return the present sources in the rules folder that may be imported."""
        return self._admitted(await self._saves.find())

    def _admitted(self, sources: dict[str, Source]) -> dict[str, Source]:
        """Return the sources to run, given the committed ones, and log files that are excluded."""
        for path, why in self._discovery.newly_excluded().items():
            emit(self._log, FileExcluded(file=str(path), why=why))
        sources = self._roll_backs.apply(sources)
        if self._guard is not None:
            sources = self._guard.admit(sources)
        return sources if self._cluster is None else self._cluster.admit(sources)

    def _make_checkpoint_writer(self, checkpoint: Checkpoint | None) -> CheckpointWriter | None:
        if self._cluster is not None:
            packer = checkpoint or SnapshotPacker(self._log)
            note = self._cluster.note_packed
            return CheckpointWriter(self._reloader, packer, self._log, self._threads, note)
        if checkpoint is None:
            return None
        return CheckpointWriter(self._reloader, checkpoint, self._log, self._threads)

    @property
    def _name(self) -> str:
        """The name under which this runner publishes."""
        configured = self._configuration.server.name
        if configured is None and self._cluster is not None:
            return word(self._cluster.runner)
        return runner_name(configured, self._folder)

    def _last_live(self, ran: Collection[str], found: Mapping[str, Source]) -> dict[str, Source]:
        """Return the sources that were live last; see `last_live_sources`."""
        if self._store is None:
            return {}
        rolled_back = {n: each.file_version for n, each in self._roll_backs.all().items()}
        return last_live_sources(self._store, self._folder, ran, rolled_back, found)

    def _on_take_over(self, old: ModuleInstance | None, new: ModuleInstance) -> None:
        if self._version_writer is not None:
            self._version_writer.add(new.version)
        self._saves.on_take_over()
        self._probation.begin(old, new)

    def _hang_up(self, hangup: asyncio.Event) -> None:
        if self._terminal is not None and self._terminal.is_closed:
            emit(self._log, TerminalClosed())
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            hangup.set()

    async def _reload_at(self, hangup: asyncio.Event, file: ConfigurationFile | None) -> None:
        """Reload the configuration and all modules at each SIGHUP."""
        while True:
            await hangup.wait()
            hangup.clear()
            self._systemd.reloading()
            if file is not None:
                await self._configure(file)
            with contextlib.suppress(NotReloaded):  # already logged
                await self._control.reload()
            self._systemd.ready(self._status())

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
        """Apply the present configuration, or log the mistakes in it."""
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
            self._probation.configure(configuration.reload.probation)
            self._path_warnings.configure(configuration.warnings)
            await self._control.configure(configuration)
            self._configure_bridges(configuration)

    def _configure_bridges(self, configuration: Configuration) -> None:
        self._bridges.configure(configuration.bridges if self._with_bridges else {})

    @contextlib.asynccontextmanager
    async def _publisher(self, client: Client) -> AsyncIterator[Publisher]:
        self._path_warnings = PathWarnings(
            client, self._reloader, self._log, self._configuration.warnings
        )
        has_name_of_cluster = self._cluster and self._configuration.server.name is None
        publisher = Publisher(
            client,
            self._name,
            self._reloader,
            self._control,
            self._log,
            self._folder,
            None if self._recorder is None else self._recorder.redaction,
            self._bridges.reports,
            self._answers(),
            self._path_warnings.look_at_writers,
            "`runner` below [cluster]" if has_name_of_cluster else SETTING,
        )
        try:
            yield publisher
        finally:
            await publisher.close()

    def _answers(self) -> dict[str, Callable[..., Any]]:
        """Return the actions that only answer, by name."""
        answers: dict[str, Callable[..., Any]] = {
            "why": self._explaining.why,
            "why_not": self._answering.why_not,
            "inside": self._explaining.inside,
        }
        if self._cluster is not None:
            answers["cluster"] = self._summary
        return answers

    def _summary(self) -> dict[str, Any]:
        """Return the cluster as this runner knows it, and the addresses of its page.

        `page` is for browsers on any machine, and `local_page` for those on this one only.
        """
        web = None if self._page is None else self._configuration.web
        known = {} if self._cluster is None else self._cluster.summary()
        return {
            **known,
            "page": None if web is None else web.public_url,
            "local_page": None if web is None else web.local_url,
        }

    def _status(self) -> str:
        """Return the numbers of rules by state, in a line."""
        states = self._reloader.states()
        return ", ".join(f"{number} {state}" for state, number in states.items()) or "no rules"


async def _once(discovery: Discovery) -> AsyncGenerator[dict[str, Source], None]:
    """Yield the present content of the folder, and then wait forever."""
    yield discovery()
    await asyncio.Event().wait()
