"""Values that follow a plan of the day or of the week."""

import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any, Final, TypeVar

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.value import Value
from eshet.reactive.time.cron import Cron
from eshet.reactive.time.wall_clock import value_of_wall_clock
from eshet.text import safe_repr
from eshet.time_zones import zone_of

__all__ = ["plan"]

T = TypeVar("T")

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ENTRY: Final = re.compile(r"(?:(\S+) )?(\d{1,2}):(\d{2})")
_LOOK_BACK: Final = (30 * 3600.0, 8 * 86_400.0, 16 * 86_400.0)
"""Seconds before an instant to search for an entry: of each day, of a week, and of one whose day
was left out because the zone was moved across the date line."""


def plan(entries: Mapping[str, T], *, tz: str | tzinfo | None = None) -> Value[T]:
    """Return a Value that follows a plan of the day or of the week.

    It has the value of the last entry before now, even if that was days ago, before the program was
    started. A time that a day does not have, since clocks are put forward, comes when that is over;
    one that a day has twice comes once. Of two entries at the same time, the later one in `entries`
    decides.

    Args:
        entries: values by their times: `"22:00"` for each day, or `"mo-fr 06:30"` and
            `"sa,su 08:00"` for some days of the week.
        tz: the time zone of the times, such as `"Europe/Berlin"`; by default that of the system.

    Raises:
        ReactiveTypeError: `entries` is empty, a time is not valid, or the zone does not exist.
        RuntimeError: no loop is running.
    """
    zone = zone_of(tz)
    given: object = entries
    if not isinstance(given, Mapping) or not given:
        raise ReactiveTypeError(
            'a plan is a dict of times and values, such as {"06:30": 21, "22:00": 17}, '
            f"and not {safe_repr(entries, 200)}"
        )
    timed: list[tuple[Cron, Any]] = [
        (Cron(_cron_of(at), zone, comes_later=True, comes_twice=False), value)
        for at, value in entries.items()
    ]

    def value_at(instant: float) -> Any:
        last = [_last_until(instant, cron) for cron, _ in timed]
        # The last one of equal times, since the place decides then.
        place = max(range(len(last)), key=lambda place: (last[place], place))
        return timed[place][1]

    def next_after(instant: float) -> float:
        return min(next_ for cron, _ in timed if (next_ := cron.next_after(instant)) is not None)

    return value_of_wall_clock("plan", value_at, next_after)


def _last_until(instant: float, cron: Cron) -> float:
    """Return the last time of an entry until an instant, both in seconds since 1970-01-01 UTC."""
    for look_back in _LOOK_BACK:
        last, start = None, instant - look_back
        while (time := cron.next_after(start)) is not None and time <= instant:
            last = start = time
        if last is not None:
            return last
    return float("-inf")


def _cron_of(at: object) -> str:
    """Return the time of an entry as a cron expression.

    Raises:
        ReactiveTypeError: it is not valid.
    """
    text = re.sub(r"\s*([,-])\s*", r"\1", at.strip().lower()) if isinstance(at, str) else ""
    entry = _ENTRY.fullmatch(" ".join(text.split()))
    if entry is None or int(entry[2]) > 23 or int(entry[3]) > 59:
        raise _not_an_entry(at)
    days = "*" if entry[1] is None else ",".join(map(str, sorted(set(_days(entry[1], at)))))
    return f"{int(entry[3])} {int(entry[2])} * * {days}"


def _days(text: str, at: object) -> Iterator[int]:
    """Iterate over the days of a list of days and of ranges of days, Monday as 1, Sunday as 7."""
    for part in text.split(","):
        first, *last = (_day(name, at) for name in part.split("-"))
        if len(last) > 1:
            raise _not_an_entry(at)
        day = first
        yield day
        while last and day != last[0]:  # may go beyond Sunday: fr-mo
            day = day % 7 + 1
            yield day


def _day(name: str, at: object) -> int:
    for number, day in enumerate(_DAYS, start=1):
        if len(name) > 1 and day.startswith(name):
            return number
    raise _not_an_entry(at)


def _not_an_entry(at: object) -> ReactiveTypeError:
    return ReactiveTypeError(
        'a time of a plan is such as "22:00", "mo-fr 06:30" or "sa,su 08:00", '
        f"and not {safe_repr(at, 200)}"
    )
