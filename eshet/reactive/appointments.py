# ruff: noqa: D102 - what a memory overrides, it does as its base says.
"""The memory of what is due at an instant of the wall clock."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from math import inf
from typing import Any, Final

from eshet.clock import wall_time
from eshet.reactive.graph import Resumption
from eshet.reactive.memories import Led, Memory, loop_time

__all__ = ["Appointment"]

_LAST: Final = 253_402_300_799.0  # the end of the year 9999, after which there is no datetime
_LOOK_AGAIN: Final = 3600.0
_SAME_INSTANT: Final = 0.0005  # seconds; what a float of a clock may lack


class Appointment(Memory):
    """The next instant of the wall clock at which something is due.

    The wall clock may be set while one waits for it, so it is looked at again each hour.

    Args:
        next_after: returns the first instant after one, in seconds since 1970-01-01 UTC; None if
            there is none.
        late: by how many seconds it may come late and still happen.
        tz: the zone to tell it in.
        now: the present time of the loop.
    """

    __slots__ = ("_late", "_next", "_next_after", "_tz", "_wake_at")

    label = "schedule"
    led = Led.BEGINNING

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
        self._wake_at: float | None = None
        self._wait(now)

    @property
    def wake_at(self) -> float | None:
        return self._wake_at

    def wake(self, now: float) -> list[Any]:
        due, wall = self._next, wall_time()
        happens = False
        if due is not None and wall > due - _SAME_INSTANT:
            happens = wall - due <= self._late
            self._next = self._next_after(max(wall, due))
        self._wait(now)
        return [datetime.fromtimestamp(due, self._tz)] if happens and due is not None else []

    def give(self, zero: float) -> Any:
        return self._next

    def receive(self, given: Any, resumption: Resumption) -> list[Any]:
        if given is not None and not 0 <= loop_time(given, 0.0) <= _LAST:
            raise ValueError(f"{given!r} is not a time of the wall clock")
        if self._late == inf and given is not None and (self._next is None or given < self._next):
            self._next = given  # it was missed while nobody was there, and is to come late
            self._wait(resumption.now)
        return []

    def _wait(self, now: float) -> None:
        if self._next is None:
            self._wake_at = None
        else:
            self._wake_at = now + min(max(0.0, self._next - wall_time()), _LOOK_AGAIN)
