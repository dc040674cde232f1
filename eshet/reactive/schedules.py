"""Events at times of the wall clock: daily, by cron, and by the sun.

A schedule is kept in its time zone, as people mean it; only the next instant is computed, in UTC,
and again after each. Two instants are compared in UTC, since `datetime` compares wall clocks.
"""

import asyncio
import math
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import astral
import astral.sun
from cronsim import CronSim, CronSimError

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.appointments import GRACE, Appointment
from eshet.reactive.clocked import LaterEvent
from eshet.reactive.event import Event, event_of
from eshet.reactive.handover import named
from eshet.reactive.timing import Missed, emits

__all__ = ["schedule", "sun"]

_TWICE_WITHIN: Final = timedelta(hours=3)
"""More than any clock is ever put back."""

_SUN: Final[dict[str, Callable[..., datetime]]] = {
    "dawn": astral.sun.dawn,
    "sunrise": astral.sun.sunrise,
    "noon": astral.sun.noon,
    "sunset": astral.sun.sunset,
    "dusk": astral.sun.dusk,
}

SunEvent = Literal["dawn", "sunrise", "noon", "sunset", "dusk"]


def schedule(
    at: str,
    *,
    tz: str | tzinfo | None = None,
    skipped: Literal["later", "skip"] = "later",
    repeated: Literal["once", "twice"] = "once",
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[datetime]:
    """Return an Event that emits at times of the wall clock, with the time that was meant.

    Args:
        at: a time of each day, as `"07:30"`, or the five fields of cron: `"*/10 6-22 * * mon-fri"`.
        tz: the zone it is meant in, as `"Europe/Berlin"`; the system's if not given.
        skipped: what becomes of a time that a day does not have, since clocks are put forward:
            it comes when that is over, or not at all.
        repeated: how often a time comes that a day has twice, since clocks are put back. What cron
            does every hour, or more often, it does in both.
        name: by which it is known again after a reload, unique in its module.
        missed: what becomes of a time that is more than a minute past when this gets to run, since
            the runner was down, the machine slept or its clock was set: `"drop"`, or `"emit"` once,
            for the first of all that were missed.

    Raises:
        ReactiveTypeError: `at` is neither, or never comes.
        RuntimeError: no loop is running.
    """
    zone = _zone(tz)
    expression = _expression(at)

    def next_after(instant: float) -> float:
        times = _times(expression, instant, zone, skipped=skipped, repeated=repeated)
        return next(time for time in times if time > instant)

    return named(_appointments(next_after, missed, zone), name)


def sun(
    event: SunEvent,
    *,
    latitude: float,
    longitude: float,
    offset: float = 0,
    tz: str | tzinfo | None = None,
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[datetime]:
    """Return an Event that emits when the sun rises, or sets, with that time.

    On days on which that does not happen, as near the poles, it does not emit.

    Args:
        event: which moment. Dawn and dusk are civil: the sun is 6° below the horizon.
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        offset: how many seconds later; negative for earlier.
        tz: the zone in which the time is told; the system's if not given.
        name: by which it is known again after a reload, unique in its module.
        missed: see `schedule`.

    Raises:
        ReactiveTypeError: there is no such event.
        RuntimeError: no loop is running.
    """
    if event not in _SUN:
        raise ReactiveTypeError(f"the sun has {', '.join(_SUN)}, not {event!r}")
    observer = astral.Observer(latitude, longitude)

    def next_after(instant: float) -> float | None:
        # A day of the sun may lie in two days of UTC, so the next is among three days; where the
        # sun stays up or down for months, it is later.
        start = datetime.fromtimestamp(instant - offset, UTC).date() - timedelta(days=1)
        for days in range(370):
            near = [_sun_at(event, observer, start + timedelta(days=days + n)) for n in range(3)]
            after = [time + offset for time in near if time is not None and time + offset > instant]
            if after:
                return min(after)
        return None

    return named(_appointments(next_after, missed, _zone(tz)), name)


def _appointments(
    next_after: Callable[[float], float | None], missed: Missed, zone: tzinfo
) -> Event[datetime]:
    now = asyncio.get_running_loop().time()
    late = math.inf if emits(missed) else GRACE
    return event_of(LaterEvent(Appointment(next_after, late, zone, now), None, None))


def _expression(at: str) -> str:
    hours, colon, minutes = at.partition(":")
    expression = f"{minutes} {hours} * * *" if colon else at
    try:
        comes = any(CronSim(expression, datetime(2000, 1, 1)))
    except CronSimError as error:
        raise ReactiveTypeError(
            'a schedule is a time of day, as "07:30", or the five fields of cron, '
            f'as "*/10 6-22 * * *", and not {at!r}: {error}'
        ) from error
    if not comes:
        raise ReactiveTypeError(f"the schedule {at!r} never comes")
    return expression


def _times(
    expression: str, instant: float, zone: tzinfo, *, skipped: str, repeated: str
) -> Iterator[float]:
    """Yield the instants of a schedule, from a little before an instant on, in order."""
    # From before, as what comes a second time is found by its first.
    start = datetime.fromtimestamp(instant, zone) - _TWICE_WITHIN
    pending: list[float] = []  # second times that are still to come
    for time in CronSim(expression, start):
        this = time.timestamp()
        while pending and pending[0] <= this:
            if (second := pending.pop(0)) != this:  # cron does what is hourly in both by itself
                yield second
        if skipped == "later" or _is_meant(expression, time):
            yield this
        second = time.replace(fold=1).timestamp()
        if repeated == "twice" and second > this and time.fold == 0:
            pending.append(second)


def _is_meant(expression: str, time: datetime) -> bool:
    """Whether a wall clock ever shows what the expression says then, or it was moved there."""
    wall = time.replace(tzinfo=None)
    return next(CronSim(expression, wall - timedelta(minutes=1))) == wall


def _sun_at(event: str, observer: astral.Observer, day: date) -> float | None:
    try:
        return _SUN[event](observer, date=day, tzinfo=UTC).timestamp()
    except ValueError:  # the sun does not do that on this day
        return None


def _zone(tz: str | tzinfo | None) -> tzinfo:
    if isinstance(tz, tzinfo):
        return tz
    return ZoneInfo(tz or _system_zone())


def _system_zone() -> str:
    """Return the name of the zone that this machine is set to."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        _, _, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    return name or "UTC"
