"""Sends the decisions of the arbiter of one path, and passes it the values that the path shows."""

import asyncio
import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from eshet.cause import Cause, current, use_cause
from eshet.clock import wall_time
from eshet.exceptions import ErrorValue, MessageTooLong, NotShown, UnsupportedValue
from eshet.reactive.core.markers import NoValue
from eshet.scope import Reason, Scope
from eshet.unknown import Unknown
from eshet.yarp.driving.arbiter import Arbiter
from eshet.yarp.driving.driver import Driver, Effect, EndOfOverride, Person, Send
from eshet.yarp.driving.sent_values import SentValue, matches

__all__ = ["DrivenPath", "DrivingSink"]


class DrivingSink(Protocol):
    """The sink of a driver."""

    @property
    def driver(self) -> Driver:
        """The driver."""

    @property
    def shown(self) -> object:
        """The value that its client observes at the path."""

    @property
    def scope(self) -> Scope | None:
        """The scope that owns it."""

    @property
    def tracks_causes(self) -> bool:
        """Whether its outputs have causes."""

    def submit(self, sent: SentValue, *, is_own: bool) -> None:
        """Send a value under its strategy, for the current cause.

        Args:
            sent: the value.
            is_own: whether it is that of the driver; else it is that of a person.
        """

    def note_shown(self, value: object) -> None:
        """Record that a value is not sent as the path shows it already."""


class DrivenPath:
    """A path with drivers.

    Args:
        path: the path.
        is_held: returns whether nothing may be decided at present; see `Drives.held`.
        on_effect: called with the path and each effect but `Send`.
    """

    def __init__(
        self, path: str, is_held: Callable[[], bool], on_effect: Callable[[str, Effect], object]
    ) -> None:
        self.path: Final = path
        self.arbiter: Final = Arbiter()
        self._is_held = is_held
        self._on_effect = on_effect
        self._sinks: dict[Driver, DrivingSink] = {}
        self._lead: DrivingSink | None = None  # its observation counts
        self._changed = asyncio.Event()  # set when the path shows something else, then replaced
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False  # whether to decide as soon as that is possible
        self._due_cause: Cause | None = None  # of the last change since then
        self._changed_drivers: set[Driver] = set()  # since the last decision

    @property
    def has_drivers(self) -> bool:
        """Whether it has a driver."""
        return bool(self._sinks)

    # --- drivers ------------------------------------------------------------------------------

    def join(self, sink: DrivingSink, state: Any = None, epoch: float = 0.0) -> None:
        """Add the driver of a sink.

        Args:
            sink: the sink.
            state: the state that its predecessor has left; see `Arbiter.snapshot`.
            epoch: the loop's time that counts as 0 in the state.
        """
        self._sinks[sink.driver] = sink
        self.arbiter.join(sink.driver)
        self._note_wish(sink.driver)
        if self._lead is None:
            self._note_unseen()
            self._follow(sink)
        if state is not None:
            self.arbiter.restore(state, sink.driver, epoch)
            self._restore_cause(state)
        self.decide()

    def restore(self, state: Any, epoch: float) -> None:
        """Continue from the state of a driver of an earlier process that has not joined yet.

        Args:
            state: see `Arbiter.snapshot`.
            epoch: the loop's time that counts as 0 in the state.
        """
        self.arbiter.restore(state, None, epoch)
        self._restore_cause(state)
        if self._sinks:
            self.decide()

    def leave(self, sink: DrivingSink) -> None:
        """Remove the driver of a sink, as its scope has ended."""
        if self._sinks.pop(sink.driver, None) is None:
            return
        self.arbiter.leave(sink.driver)
        if sink is self._lead:
            self._lead = None
            for other in self._sinks.values():
                self._follow(other)
                break
        reason = None if sink.scope is None else sink.scope.reason
        if reason in (Reason.SHUTDOWN, Reason.MOVED):
            self._stop_timer()  # the next process continues
        else:
            self.decide()

    def change(self, driver: Driver, value: object) -> None:
        """Note the value that a driver wants, and decide."""
        self.arbiter.change(driver, value)
        self._note_wish(driver)
        self.decide()

    def _note_wish(self, driver: Driver) -> None:
        driver.cause = current.get() or driver.cause
        self._changed_drivers.add(driver)

    def _follow(self, sink: DrivingSink) -> None:
        self._lead = sink
        if not matches(self.arbiter.shown, sink.shown):
            self._show(sink.shown, by_owner=True)

    def _note_unseen(self) -> None:
        """The path was not observed for a time: who has changed it meanwhile is not known."""
        if self.arbiter.shown is not Unknown:
            self._show(Unknown, by_owner=False)

    # --- the shown value ----------------------------------------------------------------------

    def show(self, sink: DrivingSink, value: object, *, by_owner: bool) -> None:
        """Note the value that the client of a sink observes, and decide.

        Args:
            sink: the sink.
            value: the value; `Unknown` if it is unknown.
            by_owner: of an unknown state: whether its owner is away; else the connection is lost.
        """
        if sink is self._lead:
            self._show(value, by_owner=by_owner)
            self.decide()

    def _show(self, value: object, *, by_owner: bool) -> None:
        cause = current.get()
        by_rule = cause is not None and self._is_by_rule(cause)
        now = asyncio.get_running_loop().time()
        self.arbiter.show(value, now, by_rule=by_rule, by_owner=by_owner, cause=cause)
        self._note_progress()

    def _is_by_rule(self, cause: Cause) -> bool:
        """Whether the change of the path with this cause follows from an output of a rule.

        A rule may own the path. If it was asked to set it, it matters who has asked.
        """
        parent = cause.parent
        was_asked = parent is not None and (parent.kind, parent.path) == ("set", self.path)
        return (
            parent.parent_id if parent is not None and was_asked else cause.parent_id
        ) is not None

    def note_owner(self) -> None:
        """Note that the owner of the path has registered it again, and decide."""
        self.arbiter.note_owner()
        self.decide()

    def release(self) -> bool:
        """End the override by command; return whether there was one."""
        had_override = self.arbiter.release("command")
        self.decide()
        return had_override

    def end_stand_by(self, driver: Driver, why: EndOfOverride) -> None:
        """Let a driver decide again before the time of its override is over."""
        self.arbiter.end_stand_by(driver, why)
        self.decide()

    # --- deciding -----------------------------------------------------------------------------

    def decide(self) -> None:
        """Decide now, unless nothing may be decided at present."""
        self._is_due = self._is_held()
        if self._is_due:
            self._due_cause = current.get() or self._due_cause
            return
        now = asyncio.get_running_loop().time()
        before = self.arbiter.target
        effects = self.arbiter.arbitrate(now)
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect)
            else:
                self._on_effect(self.path, effect)
        if effects or self.arbiter.target is not before:
            self._note_activity()
            self._note_progress()
        if self.arbiter.target is not before and not any(isinstance(e, Send) for e in effects):
            self._note_skipped()
        self._changed_drivers.clear()
        self._set_timer(self.arbiter.deadline(now))

    def decide_if_due(self) -> None:
        """Decide if `decide` was called while nothing could be decided."""
        if not self._is_due:
            return
        cause, self._due_cause = self._due_cause, None
        if self.arbiter.is_override_over(asyncio.get_running_loop().time()):
            self._changed_drivers.clear()  # a value is sent for the end of the override
            cause = self._cause_of_end()
        with use_cause(cause or current.get()):
            self.decide()

    def _send(self, send: Send) -> None:
        sink = self._sinks[send.driver]
        with use_cause(self._cause_of(send) if sink.tracks_causes else current.get()):
            sink.submit(send.sent, is_own=send.person is None)

    def _cause_of(self, send: Send) -> Cause | None:
        """Return the cause of sending a value; that of the path's own change is only a parent."""
        if send.person is not None:
            return Cause("override", self.path, send.person.cause)
        if send.why == "decision":
            return self._cause_of_decision(send.driver)
        return Cause(send.why, self.path, send.cause)

    def _cause_of_decision(self, driver: Driver) -> Cause | None:
        """Return why a driver decides, or wants its value.

        Several drivers may have changed while nothing could be decided, each for its own cause.
        """
        own: Cause | None = driver.cause
        return own if driver in self._changed_drivers else current.get() or own

    def _note_skipped(self) -> None:
        """Record for the driver that decides that the path shows its value already."""
        decides = self.arbiter.decides
        if isinstance(decides, Driver) and self.arbiter.is_so:
            with use_cause(self._cause_of_decision(decides)):
                self._sinks[decides].note_shown(decides.value)

    def _note_activity(self) -> None:
        """The state of each module with a driver has changed: it is part of their snapshots."""
        for sink in self._sinks.values():
            if sink.scope is not None:
                sink.scope.note_activity()

    # --- sending ------------------------------------------------------------------------------

    def is_wanted(self, sent: SentValue) -> bool:
        """Whether a value is still the one to send."""
        return self.arbiter.wants(sent)

    @contextlib.contextmanager
    def attempting(self, sent: SentValue) -> Iterator[None]:
        """Note within the `with` statement that a value is being sent."""
        self.arbiter.note_attempt(sent, asyncio.get_running_loop().time())
        try:
            yield
        except (ErrorValue, MessageTooLong, UnsupportedValue):
            self.arbiter.note_refused(sent)
            raise
        finally:
            sent.is_pending = False

    async def wait_shown(self, sent: SentValue, seconds: float) -> None:
        """Wait until the path shows a value that was sent, or that value is not wanted any more.

        Raises:
            NotShown: the path does not show it in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.is_wanted(sent) and not self.arbiter.shows(sent.value):
                    await self._changed.wait()
        except TimeoutError:
            raise NotShown(self.path, sent.value, self.arbiter.shown, seconds) from None

    def _note_progress(self) -> None:
        """Wake those that wait for the path to show a value."""
        self._changed.set()
        self._changed = asyncio.Event()

    # --- time ---------------------------------------------------------------------------------

    def _set_timer(self, deadline: float) -> None:
        self._stop_timer()
        if deadline < math.inf:
            loop = asyncio.get_running_loop()
            # In a context without a scope: the timer belongs to the path, not to a rule.
            context = contextvars.Context()
            self._timer = loop.call_at(deadline, self._on_time, context=context)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        with use_cause(self._cause_of_end()):
            self.decide()

    def _cause_of_end(self) -> Cause | None:
        """Return the cause of changes when the time of an override is over."""
        person = self.arbiter.person
        if person is None or not any(each.tracks_causes for each in self._sinks.values()):
            return None
        return Cause("timer", f"override of {self.path}", person.cause)

    # --- hand-over ----------------------------------------------------------------------------

    def snapshot(self, driver: Driver, epoch: float) -> dict[str, Any]:
        """Return the state for the next process, as part of that of a driver.

        Args:
            driver: the driver.
            epoch: the loop's time that counts as 0 in it.
        """
        person = self.arbiter.person
        cause = None if person is None else person.cause
        state = self.arbiter.snapshot(driver, epoch)
        return {**state, "cause": None if cause is None else cause.snapshot()}

    def _restore_cause(self, state: Any) -> None:
        """Continue with the cause of an override that began before a restart."""
        person = self.arbiter.person
        match state:
            case {"cause": [str(), str() | None, str(), str(), *_] as cause} if len(cause) % 4 == 0:
                if person is not None and person.cause is None:
                    person.cause = Cause.restored(cause)

    # --- description --------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return who drives the path, who decides, and the last value sent, as plain data.

        Times are texts in UTC, such as `"2026-11-25T03:22:41Z"`.
        """
        arbiter = self.arbiter
        ahead = wall_time() - asyncio.get_running_loop().time()
        last, since = arbiter.last, arbiter.since
        return {
            "path": self.path,
            "drivers": [self._plain_driver(each, ahead) for each in arbiter.drivers],
            "decides": self._plain_decider(),
            "since": None if since is None else _stamp(since + ahead),
            "value": None if arbiter.target is NoValue else arbiter.target,
            "override": self._plain_override(ahead),
            "shown": None if arbiter.shown is Unknown else arbiter.shown,
            "sent": None if last is None else {"value": last.value, "at": _stamp(last.at + ahead)},
            "verified": arbiter.target is not NoValue and arbiter.is_so,
            "contested": arbiter.is_contested,
        }

    def _plain_decider(self) -> str | None:
        decides = self.arbiter.decides
        if decides is None:
            return None
        return "person" if isinstance(decides, Person) else decides.rule

    def _plain_driver(self, driver: Driver, ahead: float) -> dict[str, Any]:
        until = driver.stands_by_until(self.arbiter.person)
        stands_by = until > asyncio.get_running_loop().time()
        return {
            "rule": driver.rule,
            "priority": driver.priority,
            "has_opinion": driver.has_opinion,
            "value": driver.value if driver.has_opinion else None,
            "stands_by": stands_by,
            "until": _stamp(until + ahead) if stands_by else None,
        }

    def _plain_override(self, ahead: float) -> dict[str, Any] | None:
        person = self.arbiter.person
        if person is None or person.is_interrupted:
            return None
        until = max(each.stands_by_until(person) for each in self.arbiter.drivers)
        return {
            "value": person.value,
            "since": _stamp(person.since + ahead),
            "until": _stamp(until + ahead),
        }


def _stamp(wall: float) -> str | None:
    """Return a time of the wall clock as text; None if it is infinite, or after the year 9999."""
    try:
        moment = datetime.fromtimestamp(wall, UTC)
    except (OverflowError, ValueError):  # also of a damaged file
        return None
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
