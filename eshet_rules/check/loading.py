"""Loads the rules beside the house: in virtual time, on a server in this process.

Nothing of ESHET leaves the process: it uses no socket, no bridge to devices, and no state folder.
The code of the rules runs as in the runner, with all that it does itself at its import and in its
set-up.
"""

import asyncio
import contextlib
import gc
import io
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.interpreter import get_frame
from eshet.scope import current_scope
from eshet.server import Server
from eshet.yarp.acting import Pretence, current_pretence
from eshet_rules.check.graph import feedbacks_in
from eshet_rules.check.stand_ins import StandIns
from eshet_rules.config import Configuration
from eshet_rules.logs import make_logger, receiving_prints, receiving_stdlib_logs
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer
from eshet_rules.modules.module_objects import module_of_file
from eshet_rules.reload.module_instance import LONG_SET_UP_TIME, SET_UP_TIME
from eshet_rules.reload.path_usage import watch_paths
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.owned_task import OwnedTask
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.supervised_rule import SupervisedRule, rule_of
from eshet_rules.testing.deadline import deadline
from eshet_rules.testing.happenings import Happenings
from eshet_rules.testing.virtual_time import VirtualLoop

__all__ = ["REAL_TIME", "Loaded", "Place", "SinkOfRule", "load_rules"]

REAL_TIME: Final = 5.0
"""Seconds of real time without progress after which a rule is interrupted or given up."""

_MOST_STARTS: Final = 20
"""How often rules are started again, as something was missing."""

_MOST_STOPS: Final = 1000
"""How often rules may stop the loop or call `sys.exit()`."""

_CLOSING_TIME: Final = 10.0
"""Seconds of virtual time that rules have to end."""


class Place(NamedTuple):
    """A line of a file."""

    file: Path
    line: int


class SinkOfRule(NamedTuple):
    """A sink of a rule.

    Args:
        rule: the full name of the rule.
        path: its path.
        holds: whether it sets the path to each value of a Value.
        drives: whether it drives the path.
        provides: whether it publishes a state or an event of the rule.
    """

    rule: str
    path: str
    holds: bool
    drives: bool
    provides: bool


@dataclass
class Loaded:
    """Facts about the loaded rules.

    Attributes:
        records: the messages of the log.
        rules: the place of each rule, by its full name.
        places: the lines in which rules name paths, by rule and path, in their order.
        reports: a report on each rule.
        sinks: the sinks of all rules.
        feedbacks: rule and path of each sink that sets the path that it follows.
        kinds: the kinds of all nodes, by path: as the first rule uses the path.
        provided: the paths that the rules provide.
        failed: the full names of the rules with a failed set-up.
        stood_in: the rules for which a path was provided here instead of by the house, each with
            the path.
        exits: where rules call `sys.exit()`, other than in their set-up.
        blocking: where code of rules was interrupted that blocked, with the names of the rules; ""
            for an import.
        waiting: where rules wait that were not set up in time, by their full names.
    """

    records: list[Mapping[str, Any]] = field(default_factory=list)
    rules: dict[str, Place] = field(default_factory=dict)
    places: dict[tuple[str, str], list[Place]] = field(default_factory=dict)
    reports: list[RuleReport] = field(default_factory=list)
    sinks: list[SinkOfRule] = field(default_factory=list)
    feedbacks: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    provided: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    stood_in: set[tuple[str, str]] = field(default_factory=set)
    exits: set[Place] = field(default_factory=set)
    blocking: dict[Place, str] = field(default_factory=dict)
    waiting: dict[str, Place] = field(default_factory=dict)


def load_rules(
    folder: Path,
    sources: Mapping[str, Source],
    configuration: Configuration,
    *,
    real_time: float = REAL_TIME,
) -> Loaded:
    """Load the modules of a rules folder, set up their rules, and end them again.

    Args:
        folder: the rules folder.
        sources: its modules, by name.
        configuration: the settings of the rules.
        real_time: maximum real time without progress, in seconds.
    """
    return _Loading(folder, sources, configuration, real_time).load()


class _Loading:
    def __init__(
        self,
        folder: Path,
        sources: Mapping[str, Source],
        configuration: Configuration,
        real_time: float,
    ) -> None:
        self._sources = sources
        self._files = {str(source.path) for source in sources.values()}
        self._real_time = real_time
        self._loop = VirtualLoop()
        self._happenings = Happenings(self._loop.time, self._loop.wall_time)
        self._log = make_logger(io.StringIO(), recorder=self._happenings)
        self._loaded = Loaded()
        self._given_up = False
        self._advancing: asyncio.Task[None] | None = None
        self._folder = folder
        self._configuration = configuration

    def load(self) -> Loaded:
        watching = watch_paths.set(self._note_path)
        pretending = current_pretence.set(Pretence(is_on=True))
        try:
            with _captured(self._log):
                try:
                    self._run()
                finally:
                    _close(self._loop)
        finally:
            watch_paths.reset(watching)
            current_pretence.reset(pretending)
        self._loaded.records = self._records()
        return self._loaded

    def _run(self) -> None:
        """Run the loop to the end of the check, although rules may stop it or call sys.exit()."""
        loading = self._loop.create_task(self._load())
        for _ in range(_MOST_STOPS):
            try:
                self._loop.run_until_complete(loading)
            except SystemExit as error:
                self._note_exit(error)
            except RuntimeError:
                if loading.done():
                    raise
            else:
                return

    async def _load(self) -> None:
        own_tasks_by_scope(self._loop)
        server = Server()
        make_client = self._make_client(server)
        importer = Importer(self._folder, TaskScope)
        reloader = Reloader(importer, make_client, self._log, self._configuration.for_rule)
        stand_ins = StandIns(make_client("house"))
        with self._deadline():
            updating = asyncio.ensure_future(reloader.update(self._sources))
            await self._advance_until_done(updating, 2 * LONG_SET_UP_TIME)
            await self._start_again(reloader, stand_ins)
        await self._look(reloader, server)
        self._loaded.provided -= stand_ins.paths
        self._loaded.stood_in = stand_ins.used
        with self._deadline():
            if not self._given_up:
                closing = asyncio.ensure_future(reloader.close())
                await self._advance_until_done(closing, _CLOSING_TIME)
        gc.collect()  # so that Python warns of coroutines that were never awaited

    async def _start_again(self, reloader: Reloader, stand_ins: StandIns) -> None:
        """Start the rules again that could not be set up without the house."""
        known = 0
        for _ in range(_MOST_STARTS):
            records = self._records()
            again = await stand_ins.provide(records[known:])
            known = len(records)
            again &= {rule.name for rule in reloader.supervised() if _has_failed(rule)}
            if not again or self._given_up:
                return
            restarting = asyncio.ensure_future(reloader.restart(again))
            await self._advance_until_done(restarting, LONG_SET_UP_TIME)
            await self._advance(SET_UP_TIME)

    def _records(self) -> list[Mapping[str, Any]]:
        records = [each.record for each in self._happenings.all]
        return [each for each in records if isinstance(each, Mapping)]

    def _make_client(self, server: Server) -> Callable[[str], Client]:
        silent = logging.Logger("silent", logging.CRITICAL)
        return lambda module: Client(server=server, client_id=f"check/{module}", logger=silent)

    # --- time -------------------------------------------------------------------------------------

    async def _advance_until_done(self, doing: asyncio.Future[Any], longest: float) -> None:
        """Let virtual time pass until something is done, at most `longest` seconds."""
        end = self._loop.time() + longest
        await self._advance(0)
        while not doing.done() and self._loop.time() < end and not self._given_up:
            await self._advance(0.25)
        if doing.done():
            doing.result()

    async def _advance(self, seconds: float) -> None:
        if self._given_up:
            return
        self._advancing = asyncio.ensure_future(self._loop.advance(seconds))
        with contextlib.suppress(asyncio.CancelledError):
            await self._advancing

    def _deadline(self) -> AbstractContextManager[None]:
        return deadline(
            self._real_time,
            self._loop,
            self._files.__contains__,
            self._give_up_soon,
            self._note_block,
        )

    def _note_block(self, file: Path, line: int) -> None:
        rule = rule_of(current_scope())
        self._loaded.blocking.setdefault(Place(file, line), "" if rule is None else rule.name)

    def _note_exit(self, error: SystemExit) -> None:
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            if frame.f_code.co_filename in self._files:
                self._loaded.exits.add(Place(Path(frame.f_code.co_filename), line))
                return

    def _give_up_soon(self) -> None:
        """Stop advancing; called by a signal handler, so it wakes the loop as well."""
        self._given_up = True
        if self._advancing is not None:
            self._loop.call_soon_threadsafe(self._advancing.cancel)

    # --- observations -----------------------------------------------------------------------------

    def _note_path(self, rule: str, path: str) -> None:
        """Note the line of a rule that names a path: the nearest one on the stack."""
        frame = get_frame(1)
        while frame.f_code.co_filename not in self._files:
            if frame.f_back is None:
                return
            frame = frame.f_back
        places = self._loaded.places.setdefault((rule, path), [])
        place = Place(Path(frame.f_code.co_filename), frame.f_lineno)
        if place not in places:
            places.append(place)

    async def _look(self, reloader: Reloader, server: Server) -> None:
        loaded = self._loaded
        loaded.reports = reloader.reports()
        if self._given_up:
            loaded.waiting = _waiting(self._loop)
            return
        for supervised in reloader.supervised():
            loaded.rules[supervised.name] = Place(Path(supervised.file), supervised.line)
            if _has_failed(supervised):
                loaded.failed.add(supervised.name)
        for instance in reloader.instances.values():
            for rule, sinks in instance.sinks().items():
                loaded.sinks += [
                    SinkOfRule(
                        rule,
                        each.path,
                        holds=each.follows and each.function == "set_value",
                        drives=each.function == "drive",
                        provides=each.function in ("event_register", "state_register"),
                    )
                    for each in sinks
                ]
            for rule, scope in instance.scopes().items():
                loaded.feedbacks += [(rule, path) for path in feedbacks_in(scope)]
        nodes = await _nodes(server)
        loaded.kinds = {path: kind for path, (kind, _) in nodes.items()}
        loaded.provided = {path for path, (_, has_owner) in nodes.items() if has_owner}


def _has_failed(rule: SupervisedRule) -> bool:
    """Whether the first attempt to set up a rule has failed."""
    return rule.first_attempt.done() and not rule.first_attempt.result()


def _waiting(loop: asyncio.AbstractEventLoop) -> dict[str, Place]:
    """Return where the rules wait that are not set up, by their names.

    Rules that wait for the virtual clock are left out: it stands still because of the others.
    """
    all_: dict[str, Place] = {}
    others: dict[str, Place] = {}
    for task in asyncio.all_tasks(loop):
        rule = rule_of(task.scope) if isinstance(task, OwnedTask) else None
        if rule is None or rule.first_attempt.done():
            continue
        coroutine: Any = task.get_coro()
        place, sleeps = Place(Path(rule.file), rule.line), False
        while (frame := getattr(coroutine, "cr_frame", None)) is not None:
            code = frame.f_code
            if code.co_filename == rule.file:
                place = Place(Path(rule.file), frame.f_lineno)
            sleeps = code is asyncio.sleep.__code__ and frame.f_locals["delay"] > 0
            coroutine = coroutine.cr_await
        all_[rule.name] = place
        if not sleeps:
            others[rule.name] = place
    return others or all_


async def _nodes(server: Server) -> dict[str, tuple[str, bool]]:
    """Return the kinds of the nodes of a server, and whether they have an owner, by path."""
    async with Client(server=server) as client:
        return {path: (kind, owner is not None) async for path, kind, owner in list_nodes(client)}


@contextlib.contextmanager
def _captured(log: Any) -> Iterator[None]:
    """Record the output and the log of rules, and warnings of Python, instead of showing them."""
    with (
        receiving_stdlib_logs(log, module_of_file),
        receiving_prints(log),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        yield


def _close(loop: VirtualLoop) -> None:
    """Close the loop, without waiting for threads and tasks that do not end."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    with contextlib.suppress(Exception):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
