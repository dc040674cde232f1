# ruff: noqa: D102 - an override does what its base class documents
"""Values that depend on nothing but the wall clock, such as a plan or the elevation of the sun.

They have no state: the date and time decide their value, so a new version and a new process
compute it instead of restoring it.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

from eshet.clock import ClockStep, wall_time
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.core.value import Value, value_of
from eshet.reactive.time.nodes import LaterValue
from eshet.reactive.time.state import CauseRule, OperatorState

__all__ = ["WallClock", "value_of_wall_clock"]

_LOOK_AGAIN: Final = 3600.0
"""Seconds: the two clocks drift apart, so a longer wait is divided."""

_AHEAD: Final = 86_400.0
_COARSE: Final = 300.0

_ROUNDING: Final = 0.0005
"""Seconds: more than the rounding error of a time of the wall clock."""


class WallClock(OperatorState):
    """The present value, and when it may change.

    Args:
        value_at: returns the value at an instant, in seconds since 1970-01-01 UTC.
        next_after: returns the first instant after one at which the value may change.
        now: the current time of the loop.
    """

    __slots__ = ("_next_after", "_value_at", "_wake_at", "value")

    label = "wall clock"
    cause_rule = CauseRule.BEGINNING
    follows_wall_clock = True

    def __init__(
        self,
        value_at: Callable[[float], object],
        next_after: Callable[[float], float],
        now: float,
    ) -> None:
        super().__init__()
        self._value_at = value_at
        self._next_after = next_after
        self.value: object = NoValue
        self._wake_at = now
        self._read(now)

    @property
    def wake_at(self) -> float | None:
        return self._wake_at

    def wake(self, now: float) -> list[object]:
        return self._read(now)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wall = wall_time() - now
        instant = wall + now + _ROUNDING
        while True:
            instant = self._next_after(instant)
            yield instant - wall, self._value_at(instant + _ROUNDING)

    def first(self, is_wanted: Callable[[object], bool], now: float) -> float | None:
        """Return the first loop time within a day at which the value is a wanted one.

        A value that is wanted for less than five minutes may be missed.

        Args:
            is_wanted: whether it is one.
            now: the present time of the loop.

        Returns:
            None if there is none.
        """
        epoch = wall_time() - now
        start = epoch + now + _ROUNDING
        for step in range(1, int(_AHEAD / _COARSE) + 1):
            end = start + step * _COARSE
            if not is_wanted(self._value_at(end)):
                continue
            instant = end - _COARSE
            while (instant := self._next_after(instant)) < end:
                if is_wanted(self._value_at(instant + _ROUNDING)):
                    break
            return min(instant, end) - epoch
        return None

    def clock_stepped(self, step: ClockStep, now: float) -> list[object]:
        return self._read(now)

    def _read(self, now: float) -> list[object]:
        """Compute the value and the next time to do so; return the value if it has changed."""
        wall = wall_time() + _ROUNDING
        before, self.value = self.value, self._value_at(wall)
        self._wake_at = now + min(self._next_after(wall) - wall_time(), _LOOK_AGAIN)
        return [] if is_same(before, self.value) else [self.value]


class _WallClockValue(LaterValue):
    """A Value of the wall clock, without a snapshot."""

    __slots__ = ("_label",)

    def __init__(self, state: WallClock, label: str) -> None:
        super().__init__(state, None, None, state.value)
        self._label = label

    def label(self) -> str:
        return self._label

    def snapshot(self, epoch: float) -> None:
        return None

    def detail(self) -> str:
        return ""


def value_of_wall_clock(
    label: str, value_at: Callable[[float], Any], next_after: Callable[[float], float]
) -> Value[Any]:
    """Return a Value that is computed of the wall clock, and again when the clock is set.

    Args:
        label: the name of the operator in messages.
        value_at: returns the value at an instant, in seconds since 1970-01-01 UTC.
        next_after: returns the first instant after one at which the value may change.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    return value_of(_WallClockValue(WallClock(value_at, next_after, now), label))
