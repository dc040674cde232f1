"""Keeps the running module instances in line with the files.

A changed module (see `eshet_rules.reload.planner`) is *prepared* beside its running instance: its
rules are set up, and their outputs are held back. Then it is *committed* in one step of the loop.
Modules of one group are committed together or not at all: if the new version of a running module
fails, its whole group is *aborted*, and the running versions were never touched.

A newer change aborts one that is being prepared. So there are at most two instances of a module.
"""

import asyncio
import contextlib
import itertools
import operator
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.cause import use_cause
from eshet.client import Client
from eshet.scope import Reason
from eshet.yarp.driving.drives import Drives
from eshet.yarp.outputs import HeldOutput
from eshet_rules.audit.records.modules import (
    ModuleLoaded,
    ModuleReloaded,
    ModuleUnloaded,
    ReloadSuperseded,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import Parameters, RuleSettings
from eshet_rules.modules.child_processes import carried_to_children
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer, ModuleVersion
from eshet_rules.modules.likely_mistakes import LikelyMistakes
from eshet_rules.reload.activity import ActivityLog
from eshet_rules.reload.drive_records import recording
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.reload.path_conflicts import PathConflicts
from eshet_rules.reload.planner import ReloadPlanner
from eshet_rules.reload.set_up import Turns
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.rule import Rule
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["Reloader"]

_MOST_TURNS: Final = 1000
"""Maximum number of turns of the loop for which a commit waits until a group is at rest."""

_LONGEST_REST: Final = 3.0
"""The same limit in seconds, for a busy loop, in which each turn takes long."""


_STATE: Final = operator.attrgetter("status.state")


@dataclass(frozen=True)
class _Prepared:
    """The result of preparing a group of modules.

    Args:
        instances: the instances to commit; none if they were aborted.
        without_rules: the modules that no longer have rules.
        succeeded: whether no rule failed.
    """

    instances: list[ModuleInstance]
    without_rules: list[str]
    succeeded: bool


class Reloader:
    """Owns a running instance of each module with rules, and replaces it when its file changes.

    Args:
        importer: the importer of the rules folder.
        make_client: makes a module's client, given the module's name.
        log: receives messages about loaded, reloaded, aborted and unloaded modules.
        settings: returns the settings of a rule, given its full name, such as `hall.light`.
        inherited: the snapshots of modules from before the start of the runner.
        drives: the paths that rules drive, if other reloaders share them.
    """

    def __init__(
        self,
        importer: Importer,
        make_client: Callable[[str], Client],
        log: FilteringBoundLogger,
        settings: Callable[[str], RuleSettings] = lambda rule: RuleSettings(),
        inherited: Mapping[str, ModuleSnapshot] | None = None,
        drives: Drives | None = None,
    ) -> None:
        self._importer = importer
        self._planner = ReloadPlanner(importer, log)
        self._likely_mistakes = LikelyMistakes(log)
        self._conflicts = PathConflicts(
            log, lambda: {name: each.connection for name, each in self._instances.items()}
        )
        self._make_client = make_client
        self._log = log
        self._settings = settings
        self._inherited = dict(inherited or {})
        self._instances: dict[str, ModuleInstance] = {}
        self._versions: dict[str, ModuleVersion] = {}  # the running ones, by the names of modules
        self.drives: Final = drives or Drives(recording(log))
        """The paths that rules drive."""
        self.activity: Final = ActivityLog()
        """The activity of running modules."""
        self._activity = self.activity.reader()
        self._reports: list[RuleReport] = []  # the last ones
        self._reports_of: dict[str, list[RuleReport]] = {}
        self._waiting: set[str] = set()  # modules with inputs that waited at their last reports
        self._carrying = contextlib.ExitStack()
        self._carrying.enter_context(carried_to_children(importer))
        self._turn = asyncio.Lock()
        self._newest: Mapping[str, Source] = {}
        self._preparing: asyncio.Future[list[_Prepared]] | None = None
        self._earlier: dict[str, tuple[Mapping[str, str], ModuleSnapshot]] = {}
        self.on_take_over: Callable[[ModuleInstance | None, ModuleInstance], object] = _do_nothing
        """Called with the running instance, if there is one, and the one that is about to replace
        it in the same step of the loop. It must not raise."""
        self.on_live: Callable[[str], object] = lambda name: None
        """Called with the name of a module as soon as the rules of a new instance of it handle
        their inputs. It must not raise."""
        self.on_leaving: Callable[[str], Awaitable[object]] = _drop
        """Called with the name of a module that another runner is to continue, in the step of the
        loop in which its instance ends: it can make its snapshot. Its connection is closed when the
        result is done. It must not raise."""
        self.on_left: Callable[[str], Awaitable[object]] = _drop
        """Called with the name of such a module as soon as all of it has ended here, while others
        may still be ending. It must not raise."""

    @property
    def instances(self) -> Mapping[str, ModuleInstance]:
        """The running instances, by the names of their modules."""
        return self._instances

    async def update(self, sources: Mapping[str, Source]) -> bool:
        """Load, reload and unload the modules that have changed since the last call.

        It may be called again before it returns: this aborts the instances that it is preparing.

        Args:
            sources: the present content of the rules folder.

        Returns:
            Whether all changed modules could be loaded and set up.
        """
        self._newest = sources
        if self._preparing is not None:
            self._preparing.cancel()
        async with self._turn:
            if sources is not self._newest:
                return False
            # At the start, nothing is decided before all rules have given their wanted values.
            is_start = not self._instances
            with self.drives.held() if is_start else contextlib.nullcontext():
                return await self._update(sources)

    def configure(self, settings: Callable[[str], RuleSettings]) -> list[str]:
        """Apply new settings: the next update reloads the modules with changed settings.

        This does not enable or disable rules; see `follow`.

        Returns:
            The names of these modules.
        """
        before, self._settings = self._settings, settings
        concerned = [
            name
            for name, rules in self._rules().items()
            if any(
                _relevant(rule, before(full_name)) != _relevant(rule, settings(full_name))
                for full_name, rule in rules.items()
            )
        ]
        self.renew(concerned)
        return concerned

    async def follow(self) -> None:
        """Start and stop rules of running modules according to the present settings."""
        async with self._turn:
            for instance in self._instances.values():
                await instance.follow(self._settings)

    def reports(self) -> list[RuleReport]:
        """Return reports on all rules of running modules, in the order of their names."""
        running = self._instances.keys()
        concerned = (self._activity.look() | self._waiting) & running
        if concerned or running != self._reports_of.keys():
            for name in concerned:
                self._reports_of[name] = self._new_reports(name)
            self._waiting = {n for n in concerned if any(r.waiting for r in self._reports_of[n])}
            for name in self._reports_of.keys() - running:
                del self._reports_of[name]
            reports = itertools.chain.from_iterable(self._reports_of.values())
            self._reports = sorted(reports, key=lambda report: report.rule)
        return self._reports

    @property
    def last_reports(self) -> list[RuleReport]:
        """The result of the last call of `reports`, which takes longer in a large house."""
        return self._reports or self.reports()

    def _new_reports(self, name: str) -> list[RuleReport]:
        """Return reports on the rules of a module: the previous object where nothing changed."""
        before = {report: report for report in self._reports_of.get(name, ())}
        return [before.get(report, report) for report in self._instances[name].reports()]

    def places_of(self, paths: Collection[str]) -> dict[str, dict[str, str]]:
        """Return the lines, as `file:line`, of the outputs to paths, by path and rule."""
        places: dict[str, dict[str, str]] = {path: {} for path in paths}
        for instance in self._instances.values():
            for rule, sinks in instance.sinks().items():
                for sink in sinks:
                    if sink.path in places and sink.place:
                        places[sink.path][rule] = sink.place
        return places

    def outputs(self) -> Iterator[HeldOutput]:
        """Iterate over the sinks of all running rules."""
        for instance in self._instances.values():
            yield from instance.outputs()

    def states(self) -> dict[str, int]:
        """Return the number of rules in each state."""
        numbers = Counter(map(_STATE, self.reports()))
        return {str(state): number for state, number in sorted(numbers.items())}

    def supervised(self) -> Iterator[SupervisedRule]:
        """Iterate over the started rules of running modules."""
        for instance in self._instances.values():
            yield from instance.supervised

    @property
    def broken(self) -> dict[str, str]:
        """The errors of modules with an unusable newest version, by module."""
        return self._planner.broken

    def failed(self, sources: Mapping[str, Source]) -> set[str]:
        """Return the modules that do not run, as all their versions have failed.

        Args:
            sources: the newest content of the rules folder. As long as it is not the content that
                was tried last, nothing is returned.
        """
        tried = self._importer.sources
        failed = {n for n in self.broken if n in tried and self._planner.has_failed(n)}
        if failed and any(
            name not in tried or tried[name].version != source.version
            for name, source in sources.items()
        ):
            return set()
        return failed - self._instances.keys()

    def withdraw(self, names: Iterable[str]) -> None:
        """Forget errors, before an update without the versions of these modules that failed."""
        self._planner.withdraw(names)

    @contextlib.contextmanager
    def restoring(
        self, name: str, versions: Mapping[str, str], snapshot: ModuleSnapshot
    ) -> Iterator[None]:
        """Restore a snapshot in place of the running state, within a `with` statement.

        Args:
            name: the module.
            versions: the versions of modules, among those that it imports and itself, with which
                the snapshot is restored.
            snapshot: the snapshot of an instance that ran before.
        """
        self._earlier[name] = versions, snapshot
        try:
            yield
        finally:
            del self._earlier[name]

    @property
    def sources(self) -> dict[str, Source]:
        """The sources of all running modules and of the helpers that they import, by name."""
        return {
            each.name: each.source
            for version in self._versions.values()
            for each in version.with_imports()
        }

    def importing(self, names: Collection[str]) -> set[str]:
        """Return the running modules that import one of these, and these themselves."""
        return {
            name
            for name, version in self._versions.items()
            if any(each.name in names for each in version.with_imports())
        } | set(names)

    def running(self, name: str) -> set[str]:
        """Return the versions of a module that run, as a module or as a helper; mostly one."""
        return {
            each.source.version
            for version in self._versions.values()
            for each in version.with_imports()
            if each.name == name
        }

    async def restart(self, rules: Collection[str]) -> None:
        """Restart rules, given by their full names, from scratch."""
        async with self._turn:
            for module, instance in self._instances.items():
                for name in instance.version.rules:
                    if f"{module}.{name}" in rules:
                        await instance.restart(name)

    def renew(self, names: Iterable[str]) -> None:
        """Make the next update reload modules, even if they have not changed."""
        for name in names:
            self._importer.outdate(name)

    @property
    def newest(self) -> Mapping[str, Source]:
        """The content of the rules folder at the last update."""
        return self._newest

    @property
    def rules(self) -> dict[str, list[str]]:
        """The full names of all rules, running or not, by their modules."""
        return {name: list(rules) for name, rules in self._rules().items()}

    def asking_for(self, argument: str) -> set[str]:
        """Return the full names of the rules that have an argument of this name."""
        return {
            full_name
            for rules in self._rules().values()
            for full_name, rule in rules.items()
            if argument in rule.asks_for
        }

    def _rules(self) -> dict[str, dict[str, Rule]]:
        """Return the rules of each module that has some, by their full names."""
        versions = sorted({**self._versions, **self._importer.current}.items())
        return {
            name: {f"{name}.{rule.name}": rule for rule in version.rules.values()}
            for name, version in versions
            if version.rules
        }

    @property
    def restored(self) -> tuple[int, int]:
        """After a restart, the numbers of nodes that were and that could not be restored."""
        restored = [instance.restored for instance in self._instances.values()]
        return sum(kept for kept, _ in restored), sum(afresh for _, afresh in restored)

    @property
    def with_snapshot(self) -> list[str]:
        """The names of the modules for which `snapshot` returns a snapshot."""
        gone = self._inherited.keys() - self._newest.keys() if self._newest else set()
        return [name for name in {**self._instances, **self._inherited} if name not in gone]

    def snapshot(self, name: str, epoch: float = 0.0) -> ModuleSnapshot | None:
        """Return the snapshot of a module; see `ModuleInstance.snapshot`.

        For a module that can't be loaded at present, it is the one from before the restart.
        """
        instance = self._instances.get(name)
        return instance.snapshot(epoch) if instance is not None else self._inherited.get(name)

    def inherit(self, name: str, snapshot: ModuleSnapshot) -> None:
        """Restore a snapshot when a module is loaded that does not run yet."""
        self._inherited[name] = snapshot

    def cut(self, names: Iterable[str]) -> None:
        """End the rules of modules at once, without their state: others may run them by now.

        An update must follow, with sources that say that these modules are elsewhere.
        """
        for name in names:
            if (instance := self._instances.get(name)) is not None:
                instance.begin_end()
                instance.begin_close(Reason.MOVED)

    async def log_conflicts(self) -> None:
        """Log now which rules wait for paths that others provide, instead of after a moment."""
        await self._conflicts.log_now()

    def begin_end(self) -> None:
        """Ignore all further inputs of modules: a flood of them must not delay `close`."""
        for instance in self._instances.values():
            instance.begin_end()

    async def close(self) -> None:
        """Close all running instances concurrently, and drop all modules."""
        self.begin_end()
        await asyncio.gather(
            *(self._end(each, Reason.SHUTDOWN) for each in self._instances.values())
        )
        for name in list(self._instances):
            self._remove(name)
        self._conflicts.close()
        self._importer.sources = {}
        self._importer.keep_only([])
        self._carrying.close()

    async def _update(self, sources: Mapping[str, Source]) -> bool:
        elsewhere = {name for name, source in sources.items() if source.is_elsewhere}
        await self._leave([name for name in self._instances if name in elsewhere])
        for name in self._inherited.keys() & elsewhere:
            del self._inherited[name]
        plan = self._planner.make(sources, self._versions)
        self._likely_mistakes.warn(self._importer.current)
        prepared = await self._prepare_all(plan.groups)
        if prepared is None:
            emit(self._log, ReloadSuperseded(modules=plan.changed))
            return False
        removed = [
            _Prepared([], [name], succeeded=True)
            for name in self._instances.keys() - sources.keys()
        ]
        await self._commit([*prepared, *removed])
        self._planner.settle(plan, self._versions)
        return not plan.failed and all(group.succeeded for group in prepared)

    async def _leave(self, names: list[str]) -> None:
        """Unload modules that other runners continue, each without waiting for the others."""
        instances = [self._instances[name] for name in names]
        for each in instances:
            each.begin_end()
        await asyncio.gather(*map(self._leave_one, instances))

    async def _leave_one(self, instance: ModuleInstance) -> None:
        name = instance.version.name
        await self._until_at_rest(instance)
        if not instance.has_ended:
            saving = self.on_leaving(name)
            instance.begin_close(Reason.MOVED)
            await saving
        self._remove(name)
        await self._end(instance, Reason.MOVED)
        self._log_module(ModuleUnloaded, instance.version)
        await self.on_left(name)

    async def _until_at_rest(self, instance: ModuleInstance) -> None:
        """Wait, but not for long, until an instance has begun to handle all of its input."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LONGEST_REST
        for _ in range(_MOST_TURNS):
            if loop.time() > deadline or instance.is_at_rest:
                return
            await asyncio.sleep(0)

    # --- prepare ------------------------------------------------------------------------------

    async def _prepare_all(self, groups: list[list[str]]) -> "list[_Prepared] | None":
        """Prepare all groups concurrently; return None if a newer change has aborted this."""
        made: list[ModuleInstance] = []
        turns = Turns()
        preparing = asyncio.gather(*(self._prepare(group, made, turns) for group in groups))
        self._preparing = preparing
        try:
            return await preparing
        except asyncio.CancelledError:
            await self._abort(made)
            if _is_cancelled():
                raise
            return None
        finally:
            self._preparing = None

    async def _prepare(
        self, group: list[str], made: list[ModuleInstance], turns: Turns
    ) -> "_Prepared":
        """Prepare the newest versions of a group of modules, or abort them if one fails.

        Args:
            group: the names of the modules.
            made: this adds each new instance, so that the caller can abort it if this is cancelled.
            turns: of all groups.
        """
        newest = [v for name in group if (v := self._importer.current.get(name)) is not None]
        async with turns.one():
            instances = [self._make(version) for version in newest if version.rules]
            made += instances
            succeeded = await asyncio.gather(*(each.prepare() for each in instances))
        names = [each.version.name for each in instances]
        failed = [n for n, fine in zip(names, succeeded, strict=True) if not fine]
        if any(name in self._instances for name in failed):
            taken = _taken_paths([each for each in instances if each.version.name in failed])
            await self._abort(instances)
            for version in newest:
                others = [name for name in failed if name != version.name]
                self._planner.refuse(version, self._versions, because=others, taken_paths=taken)
            return _Prepared([], [], succeeded=False)
        without = [v.name for v in newest if not v.rules and v.name in self._instances]
        return _Prepared(instances, without, succeeded=not failed)

    def _make(self, version: ModuleVersion) -> ModuleInstance:
        old = self._instances.get(version.name)
        connection = self._make_client(version.name) if old is None else old.connection
        return ModuleInstance(
            version,
            connection,
            self._log,
            old=old,
            snapshot=self._earlier_snapshot(version) if old else self._inherited.get(version.name),
            held_back=bool(self._instances) or version.name in self._inherited,
            is_releasing=self._is_releasing,
            settings=self._settings,
            conflicts=self._conflicts,
            drives=self.drives,
        )

    def _earlier_snapshot(self, version: ModuleVersion) -> ModuleSnapshot | None:
        """Return the snapshot to restore in place of the running state; mostly None."""
        versions, snapshot = self._earlier.get(version.name, ({}, None))
        own = {each.name: each.source.version for each in version.with_imports()}
        return snapshot if versions.items() <= own.items() else None

    async def _abort(self, instances: Iterable[ModuleInstance]) -> None:
        for each in instances:
            old = self._instances.get(each.version.name)
            if old is None:
                await self._end(each, Reason.FAILED)
            else:
                await each.close(Reason.FAILED)
                self._importer.show_source(old.version)

    def _is_releasing(self, path: str) -> bool:
        """Whether a path is owned by a module that is about to be replaced or unloaded."""
        return any(
            instance.owns(path)
            for name, instance in self._instances.items()
            if self._planner.is_outdated(name, self._versions) or name not in self._importer.sources
        )

    # --- commit -------------------------------------------------------------------------------

    async def _commit(self, groups: "Iterable[_Prepared]") -> None:
        """Replace running instances by the prepared ones, each group as soon as it is at rest.

        So a module that is never at rest does not delay the others.
        """
        loop = asyncio.get_running_loop()
        free = loop.create_future()
        replaced: list[ModuleInstance] = []
        ended: list[ModuleInstance] = []
        waiting = list(groups)
        deadline, turns = loop.time() + _LONGEST_REST, itertools.count()
        while waiting:
            is_late = next(turns) >= _MOST_TURNS or loop.time() > deadline
            at_rest = [each for each in waiting if is_late or self._is_at_rest(each)]
            for group in at_rest:
                waiting.remove(group)
                replaced += self._take_over(group, free)
                ended += map(self._remove, group.without_rules)
            if waiting:
                await asyncio.sleep(0)
        await asyncio.gather(
            *(self._retire(each) for each in replaced),
            *(self._end(each, Reason.UNLOADED) for each in ended),
        )
        free.set_result(None)
        for group in groups:
            for instance in group.instances:
                instance.start_restarting_rules()
        for instance in ended:
            self._log_module(ModuleUnloaded, instance.version)

    def _is_at_rest(self, group: "_Prepared") -> bool:
        """Whether the running instances of a group have begun to handle all of their input."""
        names = [*(each.version.name for each in group.instances), *group.without_rules]
        running = [self._instances[name] for name in names if name in self._instances]
        return all(each.is_at_rest for each in running)

    def _take_over(self, group: "_Prepared", when_free: Awaitable[object]) -> list[ModuleInstance]:
        """Replace the running instances of a group by the new ones; return the old ones."""
        replaced: list[ModuleInstance] = []
        with self.drives.held():  # the group takes over from its old versions in one step
            for instance in group.instances:
                name = instance.version.name
                old = self._instances.get(name)
                self.on_take_over(old, instance)
                instance.take_over(when_free)
                if old is not None:
                    self.activity.forget(name, old.roots)
                    replaced.append(old)
                self._instances[name], self._versions[name] = instance, instance.version
                self._inherited.pop(name, None)
                self.activity.watch(name, instance.roots)
                self.on_live(name)
                with use_cause(instance.cause):
                    log_as = ModuleLoaded if old is None else ModuleReloaded
                    self._log_module(log_as, instance.version)
        return replaced

    def _remove(self, name: str) -> ModuleInstance:
        """Remove a running instance, and return it."""
        instance = self._instances.pop(name)
        del self._versions[name]
        self.activity.forget(name, instance.roots)
        return instance

    async def _retire(self, old: ModuleInstance) -> None:
        await old.close(Reason.REPLACED)
        await old.wait_released()

    async def _end(self, instance: ModuleInstance, reason: Reason) -> None:
        await instance.close(reason)
        await instance.connection.close()

    def _log_module(
        self, event: type[ModuleLoaded | ModuleReloaded | ModuleUnloaded], version: ModuleVersion
    ) -> None:
        source = version.source
        rules = list(version.rules)
        emit(self._log, event(module=version.name, version=source.version, rules=rules))


async def _drop(name: str) -> None:
    pass


def _do_nothing(old: ModuleInstance | None, new: ModuleInstance) -> None:
    pass


def _relevant(rule: Rule, settings: RuleSettings) -> RuleSettings:
    """Return the settings of a rule except for those that can change without a reload."""
    return replace(
        settings,
        disabled=None,  # see `Reloader.follow`
        strategy=settings.strategy if rule.strategy is None else None,
        parameters=settings.parameters if "config" in rule.asks_for else Parameters(),
    )


def _is_cancelled() -> bool:
    """Whether the current task itself is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _taken_paths(failed: Iterable[ModuleInstance]) -> set[str]:
    """Return the paths of other clients that rules need; none if a rule failed otherwise."""
    paths = {rule.taken_path for each in failed for rule in each.failed_rules}
    return set() if "" in paths else paths
