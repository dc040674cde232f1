"""Sunrises and sunsets of forty places in three years, against altitudes computed otherwise."""

import math
import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest

from eshet.reactive.time.solar import next_sun_event

START = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
DAY, STEP = 86_400.0, 1_800.0
STEPS = round(3 * 365.25 * DAY / STEP)

PLACES = {
    "New York": (40.71, -74.01), "Miami": (25.76, -80.19), "Chicago": (41.88, -87.63),
    "Denver": (39.74, -104.99), "Los Angeles": (34.05, -118.24), "Anchorage": (61.22, -149.90),
    "Honolulu": (21.31, -157.86), "Mexico City": (19.43, -99.13), "Bogota": (4.71, -74.07),
    "Quito": (-0.18, -78.47), "Lima": (-12.05, -77.04), "Ushuaia": (-54.80, -68.30),
    "Rio": (-22.91, -43.17), "Nuuk": (64.18, -51.69), "Reykjavik": (64.15, -21.94),
    "London": (51.51, -0.13), "Berlin": (52.52, 13.40), "Tromso": (69.65, 18.96),
    "Longyearbyen": (78.22, 15.65), "Murmansk": (68.97, 33.09), "Rovaniemi": (66.50, 25.73),
    "Cairo": (30.04, 31.24), "Lagos": (6.52, 3.38), "Nairobi": (-1.29, 36.82),
    "Cape Town": (-33.92, 18.42), "Mumbai": (19.08, 72.88), "Lop Nur": (38.41, 90.14),
    "Lhasa": (29.65, 91.10), "Novosibirsk": (55.03, 82.92), "Singapore": (1.35, 103.82),
    "Tokyo": (35.68, 139.69), "Sydney": (-33.87, 151.21), "Lord Howe": (-31.55, 159.08),
    "Auckland": (-36.85, 174.76), "Fiji": (-17.71, 178.07), "Samoa": (-13.83, -171.76),
    "Anadyr": (64.73, 177.51), "Utqiagvik": (71.29, -156.79), "McMurdo": (-77.85, 166.67),
    "Alert": (82.50, -62.35),
}  # fmt: skip


@cache
def sun_positions():
    """Return declination, in radians, and right ascension less sidereal time, in degrees, by steps.

    By the low-precision formulas of the Astronomical Almanac, good to 0.01 degrees.
    """
    return [position(START + n * STEP) for n in range(STEPS)]


def position(instant):
    days = (instant - 946_728_000) / DAY  # since noon of 2000-01-01
    mean = math.radians((357.528 + 0.9856003 * days) % 360)
    longitude = math.radians(
        280.460 + 0.9856474 * days + 1.915 * math.sin(mean) + 0.020 * math.sin(2 * mean)
    )
    obliquity = math.radians(23.439 - 0.0000004 * days)
    ascension = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    sidereal = 280.46062 + 360.98564737 * days
    return (
        math.asin(math.sin(obliquity) * math.sin(longitude)),
        (sidereal - math.degrees(ascension)) % 360,
    )


def altitude_of(latitude, longitude, declination, hours):
    angle = math.radians(hours + longitude)
    latitude = math.radians(latitude)
    return math.degrees(
        math.asin(
            math.sin(latitude) * math.sin(declination)
            + math.cos(latitude) * math.cos(declination) * math.cos(angle)
        )
    )


def altitude(place, instant):
    return altitude_of(*place, *position(instant))


def crossings(place, horizon, rising):
    """Return when the altitude crosses a horizon, by bisection between steps."""
    sign = 1 if rising else -1
    heights = [sign * (altitude_of(*place, *each) - horizon) for each in sun_positions()]
    found = []
    for n, (before, after) in enumerate(pairwise(heights)):
        if before < 0 <= after:
            low, high = START + n * STEP, START + (n + 1) * STEP
            while high - low > 1:
                middle = (low + high) / 2
                if sign * (altitude(place, middle) - horizon) < 0:
                    low = middle
                else:
                    high = middle
            found.append(high)
    return found


def telling(instants):
    """Return those at which the day is unusual or UTC's date changes, and some others."""
    gaps = {b: abs(b - a - DAY) for a, b in pairwise(instants)}
    near_midnight = sorted(instants, key=lambda t: min(t % DAY, -t % DAY))
    chance = random.Random(5)  # noqa: S311 - to get the same again
    return {
        *sorted(gaps, key=lambda t: gaps[t])[-8:],
        *near_midnight[:8],
        *chance.sample(instants, 8),
    } - {instants[-1], instants[0]}


HORIZONS = {"sunrise": (-0.833, True), "sunset": (-0.833, False), "dusk": (-6.0, False)}
EXACT = 0.08  # degrees; refraction is computed in different ways


@pytest.mark.parametrize("place", PLACES)
def test_the_next_event_is_the_next_crossing_of_the_horizon(place):
    place = PLACES[place]
    for event, (horizon, rising) in HORIZONS.items():
        expected = crossings(place, horizon, rising)
        for instant in telling(expected):
            following = expected[bisect_right(expected, instant)]
            told = next_sun_event(event, *place, instant + 600)
            assert abs(altitude(place, told) - horizon) < EXACT
            assert not is_crossed(place, horizon, rising, instant + 600, told - 600)
            assert abs(following - told) < 600 or is_near(place, horizon, following, told)


def is_crossed(place, horizon, rising, start, end):
    """Whether the sun crosses a horizon clearly between two times that are no event."""
    sign = 1 if rising else -1
    is_below = False
    for n in range(int((end - start) / 600)):
        height = sign * (altitude(place, start + n * 600) - horizon)
        if is_below and height > EXACT:
            return True
        is_below = height < -EXACT or (is_below and height < EXACT)
    return False


def is_near(place, horizon, first, second):
    """Whether the sun stays close to a horizon between two times, or only one of them grazes it.

    Then they are half a day apart, or whole days.
    """
    low, high = sorted((first, second))
    return high - low > 3 * 3600 or all(
        abs(altitude(place, low + n * 60) - horizon) < EXACT for n in range(int((high - low) / 60))
    )


@pytest.mark.parametrize("place", ["New York", "Lop Nur", "Berlin", "Anadyr", "Fiji"])
@pytest.mark.parametrize("event", ["sunrise", "sunset", "dawn", "dusk", "noon"])
def test_each_day_of_a_year_has_one(place, event):
    latitude, longitude = PLACES[place]
    latitude = min(latitude, 59.0)
    times = [START]
    while times[-1] < START + 365 * DAY:
        times.append(next_sun_event(event, latitude, longitude, times[-1]))
    gaps = [b - a for a, b in pairwise(times[1:])]
    assert min(gaps) > 23.8 * 3600
    assert max(gaps) < 24.2 * 3600
    assert len(gaps) in (364, 365)


@pytest.mark.parametrize("latitude", [90, -90, 89.99, 0])
@pytest.mark.parametrize("event", ["sunrise", "sunset", "dawn", "dusk"])
def test_at_the_poles_it_comes_once_a_year(latitude, event):
    first = next_sun_event(event, latitude, 0, START)
    second = next_sun_event(event, latitude, 0, first)
    days = (second - first) / DAY
    assert 360 < days < 370 if abs(latitude) == 90 else days < 370


def test_an_instant_of_an_event_is_not_after_itself():
    for event in ("sunrise", "noon", "sunset"):
        first = next_sun_event(event, 52.52, 13.40, START)
        assert next_sun_event(event, 52.52, 13.40, first) - first > 0.9 * DAY
        assert next_sun_event(event, 52.52, 13.40, first - 1) == pytest.approx(first, abs=0.1)


def test_the_longest_day_of_berlin_is_as_the_almanac_says():
    noon = datetime(2026, 6, 21, 11, tzinfo=UTC)
    rises = next_sun_event("sunrise", 52.52, 13.40, (noon - timedelta(hours=12)).timestamp())
    sets = next_sun_event("sunset", 52.52, 13.40, noon.timestamp())
    assert abs(rises - datetime(2026, 6, 21, 2, 43, tzinfo=UTC).timestamp()) < 90
    assert abs(sets - datetime(2026, 6, 21, 19, 33, tzinfo=UTC).timestamp()) < 90
