"""Times of day and the five fields of cron, as instants through daylight saving.

Matches of an expression are found on a calendar without a zone. Each matching time is then looked
up in the zone, where it exists once, twice, or not at all.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from heapq import heappop, heappush
from typing import Final

from cronsim import CronSim, CronSimError

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.markers import PlainValue
from eshet.text import safe_repr

__all__ = ["Cron"]

_TIME_OF_DAY: Final = re.compile(r"(\d{1,2}):(\d{2})")
_FIELDS: Final = 5
_MINUTE: Final = timedelta(minutes=1)

_TWICE_WITHIN: Final = timedelta(hours=3)
"""More than clocks are put back for daylight saving anywhere."""


class Cron:
    """The instants at which a cron expression or time of day is due in a zone.

    Args:
        at: a time of each day, such as `"07:30"`, or the five fields of cron.
        zone: the time zone of `at`.
        comes_later: if a day does not have a time, since clocks are put forward: whether it comes
            when that is over, or not at all.
        comes_twice: if a day has a time twice: whether it comes twice. Schedules that repeat every
            hour, or more often, always do.

    Raises:
        ReactiveTypeError: `at` is neither, or never matches.
    """

    def __init__(self, at: str, zone: tzinfo, *, comes_later: bool, comes_twice: bool) -> None:
        self._expression = _expression(at)
        self._zone = zone
        self._comes_later = comes_later
        minute, hour, *_ = self._expression.split()
        self._hourly = minute.startswith("*") or hour.startswith("*")
        self._comes_twice = comes_twice or self._hourly

    def next_after(self, instant: float) -> float | None:
        """Return the first instant after one, in seconds since 1970-01-01 UTC; None if none."""
        return next((each for each in self._instants(instant) if each > instant), None)

    def _instants(self, instant: float) -> Iterator[float]:
        """Yield the instants in order, starting a little before the given one."""
        wall = datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None)
        # From before, since a second occurrence is found by its first one.
        start = wall - _TWICE_WITHIN
        second_times: list[float] = []
        for time in CronSim(self._expression, start):
            first, *second = self._instants_of(time) or (None,)
            if first is None:
                continue
            while second_times and second_times[0] <= first:
                yield heappop(second_times)
            yield first
            for each in second:
                heappush(second_times, each)

    def _instants_of(self, wall: datetime) -> tuple[float, ...]:
        """Return the instants at which clocks of the zone show a time, if it comes then."""
        early, late = (wall.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        first, second = early.timestamp(), late.timestamp()
        if first == second:
            return (first,)
        if first < second:
            return (first, second) if self._comes_twice else (first,)
        # Clocks are put forward over it: `first` is when it would be if they were not.
        if not self._comes_later or (self._hourly and self._matches(wall, first - second)):
            return ()
        return (self._end_of_gap(second, first),)

    def _matches(self, wall: datetime, put_forward: float) -> bool:
        """Whether it comes anyway, at its usual interval after the previous one."""
        shown = wall + timedelta(seconds=put_forward)
        return next(CronSim(self._expression, shown - _MINUTE)) == shown

    def _end_of_gap(self, before: float, after: float) -> float:
        """Return the instant between two at which clocks are put forward."""
        offset = self._offset(before)
        low, high = int(before), int(after)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return float(high)

    def _offset(self, instant: float) -> timedelta | None:
        return datetime.fromtimestamp(instant, self._zone).utcoffset()


def _expression(at: object) -> str:
    """Return a time of day or a cron expression as the five fields of cron."""
    text = at.strip() if isinstance(at, str) else ""
    time = _TIME_OF_DAY.fullmatch(text)
    expression = f"{time[2]} {time[1]} * * *" if time is not None else text
    try:
        _check_fields(at, expression)
        comes = any(CronSim(expression, datetime(2000, 1, 1)))
    except CronSimError as error:
        raise ReactiveTypeError(
            'a schedule is a time of day, such as "07:30", or the five fields of cron, '
            f'such as "*/10 6-22 * * *", and not {safe_repr(at, 200)}: {error}'
        ) from None
    if not comes:
        raise ReactiveTypeError(f"the schedule {at!r} never matches")
    return expression


def _check_fields(at: object, expression: str) -> None:
    """Check that this has five fields; cronsim accepts more, for seconds and years."""
    if isinstance(at, PlainValue):
        raise CronSimError("it is fixed, so for the current value of a Value write `value.value`")
    if not isinstance(at, str):
        raise CronSimError(f"its type is {type(at).__name__}")
    number = len(expression.split())
    if number != _FIELDS:
        raise CronSimError(f"it has {number} {'field' if number == 1 else 'fields'}")
