"""Times of the wall clock: daily, by cron and by the sun, through daylight saving."""

import asyncio
import itertools
import math
from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.time.cron import Cron
from eshet.reactive.time.schedule_state import ScheduleState
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.hearing import Errors, heard

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


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("half past seven", "it has 3 fields"),
        ("25:00", "Bad hour"),
        ("0 0 30 2 *", "never matches|Bad day"),
        ("* * *", "it has 3 fields"),
        ("*/20 * * * * *", "it has 6 fields"),
        ("07:30:15", "it has 1 field"),
        ("*/2:30", "it has 1 field"),
        ("1-5:30", "it has 1 field"),
        ("", "it has 0 fields"),
        (None, "its type is NoneType"),
        (730, "its type is int"),
        (time(7, 30), "its type is time"),
    ],
)
async def test_what_is_no_schedule_is_an_error_that_says_what_is(at, why):
    with pytest.raises(ReactiveTypeError, match=f"schedule.*({why})"):
        yarp.schedule(at)


BERLIN_PLACE = {"latitude": 52.52, "longitude": 13.40, "tz": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: yarp.schedule("07:30", tz="Europe/Berln"), "time zone.*'Europe/Berln'"),
        (lambda: yarp.schedule("07:30", tz="Europe/Berln"), "did you mean 'Europe/Berlin'"),
        (lambda: yarp.schedule("07:30", tz="nowhere/at/all"), "there is no zone of this name"),
        (lambda: yarp.schedule("07:30", tz="Europe"), "and not 'Europe': "),
        (lambda: yarp.schedule("07:30", tz="../etc/passwd"), "time zone.*passwd"),
        (lambda: yarp.schedule("07:30", tz=1), "time zone.*int"),
        (lambda: yarp.schedule("07:30", skipped="Later"), 'skipped=.*"later" or "skip"'),
        (lambda: yarp.schedule("07:30", repeated=2), 'repeated=2 .*"once" or "twice"'),
        (lambda: yarp.schedule("07:30", missed=True), 'missed=True.*"drop" or "emit"'),
        (lambda: yarp.now(tz="Europe/Berln"), "time zone.*'Europe/Berln'"),
        (lambda: yarp.now(tz=2), "time zone.*int"),
        (lambda: yarp.now(0), "above 0"),
        (lambda: yarp.now(math.nan), "number of seconds"),
        (lambda: yarp.emit_at(math.nan), "emit_at takes"),
        (lambda: yarp.rate(yarp.Event(), 0), "above 0"),
        (lambda: yarp.rate(yarp.Event(), -1), "from 0 up"),
        (lambda: yarp.rate(yarp.Event(), math.nan), "from 0 up"),
        (lambda: yarp.sun("sunset", latitude=139.69, longitude=35.68), "latitude.*-90 to 90"),
        (lambda: yarp.sun("sunset", latitude=13.4, longitude=52.52, tz=BERLIN), "exchange them"),
        (lambda: yarp.sun("sunset", latitude=math.nan, longitude=0), "latitude.*nan"),
        (lambda: yarp.sun("sunset", latitude=0, longitude=math.inf), "longitude.*inf"),
        (lambda: yarp.sun("sunset", latitude=0, longitude=400), "longitude.*400"),
        (lambda: yarp.sun("sunset", latitude="52", longitude=0), "latitude.*'52'"),
        (lambda: yarp.sun("sunset", latitude=True, longitude=0), "latitude.*True"),
        (lambda: yarp.sun("sunset", latitude=yarp.Value(5), longitude=0), "latitude"),
        (lambda: yarp.sun("sunset", **BERLIN_PLACE, offset=math.nan), "offset.*nan"),
        (lambda: yarp.sun("sunset", **BERLIN_PLACE, offset=1e9), "offset.*86400"),
        (lambda: yarp.sun("sunset", **{**BERLIN_PLACE, "tz": "Mars"}), "time zone.*'Mars'"),
        (lambda: yarp.sun("sunset", **BERLIN_PLACE, missed="no"), "missed='no'"),
    ],
)
async def test_an_argument_without_a_meaning_is_an_error_that_names_it(make, says):
    with pytest.raises(ReactiveTypeError, match=says):
        make()


async def test_a_place_is_taken_as_it_is_given_where_that_can_be_right():
    yarp.sun("sunset", **BERLIN_PLACE)
    yarp.sun("sunset", latitude=13.40, longitude=52.52, tz="UTC")
    yarp.sun("sunset", latitude=30.04, longitude=31.24, tz="Africa/Cairo")
    yarp.sun("sunset", latitude=39.47, longitude=75.99, tz="Asia/Shanghai")
    yarp.sun("sunset", latitude=-90, longitude=180, tz=timezone(timedelta(hours=12)))


async def test_now_takes_the_name_of_a_zone():
    assert yarp.now(tz="Asia/Tokyo").value.hour == 9


async def test_a_rate_whose_seconds_become_0_is_an_error_and_goes_on():
    errors, seconds = Errors(), yarp.Value(10)
    with errors.scope.active():
        event = yarp.Event()
        rate = yarp.rate(event, seconds)
        heard(rate)
        seconds.value = 0
        assert "above 0" in errors.reported[0][0]
        seconds.value = 5
        event.emit(1)
        assert rate.value == 0.2


# --- daylight saving ----------------------------------------------------------------------------

ZONES = ["Australia/Lord_Howe", "Europe/Berlin", "America/New_York", "Pacific/Chatham",
         "Africa/Casablanca", "America/St_Johns", "Antarctica/Troll"]  # fmt: skip


def put_forward_and_back(zone):
    """Return in which minutes of 2025 clocks of a zone are put forward, and back."""
    at = datetime(2025, 1, 1, tzinfo=UTC)
    forward, back = [], []
    while at.year == 2025:
        after = at + timedelta(days=1)
        change = after.astimezone(zone).utcoffset() - at.astimezone(zone).utcoffset()
        if change:
            while (at + timedelta(minutes=1)).astimezone(zone).utcoffset() == (
                at.astimezone(zone).utcoffset()
            ):
                at += timedelta(minutes=1)
            (forward if change > timedelta() else back).append(at + timedelta(minutes=1))
        at = after.replace(hour=0, minute=0)
    return forward, back


def instants(at, start, end, zone, **options):
    cron = Cron(at, zone, comes_later=options["later"], comes_twice=options["twice"])
    told = [start.timestamp() - 1]
    while told[-1] < end.timestamp():
        told.append(cron.next_after(told[-1]))
    return [datetime.fromtimestamp(t, UTC) for t in told[1:-1]]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("minute", [0, 15, 30, 45])
@pytest.mark.parametrize("later", [True, False])
def test_what_is_hourly_comes_each_time_that_clocks_show_it(zone, minute, later):
    zone = ZoneInfo(zone)
    forward, back = put_forward_and_back(zone)
    assert forward and back  # noqa: PT018
    for change in forward + back:
        start, end = change - timedelta(hours=5), change + timedelta(hours=5)
        shown = [
            at
            for n in range(600)
            if (at := start + timedelta(minutes=n)).astimezone(zone).minute == minute
        ]
        told = instants(f"{minute} * * * *", start, end, zone, later=later, twice=False)
        added = sorted(set(told) - set(shown))
        assert set(shown) <= set(told)
        assert added in ([], [change])
        gaps = [b - a for a, b in itertools.pairwise(told)]
        if later and change in forward:
            assert max(gaps) <= timedelta(hours=1)
        assert not added or (later and change in forward)


@pytest.mark.parametrize(
    ("at", "later", "skip"),
    [
        ("0 * * * *", "01:00 02:30 03:00 04:00", "01:00 03:00 04:00"),
        ("15 * * * *", "01:15 02:30 03:15 04:15", "01:15 03:15 04:15"),
        ("45 * * * *", "00:45 01:45 02:45 03:45", "00:45 01:45 02:45 03:45"),
        ("15 2 * * *", "02:30", ""),
        ("45 2 * * *", "02:45", "02:45"),
    ],
)
def test_half_an_hour_that_is_missing(at, later, skip):
    zone = ZoneInfo("Australia/Lord_Howe")
    start = datetime(2026, 10, 4, 0, 31, tzinfo=zone)
    end = start + timedelta(hours=4)
    for comes_later, expected in ((True, later), (False, skip)):
        told = instants(at, start, end, zone, later=comes_later, twice=False)
        assert " ".join(f"{t.astimezone(zone):%H:%M}" for t in told) == expected


@pytest.mark.parametrize(
    ("at", "once", "twice"),
    [
        ("45 * * * *", "00:45 01:45 01:45 02:45 03:45", "00:45 01:45 01:45 02:45 03:45"),
        ("45 1 * * *", "01:45", "01:45 01:45"),
        ("*/20 1 * * *", "01:00 01:20 01:40 01:40", "01:00 01:20 01:40 01:40"),
        ("15 1 * * *", "01:15", "01:15"),
    ],
)
def test_half_an_hour_that_comes_twice(at, once, twice):
    zone = ZoneInfo("Australia/Lord_Howe")
    start = datetime(2026, 4, 5, 0, 31, tzinfo=zone)
    end = datetime(2026, 4, 5, 4, tzinfo=zone)
    for comes_twice, expected in ((False, once), (True, twice)):
        told = instants(at, start, end, zone, later=True, twice=comes_twice)
        assert " ".join(f"{t.astimezone(zone):%H:%M}" for t in told) == expected


def test_a_day_that_a_zone_left_out_comes_when_it_is_over():
    zone = ZoneInfo("Pacific/Apia")  # after the 29th of December 2011 came the 31st
    start = datetime(2011, 12, 29, tzinfo=zone)
    told = instants("30 7 * * *", start, start + timedelta(days=4), zone, later=True, twice=False)
    assert [f"{t.astimezone(zone):%d %H:%M}" for t in told] == [
        "29 07:30", "31 00:00", "31 07:30", "01 07:30"
    ]  # fmt: skip


def test_a_schedule_of_the_system_s_zone_follows_tz(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    [told] = run_from(datetime(2026, 6, 1, tzinfo=UTC), 1, lambda: yarp.schedule("07:30"))
    assert walls(told) == [("06-02 07:30", 9)]


@pytest.mark.parametrize(("late", "fires"), [(60, False), (float("inf"), True)])
def test_what_was_slept_through_is_dropped_or_comes_once(monkeypatch, late, fires):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.time.schedule_state.wall_time", lambda: wall)
    memory = ScheduleState(lambda instant: (instant // DAY + 1) * DAY, late, UTC, now=0)
    assert memory.wake_at == 3_600  # the clock may be set: it is looked at each hour
    wall = 3.5 * DAY
    told = memory.wake(3_600)
    assert told == ([datetime.fromtimestamp(DAY, UTC)] if fires else [])
    wall = 4.0 * DAY
    assert memory.wake(7_200) == [datetime.fromtimestamp(4 * DAY, UTC)]


@pytest.mark.parametrize(("late", "fires"), [(60, False), (float("inf"), True)])
def test_what_was_missed_between_two_versions_is_dropped_or_comes_once(monkeypatch, late, fires):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.time.schedule_state.wall_time", lambda: wall)

    def daily(instant):
        return (instant // DAY + 1) * DAY

    given = ScheduleState(daily, late, UTC, now=0).snapshot(0)
    wall = 3.5 * DAY
    memory = ScheduleState(daily, late, UTC, now=0)
    assert memory.restore(given, RestoreContext(0.0, 0.0)) == []
    assert memory.wake_at == (0 if fires else 3_600)
    assert memory.wake(0) == ([datetime.fromtimestamp(DAY, UTC)] if fires else [])
    assert memory.snapshot(0) == 4 * DAY


def test_a_clock_that_is_put_forward_a_little_is_not_late(monkeypatch):
    wall = 0.0
    monkeypatch.setattr("eshet.reactive.time.schedule_state.wall_time", lambda: wall)
    memory = ScheduleState(lambda instant: (instant // DAY + 1) * DAY, 60, UTC, now=0)
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
