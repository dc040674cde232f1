# ruff: noqa: D102 - an override does what its base class documents
"""State of the schedules, which are due at instants of the wall clock."""

from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from math import inf
from typing import Any, Final

from eshet.clock import ClockStep, wall_time
from eshet.reactive.core.graph import RestoreContext, StateData
from eshet.reactive.time.state import CauseRule, OperatorState, loop_time

__all__ = ["GRACE", "ScheduleState"]

GRACE: Final = 60.0
"""How many seconds late, or early, a firing may be and still count as the intended one."""

_LAST: Final = 253_402_300_799.0  # the end of the year 9999: the last datetime
_LOOK_AGAIN: Final = 3600.0
_SAME_INSTANT: Final = 0.0005  # seconds; the rounding error of a clock's float
_RECOGNIZED: Final = 1.0  # seconds; tolerance for recognising computed instants, such as sunsets


class ScheduleState(OperatorState):
    """The next instant of the wall clock at which a schedule is due.

    After a step of the wall clock the next instant is computed again. If the clock was put forward
    over an instant, that one is late: it is dropped or happens. If the clock was put back, instants
    happen again, except one that is less than `GRACE` away: that firing came a little early.

    Args:
        next_after: returns the first instant after the given one, in seconds since 1970-01-01 UTC;
            None if there is none.
        late: by how many seconds a firing may be late and still happen.
        tz: the time zone of the emitted times.
        now: the current time of the loop.
    """

    __slots__ = ("_dropped", "_happened", "_late", "_next", "_next_after", "_tz", "_wake_at")

    label = "schedule"
    cause_rule = CauseRule.BEGINNING
    follows_wall_clock = True

    def __init__(
        self,
        next_after: Callable[[float], float | None],
        late: float,
        tz: tzinfo | None,
        now: float,
    ) -> None:
        super().__init__()
        self._next_after = next_after
        self._late = late
        self._tz = tz
        self._next = next_after(wall_time())
        self._happened = -inf  # the last instant that was emitted
        self._dropped: float | None = None
        self._wake_at: float | None = None
        self._wait(now)

    @property
    def wake_at(self) -> float | None:
        return self._wake_at

    def wake(self, now: float) -> list[Any]:
        wall = wall_time()
        self._drop_late(wall)
        happens = []
        if self._next is not None and wall > self._next - _SAME_INSTANT:
            self._happened = self._next
            happens = [self._local_time(self._next)]
            # Other missed instants are skipped if a firing may be late by any time.
            self._next = self._next_after(max(wall if self._late == inf else 0, self._happened))
        self._wait(now)
        return happens

    def take_dropped(self) -> object:
        dropped, self._dropped = self._dropped, None
        return None if dropped is None else self._local_time(dropped)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wall, instant = wall_time() - now, self._next
        while instant is not None:
            yield instant - wall, self._local_time(instant)
            instant = self._next_after(instant)

    def snapshot(self, epoch: float) -> object:
        return self._next

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        if data is None:
            return []
        if not 0 <= loop_time(data, 0.0) <= _LAST:
            raise ValueError(f"{data!r} is not a time of the wall clock")
        wall = wall_time()
        if data > wall or not self._has(data):
            return []
        if wall - data > self._late:
            return [self._local_time(data)] if context.down_until > -inf else []
        self._next = data  # it was due while no process was running, and is emitted late
        self._wait(context.now)
        return []

    def clock_stepped(self, step: ClockStep, now: float) -> list[object]:
        wall = wall_time()
        if self._next is None or wall < self._next:
            self._next = self._next_after(
                self._happened if wall < self._happened <= wall + GRACE else wall
            )
        elif self._next < step.written <= wall:
            # The clock was wrong since the start; an earlier process handled earlier instants.
            self._next = self._next_after(step.written)
        self._wait(now)
        return []

    def _drop_late(self, wall: float) -> None:
        if self._next is not None and wall - self._next > self._late:
            self._dropped = self._next
            self._next = self._next_after(wall - self._late)

    def _has(self, instant: float) -> bool:
        """Whether this is an instant of this schedule, which may have been edited since."""
        next_ = self._next_after(instant - _RECOGNIZED)
        return next_ is not None and abs(next_ - instant) < _RECOGNIZED

    def _local_time(self, instant: float) -> datetime:
        return datetime.fromtimestamp(instant, self._tz)

    def _wait(self, now: float) -> None:
        if self._next is None:
            self._wake_at = None
        else:
            self._wake_at = now + min(max(0.0, self._next - wall_time()), _LOOK_AGAIN)
