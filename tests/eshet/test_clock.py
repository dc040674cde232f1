"""The two kinds of time come from the running loop."""

import asyncio
import gc
import time
import weakref
from datetime import UTC, datetime, timedelta, timezone

from eshet.clock import ClockStep, clock_watcher, wall_now, wall_time
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.conftest import Advance


async def test_a_loop_with_a_wall_clock_of_its_own_decides(advance: Advance) -> None:
    before = wall_time()
    await advance(3600)
    assert wall_time() == before + 3600


async def test_the_wall_clock_is_a_date_in_the_zone_asked_for() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert wall_now(UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert wall_now(tokyo).hour == 9
    assert wall_now().tzinfo is None


async def test_a_loop_can_be_named() -> None:
    other = VirtualLoop(start=datetime(2000, 1, 1, tzinfo=UTC))
    assert wall_now(UTC, other).year == 2000
    other.close()


def test_without_a_loop_it_is_the_system_that_says() -> None:
    assert asyncio._get_running_loop() is None
    before = time.time()
    assert before <= wall_time() <= time.time()


class _Listener:
    def __init__(self) -> None:
        self.steps: list[ClockStep] = []
        self.heard = asyncio.Event()

    def clock_stepped(self, step: ClockStep) -> None:
        self.steps.append(step)
        self.heard.set()


class _SetLoop(asyncio.SelectorEventLoop):
    """A real loop whose wall clock can be set."""

    ahead = 1000.0

    def wall_time(self) -> float:
        return self.time() + self.ahead


def test_on_a_real_loop_the_clocks_are_compared_again_and_again(monkeypatch) -> None:
    monkeypatch.setattr("eshet.clock._LOOK_EVERY", 0.001)
    loop = _SetLoop()

    async def main() -> None:
        listener = _Listener()
        clock_watcher().add(listener)
        for ahead in (5000.0, 5000.05, -7.0):
            loop.ahead = ahead
            if ahead != 5000.05:  # too small to be a step
                await listener.heard.wait()
                listener.heard.clear()
        assert [round(step.seconds) for step in listener.steps] == [4000, -5007]
        clock_watcher().discard(listener)
        loop.ahead = 0.0
        await asyncio.sleep(0.01)
        assert len(listener.steps) == 2

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def test_a_watcher_keeps_neither_its_loop_nor_its_listeners_alive() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def main() -> weakref.ref[_Listener]:
            listener = _Listener()
            clock_watcher().add(listener)
            return weakref.ref(listener)

        listener = runner.run(main())
        loop = weakref.ref(runner.get_loop())
    del runner
    gc.collect()
    assert listener() is None
    assert loop() is None


async def test_restored_times_move_as_far_as_the_clock_was_behind(advance: Advance) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    listener, watcher = _Listener(), clock_watcher()
    watcher.add(listener)
    watcher.restore(loop.time(), wall_time() + 4 * 3600)  # the clock is four hours behind, or more
    await advance(30)
    loop.set_wall_time(wall_now(UTC) + timedelta(hours=3))  # it is behind still
    await advance(0)
    loop.set_wall_time(wall_now(UTC) + timedelta(hours=3))
    await advance(0)
    assert [round(step.moved) for step in listener.steps] == [0, -2 * 3600]
    assert watcher.moved == -2 * 3600
