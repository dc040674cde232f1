"""One running version of a module: its client, its scopes, its rules.

An instance that replaces another is *prepared* while the old one keeps running: its rules are set
up, but their callbacks are not called, and their outputs are held back. Then it *takes over*, in
one step of the loop, or is closed without any effect.
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
from eshet.yarp.driving.drives import Drives, RuleName
from eshet.yarp.outputs import HeldOutput, Outputs
from eshet.yarp.sinks import skip_left
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.records.modules import SlowSetUp, StateHandedOver
from eshet_rules.audit.records.rules import TasksNotEnding
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import RuleDisabled
from eshet_rules.config import RuleSettings
from eshet_rules.keep import Keeping, KeptNode, kept_states
from eshet_rules.modules.importer import ModuleVersion
from eshet_rules.reload.class_mapping import ClassMapping
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
"""Time that a cancelled task has to end when the runner stops, in seconds."""

SET_UP_TIME: Final = 1.0
"""Time to wait for rules to be set up, in seconds; a function that still runs then is accepted."""

LONG_SET_UP_TIME: Final = 10.0
"""The same if the old version of a rule has completed its set-up; the new one should as well."""

_ANSWER_TIME: Final = 1.0
"""Time to wait until the server has dropped the paths of a stopped rule, in seconds."""


class ModuleInstance:
    """One version of a module, running from `prepare` to `close`.

    Args:
        version: the version of the module.
        connection: the module's client, which all of its instances share.
        log: receives messages about its rules.
        old: the running instance that it replaces.
        snapshot: the state to restore in place of that of the old instance: from before a restart
            without an old instance, or from before the version that is taken back.
        held_back: whether its outputs are held back until `take_over`.
        is_releasing: returns whether another module is about to release a path.
        settings: returns the settings of a rule, given its full name.
        conflicts: logs paths that its rules can't register.
        drives: the paths that rules of all modules drive; None if only those of this one do.
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
        drives: Drives | None = None,
    ) -> None:
        self.version: Final = version
        kind = "set-up" if old is None else "reload"
        self.cause: Final = Cause(kind, version.name, current_cause())
        """The cause of everything that its rules do in their set-up."""
        self.connection: Final = connection
        self._old = old
        self._inherited = snapshot
        self._settings = settings
        self._conflicts = conflicts
        self._log = log.bind(module=version.name, version=version.source.version)
        self._held_back = held_back
        self._client = RecordingClient(connection, held_back=held_back, is_releasing=is_releasing)
        self._outputs = Outputs(held_back=held_back)
        self._drives = drives or Drives()
        self._scope = TaskScope(version.name)
        self.roots: Final[tuple[Scope, ...]] = (
            self._scope,
            *(each.scope.root for each in version.with_imports()),
        )
        """The outermost scopes whose activity may change its state or its reports. Those of
        imported modules are among them: values of these may change nodes of this one."""
        self._preparation = self._scope.get(Preparation)
        self._preparation.is_under_way = held_back
        self._rules: dict[str, SupervisedRule] = {}
        self._since = wall_now(UTC)
        self._kept_by_disabled: dict[str, Mapping[str, Any]] = {}  # states of `keep` Values
        self._disabled: dict[str, tuple[str, datetime]] = {}  # why, and since when
        self.restored: tuple[int, int] = 0, 0
        """After a restart, the numbers of nodes that were and that could not be restored."""

    async def prepare(self) -> bool:
        """Start the rules, each under its strategy, and wait for them to be set up.

        Returns:
            Whether the first attempts of all rules succeeded, or still run after `SET_UP_TIME`, or
            failed for a path for which the running version waits as well. Failures were reported,
            and the strategies of the rules may retry.
        """
        snapshot = self._snapshot_to_restore()
        names = [rule.name for rule in self.version.rules.values()]
        for rule in self.version.rules.values():
            kept = snapshot.kept(rule.name, names) if snapshot is not None else {}
            if self._old is None or rule.on_reload is not OnReload.RESTART:
                with use_cause(self.cause):
                    self._start(rule, kept)
        attempts = {name: rule.first_attempt for name, rule in self._rules.items()}
        long = {name for name in attempts if self._finished_before(name)}
        restores = self._old is not None or self._inherited is not None
        connection = self.connection if restores else None
        await wait_for_set_up(attempts.values(), SET_UP_TIME, connection)
        if slow := [name for name in attempts if not attempts[name].done() and name in long]:
            rules = [f"{self.version.name}.{name}" for name in slow]
            emit(self._log, SlowSetUp(rules=rules, within_s=LONG_SET_UP_TIME - SET_UP_TIME))
            pending = [attempts[name] for name in slow]
            await wait_for_set_up(pending, LONG_SET_UP_TIME - SET_UP_TIME, connection)
        return not self.failed_rules

    @property
    def failed_rules(self) -> list[SupervisedRule]:
        """The rules with a failed first attempt, other than for a path of the old version."""
        return [
            rule
            for name, rule in self._rules.items()
            if rule.first_attempt.done()
            and not rule.first_attempt.result()
            and not self._waited_before(name, rule.taken_path)
        ]

    def _waited_before(self, name: str, path: str) -> bool:
        """Whether a rule of the old version waits for this path, too."""
        old = None if self._old is None else self._old._rules.get(name)
        return bool(path) and old is not None and old.taken_path == path

    def take_over(self, when_free: Awaitable[object] | None = None) -> None:
        """Replace the old instance, which is disposed, in one step.

        Args:
            when_free: done when the paths that other modules were about to release are free.
        """
        if not self._held_back:
            return
        snapshot = self._snapshot_to_restore()
        old, self._old, self._inherited = self._old, None, None
        # In the direction of the data flow: inputs, nodes, outputs.
        with use_cause(self.cause), self._drives.held():
            with quietly():
                if old is not None:
                    rules = old._all_rules_by_scope() | self._all_rules_by_scope()
                    self._client.take_over(old._client, when_free, rules)
                else:
                    self._client.take_over(when_free=when_free)
                if snapshot is not None:
                    self._restore(snapshot, after_restart=old is None)
                beginning = self._preparation.end()
                observed = self._observed(snapshot)
            if old is not None:
                old._scope.begin_close(Reason.REPLACED)
            if snapshot is not None:
                left = self._outputs.release(
                    self._rules_by_scope(),
                    snapshot.outputs,
                    was_down=snapshot.was_down,
                    epoch=snapshot.epoch,
                )
                version = snapshot.version if old is None else old.version.source.version
                self._record_unfinished(version, left)
                if old is None:
                    for each in left:  # of rules that are disabled, or failed in set-up
                        self._drives.restore(each.data, snapshot.epoch)
            else:
                self._outputs.release(self._rules_by_scope())
            self._notify(observed, beginning)
        self._held_back = False
        for rule in self._rules.values():
            rule.go_live()

    def _snapshot_to_restore(self) -> ModuleSnapshot | None:
        """Return the snapshot to restore, with the classes of this version; None without one."""
        if self._old is None:
            return self._inherited
        snapshot = self._old.snapshot()
        if self._inherited is not None:
            snapshot = self._inherited.after(snapshot.outputs)
        return snapshot.changed(ClassMapping(self.version))

    def _restore(self, snapshot: ModuleSnapshot, *, after_restart: bool) -> None:
        now = asyncio.get_running_loop().time()
        context = RestoreContext(now, snapshot.epoch, now if snapshot.was_down else -math.inf)
        refused = self._refused()
        nodes = stateful_nodes({n: s for n, s in self._scopes().items() if n not in refused})
        outcome = hand_over(snapshot.nodes, nodes, context)
        migrated = {d for d, node in nodes if isinstance(node, KeptNode) and node.migrated}
        self._log_hand_over(outcome, migrated, refused, after_restart=after_restart)

    def _observed(self, snapshot: ModuleSnapshot | None) -> list[ObservedValue]:
        """Return the observed Values, with the values that the old version notified them of."""
        observed = observed_values(self._scopes())
        if snapshot is not None:
            matching = match(
                [each.description for each in snapshot.notified], [d for d, _ in observed]
            )
            for position, old_position in matching.pairs.items():
                observed[position][1].restore(snapshot.notified[old_position].data)
        return [each for _, each in observed]

    def _notify(self, observed: list[ObservedValue], beginning: list[Subscription]) -> None:
        """Notify observers of values that differ from those that the old version notified them of.

        Args:
            observed: the observed Values.
            beginning: subscriptions that begin with the present value; they are only called for
                Values without observers in the old version.
        """
        known = {each.node for each in observed if each.was_notified}
        for subscription in beginning:
            if subscription.observed not in known:
                subscription.call(subscription.observed.value)
        notify(observed)

    def _record_unfinished(self, version: str, unfinished: list[Snapshot]) -> None:
        """Record unfinished outputs of the old version as skipped, if no sink takes them over."""
        for output in unfinished:
            name = output.description.rule
            rule = f"{self.version.name}.{name}" if name else None
            with use_actor(Actor(rule, self.version.name, version)):
                skip_left(self._client, output, Reason.REPLACED)

    def start_restarting_rules(self) -> None:
        """Start the rules that had to wait until the old instance has ended."""
        with use_cause(self.cause):
            for rule in self.version.rules.values():
                if rule.name not in self._rules and rule.name not in self._disabled:
                    self._start(rule)

    def snapshot(self, epoch: float = 0.0) -> ModuleSnapshot:
        """Return the state that the next instance restores; see `Node.snapshot`."""
        nodes = snapshot_scopes(self._scopes(), epoch)
        return ModuleSnapshot(
            self.version.source.version,
            [
                *nodes,
                *(each for rule in self._rules.values() for each in rule.kept_by_last),
                *(
                    each
                    for name, kept in self._kept_by_disabled.items()
                    for each in kept_states(name, kept)
                ),
            ],
            self._outputs.snapshot(self._all_rules_by_scope(), epoch),
            [
                Snapshot(about, [value.node.value])
                for about, value in observed_values(self._scopes())
            ],
            epoch,
        )

    async def follow(self, settings: Callable[[str], RuleSettings]) -> None:
        """Start rules that are enabled now, and stop those that are disabled now.

        Args:
            settings: returns the present settings of a rule.
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
                self._scope.note_activity()  # now, as there may have been reports while it ended
                emit(self._log, RuleDisabled(rule=self._full_name(rule), why=why))

    async def restart(self, name: str, kept: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Stop a rule, and start it without its state if it is enabled.

        Args:
            name: the name of the rule in the module.
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
            self._log_still_running(still_running)
            await self._client.wait_leaving(_ANSWER_TIME)

    def reports(self) -> Iterator[RuleReport]:
        """Iterate over the present reports on all rules."""
        sinks = self._outputs.by_rule(self._all_rules_by_scope())
        waiting, waiting_s = self._client.waiting_inputs
        for name, rule in self.version.rules.items():
            status = self._status(rule)
            uses = self._uses(name)
            own = sinks.get(name, []) if uses else []
            writes = (uses.writes if uses else set()) | {sink.path for sink in own}
            holds = {sink.path for sink in own if sink.function == "set_value" and sink.follows}
            yield RuleReport(
                self._full_name(rule),
                self.version.name,
                status,
                tuple(sorted(uses.reads)) if uses else (),
                tuple(sorted(writes)),
                tuple(sorted(holds)),
                tuple(sorted({sink.path for sink in own if sink.function == "drive"})),
                waiting,
                waiting_s,
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

    def sinks(self) -> dict[str, list[HeldOutput]]:
        """Return the sinks of each rule, by its full name, even if nothing was sent yet."""
        sinks = self._outputs.by_rule(self._all_rules_by_scope())
        return {f"{self.version.name}.{name}": own for name, own in sinks.items() if name}

    def outputs(self) -> list[HeldOutput]:
        """Return all sinks."""
        return self._outputs.all()

    def scopes(self) -> dict[str, Scope]:
        """Return the scopes of the present attempts of all rules, by their full names."""
        return {
            self._full_name(supervised.rule): supervised.attempt_scope
            for supervised in self._rules.values()
            if supervised.attempt_scope is not None
        }

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
        """Wait until the server has removed all paths that the module has released."""
        await self._client.wait_released()

    def begin_end(self) -> None:
        """Ignore all further inputs: the module is about to be closed, with its connection."""
        self._client.begin_end()

    def begin_close(self, reason: Reason) -> None:
        """Do the part of `close` that does not wait; the caller must call `close` soon."""
        self._scope.begin_close(reason)

    @property
    def has_ended(self) -> bool:
        """Whether its rules have ended, so that their state is gone."""
        return self._scope.disposed

    async def close(self, reason: Reason) -> None:
        """Dispose the rules and everything that they own, and wait until their tasks have ended."""
        self._old = None
        self._log_still_running(
            await self._scope.close(
                reason,
                shutdown_time=STOP_TIME
                if reason in (Reason.SHUTDOWN, Reason.MOVED)
                else SHUTDOWN_TIME,
            )
        )

    def _log_still_running(self, still_running: list[str]) -> None:
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
        scope.provide(Drives, self._drives)
        scope.provide(RuleName, RuleName(full_name))
        scope.provide(Keeping, Keeping(self.version.source.version, kept))
        own_log = log.bind(logger=full_name)  # messages of a rule have no schema
        arguments = {"client": self._client, "config": settings.parameters, "log": own_log}
        supervised = self._rules[rule.name] = SupervisedRule(
            rule,
            scope,
            arguments,
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

        failures.note, failures.note_recovery = note, supervised.note_recovery
        with use_actor(Actor(full_name, self.version.name, self.version.source.version)):
            supervised.start()

    def _scopes(self) -> dict[str, Scope]:
        """Return the scopes with state to hand over, by the names of their rules."""
        scopes: dict[str, Scope] = {"": self.version.scope}
        for name, supervised in self._rules.items():
            if supervised.attempt_scope and supervised.rule.on_reload is OnReload.HAND_OVER:
                scopes[name] = supervised.attempt_scope
        return scopes

    def _rules_by_scope(self) -> dict[Scope, str]:
        return {scope: name for name, scope in self._scopes().items()}

    def _all_rules_by_scope(self) -> dict[Scope, str]:
        """Return the names of all rules by scope, including those without a hand-over."""
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

    def _log_hand_over(
        self,
        outcome: HandOverResult,
        migrated: set[Any],
        refused: Mapping[str, str],
        *,
        after_restart: bool,
    ) -> None:
        """Log the result of the hand-over for each rule with state.

        A restart concerns all rules, and the runner logs their sum in one line. So after a restart,
        a rule is logged at debug level unless it missed firings or refused the hand-over.
        """
        if after_restart:
            self.restored = len(outcome.kept), len(outcome.afresh)
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
    """Return the text of a description in a form that the log can contain."""
    return encodable(shorten(str(description), 200))
