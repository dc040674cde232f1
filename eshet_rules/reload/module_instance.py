"""One version of one module, brought to life: its client, its scopes, its rules.

A generation that replaces another is *prepared* while that one works on: its rules are set up, it
hears nothing, and its outputs are held back. Then it *takes over*, in one step of the loop, or is
closed without the house having noticed.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, current_cause, use_cause
from eshet.client import Client
from eshet.clock import wall_now
from eshet.exceptions import PathTaken
from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.core.subscription import Preparation, Subscription
from eshet.reactive.handover.handover import (
    HandOverResult,
    ObservedValue,
    Snapshot,
    hand_over,
    notify,
    observed_values,
    quietly,
    snapshot_scopes,
    stateful_nodes,
)
from eshet.reactive.handover.matching import Description, match
from eshet.scope import Reason, Scope
from eshet.text import encodable, safe_repr, shorten
from eshet.user_errors import is_error
from eshet.yarp.default_client import DefaultClient
from eshet.yarp.outputs import Outputs
from eshet.yarp.sinks import skip_left
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.records import RuleDisabled, StateHandedOver, TasksNotEnding, emit
from eshet_rules.config import RuleSettings
from eshet_rules.keep import Keeping, KeptNode, kept_states
from eshet_rules.modules.importer import ModuleVersion
from eshet_rules.reload.class_mapping import Renewal
from eshet_rules.reload.path_conflicts import PathConflicts
from eshet_rules.reload.path_usage import PathUsage, RecordingClient, path_usage_of
from eshet_rules.reload.set_up import wait_for_set_up
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.rule import OnReload, Rule
from eshet_rules.supervision.failures import Failures
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.scope import SHUTDOWN_TIME, TaskScope
from eshet_rules.supervision.status import RuleState, RuleStatus
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["SET_UP_TIME", "ModuleInstance"]

STOP_TIME: Final = 3.0
"""How long a cancelled task may take to end when the runner stops, in seconds."""

SET_UP_TIME: Final = 1.0
"""How long to wait for rules to set up, in seconds; one that still runs then is taken as set up."""

LONG_SET_UP_TIME: Final = 10.0
"""The same for a rule whose old version has come to an end of its set-up: this one will, too."""


class ModuleInstance:
    """One version of one module, alive from `prepare` to `close`.

    Args:
        version: of the module.
        connection: the module's client, which all of its generations share.
        log: where what happens to its rules is logged.
        old: what it takes over from.
        legacy: what it goes on with instead, if the old generation is not there any more.
        held_back: whether it waits to take over; else it is live from the start.
        is_releasing: returns whether another module is about to give up a path.
        settings: tells what is configured of a rule, given its full name.
        conflicts: logs which paths its rules can't have.
    """

    def __init__(
        self,
        version: ModuleVersion,
        connection: Client,
        log: FilteringBoundLogger,
        *,
        old: "ModuleInstance | None" = None,
        snapshot: ModuleSnapshot | None = None,
        held_back: bool = False,
        is_releasing: Callable[[str], bool] = lambda path: False,
        settings: Callable[[str], RuleSettings] = lambda rule: RuleSettings(),
        conflicts: PathConflicts | None = None,
    ) -> None:
        self.version: Final = version
        kind = "set-up" if old is None else "reload"
        self.cause: Final = Cause(kind, version.name, current_cause())
        """Of what its rules do when they are set up."""
        self.connection: Final = connection
        self._old = old
        self._legacy = snapshot
        self._settings = settings
        self._conflicts = conflicts
        self._log = log.bind(module=version.name, version=version.source.version)
        self._held_back = held_back
        self._client = RecordingClient(connection, held_back=held_back, is_releasing=is_releasing)
        self._outputs = Outputs(held_back=held_back)
        self._scope = TaskScope(version.name)
        self._preparation = self._scope.get(Preparation)
        self._preparation.is_under_way = held_back
        self._rules: dict[str, SupervisedRule] = {}
        self._since = wall_now(UTC)
        self._kept_by_disabled: dict[str, Mapping[str, Any]] = {}  # states of `keep` Values
        self._disabled: dict[str, tuple[str, datetime]] = {}  # why, and since when
        self.resumed = 0, 0
        """How much of what was remembered over a restart is kept, and how much began afresh."""

    async def prepare(self) -> bool:
        """Start the rules, each under its strategy, and wait for them to be set up.

        Returns:
            Whether no rule failed in its first attempt, in as much as that is known in
            `SET_UP_TIME`. Those that failed have been reported, and may be tried again by their
            strategies.
        """
        snapshot = self._given_by_old()
        names = [rule.name for rule in self.version.rules.values()]
        for rule in self.version.rules.values():
            kept = snapshot.kept(rule.name, names) if snapshot is not None else {}
            if self._old is None or rule.on_reload is not OnReload.RESTART:
                with use_cause(self.cause):
                    self._start(rule, kept)
        attempts = {name: rule.first_attempt for name, rule in self._rules.items()}
        long = {attempts[name] for name in attempts if self._finished_before(name)}
        goes_on = self._old is not None or self._legacy is not None
        connection = self.connection if goes_on else None
        await wait_for_set_up(long, LONG_SET_UP_TIME - SET_UP_TIME, connection)
        await wait_for_set_up(attempts.values(), SET_UP_TIME, connection)
        return all(attempt.result() for attempt in attempts.values() if attempt.done())

    def take_over(self, when_free: Awaitable[object] | None = None) -> None:
        """Become the live one in the place of the old generation, which is disposed; all at once.

        Args:
            when_free: when the paths that other modules were about to give up are free.
        """
        if not self._held_back:
            return
        snapshot = self._given_by_old()
        old, self._old, self._legacy = self._old, None, None
        # From below upwards: what is heard, what is made of that, and what is said of it.
        with use_cause(self.cause):
            with quietly():
                self._client.take_over(old._client if old is not None else None, when_free)
                if snapshot is not None:
                    self._receive(snapshot)
                beginning = self._preparation.end()
                observed = self._observed(snapshot)
            if old is not None:
                old._scope.begin_close(Reason.REPLACED)
            if snapshot is not None:
                self._tell_left(
                    snapshot.version,
                    self._outputs.release(
                        self._rules_by_scope(), snapshot.outputs, was_down=snapshot.was_down
                    ),
                )
            else:
                self._outputs.release(self._rules_by_scope())
            self._notify(observed, beginning)
        self._held_back = False
        for rule in self._rules.values():
            rule.go_live()

    def _given_by_old(self) -> ModuleSnapshot | None:
        """Return what there is to go on with, in terms of the classes of this version."""
        if self._old is None:
            return self._legacy
        return self._old.snapshot().changed(Renewal(self.version))

    def _receive(self, snapshot: ModuleSnapshot) -> None:
        now = asyncio.get_running_loop().time()
        context = RestoreContext(now, snapshot.epoch, now if snapshot.was_down else -math.inf)
        refused = self._refused()
        nodes = stateful_nodes({n: s for n, s in self._scopes().items() if n not in refused})
        outcome = hand_over(snapshot.nodes, nodes, context)
        migrated = {d for d, node in nodes if isinstance(node, KeptNode) and node.migrated}
        self._tell(outcome, migrated, refused, after_restart=snapshot.was_down)

    def _observed(self, snapshot: ModuleSnapshot | None) -> list[ObservedValue]:
        """Return the Values with observers, and what the old version notified these of."""
        observed = observed_values(self._scopes())
        if snapshot is not None:
            matching = match(
                [memo.description for memo in snapshot.notified], [d for d, _ in observed]
            )
            for position, theirs in matching.pairs.items():
                observed[position][1].restore(snapshot.notified[theirs].data)
        return [each for _, each in observed]

    def _notify(self, observed: list[ObservedValue], beginning: list[Subscription]) -> None:
        """Notify observers of what differs from what the old version had notified them of.

        Args:
            observed: the Values.
            beginning: the callbacks that begin with the present value, where the old version had
                no observers.
        """
        known = {each.node for each in observed if each.was_notified}
        for subscription in beginning:
            if subscription.node not in known:
                subscription.call(subscription.node.value)
        notify(observed)

    def _tell_left(self, version: str, left: list[Snapshot]) -> None:
        """Tell what sinks of the old version have left unfinished that no sink goes on with."""
        for memo in left:
            rule = f"{self.version.name}.{memo.description.rule}" if memo.description.rule else None
            with use_actor(Actor(rule, self.version.name, version)):
                skip_left(self._client, memo, Reason.REPLACED)

    def start_restarting_rules(self) -> None:
        """Start the rules that had to wait until the old generation has ended."""
        with use_cause(self.cause):
            for rule in self.version.rules.values():
                if rule.name not in self._rules and rule.name not in self._disabled:
                    self._start(rule)

    def snapshot(self, epoch: float = 0.0) -> ModuleSnapshot:
        """Return what another generation needs to go on as this one would; see `Node.snapshot`."""
        nodes = snapshot_scopes(self._scopes(), epoch)
        return ModuleSnapshot(
            self.version.source.version,
            [
                *nodes,
                *(each for rule in self._rules.values() for each in rule.left),
                *(
                    each
                    for name, kept in self._kept_by_disabled.items()
                    for each in kept_states(name, kept)
                ),
            ],
            self._outputs.snapshot(self._all_rules_by_scope()),
            [
                Snapshot(about, [value.node.value])
                for about, value in observed_values(self._scopes())
            ],
            epoch,
        )

    async def follow(self, settings: Callable[[str], RuleSettings]) -> None:
        """Start rules that are enabled now, and end those that are disabled; no other is touched.

        Args:
            settings: as configured now.
        """
        self._settings = settings
        for rule in self.version.rules.values():
            why = settings(self._full_name(rule)).disabled
            if why is None and rule.name in self._disabled:
                kept = self._kept_by_disabled.pop(rule.name, {})
                await self.restart(rule.name, kept)
            elif why is not None and self._disabled.get(rule.name, ("",))[0] != why:
                if rule.name in self._rules:
                    self._kept_by_disabled[rule.name] = self._rules[rule.name].kept()
                await self._stop(rule.name, Reason.DISABLED)
                self._disabled[rule.name] = why, wall_now(UTC)
                emit(self._log, RuleDisabled(rule=self._full_name(rule), why=why))

    async def restart(self, name: str, kept: Mapping[str, Any] = MappingProxyType({})) -> None:
        """End a rule, if it runs, and start it without state, if it is enabled.

        Args:
            name: of the rule.
            kept: the states of `keep` Values that it may restore, by their names.
        """
        await self._stop(name, Reason.RESTARTED)
        self._disabled.pop(name, None)
        rule = self.version.rules[name]
        with use_cause(Cause("restart", self._full_name(rule), current_cause())):
            self._start(rule, kept)

    async def _stop(self, name: str, reason: Reason) -> None:
        supervised = self._rules.pop(name, None)
        if supervised is not None:
            still_running = await supervised.scope.close(reason)
            self._tell_still_running(still_running)

    def reports(self) -> Iterator[RuleReport]:
        """Iterate over how each rule is now."""
        written = self._outputs.paths(self._all_rules_by_scope())
        for name, rule in self.version.rules.items():
            status = self._status(rule)
            uses = self._uses(name)
            writes = uses.writes | written.get(name, set()) if uses else set()
            yield RuleReport(
                self._full_name(rule),
                self.version.name,
                status,
                tuple(sorted(uses.reads)) if uses else (),
                tuple(sorted(writes)),
                tuple(sorted(uses.sets)) if uses else (),
            )

    def _status(self, rule: Rule) -> RuleStatus:
        supervised = self._rules.get(rule.name)
        if supervised is not None:
            return supervised.status()
        why, since = self._disabled.get(rule.name, ("", self._since))
        return RuleStatus(
            RuleState.DISABLED, since, self.version.source.version, strategy="", why=why
        )

    def _uses(self, name: str) -> PathUsage | None:
        supervised = self._rules.get(name)
        scope = supervised.attempt_scope if supervised is not None else None
        return None if scope is None or scope.disposed else path_usage_of(scope)

    @property
    def supervised(self) -> Collection[SupervisedRule]:
        """The rules that were started."""
        return self._rules.values()

    @property
    def is_at_rest(self) -> bool:
        """Whether its rules have begun to handle all of their input."""
        return not self._scope.has_unbegun_tasks

    def owns(self, path: str) -> bool:
        """Whether the module has registered a path."""
        return self._client.owns(path)

    async def wait_released(self) -> None:
        """Wait until the server knows of all paths that the module has given up."""
        await self._client.wait_released()

    async def close(self, reason: Reason) -> None:
        """End the rules and all that they made, and wait for the end of their tasks."""
        self._old = None
        self._tell_still_running(
            await self._scope.close(
                reason, shutdown_time=STOP_TIME if reason is Reason.SHUTDOWN else SHUTDOWN_TIME
            )
        )

    def _tell_still_running(self, still_running: list[str]) -> None:
        if still_running:
            emit(self._log, TasksNotEnding(tasks=still_running))

    def _full_name(self, rule: Rule) -> str:
        return f"{self.version.name}.{rule.name}"

    def _finished_before(self, rule: str) -> bool:
        old = None if self._old is None else self._old._rules.get(rule)
        return old is not None and old.first_attempt.done() and old.first_attempt.result()

    def _start(self, rule: Rule, kept: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Start a rule, if it is enabled.

        Args:
            rule: which one.
            kept: the data of the Values that the old version kept, by name.
        """
        full_name = self._full_name(rule)
        settings = self._settings(full_name)
        if settings.disabled is not None:
            self._disabled[rule.name] = settings.disabled, wall_now(UTC)
            self._kept_by_disabled[rule.name] = kept
            return
        log = self._log.bind(rule=full_name)

        failures = Failures(log, lambda: self._client.connected)
        scope = TaskScope(
            full_name,
            parent=self._scope,
            on_error=failures.report,
            on_success=failures.succeeded,
        )
        scope.provide(DefaultClient, DefaultClient(self._client))
        scope.provide(Outputs, self._outputs)
        scope.provide(Keeping, Keeping(self.version.source.version, kept))
        own_log = log.bind(logger=full_name)  # what a rule tells has no schema
        given = {"client": self._client, "config": settings.parameters, "log": own_log}
        supervised = self._rules[rule.name] = SupervisedRule(
            rule,
            scope,
            given,
            version=self.version.source.version,
            strategy=settings.strategy,
            limits=settings.limits,
            log=log,
            live=not self._held_back,
        )

        def note(error: Any) -> None:
            supervised.note_error(error)
            if is_error(error, PathTaken) and self._conflicts is not None:
                self._conflicts.add(full_name, error, self.connection)

        failures.note = note
        with use_actor(Actor(full_name, self.version.name, self.version.source.version)):
            supervised.start()

    def _scopes(self) -> dict[str, Scope]:
        """Return the scopes whose things are handed over, by the names of their rules."""
        scopes: dict[str, Scope] = {"": self.version.scope}
        for name, supervised in self._rules.items():
            if supervised.attempt_scope and supervised.rule.on_reload is OnReload.HAND_OVER:
                scopes[name] = supervised.attempt_scope
        return scopes

    def _rules_by_scope(self) -> dict[Scope, str]:
        return {scope: name for name, scope in self._scopes().items()}

    def _all_rules_by_scope(self) -> dict[Scope, str]:
        """Return the names of all rules, also of those of which nothing is handed over."""
        rules: dict[Scope, str] = {self.version.scope: ""}
        rules.update({r.attempt_scope: n for n, r in self._rules.items() if r.attempt_scope})
        return rules

    def _refused(self) -> dict[str, str]:
        """Return why rules refuse the hand-over, by their names."""
        return {
            name: why
            for name, rule in self._rules.items()
            if rule.attempt_scope and (why := rule.attempt_scope.handover.refused) is not None
        }

    def _tell(
        self,
        outcome: HandOverResult,
        migrated: set[Any],
        refused: Mapping[str, str],
        *,
        after_restart: bool,
    ) -> None:
        """Tell of each rule what has become of its state, where it has any.

        After a restart that is so for all rules at once: how much it is, is told in one line, and
        here only what people may have to do something about.
        """
        if after_restart:
            self.resumed = len(outcome.kept), len(outcome.afresh)
        for name in ["", *self._rules]:
            kept = [each for each in outcome.kept if each.rule == name]
            event = StateHandedOver(
                rule=f"{self.version.name}.{name}" if name else None,
                kept=[_text(each) for each in kept if each not in migrated] or None,
                migrated=[_text(each) for each in kept if each in migrated] or None,
                afresh=[
                    f"{_text(each)}: {why}" for each, why in outcome.afresh if each.rule == name
                ]
                or None,
                missed=[
                    f"{_text(each)}: {safe_repr(what, 200)}"
                    for each, what in outcome.missed
                    if each.rule == name
                ]
                or None,
                refused=refused.get(name),
            )
            has_news = event.missed or event.refused
            if has_news or event.kept or event.migrated or event.afresh:
                is_usual = after_restart and not has_news
                emit(self._log, event, level="debug" if is_usual else None)


def _text(description: Description) -> str:
    """Return what people call something, as a log can hold it."""
    return encodable(shorten(str(description), 200))
