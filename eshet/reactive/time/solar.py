"""Where the sun is at a place, and the instants at which it rises, sets, and is highest.

The altitude of the sun is examined between consecutive culminations, twice a day: between them it
only rises or only falls, except near the poles. So each crossing of the horizon is found once,
independent of calendar dates, and a day without a crossing has none.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import asin, atan2, cos, degrees, radians, sin
from typing import Final, Literal, get_args

from astral import refraction_at_zenith
from astral.sun import SUN_APPARENT_RADIUS, eq_of_time, sun_declination

__all__ = ["SUN_EVENTS", "SunEvent", "next_sun_event", "sun_azimuth_at", "sun_elevation_at"]

SunEvent = Literal["dawn", "sunrise", "noon", "sunset", "dusk"]
SUN_EVENTS: Final[tuple[str, ...]] = get_args(SunEvent)

_DAY: Final = 86_400
_HALF_DAYS: Final = 2 * 370
"""Within this time each event occurs at least once, at any place."""

_CIVIL: Final = 6.0  # degrees below the horizon
# Within this distance, the sun may cross a horizon twice between two culminations; then that time
# is divided into parts.
_NEAR: Final = 0.3  # degrees
_PARTS: Final = 24
_PRECISION: Final = 1e-6  # degrees
_MAX_STEPS: Final = 60


def next_sun_event(
    event: SunEvent, latitude: float, longitude: float, instant: float
) -> float | None:
    """Return the first instant after the given one of an event of the sun at a place.

    Args:
        event: the event. Dawn and dusk are civil.
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        instant: in seconds since 1970-01-01 UTC, like the result.
    """
    culminations = _culminations(longitude, instant)
    if event == "noon":
        return next(time for time, is_upper in culminations if is_upper and time > instant)
    horizon = _horizon(event)
    sign = 1.0 if event in ("dawn", "sunrise") else -1.0

    def height(time: float) -> float:
        """Return how far the sun is past the horizon, in the direction of the event."""
        return sign * (_altitude(latitude, longitude, time) - horizon)

    for (start, _), (end, _) in pairwise(culminations):
        for crossing in _crossings(height, start, end):
            if crossing > instant:
                return crossing
    return None


def sun_elevation_at(latitude: float, longitude: float, instant: float) -> float:
    """Return how high the sun appears above the horizon, in degrees, with refraction by the air.

    Args:
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        instant: in seconds since 1970-01-01 UTC.
    """
    altitude = _altitude(latitude, longitude, instant)
    return altitude + refraction_at_zenith(90 - altitude)


def sun_azimuth_at(latitude: float, longitude: float, instant: float) -> float:
    """Return the direction of the sun in degrees from 0 to 360: 0 is north, 90 is east.

    Args:
        latitude: in degrees, north is positive.
        longitude: in degrees, east is positive.
        instant: in seconds since 1970-01-01 UTC.
    """
    declination, hour_angle = _position(longitude, instant)
    latitude = radians(latitude)
    south = cos(hour_angle) * sin(latitude) * cos(declination) - sin(declination) * cos(latitude)
    return (degrees(atan2(sin(hour_angle) * cos(declination), south)) + 180) % 360


def _horizon(event: SunEvent) -> float:
    """Return the altitude, without refraction, of the centre of the sun at an event."""
    zenith = 90 + (_CIVIL if event in ("dawn", "dusk") else SUN_APPARENT_RADIUS)
    return 90 - zenith - refraction_at_zenith(zenith)


def _century(instant: float) -> float:
    """Return an instant in Julian centuries since 2000."""
    return (instant / _DAY + 2_440_587.5 - 2_451_545.0) / 36_525


def _altitude(latitude: float, longitude: float, instant: float) -> float:
    declination, hour_angle = _position(longitude, instant)
    latitude = radians(latitude)
    sine = sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle)
    return degrees(asin(max(-1.0, min(1.0, sine))))


def _position(longitude: float, instant: float) -> tuple[float, float]:
    """Return the declination of the sun and its hour angle at a longitude, both in radians."""
    century = _century(instant)
    hour_angle = instant / 240 + eq_of_time(century) / 4 + longitude - 180
    return radians(sun_declination(century)), radians(hour_angle)


def _culminations(longitude: float, instant: float) -> Iterator[tuple[float, bool]]:
    """Yield the times at which the sun is highest or lowest, from before an instant on.

    With each time comes whether it is the highest, which is noon.
    """
    first = int((instant + longitude * 240) // (_DAY / 2)) - 2
    for number in range(first, first + _HALF_DAYS):
        time = mean = number * _DAY / 2 - longitude * 240
        for _ in range(2):
            time = mean - eq_of_time(_century(time)) * 60
        yield time, number % 2 == 1


def _crossings(height: Callable[[float], float], start: float, end: float) -> Iterator[float]:
    """Yield the times at which a height becomes positive between two culminations of the sun."""
    at_start, at_end = height(start), height(end)
    if min(abs(at_start), abs(at_end)) > _NEAR:
        if at_start < 0 < at_end:
            yield _root(height, start, at_start, end, at_end)
        return
    times = [start + (end - start) * part / _PARTS for part in range(_PARTS + 1)]
    times = sorted({*times, *_extremes(height, times)})
    heights = [height(time) for time in times]
    for (a, at_a), (b, at_b) in pairwise(zip(times, heights, strict=True)):
        if at_a < 0 <= at_b:
            yield _root(height, a, at_a, b, at_b)


def _extremes(height: Callable[[float], float], times: list[float]) -> Iterator[float]:
    """Yield the times of local extremes of a height, for closely spaced times."""
    heights = [height(time) for time in times]
    for i in range(1, len(times) - 1):
        before, middle, after = heights[i - 1 : i + 2]
        if (before - middle) * (middle - after) < 0:
            curve = before - 2 * middle + after
            yield times[i] + (before - after) / (2 * curve) * (times[i + 1] - times[i])


def _root(
    height: Callable[[float], float], low: float, at_low: float, high: float, at_high: float
) -> float:
    """Return when a height that is negative at the start and positive at the end is zero.

    By false position; an end that stays is weighted half (the Illinois algorithm).
    """
    stayed = 0
    middle = high
    for _ in range(_MAX_STEPS):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        at_middle = height(middle)
        if abs(at_middle) < _PRECISION:
            break
        if at_middle < 0:
            low, at_low = middle, at_middle
            at_high /= 2 if stayed > 0 else 1
            stayed = 1
        else:
            high, at_high = middle, at_middle
            at_low /= 2 if stayed < 0 else 1
            stayed = -1
    return middle
