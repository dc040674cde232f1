# ruff: noqa: D102 - an override does what its base class documents
"""State of the time operators, independent of loop and graph.

An operator state receives values and `now`; it returns the outputs, and the time of the next timer.
`nodes.py` has the nodes that connect it to the loop and the graph.
"""

import enum
import math
from collections import deque
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, ClassVar

from eshet.clock import ClockStep, wall_now, wall_time
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.graph import RestoreContext, StateData
from eshet.reactive.core.markers import is_absent
from eshet.text import safe_repr

__all__ = [
    "At",
    "CauseRule",
    "Clock",
    "Delay",
    "OperatorState",
    "RateLimit",
    "TimeWindow",
    "loop_time",
    "moved",
]


def loop_time(data: Any, epoch: float) -> float:
    """Return a time of the loop, from the data of a snapshot.

    Args:
        data: a number from a snapshot, maybe of another version or process.
        epoch: the loop time that counts as 0 in the data.

    Raises:
        ValueError: it is not a finite number; a timer set to it might keep the loop busy forever.
    """
    if type(data) not in (int, float) or not math.isfinite(data):
        raise ValueError(f"{safe_repr(data)} is not a time")
    return float(data + epoch)


def moved(time: float, step: ClockStep) -> float:
    """Return a loop time, adapted to a step of the wall clock.

    Only times restored from an earlier process depend on the wall clock.
    """
    return time + step.moved if time < step.restored_before else time


class CauseRule(enum.Enum):
    """Which input is the cause of an output that a timer triggers."""

    IN_TURN = enum.auto()
    """Each input causes one output, in order, after the operator's number of seconds."""
    LAST = enum.auto()
    """The last input."""
    TIMER = enum.auto()
    """The input that set the timer; it also determines the output."""
    BEGINNING = enum.auto()
    """Like TIMER, but for repeated outputs: all of them have the cause of the first timer."""


class OperatorState:
    """The state of a node that depends on time.

    Each method returns the outputs, oldest first.

    Args:
        seconds: the operator's length of time.
    """

    __slots__ = ("seconds",)

    label: ClassVar[str]  # the name of such a node in messages
    cause_rule: ClassVar[CauseRule] = CauseRule.TIMER
    follows_wall_clock: ClassVar[bool] = False
    """Whether it depends on the wall clock even if nothing in it was restored."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds: float = seconds

    @property
    def wake_at(self) -> float | None:
        """When to call `wake`; may be in the past."""
        raise NotImplementedError

    def on_input(self, value: object, now: float) -> list[object]:
        """Process a new value or an emission."""
        raise NotImplementedError

    def wake(self, now: float) -> list[object]:
        """Handle the timer that was due at `wake_at`, which is not after `now`."""
        raise NotImplementedError

    def adjust(self, seconds: float, now: float) -> list[object]:
        """Change the length of time, also for inputs that were received before."""
        self.seconds = seconds
        return []

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        """Iterate over the outputs that time alone will make if no further input arrives.

        Nothing changes by that. There may be endlessly many.

        Returns:
            The time of the loop, and the output, earliest first.
        """
        return iter(())

    def snapshot(self, epoch: float) -> object:
        """Return the state as plain data, without the length of time.

        Args:
            epoch: the loop time that counts as 0 in the data.
        """
        raise NotImplementedError

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        """Replace the state by one from a snapshot of the same kind.

        The outputs are levels that hold by now, and events that were missed.
        """
        raise NotImplementedError

    def clock_stepped(self, step: ClockStep, now: float) -> list[object]:
        """Adapt to a step of the wall clock, which corrects the age of restored times.

        The outputs are levels that hold by now, and events that were missed.
        """
        if not step.moved:
            return []
        self.move(step)
        return self.restore(self.snapshot(0.0), RestoreContext(now, 0.0, step.restored_before))

    def move(self, step: ClockStep) -> None:
        """Replace all times in the state by the result of `moved` for them."""
        raise NotImplementedError

    def take_dropped(self) -> object:
        """Return the first output that `wake` dropped as too late, and forget it; None if none."""
        return None


class Delay(OperatorState):
    """The delayed values, with the times when they were received.

    Args:
        seconds: the delay.
        emits_missed: whether an output is emitted late if no process was running when it was due.
    """

    __slots__ = ("_emits_missed", "_pending")

    label = "delay"
    cause_rule = CauseRule.IN_TURN

    def __init__(self, seconds: float, *, emits_missed: bool = False) -> None:
        super().__init__(seconds)
        self._emits_missed = emits_missed
        self._pending: deque[tuple[float, object]] = deque()  # (time of input, value)

    @property
    def wake_at(self) -> float | None:
        return self._pending[0][0] + self.seconds if self._pending else None

    def on_input(self, value: object, now: float) -> list[object]:
        self._pending.append((now, value))
        return []

    def wake(self, now: float) -> list[object]:
        due = []
        while self._pending and self._pending[0][0] + self.seconds <= now:
            due.append(self._pending.popleft()[1])
        return due

    def adjust(self, seconds: float, now: float) -> list[object]:
        self.seconds = seconds
        return self.wake(now)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        return ((since + self.seconds, value) for since, value in self._pending)

    def snapshot(self, epoch: float) -> object:
        return [[since - epoch, value] for since, value in self._pending]

    def restore(self, data: StateData, context: RestoreContext) -> list[Any]:
        self._pending = deque((loop_time(since, context.epoch), value) for since, value in data)
        return [] if self._emits_missed else self.wake(context.down_until)

    def move(self, step: ClockStep) -> None:
        self._pending = deque((moved(since, step), value) for since, value in self._pending)


class TimeWindow(OperatorState):
    """The values of the last `seconds`.

    Args:
        seconds: the length of the window.
        stays: whether the last value stays until it is replaced, and only ages from then on.
    """

    __slots__ = ("_entries", "_stays")

    label = "time_window"
    cause_rule = CauseRule.IN_TURN

    def __init__(self, seconds: float, *, stays: bool) -> None:
        super().__init__(seconds)
        self._stays = stays
        # (value, time from which it ages); those that age come first, oldest first.
        self._entries: deque[tuple[object, float | None]] = deque()

    @property
    def values(self) -> list[object]:
        """The values in the window."""
        return [value for value, _ in self._entries]

    @property
    def wake_at(self) -> float | None:
        since = self._entries[0][1] if self._entries else None
        return None if since is None else since + self.seconds

    def on_input(self, value: object, now: float) -> list[object]:
        if self._stays and self._entries and self._entries[-1][1] is None:
            self._entries.append((self._entries.pop()[0], now))
        self._entries.append((value, None if self._stays else now))
        return [self.values]

    def add_aging(self, value: object, now: float) -> None:
        """Add a value that ages from now on, independent of the last one."""
        self._entries.append((value, now))

    def wake(self, now: float) -> list[Any]:
        windows = []
        while (wake_at := self.wake_at) is not None and wake_at <= now:
            self._entries.popleft()
            windows.append(self.values)
        return windows

    def adjust(self, seconds: float, now: float) -> list[object]:
        self.seconds = seconds
        return [self.values] if self._forget(now) else []

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        values = self.values
        for number, (_, since) in enumerate(self._entries, start=1):
            if since is not None:
                yield since + self.seconds, values[number:]

    def snapshot(self, epoch: float) -> object:
        return [[None if since is None else since - epoch, value] for value, since in self._entries]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        self._entries = deque(
            (value, None if since is None else loop_time(since, context.epoch))
            for since, value in data
        )
        self._forget(context.down_until)
        return [self.values]

    def move(self, step: ClockStep) -> None:
        self._entries = deque(
            (value, None if since is None else moved(since, step)) for value, since in self._entries
        )

    def _forget(self, now: float) -> int:
        """Drop all values that are too old; return how many."""
        count = 0
        while (wake_at := self.wake_at) is not None and wake_at <= now:
            self._entries.popleft()
            count += 1
        return count


class RateLimit(OperatorState):
    """The start of the current interval, and the last input in it."""

    __slots__ = ("_blocked_since", "_held")

    label = "rate_limit"
    cause_rule = CauseRule.LAST

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._blocked_since: float | None = None
        self._held: list[object] = []  # the last input of the interval, if any

    @property
    def wake_at(self) -> float | None:
        return None if self._blocked_since is None else self._blocked_since + self.seconds

    def on_input(self, value: object, now: float) -> list[object]:
        if self._blocked_since is None:
            self._blocked_since = now
            return [value]
        self._held = [value]
        return []

    def wake(self, now: float) -> list[object]:
        held, self._held = self._held, []
        self._blocked_since = now if held else None
        return held

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wake_at = self.wake_at
        return iter([(wake_at, value) for value in self._held if wake_at is not None])

    def snapshot(self, epoch: float) -> object:
        since = self._blocked_since
        return [None if since is None else since - epoch, list(self._held)]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        since, held = data
        self._blocked_since = None if since is None else loop_time(since, context.epoch)
        self._held = list(held)
        wake_at = self.wake_at
        missed = wake_at is not None and wake_at < context.down_until
        return self.wake(context.down_until) if missed else []

    def move(self, step: ClockStep) -> None:
        if self._blocked_since is not None:
            self._blocked_since = moved(self._blocked_since, step)


class At(OperatorState):
    """The next emission, and when it is due.

    Args:
        emits_missed: whether it is emitted late if no process was running when it was due.
    """

    __slots__ = ("_due", "_emits_missed", "_set_at")

    label = "emit_at"

    def __init__(self, *, emits_missed: bool = False) -> None:
        super().__init__()
        self._emits_missed = emits_missed
        self._due: tuple[float, object] | None = None
        self._set_at = -math.inf

    @property
    def wake_at(self) -> float | None:
        return None if self._due is None else self._due[0]

    def on_input(self, value: Any, now: float) -> list[object]:
        self._due, self._set_at = None, now
        if value is not None and not is_absent(value):
            pair = isinstance(value, tuple) and len(value) == 2
            time, payload = value if pair else (value, None)
            if not isinstance(time, int | float) or math.isnan(time):
                raise ReactiveTypeError(
                    "emit_at takes None, a time of the loop, a pair of such a time and a value "
                    f"to emit, or a Value of these, not {value!r}"
                )
            self._due = (time, payload)
        return []

    def wake(self, now: float) -> list[object]:
        due, self._due = self._due, None
        return [] if due is None else [due[1]]

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        return iter([] if self._due is None else [self._due])

    def snapshot(self, epoch: float) -> object:
        if self._due is None:
            return []
        time, payload = self._due
        return [time - epoch, payload, None if self._set_at == -math.inf else self._set_at - epoch]

    def restore(self, data: StateData, context: RestoreContext) -> list[Any]:
        time, payload, set_at = [*data, None][:3] if data else (None, None, None)
        due = None if time is None else loop_time(time, context.epoch)
        self._set_at = -math.inf if set_at is None else loop_time(set_at, context.epoch)
        self._due = None if due is None else (due, payload)
        missed = self._due is not None and self._due[0] < context.down_until
        return self.wake(context.down_until) if missed and not self._emits_missed else []

    def move(self, step: ClockStep) -> None:
        if self._due is not None and self._set_at < step.restored_before:
            self._due = self._due[0] + step.moved, self._due[1]
            self._set_at += step.moved


class Clock(OperatorState):
    """When to read the wall clock next."""

    __slots__ = ("_next", "_tz")

    label = "now"
    cause_rule = CauseRule.BEGINNING
    follows_wall_clock = True

    def __init__(self, seconds: float, tz: tzinfo | None, now: float) -> None:
        super().__init__(seconds)
        self._tz = tz
        self._next = now
        self.adjust(seconds, now)

    @property
    def wake_at(self) -> float | None:
        return self._next

    def wake(self, now: float) -> list[object]:
        # Based on the previous time, to avoid drift; readings missed during sleep are skipped.
        self._next += self.seconds * ((now - self._next) // self.seconds + 1)
        return [wall_now(self._tz)]

    def adjust(self, seconds: float, now: float) -> list[object]:
        if not seconds > 0:
            raise ReactiveTypeError("an interval is a number of seconds above 0")
        self.seconds = seconds
        self._next = now + seconds
        return []

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wall, at = wall_time() - now, self._next
        while True:
            yield at, datetime.fromtimestamp(wall + at, self._tz)
            at += self.seconds

    def snapshot(self, epoch: float) -> object:
        return self._next - epoch

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        # An overdue reading comes in the next turn; otherwise keep the rhythm of the old readings.
        self._next = min(self._next, loop_time(data, context.epoch))
        return []

    def clock_stepped(self, step: ClockStep, now: float) -> list[object]:
        self._next = now  # the last reading is wrong
        return []
