"""The wall clock is set while schedules wait for it: put forward, put back, or far off at first."""

import asyncio
import itertools
import logging
import random
from datetime import UTC, datetime, timedelta

import pytest

from eshet import reactive as yarp
from eshet.cause import Cause, current_cause, use_cause
from eshet.scope import Scope
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.hearing import heard

DAY, HOUR, MINUTE = 86_400, 3_600, 60


def run_at(start, main):
    """Run a coroutine function, given the loop, whose wall clock shows a time at first."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        loop = runner.get_loop()
        return runner.run(main(loop))


def at(day, hour, minute=0, second=0, year=2026):
    return datetime(year, 6, day, hour, minute, second, tzinfo=UTC)


def morning(**options):
    return yarp.schedule("07:30", tz="UTC", **options)


def shown(told):
    return [f"{t:%Y-%m-%d %H:%M}" for t in told]


def test_a_schedule_made_in_2099_fires_when_the_clock_is_put_right():
    async def main(loop):
        told = heard(morning())
        await loop.advance(10)
        loop.set_wall_time(at(1, 6))
        await loop.advance(2 * DAY)
        return told

    told = run_at(at(1, 6, year=2099), main)
    assert shown(told) == ["2026-06-01 07:30", "2026-06-02 07:30"]


def test_a_clock_put_back_by_hours_loses_no_day():
    async def main(loop):
        told = heard(morning())
        await loop.advance(3 * HOUR)
        loop.set_wall_time(at(1, 22))
        await loop.advance(DAY)
        return told

    assert shown(run_at(at(2, 6), main)) == ["2026-06-02 07:30", "2026-06-02 07:30"]


@pytest.mark.parametrize("seconds", [1, 30, 59])
def test_a_clock_put_back_a_little_after_a_firing_does_not_repeat_it(seconds):
    async def main(loop):
        told = heard(morning())
        await loop.advance(30 * MINUTE)  # to the firing
        loop.set_wall_time(at(2, 7, 30) - timedelta(seconds=seconds))
        await loop.advance(DAY - 1)
        return told

    assert shown(run_at(at(2, 7), main)) == ["2026-06-02 07:30"]


def test_a_clock_put_forward_comes_to_the_right_instant():
    async def main(loop):
        schedule, late = morning(), []
        schedule.on_event(lambda meant: late.append(loop.wall_time() - meant.timestamp()))
        await loop.advance(MINUTE)
        loop.set_wall_time(at(2, 7, 29))
        await loop.advance(2 * MINUTE)
        return late

    assert run_at(at(2, 1), main) == pytest.approx([0], abs=0.01)


def test_an_instant_that_the_clock_was_put_over_is_dropped_and_logged(caplog):
    caplog.set_level(logging.INFO)

    async def main(loop):
        with Scope("hall.light").active():
            told = heard(morning())
        await loop.advance(MINUTE)
        loop.set_wall_time(at(2, 8))
        await loop.advance(MINUTE)
        return told

    assert run_at(at(2, 7), main) == []
    [record] = [r for r in caplog.records if r.name == "eshet.reactive"]
    assert "hall.light: schedule" in record.getMessage()
    assert "dropped 2026-06-02 07:30:00+00:00" in record.getMessage()


def test_an_instant_that_the_clock_was_put_over_comes_at_once_if_it_is_asked_for():
    async def main(loop):
        told = []
        schedule = morning(missed="emit")
        schedule.on_event(lambda meant: told.append((f"{meant:%H:%M}", loop.time())))
        await loop.advance(MINUTE)
        loop.set_wall_time(at(2, 18))
        await loop.advance(MINUTE)
        return told

    assert run_at(at(2, 7), main) == [("07:30", MINUTE)]


def test_what_is_within_the_minute_is_not_late_though_others_are():
    async def main(loop):
        told = heard(yarp.schedule("*/10 * * * *", tz="UTC"))
        await loop.advance(MINUTE)
        loop.set_wall_time(at(2, 8, 0, 20))
        await loop.advance(MINUTE)
        return told

    assert shown(run_at(at(2, 7, 5), main)) == ["2026-06-02 08:00"]


def test_the_sun_follows_the_clock():
    async def main(loop):
        told = heard(yarp.sun("sunrise", latitude=52.52, longitude=13.40, tz="UTC"))
        await loop.advance(10)
        loop.set_wall_time(at(20, 0))
        await loop.advance(DAY)
        return told

    assert shown(run_at(at(1, 0, year=2099), main)) == ["2026-06-20 02:43"]


def test_now_is_read_again_at_once():
    async def main(loop):
        told = heard(yarp.now(HOUR, UTC))
        await loop.advance(10)
        loop.set_wall_time(at(2, 8))
        await loop.advance(0)
        return told

    assert run_at(at(1, 0), main) == [at(2, 8)]


def test_what_fires_after_a_step_has_the_cause_that_it_had_before():
    async def main(loop):
        causes = []
        with use_cause(Cause("set-up", "hall")):
            morning().on_event(lambda meant: causes.append(current_cause().parent))
        heard(yarp.now(HOUR))
        await loop.advance(10)
        loop.set_wall_time(at(2, 7, 29))
        await loop.advance(2 * DAY)
        return causes

    assert [cause.path for cause in run_at(at(1, 0), main)] == ["hall"] * 2


@pytest.mark.parametrize("seed", range(10))
def test_each_instant_that_the_clock_shows_fires_as_it_is_shown(seed):
    """After any steps: a firing for each time that the clock ran over 07:30, and no other."""
    chance = random.Random(seed)  # noqa: S311 - to get the same again

    async def main(loop):
        fired, expected = [], []
        morning().on_event(lambda meant: fired.append((meant.timestamp(), loop.wall_time())))
        for _ in range(40):
            wall = loop.wall_time()
            seconds = chance.uniform(0, 2 * DAY)
            await loop.advance(seconds)
            first = (wall - 7.5 * HOUR) // DAY * DAY + 7.5 * HOUR
            expected += [t for n in range(4) if wall < (t := first + n * DAY) <= wall + seconds]
            to = loop.wall_time() + chance.choice([-1, 1]) * chance.uniform(HOUR, 1000 * DAY)
            if (to - 7.5 * HOUR) % DAY > 2 * MINUTE:  # else it is a little late, or came early
                loop.set_wall_time(datetime.fromtimestamp(to, UTC))
                await loop.advance(0)
        assert all(abs(meant - wall) < 0.01 for meant, wall in fired)
        assert [meant for meant, _ in fired] == expected

    run_at(at(1, 0, year=2060), main)


def test_what_has_ended_is_not_notified():
    async def main(loop):
        scope = Scope("hall.light")
        with scope.active():
            told = heard(morning())
        await loop.advance(10)
        scope.dispose()
        loop.set_wall_time(at(2, 7, 29))
        await loop.advance(DAY)
        return told

    assert run_at(at(1, 0), main) == []


def test_steps_one_after_the_other():
    async def main(loop):
        told = heard(morning())
        for day in itertools.chain(range(1, 10), range(9, 0, -1)):
            loop.set_wall_time(at(day, 7, 28))
            await loop.advance(3 * MINUTE)
        return [t.day for t in told]

    assert run_at(at(1, 0), main) == [*range(1, 10), *range(9, 0, -1)]
