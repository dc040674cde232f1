# ruff: noqa: D102 - an override does what its base class documents
"""The nodes around an operator state: they pass inputs to it, and run its timer.

All times are those of the event loop that is running when the node is made, in seconds. An output
of a timer has a cause of its own, and the cause of its input as the parent; see `causes.py`.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any, Final

from eshet.cause import current, following, use_cause
from eshet.clock import ClockStep
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import Event
from eshet.reactive.core.graph import (
    ArmedTimer,
    EventNode,
    Node,
    RestoreContext,
    StateData,
    ValueNode,
)
from eshet.reactive.core.markers import NoValue, is_absent, is_same
from eshet.reactive.core.subscription import Subscription
from eshet.reactive.core.transaction import ENDED, Transactions
from eshet.reactive.core.value import Value
from eshet.reactive.time.causes import PendingCauses
from eshet.reactive.time.state import CauseRule, OperatorState
from eshet.reactive.time.timer import NodeTimer
from eshet.text import safe_str

__all__ = [
    "LaterEvent",
    "LaterValue",
    "TimedEvent",
    "TimedValue",
    "checked_seconds",
    "length_of",
    "operator_state_of",
]

_log: Final = logging.getLogger("eshet.reactive")


class _TimerDriver:
    """Runs one timer for the operator state of a node, and changes the node to its outputs."""

    __slots__ = (
        "__weakref__",
        "_causes",
        "_loop",
        "_node",
        "_subscriptions",
        "state",
        "timer",
    )

    def __init__(self, node: Node, state: OperatorState) -> None:
        self.state = state
        self._node = None if node.state == ENDED else node
        self._loop = asyncio.get_running_loop()
        self.timer = NodeTimer(self._loop)
        self._subscriptions: list[Subscription] = []
        self._causes = PendingCauses(state)
        self._set_timer()
        if state.follows_wall_clock and self._node is not None:
            self.timer.follow_clock(self)

    def stop(self) -> None:
        """Stop changing the node."""
        self._node = None
        self._set_timer()
        for subscription in self._subscriptions:
            subscription.dispose()
        self.timer.stop()

    def results(self, source: EventNode, seconds: ValueNode | EventNode | None) -> list[object]:
        """Return the immediate outputs when the source emits or the seconds change."""
        now = self._loop.time()
        results = []
        if seconds is not None and seconds.value != self.state.seconds:
            results += self._adjusted(seconds.value, now)
        if not source.repeats_known_value():
            for emission in source.emissions:
                results += self._input(emission, now)
        self._set_timer()
        return results

    def listen(self, source: Node | None, seconds: Node | None) -> None:
        """Observe both, after a transaction has settled; the node does not change within it."""
        if self._node is None:
            return
        if source is not None:
            self._subscriptions.append(Subscription(source, self._on_source, None, self._node))
        if seconds is not None:
            self._subscriptions.append(Subscription(seconds, self._on_seconds, None, self._node))

    def observed_nodes(self) -> list[Node]:
        """Return the observed nodes."""
        return [subscription.node for subscription in self._subscriptions]

    def on_input(self, value: object) -> list[object]:
        """Process the current value of the source; return the immediate outputs."""
        results = self._input(value, self._loop.time())
        self._set_timer()
        return results

    def _on_source(self, value: object) -> None:
        try:
            self._emit(self._input(value, self._loop.time()))
        except ReactiveTypeError as error:
            self._report(error)

    def _input(self, value: object, now: float) -> list[object]:
        self._causes.on_input(now)
        return self.state.on_input(value, now)

    def _on_seconds(self, seconds: object) -> None:
        self._emit(self._adjusted(seconds, self._loop.time()))

    def _adjusted(self, seconds: object, now: float) -> list[object]:
        """Change the seconds, unless they are unknown or not a length of time."""
        if is_absent(seconds):
            return []
        try:
            return self.state.adjust(checked_seconds(seconds), now)
        except ReactiveTypeError as error:
            self._report(error)
            return []

    def restore(
        self, data: StateData, context: RestoreContext, *new_inputs: object
    ) -> list[object]:
        """Restore the operator state from a snapshot; return the outputs.

        Args:
            data: the snapshot.
            context: the times of the restore.
            *new_inputs: inputs that are not yet part of the restored state.
        """
        state, causes = data
        self._causes.check(causes)  # before anything changes
        watcher = self.timer.follow_clock(self)  # restored times may be of an earlier process
        if context.down_until > -math.inf:
            context = context._replace(epoch=context.epoch + watcher.moved)
        results = self.state.restore(state, context)
        self._set_timer()
        self.timer.is_continued = True
        self._causes.restore(causes, context.epoch)
        for value in new_inputs:
            results += self._input(value, context.now)
        self._set_timer()
        return results

    def clock_stepped(self, step: ClockStep) -> None:
        """See `eshet.clock.StepListener`."""
        node = self._node
        if node is None:
            return
        try:
            now = self._loop.time()
            results = self.state.clock_stepped(step, now)
            self._causes.move(step)
            cause = (
                None if self.state.cause_rule is CauseRule.IN_TURN else self._causes.take(1, now)[0]
            )
            with use_cause(cause):
                self._set_timer()
            with use_cause(following("timer", node.describe(), cause)):
                if isinstance(node, EventNode):
                    for result in results:
                        self._log_dropped(result)
                elif results and not is_same(results[-1], node.value):
                    self._change(results[-1:])
        except BaseException as error:
            node.report(error)

    def snapshot(self, epoch: float) -> object:
        """Return the operator state and its causes; see `OperatorState.snapshot`."""
        return [self.state.snapshot(epoch), self._causes.snapshot(epoch)]

    def _set_timer(self) -> None:
        node = self._node
        wake_at = None if node is None else self.state.wake_at
        if self.timer.when == wake_at:
            return
        if node is None or wake_at is None:
            self.timer.cancel()
        else:
            self._causes.on_timer_set(self._loop.time())
            self.timer.arm(wake_at, self._wake, node.scope)

    def _wake(self, wake_at: float) -> None:
        self.timer.end()
        # The loop may wake us early, by the resolution of its clock.
        now = max(wake_at, self._loop.time())
        results = self.state.wake(now)
        self._log_dropped(self.state.take_dropped())
        parents = self._causes.take(len(results), now)
        if not results or self._node is None:
            self._set_timer()  # with the same cause as before
            return
        causes = [following("timer", self._node.describe(), cause) for cause in parents]
        with use_cause(
            current.get() if self.state.cause_rule is CauseRule.BEGINNING else causes[-1]
        ):
            self._set_timer()
        for result, cause in zip(results, causes, strict=True):
            with use_cause(cause):
                self._change([result])

    def _emit(self, results: list[object]) -> None:
        self._set_timer()
        self._change(results)

    def _change(self, results: list[object]) -> None:
        for result in results:
            if self._node is not None:  # a callback of the previous result may have ended it
                self._node.change(result)

    def _log_dropped(self, dropped: object) -> None:
        if dropped is not None and self._node is not None:
            _log.warning(
                "%s: dropped %s: it was due before the clock was set, or while the machine slept",
                self._node.full_name(),
                safe_str(dropped),
            )

    def _report(self, error: BaseException) -> None:
        if self._node is not None:
            self._node.report(error)


class TimedValue(ValueNode):
    """Changes when its source emits, when the seconds change, and when its timer fires."""

    __slots__ = ("_driver", "_last_input", "_seconds", "_source")

    def __init__(
        self,
        state: OperatorState,
        source: EventNode,
        seconds: ValueNode | EventNode | None,
        value: object,
    ) -> None:
        super().__init__(value, (source, seconds) if seconds is not None else (source,))
        self._source = source
        self._last_input = source.present()
        self._seconds = seconds
        self._driver = _TimerDriver(self, state)

    def settle(self, transactions: Transactions) -> bool:
        results = self._driver.results(self._source, self._seconds)
        self._last_input = self._source.present()
        if not results:
            return False
        self.value: object = results[-1]
        return True

    def label(self) -> str:
        return self._driver.state.label

    def stop(self) -> None:
        self._driver.stop()

    def snapshot(self, epoch: float) -> object:
        return [self._driver.snapshot(epoch), self.value, self._source.present()]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[Any]:
        state, value, last_input = data
        new_inputs = _new_inputs(last_input, self._source.present())
        results = self._driver.restore(state, context, *new_inputs)
        self._last_input = self._source.present()
        self.change_to(results[-1] if results else value)
        return ()

    def start_from_inputs(self, context: RestoreContext) -> None:
        present = self._source.present()
        if new_inputs := _new_inputs(self._last_input, present):
            self._last_input = present
            if results := self._driver.on_input(*new_inputs):
                self.change_to(results[-1])

    def timer(self) -> ArmedTimer:
        return self._driver.timer

    def detail(self) -> str:
        return str(self._driver.state.seconds)


class TimedEvent(EventNode):
    """Emits when its source emits, when the seconds change, and when its timer fires."""

    __slots__ = ("_driver", "_seconds", "_source")

    def __init__(
        self, state: OperatorState, source: EventNode, seconds: ValueNode | EventNode | None
    ) -> None:
        super().__init__((source, seconds) if seconds is not None else (source,))
        self._source = source
        self._seconds = seconds
        self._driver = _TimerDriver(self, state)

    def settle(self, transactions: Transactions) -> bool:
        return self.emit(self._driver.results(self._source, self._seconds), transactions)

    def label(self) -> str:
        return self._driver.state.label

    def stop(self) -> None:
        self._driver.stop()

    def snapshot(self, epoch: float) -> object:
        return self._driver.snapshot(epoch)

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        return self._driver.restore(data, context)

    def timer(self) -> ArmedTimer:
        return self._driver.timer

    def detail(self) -> str:
        return str(self._driver.state.seconds)


class LaterValue(ValueNode):
    """Never changes within the transaction of its source, so a cycle through it is allowed."""

    __slots__ = ("_driver", "_source")

    def __init__(
        self, state: OperatorState, source: ValueNode | None, seconds: Node | None, value: object
    ) -> None:
        super().__init__(value)
        self._source = source
        self._driver = _TimerDriver(self, state)
        self._driver.listen(source, seconds)

    def label(self) -> str:
        return self._driver.state.label

    def stop(self) -> None:
        self._driver.stop()

    def snapshot(self, epoch: float) -> Any:
        return [self._driver.snapshot(epoch), self.value, self._present()]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        state, value, last_input = data
        new_inputs = _new_inputs(last_input, self._present())
        results = self._driver.restore(state, context, *new_inputs)
        self.change_to(results[-1] if results else value)
        return ()

    def timer(self) -> ArmedTimer:
        return self._driver.timer

    def detail(self) -> str:
        return str(self._driver.state.seconds)

    def sources(self) -> Sequence[Node]:
        return self._driver.observed_nodes()

    def _present(self) -> object:
        return NoValue if self._source is None else self._source.value


class LaterEvent(EventNode):
    """Never emits within the transaction of its source, so a cycle through it is allowed."""

    __slots__ = ("_driver",)

    def __init__(self, state: OperatorState, source: Node | None, seconds: Node | None) -> None:
        super().__init__()
        self._driver = _TimerDriver(self, state)
        self._driver.listen(source, seconds)

    def label(self) -> str:
        return self._driver.state.label

    def stop(self) -> None:
        self._driver.stop()

    def snapshot(self, epoch: float) -> object:
        return self._driver.snapshot(epoch)

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        return self._driver.restore(data, context)

    def timer(self) -> ArmedTimer:
        return self._driver.timer

    def detail(self) -> str:
        return str(self._driver.state.seconds)

    def sources(self) -> Sequence[Node]:
        return self._driver.observed_nodes()


def operator_state_of(node: Node) -> OperatorState | None:
    """Return the operator state of a node; None if it has none."""
    if isinstance(node, TimedValue | TimedEvent | LaterValue | LaterEvent):
        return node._driver.state
    return None


def _new_inputs(last_input: object, present: object) -> tuple[object, ...]:
    """Return the current value of a source, if it differs from the last input."""
    return () if is_same(last_input, present) else (present,)


def checked_seconds(seconds: object) -> float:
    """Return a length of time, after checking it.

    Raises:
        ReactiveTypeError: it is not a number of seconds from 0 up.
    """
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ReactiveTypeError(
            f"a length of time is a number of seconds from 0 up, not {seconds!r}"
        )
    return seconds


def length_of(seconds: object) -> Value[float]:
    """Return a Value of a length of time; its first value must be known.

    Raises:
        ReactiveTypeError: it is unknown, or not a length of time.
    """
    length = ensure_reactive(seconds)
    if isinstance(length, Event):
        raise ReactiveTypeError("a length of time is a number or a Value, not an Event")
    checked_seconds(length.value)
    value: Value[float] = length
    return value
