"""Keeps the running module instances in line with the files.

A changed module (see `eshet_rules.reload.planner`) is *prepared* beside its running instance: its
rules are set up, and their outputs are held back. Then all of it is *committed* in one step of the
loop. Modules of one group are committed together or not at all: where a running version can't be
replaced,
none of its group is, they are *aborted*, and what is alive was never touched.

A change that comes while another is prepared aborts that: only the newest is brought to life. So
there are at most two generations of a module.
"""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.cause import use_cause
from eshet.client import Client
from eshet.scope import Reason
from eshet_rules.audit.records import (
    ModuleLoaded,
    ModuleReloaded,
    ModuleUnloaded,
    ReloadSuperseded,
    emit,
)
from eshet_rules.config import Parameters, RuleSettings
from eshet_rules.modules.child_processes import carried_to_children
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer, ModuleVersion
from eshet_rules.modules.likely_mistakes import LikelyMistakes
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.reload.path_conflicts import PathConflicts
from eshet_rules.reload.planner import ReloadPlanner
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.rule import Rule
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["Reloader"]

_MOST_TURNS: Final = 1000
"""How many turns of the loop a commit waits at most until a group is at rest."""

_LONGEST_REST: Final = 3.0
"""The same in seconds, for a loop that is so busy that each turn takes long."""


@dataclass(frozen=True)
class _Prepared:
    """What became of a group of modules that was prepared.

    Args:
        instances: to be committed; none if they were aborted.
        without_rules: the modules that have no rules any more.
        succeeded: whether no rule failed.
    """

    instances: list[ModuleInstance]
    without_rules: list[str]
    succeeded: bool


class Reloader:
    """Has a generation alive for each module with rules.

    Args:
        importer: of the rules folder.
        make_client: makes a module's client, given the module's name.
        log: where it is logged what was loaded, reloaded, kept and unloaded.
        settings: tells what is configured of a rule, given its full name, as `hall.light`.
        inherited: what modules have left that were alive before the runner was started.
    """

    def __init__(
        self,
        importer: Importer,
        make_client: Callable[[str], Client],
        log: FilteringBoundLogger,
        settings: Callable[[str], RuleSettings] = lambda rule: RuleSettings(),
        inherited: Mapping[str, ModuleSnapshot] | None = None,
    ) -> None:
        self._importer = importer
        self._planner = ReloadPlanner(importer, log)
        self._likely_mistakes = LikelyMistakes(log)
        self._conflicts = PathConflicts(log)
        self._make_client = make_client
        self._log = log
        self._settings = settings
        self._inherited = dict(inherited or {})
        self._alive: dict[str, ModuleInstance] = {}
        self._carrying = contextlib.ExitStack()
        self._carrying.enter_context(carried_to_children(importer))
        self._turn = asyncio.Lock()
        self._newest: Mapping[str, Source] = {}
        self._preparing: asyncio.Future[list[_Prepared]] | None = None

    @property
    def alive(self) -> Mapping[str, ModuleInstance]:
        """The generations that are alive, by the names of their modules."""
        return self._alive

    async def update(self, sources: Mapping[str, Source]) -> bool:
        """Load, reload and unload what has changed since the last time.

        It may be called again while it is at work: what it prepares then is aborted.

        Args:
            sources: all that is in the rules folder now.

        Returns:
            Whether all that had to be loaded could be loaded and set up.
        """
        self._newest = sources
        if self._preparing is not None:
            self._preparing.cancel()
        async with self._turn:
            return sources is self._newest and await self._update(sources)

    def configure(self, settings: Callable[[str], RuleSettings]) -> list[str]:
        """Take other settings: the next update reloads the modules that they concern.

        Which rules are enabled is not among that; see `follow`.

        Returns:
            The names of these modules.
        """
        before, self._settings = self._settings, settings
        concerned = [
            name
            for name, rules in self._rules().items()
            if any(
                _what_concerns(rule, before(full_name)) != _what_concerns(rule, settings(full_name))
                for full_name, rule in rules.items()
            )
        ]
        self.renew(concerned)
        return concerned

    async def follow(self) -> None:
        """Start and end rules of what is alive, as they are enabled and disabled now."""
        async with self._turn:
            for instance in self._alive.values():
                await instance.follow(self._settings)

    def reports(self) -> list[RuleReport]:
        """Return how each rule of what is alive is now, in the order of their names."""
        alive = (instance.reports() for instance in self._alive.values())
        return sorted(itertools.chain.from_iterable(alive), key=lambda report: report.rule)

    def states(self) -> dict[str, int]:
        """Return how many rules are in each state."""
        return dict(sorted(Counter(str(each.status.state) for each in self.reports()).items()))

    def supervised(self) -> Iterator[SupervisedRule]:
        """Iterate over the rules of what is alive."""
        for instance in self._alive.values():
            yield from instance.supervised

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong with the newest version of modules of which it is not alive."""
        return self._planner.broken

    async def restart(self, rules: Collection[str]) -> None:
        """Start rules, given by their full names, as if they had never run."""
        async with self._turn:
            for module, instance in self._alive.items():
                for name in instance.version.rules:
                    if f"{module}.{name}" in rules:
                        await instance.restart(name)

    def renew(self, names: Iterable[str]) -> None:
        """Let the next update reload modules, whether or not they have changed."""
        for name in names:
            self._importer.outdate(name)

    @property
    def newest(self) -> Mapping[str, Source]:
        """What was in the rules folder when it was last looked at."""
        return self._newest

    @property
    def rules(self) -> dict[str, list[str]]:
        """The full names of all rules, by the modules that they are in; alive or not."""
        return {name: list(rules) for name, rules in self._rules().items()}

    def asking_for(self, given: str) -> set[str]:
        """Return the full names of the rules that are to be given something of this name."""
        return {
            full_name
            for rules in self._rules().values()
            for full_name, rule in rules.items()
            if given in rule.asks_for
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
    def resumed(self) -> tuple[int, int]:
        """How much of what was remembered over a restart is kept, and how much began afresh."""
        resumed = [instance.resumed for instance in self._alive.values()]
        return sum(kept for kept, _ in resumed), sum(afresh for _, afresh in resumed)

    @property
    def remembered(self) -> list[str]:
        """The modules that have something to leave."""
        gone = self._inherited.keys() - self._newest.keys() if self._newest else set()
        return sorted({*self._alive, *self._inherited} - gone)

    def snapshot(self, name: str, epoch: float = 0.0) -> ModuleSnapshot | None:
        """Return what a module has to leave to what comes after; see `ModuleInstance.snapshot`.

        That of a module which can't be loaded at present is what it was given itself.
        """
        alive = self._alive.get(name)
        return alive.snapshot(epoch) if alive is not None else self._inherited.get(name)

    async def close(self) -> None:
        """Dispose all that is alive, all at once, and forget all modules."""
        await asyncio.gather(*(self._end(each, Reason.SHUTDOWN) for each in self._alive.values()))
        self._alive.clear()
        self._conflicts.close()
        self._importer.sources = {}
        self._importer.keep_only([])
        self._carrying.close()

    async def _update(self, sources: Mapping[str, Source]) -> bool:
        plan = self._planner.make(sources, self._versions)
        self._likely_mistakes.warn(self._importer.current)
        prepared = await self._prepare_all(plan.groups)
        if prepared is None:
            emit(self._log, ReloadSuperseded(modules=plan.changed))
            return False
        removed = [
            _Prepared([], [name], succeeded=True) for name in self._alive.keys() - sources.keys()
        ]
        await self._commit([*prepared, *removed])
        self._planner.settle(plan, self._versions)
        return not plan.failed and all(group.succeeded for group in prepared)

    @property
    def _versions(self) -> dict[str, ModuleVersion]:
        """The versions that are alive, by the names of their modules."""
        return {name: instance.version for name, instance in self._alive.items()}

    # --- prepare ------------------------------------------------------------------------------

    async def _prepare_all(self, groups: list[list[str]]) -> "list[_Prepared] | None":
        """Prepare groups, each as a whole; return None if a newer change came meanwhile."""
        made: list[ModuleInstance] = []
        preparing = asyncio.gather(*(self._prepare(group, made) for group in groups))
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

    async def _prepare(self, group: list[str], made: list[ModuleInstance]) -> "_Prepared":
        """Prepare the newest versions of a group of modules, or abort them if one fails.

        Args:
            group: the names of the modules.
            made: is added each generation that is made, to be aborted if this is cancelled.
        """
        newest = [v for name in group if (v := self._importer.current.get(name)) is not None]
        instances = [self._make(version) for version in newest if version.rules]
        made += instances
        succeeded = await asyncio.gather(*(each.prepare() for each in instances))
        names = [each.version.name for each in instances]
        failed = [n for n, fine in zip(names, succeeded, strict=True) if not fine]
        if any(name in self._alive for name in failed):
            await self._abort(instances)
            for version in newest:
                others = [name for name in failed if name != version.name]
                self._planner.refuse(version, self._versions, because=others)
            return _Prepared([], [], succeeded=False)
        without = [v.name for v in newest if not v.rules and v.name in self._alive]
        return _Prepared(instances, without, succeeded=not failed)

    def _make(self, version: ModuleVersion) -> ModuleInstance:
        old = self._alive.get(version.name)
        connection = self._make_client(version.name) if old is None else old.connection
        return ModuleInstance(
            version,
            connection,
            self._log,
            old=old,
            snapshot=None if old else self._inherited.get(version.name),
            held_back=bool(self._alive) or version.name in self._inherited,
            is_releasing=self._is_releasing,
            settings=self._settings,
            conflicts=self._conflicts,
        )

    async def _abort(self, instances: Iterable[ModuleInstance]) -> None:
        for each in instances:
            old = self._alive.get(each.version.name)
            if old is None:
                await self._end(each, Reason.FAILED)
            else:
                await each.close(Reason.FAILED)
                self._importer.show_source(old.version)

    def _is_releasing(self, path: str) -> bool:
        """Whether a path is owned by a module that is about to change, or to go."""
        versions = self._versions
        return any(
            alive.owns(path)
            for name, alive in self._alive.items()
            if self._planner.is_outdated(name, versions) or name not in self._importer.sources
        )

    # --- commit -------------------------------------------------------------------------------

    async def _commit(self, groups: "Iterable[_Prepared]") -> None:
        """Let prepared instances replace the running ones, each group as soon as it is at rest.

        So a module that is never at rest costs the others nothing.
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
                ended += [self._alive.pop(name) for name in group.without_rules]
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
        running = [self._alive[name] for name in names if name in self._alive]
        return all(each.is_at_rest for each in running)

    def _take_over(self, group: "_Prepared", when_free: Awaitable[object]) -> list[ModuleInstance]:
        """Let the instances of a group replace the running ones; return those."""
        replaced: list[ModuleInstance] = []
        for instance in group.instances:
            name = instance.version.name
            old = self._alive.get(name)
            instance.take_over(when_free)
            self._alive[name] = instance
            self._inherited.pop(name, None)
            if old is not None:
                replaced.append(old)
            with use_cause(instance.cause):
                self._log_module(ModuleLoaded if old is None else ModuleReloaded, instance.version)
        return replaced

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


def _what_concerns(rule: Rule, settings: RuleSettings) -> RuleSettings:
    """Return the settings of a rule without what makes no difference to it."""
    return replace(
        settings,
        disabled=None,  # that takes no reload
        strategy=settings.strategy if rule.strategy is None else None,
        parameters=settings.parameters if "config" in rule.asks_for else Parameters(),
    )


def _is_cancelled() -> bool:
    """Whether it is the current task itself that was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
