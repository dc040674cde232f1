"""Executes commands, and applies changes of the configuration, while the runner runs."""

import difflib
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, use_cause
from eshet.paths import nearest
from eshet_rules.audit.records.control import (
    ConfigurationNeedsRestart,
    ConfigurationReloaded,
    ConfiguredRuleUnknown,
    DisableRequested,
    EnableRequested,
    ParametersUnused,
    ReleaseRequested,
    ReloadRequested,
    RestartRequested,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import Configuration, RuleSettings, is_meant
from eshet_rules.exceptions import (
    AllDisabled,
    NotDriven,
    NotInCluster,
    NotReloaded,
    NotRolledBack,
    UnknownName,
)
from eshet_rules.modules.discovery import Source
from eshet_rules.reload.reloader import Reloader
from eshet_rules.runner.committed import WaitingChange
from eshet_rules.runner.roll_backs import RollBack
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.runner.saves import Saves
from eshet_rules.runner.switches import RuleSwitches
from eshet_rules.supervision.guard.guard import Guard

if TYPE_CHECKING:
    from eshet_rules.cluster.cluster import Cluster
    from eshet_rules.cluster.shared_quarantine import SharedBlame
    from eshet_rules.cluster.shared_switches import Switch

__all__ = ["Control"]

_P = ParamSpec("_P")

_AT_RESTART: Final = ("server", "log", "audit", "state", "watch", "web", "cluster")
"""The tables that take effect at the next start of the runner."""


def _command(
    do: Callable[_P, Awaitable[list[str]]],
) -> Callable[_P, Coroutine[Any, Any, list[str]]]:
    """Make a command the cause of all its effects."""

    @functools.wraps(do)
    async def done(*args: _P.args, **kwargs: _P.kwargs) -> list[str]:
        with use_cause(Cause("command", do.__name__)):
            return await do(*args, **kwargs)

    return done


class Control:
    """Decides the present settings of each rule, and makes the reloader apply them.

    Names in commands are those of rules, `hall.hall_light`, or of modules, `hall`, or globs of
    either.

    Args:
        reloader: applies the settings and executes the commands.
        configuration: the configuration at the start.
        switches: rules that were enabled or disabled by command.
        log: receives a message for each command.
        scan: returns the present content of the rules folder.
        only: a glob of the rules or modules to run; all others are disabled.
        guard: knows which rules are quarantined.
        rolling_back: rolls modules back; None if nothing can be rolled back.
        saves: commits changes that wait; None if none wait.
        cluster: the runners that share the modules; None if there is only this one.
    """

    def __init__(
        self,
        reloader: Reloader,
        configuration: Configuration,
        switches: RuleSwitches,
        log: FilteringBoundLogger,
        *,
        scan: Callable[[], Awaitable[Mapping[str, Source]]],
        only: str = "*",
        guard: Guard | None = None,
        rolling_back: RollingBack | None = None,
        saves: Saves | None = None,
        cluster: "Cluster | None" = None,
    ) -> None:
        self._reloader = reloader
        self._configuration = configuration
        self._switches = switches
        self._log = log
        self._scan = scan
        self._only = only
        self._guard = guard
        self._rolling_back = rolling_back
        self._saves = saves
        self._cluster = cluster
        if cluster is not None:
            cluster.switches.on_change = self._switch_as_others
            cluster.quarantine.on_change = self._quarantine_as_others
        reloader.configure(self._settings())

    async def configure(self, configuration: Configuration) -> None:
        """Apply a new configuration, and reload the modules with changed settings."""
        before, self._configuration = self._configuration, configuration
        if waiting := [t for t in _AT_RESTART if getattr(before, t) != getattr(configuration, t)]:
            emit(self._log, ConfigurationNeedsRestart(tables=waiting))
        modules = self._reloader.configure(self._settings())
        emit(self._log, ConfigurationReloaded(modules=modules))
        self.check_patterns()
        await self._reloader.follow()
        await self._reloader.update(self._reloader.newest)

    def check_only(self) -> None:
        """Check that `only` matches a rule.

        Raises:
            UnknownName: it matches none.
        """
        if self._only != "*":
            self._find([self._only])

    def check_patterns(self) -> None:
        """Warn about settings without effect: no rule matches, or none has a `config` argument."""
        rules = self._all()
        file = str(self._configuration.file)
        for pattern in self._configuration.rules:
            meant = set(filter(pattern.matches, rules))
            if not meant and self._cluster is not None:
                continue  # it may be one of a module that another runner runs
            if not meant:
                near = difflib.get_close_matches(pattern.glob, [*rules, *self._reloader.rules])
                emit(
                    self._log,
                    ConfiguredRuleUnknown(name=pattern.glob, file=file, near=near or None),
                )
            elif pattern.parameters and meant.isdisjoint(self._reloader.asking_for("config")):
                emit(
                    self._log,
                    ParametersUnused(
                        name=pattern.glob,
                        file=file,
                        parameters=list(pattern.parameters),
                        advice="give the rule a parameter named config",
                    ),
                )

    @_command
    async def reload(self, *names: str) -> list[str]:
        """Reload the modules of these names, or all modules, even if they have not changed.

        A change that waits to be committed waits on.

        Returns:
            The names of the modules.

        Raises:
            UnknownName: one of the names matches nothing.
            NotReloaded: the present version of one of the modules can't be used; the others are
                reloaded.
        """
        rules = self._find(names) if names else self._all()
        modules = [m for m, of_it in self._reloader.rules.items() if not rules.isdisjoint(of_it)]
        emit(self._log, ReloadRequested(modules=modules))
        if self._cluster is not None:
            self._cluster.try_again()
        self._reloader.renew(modules)
        await self._reloader.update(await self._scan())
        broken = self._reloader.broken
        if refused := {m: broken[m] for m in (modules if names else broken) if m in broken}:
            raise NotReloaded(refused)
        return modules

    @_command
    async def commit(self, *names: str) -> list[str]:
        """Apply the changes that wait, of the modules of these names or all; see `Saves`."""
        return [] if self._saves is None else await self._saves.commit(names)

    @property
    def waiting(self) -> Mapping[str, WaitingChange]:
        """The changes that wait to be committed, by the names of modules."""
        return {} if self._saves is None else self._saves.waiting

    @_command
    async def restart(self, *names: str) -> list[str]:
        """Restart rules from scratch, without a hand-over; this also resets past failures.

        Returns:
            The full names of the rules, without those that are disabled.

        Raises:
            UnknownName: one of the names matches nothing.
            AllDisabled: all of them are disabled.
        """
        named = sorted(self._find(names))
        settings = self._settings()
        rules = [rule for rule in named if settings(rule).disabled is None]
        if not rules:
            raise AllDisabled(named)
        emit(self._log, RestartRequested(rules=rules))
        await self._reloader.restart(rules)
        return rules

    async def roll_back(
        self, target: str, *, write: bool = False, by: str = "", why: str = ""
    ) -> dict[str, Any]:
        """Run an earlier version of a module until its file changes; see `RollingBack`."""
        if self._rolling_back is None:
            raise NotRolledBack(target, "no versions are kept")
        return await self._rolling_back.roll_back(target, write=write, by=by, why=why)

    @property
    def rolled_back(self) -> Mapping[str, RollBack]:
        """The modules that are rolled back."""
        return {} if self._rolling_back is None else self._rolling_back.all()

    @_command
    async def enable(self, *names: str) -> list[str]:
        """Enable rules, permanently and with precedence over the configuration.

        In a cluster, this holds for all runners, and a full name may be that of a rule that another
        one runs.

        Returns:
            The full names of the rules.

        Raises:
            UnknownName: one of the names matches nothing.
        """
        return await self._switch(names, on=True)

    @_command
    async def disable(self, *names: str) -> list[str]:
        """Disable rules; see `enable`."""
        return await self._switch(names, on=False)

    async def _switch(self, names: Iterable[str], *, on: bool) -> list[str]:
        rules = sorted(self._find(names, elsewhere=True))
        emit(self._log, EnableRequested(rules=rules) if on else DisableRequested(rules=rules))
        released = [] if not on or self._guard is None else self._guard.release(rules)
        if self._cluster is not None:
            self._cluster.switches.switch(rules, on)
            self._cluster.quarantine.release(released)
            self._cluster.try_again()
        await self._set_switches(rules, on=on)
        return rules

    async def _switch_as_others(self, switches: "Mapping[str, Switch]") -> None:
        """Enable and disable the rules that were enabled or disabled at other runners."""
        switched = self._switches.all()
        for on in (True, False):
            rules = [
                rule
                for rule, switch in switches.items()
                if switch.on is on and switched.get(rule, self._is_configured(rule)) is not on
            ]
            if rules:
                emit(
                    self._log, EnableRequested(rules=rules) if on else DisableRequested(rules=rules)
                )
                await self._set_switches(rules, on=on)

    async def _quarantine_as_others(self, blames: "Mapping[str, SharedBlame]") -> None:
        """Disable the rules that have ended other runners, until they are enabled there."""
        released = {rule: each.released for rule, each in blames.items()}
        ended = [each.blame for each in blames.values() if not each.is_released]
        if self._guard is not None and self._guard.follow(ended, released):
            self._reloader.configure(self._settings())
            await self._reloader.follow()
            await self._reloader.update(await self._scan())  # without those that end it at import

    async def _set_switches(self, rules: Collection[str], *, on: bool) -> None:
        configured = {rule for rule in rules if self._is_configured(rule) is on}
        self._switches.switch(configured, on=None)
        self._switches.switch(set(rules) - configured, on=on)
        self._reloader.configure(self._settings())
        await self._reloader.follow()

    def _is_configured(self, rule: str) -> bool:
        return self._configuration.for_rule(rule).disabled is None

    @_command
    async def release(self, *paths: str) -> list[str]:
        """End the overrides of paths, so that the rules that drive them decide again.

        Returns:
            The paths that were changed by hand.

        Raises:
            NotDriven: no rule drives one of the paths; nothing was released.
        """
        drives = self._reloader.drives
        known = drives.paths()
        for path in paths:
            if path not in known:
                raise NotDriven(path, nearest(path, known))
        emit(self._log, ReleaseRequested(paths=list(paths)))
        return [path for path in paths if drives.release(path)]

    async def drain(self, *, undo: bool = False) -> dict[str, Any]:
        """Give all modules to other runners, or take some again; see `Cluster.drain`.

        Raises:
            NotInCluster: this runner is not in a cluster.
        """
        if self._cluster is None:
            raise NotInCluster
        return await self._cluster.drain(undo=undo)

    def _settings(self) -> Callable[[str], RuleSettings]:
        """Return a function that returns the present settings of a rule."""
        configuration = self._configuration
        switched = self._switches.all()
        guard = self._guard

        def of(rule: str) -> RuleSettings:
            settings = configuration.for_rule(rule)
            if not is_meant(rule, self._only):
                return replace(settings, disabled=f"by --only {self._only}")
            if guard is not None and (why := guard.disabled_reason(rule)) is not None:
                return replace(settings, disabled=why)
            if rule in switched:
                return replace(settings, disabled=None if switched[rule] else "by command")
            return settings

        return of

    def _find(self, names: Iterable[str], *, elsewhere: bool = False) -> set[str]:
        """Return the full names of the rules that the names match.

        Args:
            names: the names.
            elsewhere: whether they may be full names of rules that other runners run.
        """
        found: set[str] = set()
        for name in names:
            rules = {rule for rule in self._all() if is_meant(rule, name)}
            if not rules and elsewhere and self._is_elsewhere(name):
                rules = {name}
            if not rules:
                known = [*self._reloader.rules, *self._all()]
                raise UnknownName(name, difflib.get_close_matches(name, known, 3))
            found |= rules
        return found

    def _is_elsewhere(self, name: str) -> bool:
        return self._cluster is not None and self._cluster.is_elsewhere(name)

    def _all(self) -> set[str]:
        return set(chain.from_iterable(self._reloader.rules.values()))
