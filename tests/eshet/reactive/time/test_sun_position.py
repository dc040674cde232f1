"""The elevation and the azimuth of the sun, against those of astral."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from astral import Observer
from astral.sun import azimuth, elevation

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.time.solar import sun_azimuth_at, sun_elevation_at
from eshet_rules.testing.virtual_time import VirtualLoop

BERLIN = {"latitude": 52.5, "longitude": 13.4}
PLACES = [(52.5, 13.4), (-33.9, 18.4), (0.2, -78.5), (69.6, 18.9), (-77.8, 166.7)]


@pytest.mark.parametrize("place", PLACES)
def test_both_agree_with_astral(place):
    latitude, longitude = place
    observer = Observer(*place)
    for hours in range(0, 366 * 24, 7):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
        instant = moment.timestamp()
        high = elevation(observer, moment)
        assert sun_elevation_at(latitude, longitude, instant) == pytest.approx(high, abs=0.02)
        turned = sun_azimuth_at(latitude, longitude, instant) - azimuth(observer, moment)
        assert (turned + 180) % 360 - 180 == pytest.approx(0, abs=0.3)


def run_at(start, main):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        loop = runner.get_loop()
        return runner.run(main(loop))


def test_they_are_computed_at_whole_minutes_and_when_the_clock_is_set():
    async def main(loop):
        changes = []
        yarp.sun_elevation(**BERLIN).on_value_changed(
            lambda value: changes.append((round(loop.time(), 2), value))
        )
        await loop.advance(100)
        loop.set_wall_time(noon)
        await loop.advance(1)
        return changes

    start = datetime(2026, 6, 21, 6, 0, 30, tzinfo=UTC)
    noon = datetime(2026, 6, 21, 11, tzinfo=UTC)
    moments = [(each, start + timedelta(seconds=each)) for each in (30, 90)] + [(100, noon)]
    observer = Observer(**BERLIN)
    assert run_at(start, main) == [
        (seconds, pytest.approx(elevation(observer, moment), abs=0.02))
        for seconds, moment in moments
    ]


def test_the_direction_turns_from_east_by_south_to_west():
    async def main(loop):
        azimuth = yarp.sun_azimuth(**BERLIN)
        shown = []
        for _ in range(4):
            shown.append("NESW"[round(azimuth.value / 90) % 4])
            await loop.advance(6 * 3600)
        return shown

    assert run_at(datetime(2026, 3, 20, 23, 10, tzinfo=UTC), main) == ["N", "E", "S", "W"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"latitude": 91}, "latitude is a number from -90 to 90"),
        ({"interval": 0}, "interval=0 is too short"),
        ({"interval": -1}, "a length of time"),
        ({"latitude": 13.4, "longitude": 52.5, "tz": "Europe/Berlin"}, "exchange them"),
    ],
)
@pytest.mark.parametrize("make", [yarp.sun_elevation, yarp.sun_azimuth])
async def test_wrong_arguments_are_refused(make, wrong, why):
    with pytest.raises(ReactiveTypeError, match=why):
        make(**{**BERLIN, **wrong})
