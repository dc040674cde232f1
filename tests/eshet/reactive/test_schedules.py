"""Times of the wall clock: daily, by cron and by the sun, through daylight saving."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.appointments import Appointment
from eshet.reactive.graph import Resumption
from eshet_rules.virtual_time import VirtualLoop
from tests.support.hearing import heard

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400


def run_from(start, days, *make):
    """Return what each schedule emits in so many days of virtual time."""

    async def main():
        schedules = [each() for each in make]
        told = [heard(schedule) for schedule in schedules]
        loop = asyncio.get_running_loop()
        actual = []
        for schedule in schedules:
            schedule.on_event(lambda meant: actual.append((meant.timestamp(), loop.wall_time())))
        await loop.advance(days * DAY)
        assert all(abs(meant - wall) < 0.01 for meant, wall in actual)
        return told

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        return runner.run(main())


def walls(told):
    """Return what a clock on the wall shows, and how far it is from UTC, in hours."""
    return [(f"{t:%m-%d %H:%M}", t.utcoffset() / timedelta(hours=1)) for t in told]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_daily_schedule_fires_once_a_day_for_three_years_at_the_right_time(zone):
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    [told] = run_from(start, 3 * 365, lambda: yarp.schedule("07:30", tz=zone))
    assert [t.date() for t in told] == [start.date() + timedelta(days=n) for n in range(3 * 365)]
    assert {(t.hour, t.minute, t.second) for t in told} == {(7, 30, 0)}
    assert len({t.utcoffset() for t in told}) == 2


def test_a_time_that_a_day_does_not_have_comes_later_or_not_at_all():
    later, skip = run_from(
        datetime(2026, 3, 28, tzinfo=BERLIN),
        3,
        lambda: yarp.schedule("02:30", tz=BERLIN),
        lambda: yarp.schedule("02:30", tz=BERLIN, skipped="skip"),
    )
    assert walls(later) == [("03-28 02:30", 1), ("03-29 03:00", 2), ("03-30 02:30", 2)]
    assert walls(skip) == [("03-28 02:30", 1), ("03-30 02:30", 2)]


def test_a_time_that_a_day_has_twice_comes_once_or_twice():
    once, twice = run_from(
        datetime(2026, 10, 24, tzinfo=BERLIN),
        3,
        lambda: yarp.schedule("02:30", tz=BERLIN),
        lambda: yarp.schedule("02:30", tz=BERLIN, repeated="twice"),
    )
    assert walls(once) == [("10-24 02:30", 2), ("10-25 02:30", 2), ("10-26 02:30", 1)]
    assert walls(twice) == [
        ("10-24 02:30", 2),
        ("10-25 02:30", 2),
        ("10-25 02:30", 1),
        ("10-26 02:30", 1),
    ]


@pytest.mark.parametrize("repeated", ["once", "twice"])
def test_what_cron_does_every_hour_it_does_in_both_hours(repeated):
    start = datetime(2026, 10, 25, tzinfo=BERLIN)
    [told] = run_from(
        start, 0.25, lambda: yarp.schedule("*/30 * * * *", tz="Europe/Berlin", repeated=repeated)
    )
    gaps = {b.timestamp() - a.timestamp() for a, b in itertools.pairwise(told)}
    assert gaps == {1_800}


def test_cron_has_days_of_the_week():
    [told] = run_from(
        datetime(2026, 6, 1, tzinfo=UTC), 14, lambda: yarp.schedule("0 6 * * mon-fri", tz="UTC")
    )
    assert [t.isoweekday() for t in told] == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize("at", ["half past seven", "25:00", "0 0 30 2 *", "* * *"])
async def test_what_is_no_schedule_is_an_error_that_says_what_is(at):
    with pytest.raises(ReactiveTypeError, match="schedule"):
        yarp.schedule(at)


def test_a_schedule_of_the_system_s_zone_follows_tz(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    [told] = run_from(datetime(2026, 6, 1, tzinfo=UTC), 1, lambda: yarp.schedule("07:30"))
    assert walls(told) == [("06-02 07:30", 9)]


@pytest.mark.parametrize(("late", "fires"), [(60, False), (float("inf"), True)])
def test_what_was_slept_through_is_dropped_or_comes_once(monkeypatch, late, fires):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.appointments.wall_time", lambda: wall)
    memory = Appointment(lambda instant: (instant // DAY + 1) * DAY, late, UTC, now=0)
    assert memory.wake_at == 3_600  # the clock may be set: it is looked at each hour
    wall = 3.5 * DAY
    told = memory.wake(3_600)
    assert told == ([datetime.fromtimestamp(DAY, UTC)] if fires else [])
    wall = 4.0 * DAY
    assert memory.wake(7_200) == [datetime.fromtimestamp(4 * DAY, UTC)]


@pytest.mark.parametrize(("late", "fires"), [(60, False), (float("inf"), True)])
def test_what_was_missed_between_two_versions_is_dropped_or_comes_once(monkeypatch, late, fires):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.appointments.wall_time", lambda: wall)

    def daily(instant):
        return (instant // DAY + 1) * DAY

    given = Appointment(daily, late, UTC, now=0).give(0)
    wall = 3.5 * DAY
    memory = Appointment(daily, late, UTC, now=0)
    assert memory.receive(given, Resumption(0.0, 0.0)) == []
    assert memory.wake_at == (0 if fires else 3_600)
    assert memory.wake(0) == ([datetime.fromtimestamp(DAY, UTC)] if fires else [])
    assert memory.give(0) == 4 * DAY


def test_a_clock_that_is_put_forward_a_little_is_not_late(monkeypatch):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.appointments.wall_time", lambda: wall)
    memory = Appointment(lambda instant: (instant // DAY + 1) * DAY, 60, UTC, now=0)
    wall = DAY + 30.0
    assert memory.wake(3_600) == [datetime.fromtimestamp(DAY, UTC)]
    assert memory.wake_at == 3_600 + 3_600


def test_the_sun_rises_and_sets_each_day():
    [rises, sets] = run_from(
        datetime(2026, 6, 20, tzinfo=BERLIN),
        3,
        lambda: yarp.sun("sunrise", latitude=52.52, longitude=13.40, tz=BERLIN),
        lambda: yarp.sun("sunset", latitude=52.52, longitude=13.40, tz=BERLIN, offset=-1_800),
    )
    assert [f"{t:%d %H:%M}" for t in rises] == ["20 04:43", "21 04:43", "22 04:43"]
    assert [f"{t:%d %H:%M}" for t in sets] == ["20 21:02", "21 21:02", "22 21:03"]


def test_a_sun_that_does_not_set_does_not_emit():
    tromso = {"latitude": 69.65, "longitude": 18.96, "tz": "Europe/Oslo"}
    [sets] = run_from(datetime(2026, 5, 1, tzinfo=UTC), 120, lambda: yarp.sun("sunset", **tromso))
    gaps = sorted(b - a for a, b in itertools.pairwise(sets))
    assert timedelta(days=55) < gaps[-1] < timedelta(days=75)
    assert timedelta(hours=23) < gaps[0]
    assert gaps[-2] < timedelta(hours=25)


def test_the_sun_sets_each_day_wherever_one_is():
    for longitude in (-179, -90, 0, 90, 179):
        [sets] = run_from(
            datetime(2026, 3, 1, tzinfo=UTC),
            30,
            lambda at=longitude: yarp.sun("sunset", latitude=10, longitude=at, tz="UTC"),
        )
        assert len(sets) == 30
        assert {round((b - a) / timedelta(hours=1)) for a, b in itertools.pairwise(sets)} == {24}


async def test_the_sun_has_no_teatime():
    with pytest.raises(ReactiveTypeError, match="dawn, sunrise"):
        yarp.sun("teatime", latitude=50, longitude=0)
