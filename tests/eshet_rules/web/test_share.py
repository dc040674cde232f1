"""Open pages leave most of the event loop's time to the rules."""

import asyncio

import pytest

from eshet_rules.web.share import Share


class Work:
    """Functions that take some time, and when they were called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.begun: list[float] = []

    def clock(self) -> float:
        return asyncio.get_running_loop().time() + self.now

    def take(self, seconds: float) -> None:
        self.begun.append(self.clock())
        self.now += seconds


async def test_work_is_followed_by_a_rest_three_times_as_long(advance):
    work = Work()
    share = Share(work.clock)

    async def use():
        await share.run(lambda: work.take(0.1))

    users = [asyncio.create_task(use()) for _ in range(3)]
    await advance(10)
    assert work.begun == pytest.approx([0, 0.4, 0.8], abs=1e-6)
    assert all(each.done() for each in users)


async def test_short_work_does_not_rest_each_time_but_lets_others_run():
    work = Work()
    share = Share(work.clock)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(100):
        await share.run(lambda: work.take(1e-6))
    counting.cancel()
    assert work.begun[-1] < 0.001
    assert turns >= 100


async def test_an_error_reaches_the_caller_and_the_next_one_has_its_turn():
    share = Share()
    with pytest.raises(ZeroDivisionError):
        await share.run(lambda: 1 / 0)
    assert await share.run(lambda: 7) == 7
