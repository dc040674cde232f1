import asyncio
import gc
import itertools

import pytest

from eshet.cause import Cause, current_cause, use_cause
from eshet.tasks import current_attempt
from eshet.utils import RunInTask, RunSerially


def test_without_anybody_who_keeps_track_there_is_no_cause():
    assert current_cause() is None


def test_no_two_causes_have_the_same_id():
    assert len({Cause("event", "/bell").id for _ in range(1000)}) == 1000


def test_a_cause_holds_within_its_block():
    outer, inner = Cause("event", "/bell"), Cause("state", "/hall/lux")
    with use_cause(outer):
        with use_cause(inner):
            assert current_cause() is inner
        assert current_cause() is outer
        with use_cause(None):
            assert current_cause() is None
    assert current_cause() is None


def test_a_chain_leads_back_to_what_came_first():
    first = Cause("event", "/bell")
    second = Cause("state", "/hall/light", first)
    third = Cause("call", "/hall/ring", second)
    assert list(third.chain()) == [third, second, first]
    assert (third.parent_id, third.depth) == (second.id, 2)
    assert (first.parent_id, first.depth) == (None, 0)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 1023, 1024, 1025, 5000])
def test_of_an_endless_chain_only_the_last_causes_are_kept(length):
    cause = Cause("event", "/ping")
    for _ in range(length):
        before = cause
        cause = Cause("event", "/ping", cause)
    kept = list(cause.chain())
    assert min(length + 1, 512) <= len(kept) <= 1024
    assert cause.parent_id == before.id
    assert all(younger.parent_id == older.id for younger, older in itertools.pairwise(kept))
    assert (kept[-1].parent_id is None) == (length < 1024)


def test_a_cause_goes_without_a_search_for_rings():
    cause = Cause("event", "/bell", Cause("event", "/door"))
    for each in cause.chain():
        assert each not in gc.get_referents(each)


def test_a_cause_says_what_it_is():
    assert repr(Cause("event", "/bell")).endswith(": event /bell>")


def test_a_cause_goes_on_as_plain_data():
    cause = Cause("state", "/hall/light", Cause("event", "/bell"))
    restored = Cause.restored(cause.snapshot())
    for each in (cause, restored):
        assert (each.id, each.parent_id, each.kind, each.path) == tuple(cause.snapshot())
    assert Cause.restored(None) is None


class Seen:
    """What causes and attempts a task ran for."""

    def __init__(self, failures=0):
        self.failures = failures
        self.seen = []

    async def __call__(self):
        self.seen.append((current_cause(), current_attempt.get()))
        if len(self.seen) <= self.failures:
            raise OSError("no answer")


async def test_a_task_has_the_cause_of_who_created_it(advance):
    seen = Seen()
    with use_cause(Cause("event", "/bell")) as cause:
        task = asyncio.create_task(seen())
    await task
    assert seen.seen == [(cause, 1)]


async def test_a_callback_of_the_loop_has_the_cause_of_who_asked_for_it(advance):
    seen = []
    loop = asyncio.get_running_loop()
    with use_cause(Cause("event", "/bell")) as cause:
        loop.call_later(60, lambda: seen.append(current_cause()))
    await advance(60)
    assert seen == [cause]


@pytest.mark.parametrize("strategy", [RunInTask(), RunSerially(), RunSerially(only_latest=True)])
async def test_a_task_runs_for_the_cause_of_the_call_not_of_what_built_the_strategy(
    advance, strategy
):
    seen = Seen()
    with use_cause(Cause("set-up", "hall.light")):
        run = strategy.build()
    with use_cause(Cause("event", "/bell")) as cause:
        run(seen)
    await advance(0)
    assert seen.seen == [(cause, 1)]


async def test_the_cause_of_a_task_goes_with_it_through_the_queue(advance):
    run = RunSerially().build()
    first, second = Seen(), Seen()
    with use_cause(Cause("event", "/bell")) as bell:
        run(first)
    with use_cause(Cause("event", "/door")) as door:
        run(second)
    await advance(0)
    assert (first.seen, second.seen) == ([(bell, 1)], [(door, 1)])


async def test_the_cause_of_a_task_is_that_of_each_attempt(advance, caplog):
    run = RunSerially(retry=True).build()
    task = Seen(failures=2)
    with use_cause(Cause("event", "/bell")) as cause:
        run(task)
    await advance(60)
    assert task.seen == [(cause, 1), (cause, 2), (cause, 3)]


async def test_a_task_that_is_superseded_is_told_so_for_its_own_cause(advance):
    told = []

    class Task(Seen):
        def skipped(self, why):
            told.append((why, current_cause()))

    run = RunSerially(only_latest=True).build()
    with use_cause(Cause("event", "/bell")) as bell:
        run(Task())
    with use_cause(Cause("event", "/door")):
        run(Task())
    await advance(0)
    assert told == [("superseded", bell)]


async def test_a_task_whose_retry_gives_way_is_told_so(advance, caplog):
    told = []

    class Task(Seen):
        skipped = staticmethod(told.append)

    run = RunSerially(only_latest=True, retry=True).build()
    run(Task(failures=1))
    await advance(1)
    run(Task())
    await advance(0)
    assert told == ["superseded"]
