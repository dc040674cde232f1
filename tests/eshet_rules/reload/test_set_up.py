import asyncio

import pytest

from eshet_rules.reload.set_up import Turns


@pytest.fixture
async def begun():
    """The numbers of a hundred set-ups that have begun; each ends when its event is set."""
    turns, numbers, ends = Turns(), [], [asyncio.Event() for _ in range(100)]

    async def set_up(number):
        async with turns.one():
            numbers.append(number)
            await ends[number].wait()

    async with asyncio.TaskGroup() as tasks:
        for number in range(100):
            tasks.create_task(set_up(number))
        yield numbers, ends
        for end in ends:
            end.set()


async def test_fifty_set_ups_begin_at_once_and_the_others_as_these_end(begun, advance):
    numbers, ends = begun
    await advance(0)
    assert numbers == list(range(50))
    ends[7].set()
    await advance(0)
    assert numbers == list(range(51))


async def test_a_set_up_that_takes_long_delays_the_others_only_for_a_moment(begun, advance):
    numbers, ends = begun
    await advance(0.05)
    assert numbers == list(range(100))
    for end in ends:  # a turn that has been given up is not given up again
        end.set()
    await advance(0)
