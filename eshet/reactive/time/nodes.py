# ruff: noqa: D102 - what a node overrides, it does as its base says.
"""The nodes around a memory: they feed it, and wake it when it wants to be woken.

All times are those of the event loop that runs when the node is made, in seconds. What comes out
when time is up has a cause of its own, whose parent is that of what led there; see `leading.py`.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any, Final

from eshet.cause import current, following, use_cause
from eshet.clock import ClockStep, ClockWatcher, clock_watcher
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import Event
from eshet.reactive.core.graph import EventNode, Node, RestoreContext, ValueNode
from eshet.reactive.core.markers import NoValue, is_absent, is_same
from eshet.reactive.core.subscription import Subscription
from eshet.reactive.core.transaction import ENDED, Transactions
from eshet.reactive.core.value import Value
from eshet.reactive.time.causes import PendingCauses
from eshet.reactive.time.state import CauseRule, OperatorState
from eshet.text import safe_str

__all__ = [
    "LaterEvent",
    "LaterValue",
    "TimedEvent",
    "TimedValue",
    "checked_seconds",
    "length_of",
]

_log: Final = logging.getLogger("eshet.reactive")


class _TimerDriver:
    """Keeps one timer for the memory of a node, and changes the node to what comes out by it."""

    __slots__ = (
        "__weakref__",
        "_leading",
        "_loop",
        "_node",
        "_subscriptions",
        "_timer",
        "_watcher",
        "memory",
    )

    def __init__(self, node: Node, memory: OperatorState) -> None:
        self.memory = memory
        self._node = None if node.state == ENDED else node
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._subscriptions: list[Subscription] = []
        self._leading = PendingCauses(memory)
        self._set_timer()
        self._watcher: ClockWatcher | None = None
        if memory.follows_wall_clock and self._node is not None:
            self._watch_clock()

    def stop(self) -> None:
        """Never change the node again."""
        self._node = None
        self._set_timer()
        for subscription in self._subscriptions:
            subscription.dispose()
        if self._watcher is not None:
            self._watcher.discard(self)

    def results(self, source: EventNode, seconds: ValueNode | EventNode | None) -> list[Any]:
        """Return what comes out at once when the source emits or the seconds change."""
        now = self._loop.time()
        results = []
        if seconds is not None and seconds.value != self.memory.seconds:
            results += self._adjusted(seconds.value, now)
        if not source.repeats_known_value():
            for emission in source.emissions:
                results += self._remember(emission, now)
        self._set_timer()
        return results

    def listen(self, source: Node | None, seconds: Node | None) -> None:
        """Hear of both when a transaction has settled; the node does not change within it."""
        if self._node is None:
            return
        if source is not None:
            self._subscriptions.append(Subscription(source, self._hear, None, self._node))
        if seconds is not None:
            self._subscriptions.append(Subscription(seconds, self._adjust, None, self._node))

    def heard(self) -> list[Node]:
        """Return what it listens to."""
        return [subscription.node for subscription in self._subscriptions]

    def on_input(self, value: Any) -> list[Any]:
        """Remember what the source holds; return what comes out at once."""
        results = self._remember(value, self._loop.time())
        self._set_timer()
        return results

    def _hear(self, value: Any) -> None:
        try:
            self._come_out(self._remember(value, self._loop.time()))
        except ReactiveTypeError as error:
            self._report(error)

    def _remember(self, value: Any, now: float) -> list[Any]:
        self._leading.on_input(now)
        return self.memory.on_input(value, now)

    def _adjust(self, seconds: Any) -> None:
        self._come_out(self._adjusted(seconds, self._loop.time()))

    def _adjusted(self, seconds: Any, now: float) -> list[Any]:
        """Go on with other seconds, unless they are unknown or no length of time."""
        if is_absent(seconds):
            return []
        try:
            return self.memory.adjust(checked_seconds(seconds), now)
        except ReactiveTypeError as error:
            self._report(error)
            return []

    def restore(self, data: Any, context: RestoreContext, *new_inputs: Any) -> list[Any]:
        """Let the memory go on with what it is given; return what comes out by that.

        Args:
            data: by the memory of another version.
            context: where in time it goes on.
            *new_inputs: what that memory has not heard, and this one has.
        """
        memory, led_by = data
        self._leading.check(led_by)  # before anything changes
        watcher = self._watch_clock()  # as some of it may be of an earlier process
        if context.down_until > -math.inf:
            context = context._replace(epoch=context.epoch + watcher.moved)
        results = self.memory.restore(memory, context)
        self._set_timer()
        self._leading.restore(led_by, context.epoch)
        for value in new_inputs:
            results += self._remember(value, context.now)
        self._set_timer()
        return results

    def clock_stepped(self, step: ClockStep) -> None:
        """See `eshet.clock.StepListener`."""
        node = self._node
        if node is None:
            return
        try:
            now = self._loop.time()
            results = self.memory.clock_stepped(step, now)
            self._leading.move(step)
            led_by = None if self.memory.led is CauseRule.IN_TURN else self._leading.to(1, now)[0]
            with use_cause(led_by):
                self._set_timer()
            with use_cause(following("timer", node.describe(), led_by)):
                if isinstance(node, EventNode):
                    for result in results:
                        self._log_dropped(result)
                elif results and not is_same(results[-1], node.value):
                    self._change(results[-1:])
        except BaseException as error:
            node.report(error)

    def _watch_clock(self) -> ClockWatcher:
        self._watcher = clock_watcher()
        self._watcher.add(self)
        return self._watcher

    def snapshot(self, epoch: float) -> Any:
        """Return what is remembered, and the causes of that; see `OperatorState.snapshot`."""
        return [self.memory.snapshot(epoch), self._leading.snapshot(epoch)]

    def _set_timer(self) -> None:
        wake_at = None if self._node is None else self.memory.wake_at
        if self._timer is not None:
            if self._timer.when() == wake_at:
                return
            self._timer.cancel()
            self._timer = None
        if wake_at is not None:
            self._leading.sets_timer(self._loop.time())
            self._timer = self._loop.call_at(wake_at, self._wake, wake_at)

    def _wake(self, wake_at: float) -> None:
        self._timer = None
        # The loop may wake us early, by the resolution of its clock.
        now = max(wake_at, self._loop.time())
        results = self.memory.wake(now)
        self._log_dropped(self.memory.take_dropped())
        led_by = self._leading.to(len(results), now)
        if not results or self._node is None:
            self._set_timer()  # still for what had this one set
            return
        causes = [following("timer", self._node.describe(), cause) for cause in led_by]
        with use_cause(current.get() if self.memory.led is CauseRule.BEGINNING else causes[-1]):
            self._set_timer()
        for result, cause in zip(results, causes, strict=True):
            with use_cause(cause):
                self._change([result])

    def _come_out(self, results: list[Any]) -> None:
        self._set_timer()
        self._change(results)

    def _change(self, results: list[Any]) -> None:
        for result in results:
            if self._node is not None:  # a callback of the one before may have ended it
                self._node.change(result)

    def _log_dropped(self, dropped: Any) -> None:
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
    """Changes as its source emits and as the seconds change, and at times of its memory's own."""

    __slots__ = ("_heard", "_seconds", "_source", "_waker")

    def __init__(
        self,
        memory: OperatorState,
        source: EventNode,
        seconds: ValueNode | EventNode | None,
        value: Any,
    ) -> None:
        super().__init__(value, (source, seconds) if seconds is not None else (source,))
        self._source = source
        self._heard = source.present()
        self._seconds = seconds
        self._waker = _TimerDriver(self, memory)

    def settle(self, transactions: Transactions) -> bool:
        results = self._waker.results(self._source, self._seconds)
        self._heard = self._source.present()
        if not results:
            return False
        self.value = results[-1]
        return True

    def label(self) -> str:
        return self._waker.memory.label

    def stop(self) -> None:
        self._waker.stop()

    def snapshot(self, epoch: float) -> Any:
        return [self._waker.snapshot(epoch), self.value, self._source.present()]

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        memory, value, heard = data
        news = _news(heard, self._source.present())
        results = self._waker.restore(memory, context, *news)
        self._heard = self._source.present()
        self.change_to(results[-1] if results else value)
        return ()

    def start_from_inputs(self, context: RestoreContext) -> None:
        present = self._source.present()
        if news := _news(self._heard, present):
            self._heard = present
            if results := self._waker.on_input(*news):
                self.change_to(results[-1])

    def detail(self) -> str:
        return str(self._waker.memory.seconds)


class TimedEvent(EventNode):
    """Emits as its source does and as the seconds change, and at times of its memory's own."""

    __slots__ = ("_seconds", "_source", "_waker")

    def __init__(
        self, memory: OperatorState, source: EventNode, seconds: ValueNode | EventNode | None
    ) -> None:
        super().__init__((source, seconds) if seconds is not None else (source,))
        self._source = source
        self._seconds = seconds
        self._waker = _TimerDriver(self, memory)

    def settle(self, transactions: Transactions) -> bool:
        return self.emit(self._waker.results(self._source, self._seconds), transactions)

    def label(self) -> str:
        return self._waker.memory.label

    def stop(self) -> None:
        self._waker.stop()

    def snapshot(self, epoch: float) -> Any:
        return self._waker.snapshot(epoch)

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        return self._waker.restore(data, context)

    def detail(self) -> str:
        return str(self._waker.memory.seconds)


class LaterValue(ValueNode):
    """Never changes within the transaction of its source, so a way round through it is no loop."""

    __slots__ = ("_source", "_waker")

    def __init__(
        self, memory: OperatorState, source: ValueNode | None, seconds: Node | None, value: Any
    ) -> None:
        super().__init__(value)
        self._source = source
        self._waker = _TimerDriver(self, memory)
        self._waker.listen(source, seconds)

    def label(self) -> str:
        return self._waker.memory.label

    def stop(self) -> None:
        self._waker.stop()

    def snapshot(self, epoch: float) -> Any:
        return [self._waker.snapshot(epoch), self.value, self._present()]

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        memory, value, heard = data
        news = _news(heard, self._present())
        results = self._waker.restore(memory, context, *news)
        self.change_to(results[-1] if results else value)
        return ()

    def detail(self) -> str:
        return str(self._waker.memory.seconds)

    def sources(self) -> Sequence[Node]:
        return self._waker.heard()

    def _present(self) -> Any:
        return NoValue if self._source is None else self._source.value


class LaterEvent(EventNode):
    """Never emits within the transaction of its source, so a way round through it is no loop."""

    __slots__ = ("_waker",)

    def __init__(self, memory: OperatorState, source: Node | None, seconds: Node | None) -> None:
        super().__init__()
        self._waker = _TimerDriver(self, memory)
        self._waker.listen(source, seconds)

    def label(self) -> str:
        return self._waker.memory.label

    def stop(self) -> None:
        self._waker.stop()

    def snapshot(self, epoch: float) -> Any:
        return self._waker.snapshot(epoch)

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        return self._waker.restore(data, context)

    def detail(self) -> str:
        return str(self._waker.memory.seconds)

    def sources(self) -> Sequence[Node]:
        return self._waker.heard()


def _news(heard: Any, present: Any) -> tuple[Any, ...]:
    """Return the present value of a source, if it is another than the last that was heard."""
    return () if is_same(heard, present) else (present,)


def checked_seconds(seconds: Any) -> float:
    """Return a length of time.

    Raises:
        ReactiveTypeError: it is none.
    """
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ReactiveTypeError(
            f"a length of time is a number of seconds from 0 up, not {seconds!r}"
        )
    return seconds


def length_of(seconds: Any) -> Value[float]:
    """Return a Value of a length of time, which has to be known at first.

    Raises:
        ReactiveTypeError: it is not, or it is no length of time.
    """
    value: Value[Any] = ensure_reactive(seconds)
    if isinstance(value, Event):
        raise ReactiveTypeError("a length of time is a number or a Value, not an Event")
    checked_seconds(value.value)
    return value
