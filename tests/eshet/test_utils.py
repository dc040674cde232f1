import asyncio
import dataclasses
import functools
import gc
from contextvars import ContextVar

import pytest

from eshet.scope import Reason, current_scope
from eshet.utils import RunInTask, RunSerially, TaskStrategy, in_task
from tests.support.tasks import Recorder

STRATEGIES = [
    RunInTask(),
    RunSerially(),
    RunSerially(only_latest=True, retry=True, assume_failed=True),
]


@pytest.fixture
def recorder():
    return Recorder()


# --- in_task ------------------------------------------------------------------------------------


async def test_in_task_returns_the_task_which_gives_the_result():
    @in_task
    async def add(a, *, b):
        return a + b

    task = add(1, b=2)
    assert isinstance(task, asyncio.Task)
    assert await task == 3


async def test_in_task_keeps_the_name_of_the_function():
    @in_task
    async def switch_on():
        """Switch on."""

    assert switch_on.__name__ == "switch_on"
    assert switch_on.__doc__ == "Switch on."


async def test_in_task_reports_an_error_to_the_scope_of_the_caller(advance, recorder):
    failing = in_task(recorder.task("boom", fails=1))
    with recorder.scope.active():
        failing()
    await advance(0)
    [(error, doing)] = recorder.reports
    assert isinstance(error, OSError)
    assert doing == "task boom"


async def test_in_task_raises_its_error_for_who_awaits_it(recorder):
    with recorder.scope.active(), pytest.raises(OSError, match="boom"):
        await in_task(recorder.task("boom", fails=1))()


async def test_in_task_ends_with_the_scope_of_the_caller(advance, recorder):
    with recorder.scope.active():
        task = in_task(recorder.task("long", lasts=60))()
    await advance(1)
    recorder.scope.dispose()
    await advance(0)
    assert task.cancelled()
    assert recorder.log == [(1, "long", "cancelled")]


async def test_in_task_leaves_nothing_in_the_scope_when_it_has_ended(advance, recorder):
    with recorder.scope.active():
        in_task(recorder.task("short"))()
    await advance(0)
    assert "0 things" in repr(recorder.scope)


async def test_nobody_has_to_hold_what_runs(advance):
    done = []

    async def wait_alone():
        await asyncio.get_running_loop().create_future()

    async def work():
        waiting = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, lambda w: w.set_result(None), waiting)
        await waiting
        done.append(True)

    in_task(wait_alone)()
    RunInTask().build()(work)
    RunSerially().build()(work)
    await advance(0)
    gc.collect()
    await advance(1)
    assert done == [True, True]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


# --- what all strategies share ------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_strategy_runs_tasks_in_the_background(strategy, advance, recorder):
    run = recorder.build(strategy)
    assert run(recorder.task("a")) is None
    assert recorder.log == []
    await advance(0)
    assert recorder.log == [(0, "a")]
    await run.close()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_task_runs_in_the_context_of_build(strategy, advance, recorder):
    variable = ContextVar("variable", default="nothing")
    seen = []

    async def look():
        seen.append((variable.get(), current_scope()))

    variable.set("of build")
    run = recorder.build(strategy)
    variable.set("of the call")
    run(look)
    await advance(0)
    assert seen == [("of build", recorder.scope)]
    await run.close()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_closing_cancels_what_runs_and_waits_for_its_end(strategy, advance, recorder):
    ended = []

    async def slow_to_end():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1)
            ended.append(True)

    run = recorder.build(strategy)
    run(slow_to_end)
    await advance(1)
    closing = asyncio.create_task(run.close())
    await advance(0)
    assert not closing.done()
    await advance(1)
    assert closing.done()
    assert ended == [True]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_after_closing_tasks_are_dropped(strategy, advance, recorder):
    run = recorder.build(strategy)
    await run.close()
    await run.close()
    run(recorder.task("late"))
    await advance(60)
    assert recorder.log == []


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_strategy_ends_with_its_scope(strategy, advance, recorder):
    run = recorder.build(strategy)
    run(recorder.task("running", lasts=60))
    await advance(1)
    recorder.scope.dispose(Reason.REPLACED)
    run(recorder.task("late"))
    await advance(600)
    assert recorder.log == [(1, "running", "cancelled")]
    assert recorder.reports == []


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_closed_strategy_leaves_nothing_in_its_scope(strategy, recorder):
    run = recorder.build(strategy)
    await run.close()
    assert "0 things" in repr(recorder.scope)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_built_in_a_disposed_scope_it_runs_nothing(strategy, advance, recorder):
    recorder.scope.dispose()
    recorder.build(strategy)(recorder.task("a"))
    await advance(60)
    assert recorder.log == []


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_task_may_close_its_own_strategy(strategy, advance, recorder):
    run = recorder.build(strategy)
    log = []

    async def close():
        await run.close()
        log.append("closed")
        await asyncio.sleep(1)
        log.append("not reached")

    run(close)
    await advance(60)
    assert log == ["closed"]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_task_that_turns_its_cancellation_into_an_error_still_ends(
    strategy, advance, recorder
):
    async def stubborn():
        recorder.log.append("attempt")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("interrupted") from None

    run = recorder.build(strategy)
    run(stubborn)
    await advance(1)
    closing = asyncio.create_task(run.close())
    await advance(600)
    assert closing.done()
    assert recorder.log == ["attempt"]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_a_task_whose_future_was_cancelled_has_failed_and_the_next_runs(
    strategy, advance, recorder
):
    async def await_a_cancelled_future():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    run = recorder.build(strategy)
    run(await_a_cancelled_future)
    await advance(0)
    run(recorder.task("next"))
    await advance(0)
    assert isinstance(recorder.reports[0][0], asyncio.CancelledError)
    assert recorder.log == [(0, "next")]
    await run.close()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
async def test_wrap_fn_passes_on_the_arguments(strategy, advance, recorder):
    calls = []

    async def switch(light, *, on):
        """Switch a light."""
        calls.append((light, on))

    with recorder.scope.active():
        wrapped = strategy.wrap_fn(switch)
    wrapped("hall", on=True)
    await advance(0)
    assert calls == [("hall", True)]
    assert wrapped.__doc__ == "Switch a light."
    recorder.scope.dispose()
    await advance(0)


async def test_wrapped_functions_share_one_instance_of_the_strategy(advance, recorder):
    async def work(name, lasts):
        await recorder.task(name, lasts=lasts)()

    wrapped = RunSerially().wrap_fn(work)
    wrapped("slow", 5)
    wrapped("fast", 1)
    await advance(10)
    assert recorder.log == [(5, "slow"), (6, "fast")]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_strategies_are_frozen_and_compare_by_value(strategy):
    assert strategy == dataclasses.replace(strategy)
    assert hash(strategy) == hash(dataclasses.replace(strategy))
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.retry = True


def test_a_strategy_of_ones_own_needs_build():
    with pytest.raises(TypeError, match="build"):
        TaskStrategy()


def test_calling_outside_of_a_loop_is_an_error_and_leaves_no_coroutine(recorder):
    with pytest.raises(RuntimeError, match="no running event loop"):
        RunInTask().build()(recorder.task("a"))
    with pytest.raises(RuntimeError, match="no running event loop"):
        RunSerially().build()(recorder.task("a"))


# --- RunInTask ----------------------------------------------------------------------------------


async def test_run_in_task_runs_tasks_beside_each_other(advance, recorder):
    run = recorder.build(RunInTask())
    run(recorder.task("slow", lasts=5))
    run(recorder.task("fast", lasts=1))
    await advance(5)
    assert recorder.log == [(1, "fast"), (5, "slow")]


async def test_run_in_task_reports_a_failure_once_and_does_not_retry(advance, recorder):
    run = recorder.build(RunInTask())
    run(functools.partial(recorder.task("boom", fails=9)))
    run(recorder.task("sibling"))
    await advance(60)
    [(error, doing)] = recorder.reports
    assert isinstance(error, OSError)
    assert doing == "task boom"
    assert recorder.log == [(0, "boom"), (0, "sibling")]


# --- RunSerially --------------------------------------------------------------------------------


async def test_run_serially_runs_one_at_a_time_in_order(advance, recorder):
    run = recorder.build(RunSerially())
    for n in range(4):
        run(recorder.task(n, lasts=10))
    await advance(60)
    assert recorder.log == [(10, 0), (20, 1), (30, 2), (40, 3)]


async def test_run_serially_goes_on_after_a_failure(advance, recorder):
    run = recorder.build(RunSerially())
    run(recorder.task("boom", fails=9))
    run(recorder.task("next"))
    await advance(60)
    assert recorder.log == [(0, "boom"), (0, "next")]
    assert [doing for _, doing in recorder.reports] == ["task boom"]


async def test_run_serially_works_again_after_its_queue_ran_empty(advance, recorder):
    run = recorder.build(RunSerially())
    run(recorder.task("a"))
    await advance(5)
    run(recorder.task("b"))
    await advance(5)
    assert recorder.log == [(0, "a"), (5, "b")]


async def test_a_task_that_comes_as_the_last_one_ends_is_run(advance, recorder):
    run = recorder.build(RunSerially())

    async def last():
        asyncio.current_task().add_done_callback(lambda _: run(recorder.task("b")))

    run(last)
    await advance(0)
    assert recorder.log == [(0, "b")]


async def test_only_latest_skips_all_that_wait_but_the_newest(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True))
    run(recorder.task("running", lasts=10))
    await advance(1)
    for n in range(5):
        run(recorder.task(n))
    await advance(60)
    assert recorder.log == [(10, "running"), (10, 4)]


async def test_only_latest_of_tasks_that_come_at_once_runs_the_newest(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True))
    for n in range(5):
        run(recorder.task(n))
    await advance(0)
    assert recorder.log == [(0, 4)]


async def test_retry_waits_longer_each_time_up_to_the_end(advance, recorder):
    run = recorder.build(RunSerially(retry=True, retry_start=1, retry_end=5, retry_multiplier=2))
    run(recorder.task("a", fails=5))
    await advance(100)
    assert recorder.log == [(t, "a") for t in (0, 1, 3, 7, 12, 17)]
    assert [doing for _, doing in recorder.reports] == [
        f"attempt {n} of task a" for n in range(1, 6)
    ]


async def test_the_default_backoff_is_that_of_the_contract(advance, recorder):
    run = recorder.build(RunSerially(retry=True))
    run(recorder.task("a", fails=7))
    await advance(1000)
    assert [time for time, _ in recorder.log] == [0, 2, 6, 14, 30, 60, 90, 120]


async def test_the_backoff_starts_afresh_with_each_task(advance, recorder):
    run = recorder.build(RunSerially(retry=True))
    run(recorder.task("a", fails=2))
    run(recorder.task("b", fails=1))
    await advance(60)
    assert recorder.log == [(0, "a"), (2, "a"), (6, "a"), (6, "b"), (8, "b")]


async def test_without_only_latest_others_wait_until_the_failing_task_succeeds(advance, recorder):
    run = recorder.build(RunSerially(retry=True))
    run(recorder.task("failing", fails=2))
    await advance(1)
    run(recorder.task("behind"))
    await advance(60)
    assert recorder.log == [(0, "failing"), (2, "failing"), (6, "failing"), (6, "behind")]


async def test_a_newer_task_jumps_the_queue_of_one_that_waits_for_its_retry(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True, retry=True))
    run(recorder.task("failing", fails=99))
    await advance(3)
    run(recorder.task("newer"))
    await advance(60)
    assert recorder.log == [(0, "failing"), (2, "failing"), (3, "newer")]


async def test_a_newer_task_that_comes_during_a_failing_attempt_is_run_next(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True, retry=True))
    run(recorder.task("failing", lasts=5, fails=99))
    await advance(1)
    run(recorder.task("newer"))
    await advance(60)
    assert recorder.log == [(5, "failing"), (5, "newer")]


async def test_a_newer_task_has_the_backoff_of_a_new_task(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True, retry=True))
    run(recorder.task("old", fails=99))
    await advance(31)
    run(recorder.task("new", fails=1))
    await advance(60)
    assert recorder.log[-2:] == [(31, "new"), (33, "new")]


async def test_assume_failed_repeats_the_last_task_until_a_newer_one_comes(advance, recorder):
    run = recorder.build(RunSerially(only_latest=True, retry=True, assume_failed=True))
    run(recorder.task("off"))
    await advance(20)
    run(recorder.task("on"))
    await advance(10)
    assert recorder.log == [
        (0, "off"), (2, "off"), (6, "off"), (14, "off"), (20, "on"), (22, "on"), (26, "on"),
    ]  # fmt: skip
    assert recorder.reports == []
    await run.close()


async def test_closing_drops_what_waits(advance, recorder):
    run = recorder.build(RunSerially())
    run(recorder.task("running", lasts=10))
    run(recorder.task("waiting"))
    await advance(1)
    await run.close()
    await advance(60)
    assert recorder.log == [(1, "running", "cancelled")]


async def test_closing_ends_a_wait_for_a_retry(advance, recorder):
    run = recorder.build(RunSerially(retry=True))
    run(recorder.task("failing", fails=99))
    await advance(1)
    await run.close()
    await advance(60)
    assert recorder.log == [(0, "failing")]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"assume_failed": True}, "only_latest=True, retry=True, assume_failed=True"),
        ({"assume_failed": True, "retry": True}, "only_latest=True, retry=True"),
        ({"assume_failed": True, "only_latest": True}, "only_latest=True, retry=True"),
        ({"retry_start": 0}, "0 < retry_start <= retry_end"),
        ({"retry_start": -1}, "0 < retry_start <= retry_end"),
        ({"retry_start": 40}, "0 < retry_start <= retry_end"),
        ({"retry_start": float("nan")}, "0 < retry_start <= retry_end"),
        ({"retry_end": float("inf")}, "0 < retry_start <= retry_end"),
        ({"retry_multiplier": 0.5}, "write 1 for equal waits"),
        ({"retry_multiplier": float("nan")}, "write 1 for equal waits"),
    ],
    ids=str,
)
def test_arguments_that_do_not_go_together_are_refused_with_advice(arguments, advice):
    with pytest.raises(ValueError, match=advice):
        RunSerially(**arguments)
