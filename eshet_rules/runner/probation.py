"""New versions on probation: one of which a rule fails soon is taken back.

The snapshot of the replaced version is kept in memory for the time of the probation. If a rule of
the new version is failed within that time (its state is `failed`, as `eshet-rules list` shows it,
so it is not restarted any more), the replaced version runs again, with that snapshot.

A version is not taken back if

- the replaced version did not run the failed rule;
- the rule has failed because a path has no owner which the replaced version used as well: then a
  device is absent, or its bridge;
- it was rolled back to, by a command or by probation;
- its file has changed since.

The absence of the server fails no rule: a rule then waits for the connection.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eshet_rules.modules.discovery import Source
from eshet_rules.reload.class_mapping import ClassMapping
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.supervision.status import RuleState
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["Probation"]

_INTERVAL: Final = 0.5
"""Seconds between two looks at the rules on probation."""


@dataclass
class _Trial:
    """A version on probation.

    Args:
        instance: the running instance of the module.
        began: the loop's time at which the version became live.
        replaced: the sources of the replaced version that differ, by the names of their modules:
            the module's own, or those of helpers.
        versions: the versions of these modules that are on probation.
        snapshot: the state of the replaced version.
        ran: the rules that the replaced version ran, with the paths that each of them used.
    """

    instance: ModuleInstance
    began: float
    replaced: Mapping[str, Source]
    versions: Mapping[str, str]
    snapshot: ModuleSnapshot
    ran: Mapping[str, frozenset[str]]


class Probation:
    """Watches new versions, and takes those back of which a rule fails.

    Args:
        reloader: knows the running instances.
        rolling_back: takes versions back.
        seconds: how long a version is on probation; 0 for no probation.
    """

    def __init__(self, reloader: Reloader, rolling_back: RollingBack, seconds: float) -> None:
        self._reloader = reloader
        self._rolling_back = rolling_back
        self._seconds = seconds
        self._trials: dict[str, _Trial] = {}
        self._has_trials = asyncio.Event()

    def configure(self, seconds: float) -> None:
        """Set how long versions are on probation, also those that are at present."""
        self._seconds = seconds

    def begin(self, old: ModuleInstance | None, new: ModuleInstance) -> None:
        """Put the instance on probation that is about to replace another in this step.

        Args:
            old: the running instance; None if there is none.
            new: the instance that replaces it.
        """
        name = new.version.name
        if old is None or not self._seconds:
            self._trials.pop(name, None)
            return
        before = {each.name: each.source for each in old.version.with_imports()}
        after = {each.name: each.source.version for each in new.version.with_imports()}
        changed = {n for n in before.keys() & after.keys() if before[n].version != after[n]}
        if not changed:  # reloaded by a command, or with other settings
            if name in self._trials:
                self._trials[name].instance = new
            return
        if not changed.isdisjoint(self._rolling_back.all()):
            self._trials.pop(name, None)
            return
        # Copied: a rule of the new version may change kept objects in place.
        snapshot = old.snapshot().changed(ClassMapping(old.version).copied)
        self._trials[name] = _Trial(
            new,
            asyncio.get_running_loop().time(),
            {each: before[each] for each in changed},
            {each: after[each] for each in changed},
            snapshot,
            {
                report.rule: frozenset({*report.reads, *report.writes})
                for report in old.reports()
                if report.status.state is RuleState.RUNNING
            },
        )
        self._has_trials.set()

    async def run(self) -> None:
        """Watch the versions on probation, forever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._has_trials.wait()
            await asyncio.sleep(_INTERVAL)
            for name, trial in list(self._trials.items()):
                is_over = loop.time() - trial.began > self._seconds
                if self._reloader.instances.get(name) is not trial.instance:  # unloaded
                    del self._trials[name]
                elif (failed := _failed_rule(trial)) is not None and not is_over:
                    del self._trials[name]
                    await self._take_back(trial, failed)
                elif is_over:
                    del self._trials[name]
            if not self._trials:
                self._has_trials.clear()

    async def _take_back(self, trial: _Trial, failed: SupervisedRule) -> None:
        lived = asyncio.get_running_loop().time() - trial.began
        status = failed.status()
        span = f"{lived:.0f} s" if lived >= 1 else "less than 1 s"
        why = (
            f"{failed.name} has failed {span} after the new version became live: "
            f"{status.last_error or status.why}"
        )
        await self._rolling_back.take_back(
            trial.instance.version.name, trial.replaced, trial.versions, trial.snapshot, why
        )


def _failed_rule(trial: _Trial) -> SupervisedRule | None:
    """Return a rule that has failed because of the new version; None if there is none."""
    for rule in trial.instance.supervised:
        if (
            rule.status().state is RuleState.FAILED
            and (used := trial.ran.get(rule.name)) is not None
            and rule.absent_path not in used
        ):
            return rule
    return None
