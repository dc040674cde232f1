"""Events at times of the wall clock: daily, by cron, and by the sun; and where the sun is.

A schedule is a rule in its time zone; only the next instant is computed, in UTC, again after each
firing. Instants are compared in UTC, since `datetime` compares wall clocks.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, Final, Literal

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.value import Value
from eshet.reactive.handover.handover import named
from eshet.reactive.time.cron import Cron
from eshet.reactive.time.nodes import LaterEvent, checked_seconds
from eshet.reactive.time.operators import Missed, emits
from eshet.reactive.time.schedule_state import GRACE, ScheduleState
from eshet.reactive.time.solar import (
    SUN_EVENTS,
    SunEvent,
    next_sun_event,
    sun_azimuth_at,
    sun_elevation_at,
)
from eshet.reactive.time.wall_clock import value_of_wall_clock
from eshet.text import safe_repr
from eshet.time_zones import distance, place_of, zone_of

__all__ = ["schedule", "sun", "sun_azimuth", "sun_elevation"]

_MAX_OFFSET: Final = 86_400.0  # seconds
_ELSEWHERE: Final = (
    25.0  # degrees: most places are closer to the place that their zone is named after
)


def schedule(
    at: str,
    *,
    tz: str | tzinfo | None = None,
    skipped: Literal["later", "skip"] = "later",
    repeated: Literal["once", "twice"] = "once",
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[datetime]:
    """Return an Event that emits at times of the wall clock, with the scheduled time.

    Args:
        at: a time of each day, such as `"07:30"`, or the five fields of cron, such as
            `"*/10 6-22 * * mon-fri"`.
        tz: the time zone of `at`, such as `"Europe/Berlin"`; by default that of the system.
        skipped: how to treat a time that a day does not have, since clocks are put forward: it
            comes `"later"`, when that is over, or not at all. A cron schedule that repeats every
            hour, or more often, comes then only if its interval would otherwise be interrupted.
        repeated: how often a time comes that a day has twice, since clocks are put back. A cron
            schedule that repeats every hour, or more often, comes in both.
        name: identifies it across reloads, unique in its module.
        missed: how to treat a time that is more than a minute past when it can be emitted, since
            the runner was down, the machine slept or its clock was set: `"drop"`, or `"emit"` once,
            for the first of all missed times.

    Raises:
        ReactiveTypeError: `at` is neither, or never matches, or another argument is not valid.
        RuntimeError: no loop is running.
    """
    zone = zone_of(tz)
    cron = Cron(
        at,
        zone,
        comes_later=_one_of("skipped", skipped, "later", "skip") == "later",
        comes_twice=_one_of("repeated", repeated, "once", "twice") == "twice",
    )
    return named(_schedule_event(cron.next_after, missed, zone), name)


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

    On days without that event, as near the poles, it does not emit.

    Args:
        event: which moment. Dawn and dusk are civil: the sun is 6° below the horizon.
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        offset: how many seconds later, a day at most; negative for earlier.
        tz: the time zone of the emitted time; by default that of the system.
        name: identifies it across reloads, unique in its module.
        missed: see `schedule`.

    Raises:
        ReactiveTypeError: the event, place or zone does not exist; or latitude and longitude are
            exchanged: the place is far from the zone, and would be close to it the other way round.
        RuntimeError: no loop is running.
    """
    if event not in SUN_EVENTS:
        raise ReactiveTypeError(f"the sun has {', '.join(SUN_EVENTS)}, not {safe_repr(event, 200)}")
    _check_number("offset", offset, _MAX_OFFSET, "seconds")
    zone = _zone_of_place(latitude, longitude, tz)

    def next_after(instant: float) -> float | None:
        time = next_sun_event(event, latitude, longitude, instant - offset)
        if time is not None and time + offset <= instant:  # the same event, due to rounding
            time = next_sun_event(event, latitude, longitude, time)
        return None if time is None else time + offset

    return named(_schedule_event(next_after, missed, zone), name)


def sun_elevation(
    *,
    latitude: float,
    longitude: float,
    interval: float = 60,
    tz: str | tzinfo | None = None,
) -> Value[float]:
    """Return a Value of how high the sun appears above the horizon, in degrees; negative below it.

    It is rounded to hundredths of a degree, and never unknown.

    Args:
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        interval: how often it is computed, in seconds, at least 1: at whole minutes for 60.
        tz: the time zone of the place, by which exchanged coordinates are recognised; by default
            that of the system.

    Raises:
        ReactiveTypeError: see `sun`; or the interval is shorter.
        RuntimeError: no loop is running.
    """
    return _position("sun_elevation", sun_elevation_at, latitude, longitude, interval, tz)


def sun_azimuth(
    *,
    latitude: float,
    longitude: float,
    interval: float = 60,
    tz: str | tzinfo | None = None,
) -> Value[float]:
    """Return a Value of the direction of the sun in degrees: 0 is north, 90 east, 180 south.

    It is rounded to hundredths of a degree, and never unknown. While the sun is below the horizon,
    it is the direction in which the sun would be seen.

    Args:
        latitude: see `sun_elevation`.
        longitude: see `sun_elevation`.
        interval: see `sun_elevation`.
        tz: see `sun_elevation`.

    Raises:
        ReactiveTypeError: see `sun_elevation`.
        RuntimeError: no loop is running.
    """
    return _position("sun_azimuth", sun_azimuth_at, latitude, longitude, interval, tz)


def _position(
    label: str,
    angle_at: Callable[[float, float, float], float],
    latitude: float,
    longitude: float,
    interval: float,
    tz: str | tzinfo | None,
) -> Value[float]:
    _zone_of_place(latitude, longitude, tz)
    if not checked_seconds(interval) >= 1:
        raise ReactiveTypeError(f"interval={interval!r} is too short: write 1 second or more")

    def value_at(instant: float) -> float:
        return round(angle_at(latitude, longitude, instant), 2)

    return value_of_wall_clock(
        label, value_at, lambda instant: (instant // interval + 1) * interval
    )


def _zone_of_place(latitude: float, longitude: float, tz: str | tzinfo | None) -> tzinfo:
    """Return the zone, after checking that the place may be in it."""
    _check_number("latitude", latitude, 90, "degrees, north is positive")
    _check_number("longitude", longitude, 180, "degrees, east is positive")
    zone = zone_of(tz)
    _check_not_exchanged(latitude, longitude, zone)
    return zone


def _schedule_event(
    next_after: Callable[[float], float | None], missed: Missed, zone: tzinfo
) -> Event[datetime]:
    now = asyncio.get_running_loop().time()
    late = math.inf if emits(missed) else GRACE
    return event_of(LaterEvent(ScheduleState(next_after, late, zone, now), None, None))


def _one_of(argument: str, value: object, *meanings: str) -> str:
    for meaning in meanings:
        if value == meaning:
            return meaning
    texts = " or ".join(f'"{each}"' for each in meanings)
    raise ReactiveTypeError(f"{argument}={safe_repr(value, 200)} is not valid: write {texts}")


def _check_number(argument: str, value: Any, at_most: float, unit: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= at_most:
        raise ReactiveTypeError(
            f"{argument} is a number from {-at_most:g} to {at_most:g}, in {unit}, "
            f"and not {safe_repr(value, 200)}"
        )


def _check_not_exchanged(latitude: float, longitude: float, zone: tzinfo) -> None:
    """Check that a place is not far from its zone, but close to it with exchanged coordinates."""
    place = place_of(zone)
    if place is None or abs(longitude) > 90:
        return
    entered = distance((latitude, longitude), place)
    exchanged = distance((longitude, latitude), place)
    if entered > _ELSEWHERE > 2 * exchanged:
        raise ReactiveTypeError(
            f"latitude={latitude!r}, longitude={longitude!r} is far from {zone}, where "
            f"latitude={longitude!r}, longitude={latitude!r} is: exchange them. If they are right, "
            "pass the zone of the place as tz"
        )
