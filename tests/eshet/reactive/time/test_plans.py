"""Plans of the day and of the week, in virtual time."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from eshet import yarp
from eshet.exceptions import ReactiveTypeError
from eshet_rules.testing.virtual_time import VirtualLoop

HEATING = {"mo-fr 06:30": 21, "sa,su 08:00": 20, "22:00": 17}
BERLIN = ZoneInfo("Europe/Berlin")


def run_at(start, main, zone=BERLIN):
    """Run a coroutine function, given the loop, whose wall clock shows a local time at first."""
    moment = start if isinstance(start, datetime) else datetime.fromisoformat(start)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(moment)) as runner:
        loop = runner.get_loop()
        return runner.run(main(loop))


def value_at(start, entries, zone=BERLIN):
    async def main(_):
        return yarp.plan(entries, tz=zone).value

    return run_at(start, main, zone)


def changes_from(start, entries, *, hours, zone=BERLIN):
    """Return the changes of a plan with their local times."""

    async def main(loop):
        changes = []
        yarp.plan(entries, tz=zone).on_value_changed(
            lambda value: changes.append(
                (f"{datetime.fromtimestamp(loop.wall_time() + 0.001, zone):%a %H:%M}", value)
            )
        )
        await loop.advance(hours * 3600)
        return changes

    return run_at(start, main, zone)


@pytest.mark.parametrize(
    ("start", "value"),
    [
        ("2026-06-01 06:29", 17),  # a Monday
        ("2026-06-01 06:30", 21),
        ("2026-06-05 21:59", 21),
        ("2026-06-06 07:59", 17),
        ("2026-06-06 08:00", 20),
        ("2026-06-07 23:00", 17),
    ],
)
def test_a_plan_is_right_at_any_start(start, value):
    assert value_at(start, HEATING) == value


def test_a_plan_of_one_day_of_the_week_lasts_for_a_week():
    assert value_at("2026-06-05 20:00", {"sa 20:01": "old", "sun 9:00": "new"}) == "new"


def test_a_plan_changes_at_its_times():
    assert changes_from("2026-06-05 12:00", HEATING, hours=48) == [
        ("Fri 22:00", 17),
        ("Sat 08:00", 20),
        ("Sat 22:00", 17),
        ("Sun 08:00", 20),
    ]


def test_an_entry_with_the_value_before_it_is_no_change():
    assert changes_from("2026-06-05 12:00", {"13:00": 1, "14:00": 1, "15:00": 2}, hours=4) == [
        ("Fri 13:00", 1),
        ("Fri 15:00", 2),
    ]


def test_the_later_of_two_entries_at_the_same_time_decides():
    assert value_at("2026-06-06 09:00", {"08:00": "day", "sa 08:00": "saturday"}) == "saturday"
    assert value_at("2026-06-05 09:00", {"08:00": "day", "sa 08:00": "saturday"}) == "day"


@pytest.mark.parametrize(
    ("days", "expected"),
    [("fr-mo", "Fri Sat Sun Mon"), ("Tuesday", "Tue"), ("mon,wed - thu", "Mon Wed Thu")],
)
def test_days_are_lists_and_ranges(days, expected):
    plan = {f"{days} 12:00": True, "12:01": False}
    changes = changes_from("2026-06-04 18:00", plan, hours=7 * 24)
    shown = [time.split()[0] for time, value in changes if value]
    assert sorted(shown) == sorted(expected.split())


def test_a_time_that_clocks_are_put_over_comes_when_that_is_over():
    changes = changes_from("2026-03-29 01:00", {"02:30": "night", "12:00": "day"}, hours=3)
    assert changes == [("Sun 03:00", "night")]
    assert value_at("2026-03-29 03:00", {"02:30": "night", "12:00": "day"}) == "night"


def test_a_time_that_a_day_has_twice_comes_once():
    plan = {"02:30": "night", "12:00": "day"}
    changes = changes_from("2026-10-25 01:00", plan, hours=12)
    assert changes == [("Sun 02:30", "night"), ("Sun 12:00", "day")]
    start = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
    assert value_at(start, plan) == "night"


def test_a_day_that_a_zone_left_out_does_not_lose_the_value():
    apia = ZoneInfo("Pacific/Apia")
    plan = {"fr 12:00": "friday", "we 12:00": "wednesday"}
    assert value_at("2012-01-01 00:00", plan, apia) in plan.values()


def test_a_plan_follows_a_clock_that_is_set():
    async def main(loop):
        plan = yarp.plan(HEATING, tz="Europe/Berlin")
        changes = []
        plan.on_value_changed(changes.append)
        for moment in ("2026-06-01 23:00", "2026-06-01 07:00", "2026-06-02 07:00"):
            loop.set_wall_time(datetime.fromisoformat(moment).replace(tzinfo=BERLIN))
            await loop.advance(1)
        await loop.advance(timedelta(hours=16).total_seconds())
        return changes

    assert run_at("2026-06-01 12:00", main) == [17, 21, 17]


@pytest.mark.parametrize(
    "at", ["24:00", "7", "06:60", "m 06:30", "xx 06:30", "mo-tu-we 06:30", "mo 06:30 21", "", 7]
)
async def test_a_time_that_is_none_is_refused(at):
    with pytest.raises(ReactiveTypeError, match='a time of a plan is such as "22:00"'):
        yarp.plan({at: 1})


@pytest.mark.parametrize("entries", [{}, None, "06:30", [("06:30", 21)]])
async def test_a_plan_without_entries_is_refused(entries):
    with pytest.raises(ReactiveTypeError, match="a plan is a dict of times and values"):
        yarp.plan(entries)


def test_a_plan_needs_a_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        yarp.plan(HEATING)


async def heat():
    await yarp.state_register("/target", yarp.plan(HEATING))


async def test_a_plan_is_right_after_a_restart_and_does_not_repeat_its_value(house):
    house.at("2026-06-01 21:00", tz="Europe/Berlin")
    await house.rule(heat)
    await house.restart()
    await house.advance(hours=1)
    await house.restart()
    assert [value for _, value in house.history("/target")] == [21, 17]
