"""What every strategy can be told: exact to the instant."""

import asyncio
import functools
import random
from contextlib import suppress

import pytest

from eshet.cause import Cause, current_cause, use_cause
from eshet.scope import Reason, Scope
from eshet.tasks import End, SendingTask, Workload
from eshet.utils import RunInTask, RunSerially
from eshet_rules import RunConcurrently, RunLatest, RunSingle
from tests.support.tasks import Recorder

STRATEGIES = [RunInTask, RunSerially, RunLatest, RunSingle, functools.partial(RunConcurrently, 2)]


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(params=STRATEGIES, ids=["in task", "serially", "latest", "single", "concurrently"])
def strategy(request):
    return request.param


def ends(endings):
    return [(e.end, e.attempts, e.why) for e in endings]


# --- what every strategy can be told ------------------------------------------------------------


async def test_an_attempt_that_takes_too_long_is_cancelled_and_has_failed(
    strategy, advance, recorder
):
    run, endings = recorder.follow(strategy(timeout=5))
    run(recorder.task("slow", lasts=60))
    await advance(4.999)
    assert recorder.log == []
    await advance(0.001)
    assert recorder.log == [(5, "slow", "cancelled")]
    [(error, _)] = recorder.reports
    assert str(error) == "it took longer than 5 s (timeout)"
    assert ends(endings) == [(End.FAILED, 1, "")]


async def test_a_flood_starts_one_asyncio_task_for_each_task_at_most(strategy, recorder):
    run, _ = recorder.follow(strategy())
    loop = asyncio.get_running_loop()
    started = []

    def start(loop, coroutine, **options):
        started.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(start)
    for _ in range(50):
        for name in "abc":
            run(recorder.task(name))
        await asyncio.sleep(0)
    assert 0 < len(started) <= 150


async def test_an_attempt_in_time_is_left_alone(strategy, advance, recorder):
    run, endings = recorder.follow(strategy(timeout=5))
    run(recorder.task("quick", lasts=4.9))
    await advance(60)
    assert recorder.log == [(4.9, "quick")]
    assert ends(endings) == [(End.SUCCEEDED, 1, "")]


async def test_a_timeout_of_the_task_itself_keeps_its_own_words(strategy, advance, recorder):
    async def wait():
        raise TimeoutError("the lamp is silent")

    run, _ = recorder.follow(strategy(timeout=5))
    run(wait)
    await advance(60)
    assert [str(error) for error, _ in recorder.reports] == ["the lamp is silent"]


async def test_each_attempt_has_the_whole_timeout(strategy, advance, recorder):
    run, _ = recorder.follow(strategy(timeout=5, retry=True, max_attempts=2))
    run(recorder.task("slow", lasts=60))
    await advance(60)
    assert recorder.log == [(5, "slow", "cancelled"), (12, "slow", "cancelled")]


async def test_a_failed_task_is_attempted_again_until_it_succeeds(strategy, advance, recorder):
    run, endings = recorder.follow(strategy(retry=True, retry_start=1, retry_end=5))
    run(recorder.task("a", fails=4))
    await advance(60)
    assert recorder.log == [(t, "a") for t in (0, 1, 3, 7, 12)]
    assert ends(endings) == [(End.SUCCEEDED, 5, "")]


async def test_after_its_last_attempt_it_has_failed(strategy, advance, recorder):
    run, endings = recorder.follow(strategy(retry=True, max_attempts=3))
    run(recorder.task("a", fails=99))
    await advance(600)
    assert recorder.log == [(0, "a"), (2, "a"), (6, "a")]
    assert ends(endings) == [(End.FAILED, 3, "")]
    assert isinstance(endings[0].error, OSError)


@pytest.mark.parametrize("error", [TypeError, NameError, AttributeError])
async def test_a_bug_is_not_attempted_again(strategy, error, advance, recorder):
    run, endings = recorder.follow(strategy(retry=True))
    run(recorder.task("bug", fails=99, error=error))
    await advance(600)
    assert recorder.log == [(0, "bug")]
    assert ends(endings) == [(End.FAILED, 1, "")]


async def test_what_is_given_up_on_can_be_said(strategy, advance, recorder):
    run, _ = recorder.follow(strategy(retry=True, max_attempts=2, give_up_on=(OSError,)))
    run(recorder.task("line", fails=99))
    await advance(60)
    run(recorder.task("bug", fails=99, error=TypeError))
    await advance(60)
    assert recorder.log == [(0, "line"), (60, "bug"), (62, "bug")]


async def test_what_is_retried_on_can_be_said(strategy, advance, recorder):
    run, _ = recorder.follow(strategy(retry=True, max_attempts=2, retry_on=(ConnectionError,)))
    run(recorder.task("cut", fails=99, error=ConnectionResetError))
    await advance(60)
    run(recorder.task("value", fails=99, error=ValueError))
    await advance(60)
    assert recorder.log == [(0, "cut"), (2, "cut"), (60, "value")]


async def test_jitter_shortens_the_pauses_by_a_share_at_random(strategy, advance, recorder):
    chances = iter([0.0, 0.5, 1.0])
    run, _ = recorder.follow(
        strategy(retry=True, max_attempts=4, jitter=0.5, randomness=lambda: next(chances))
    )
    run(recorder.task("a", fails=99))
    await advance(600)
    assert recorder.log == [(t, "a") for t in (0, 2, 2 + 4 * 0.75, 5 + 8 * 0.5)]


async def test_the_same_seed_gives_the_same_pauses(advance, recorder):
    def times(seed):
        chance = random.Random(seed).random  # noqa: S311
        run, _ = recorder.follow(RunInTask(retry=True, jitter=1, randomness=chance))
        run(recorder.task(seed, fails=99))
        return run

    runs = [times(1), times(1.0), times(2)]
    await advance(100)
    by_name = [[t for t, name in recorder.log if repr(name) == seed] for seed in ("1", "1.0", "2")]
    assert by_name[0] == by_name[1] != by_name[2]
    for run in runs:
        await run.close()


async def test_what_is_still_to_be_done_when_it_is_closed(strategy, advance, recorder):
    run, endings = recorder.follow(strategy(retry=True))
    failing = recorder.task("failing", fails=99)
    run(failing)
    await advance(1)
    assert run.unfinished() == [failing]
    await run.close()
    assert run.unfinished() == []
    assert ends(endings) == [(End.SKIPPED, 1, "closed")]


class Waiting:
    """A task that fails, and is told why it is given up."""

    def __init__(self):
        self.told = []

    async def __call__(self):
        raise OSError("no answer")

    def skipped(self, why):
        self.told.append((why, current_cause()))


@pytest.mark.parametrize("reason", Reason)
async def test_a_task_that_waits_is_told_why_its_strategy_has_ended(
    strategy, advance, recorder, reason
):
    scope = Scope("hall", parent=recorder.scope)
    with scope.active():
        run = strategy(retry=True).build()
    endings = []
    run.on_end = endings.append
    between, late = Waiting(), Waiting()
    with use_cause(Cause("event", "/bell")) as bell:
        run(between)
    await advance(1)
    scope.dispose(reason)
    with use_cause(Cause("event", "/door")) as door:
        run(late)
    await advance(0)
    handed_over = reason is Reason.REPLACED  # so that it is told by who goes on with it
    assert between.told == ([] if handed_over else [(reason, bell)])
    assert late.told == [(reason, door)]
    assert sorted(ends(endings)) == [(End.SKIPPED, 0, reason), (End.SKIPPED, 1, reason)]


@pytest.mark.parametrize("reason", Reason)
async def test_a_task_in_a_queue_is_told_why_its_strategy_has_ended(advance, recorder, reason):
    scope = Scope("hall", parent=recorder.scope)
    with scope.active():
        run = RunSerially().build()
    first, second = recorder.task("first", lasts=60), Waiting()
    run(first)
    run(second)
    await advance(1)
    scope.dispose(reason)
    await advance(0)
    assert second.told == ([] if reason is Reason.REPLACED else [(reason, None)])


async def test_a_task_that_waits_is_told_that_its_strategy_was_closed(advance):
    run, task = RunSerially(retry=True).build(), Waiting()
    run(task)
    await advance(1)
    await run.close()
    assert task.told == [("closed", None)]


async def test_a_task_in_its_last_attempt_is_not_handed_on(strategy, advance, recorder):
    run, _ = recorder.follow(strategy(retry=True, max_attempts=2))
    run(recorder.task("slow", lasts=10, fails=99))
    await advance(5)
    assert len(run.unfinished()) == 1
    await advance(10)
    assert run.running == 1
    assert run.unfinished() == []
    await run.close()


async def test_one_that_is_cut_short_in_the_midst_is_interrupted_not_failed(
    strategy, advance, recorder
):
    run, endings = recorder.follow(strategy())
    run(recorder.task("long", lasts=60))
    await advance(1)
    await run.close()
    assert ends(endings) == [(End.INTERRUPTED, 1, "closed")]
    assert recorder.reports == []


class Refused(SendingTask):
    """A task whose request is refused at once; it counts its other attempts."""

    def __init__(self):
        self.attempts = 0

    def send(self):
        reply = asyncio.get_running_loop().create_future()
        reply.set_exception(OSError("no answer"))
        return reply

    def receive(self, reply):
        reply.result()

    async def __call__(self):
        self.attempts += 1


@pytest.mark.parametrize("strategy", [RunInTask, RunSerially, RunSingle])
async def test_a_task_ends_when_its_retry_is_cancelled_before_the_first_step(
    strategy, advance, recorder
):
    run, endings = recorder.follow(strategy(retry=True))
    others = asyncio.all_tasks()
    run(Refused())
    await asyncio.sleep(0)  # one turn: the reply is received, and the retry has not begun
    (retry,) = asyncio.all_tasks() - others
    retry.cancel()
    await advance(1)
    assert ends(endings) == [(End.SKIPPED, 1, "")]
    assert run.running == 0

    following = Refused()
    run(following)
    await advance(60)
    assert ends(endings)[1:] == [(End.SUCCEEDED, 2, "")]
    assert following.attempts == 1
    assert run.running == run.queued == 0


async def test_its_work_is_counted(strategy, advance, recorder):
    workload = Workload()
    recorder.scope.provide(Workload, workload)
    run = recorder.build(strategy())
    for name in "abc":
        run(recorder.task(name, lasts=10))
    await advance(1)
    assert workload.running == run.running > 0
    assert workload.queued == run.queued
    await run.close()
    assert (workload.running, workload.queued) == (0, 0)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"timeout": 0}, "write seconds, more than 0"),
        ({"timeout": float("inf")}, "write seconds, more than 0"),
        ({"max_queue": 0}, "write 1 or more"),
        ({"warn_queue": 0}, "write 1 or more"),
        ({"retry": True, "max_attempts": 0}, "write 1 or more"),
        ({"retry": True, "jitter": 1.5}, "write 0 to 1"),
        ({"retry": True, "retry_on": OSError}, r"write retry_on=\(OSError, TimeoutError\)"),
        ({"give_up_on": (KeyboardInterrupt,)}, "write give_up_on="),
        ({"max_attempts": 3}, r"retry=True, max_attempts=3\)"),
        ({"jitter": 0.5}, r"retry=True, jitter=0.5\)"),
        ({"retry": True, "retry_start": 0}, "0 < retry_start <= retry_end"),
    ],
    ids=str,
)
def test_options_without_a_meaning_are_refused_with_advice(strategy, options, advice):
    with pytest.raises(ValueError, match=advice):
        strategy(**options)


def test_a_strategy_shows_what_was_said_and_no_more():
    assert repr(RunInTask()) == "RunInTask()"
    assert (
        repr(RunSerially(only_latest=True, timeout=5)) == "RunSerially(timeout=5, only_latest=True)"
    )
    assert repr(RunConcurrently(4)) == "RunConcurrently(limit=4)"


# --- the queue ----------------------------------------------------------------------------------


async def test_a_full_queue_skips_its_oldest(advance, recorder):
    run, endings = recorder.follow(RunSerially(max_queue=2))
    for n in range(6):
        run(recorder.task(n, lasts=1))
    assert ends(endings) == [(End.SKIPPED, 0, "queue full")] * 3
    await advance(60)
    assert recorder.log == [(1, 3), (2, 4), (3, 5)]


async def test_where_all_run_at_once_one_too_many_is_skipped(advance, recorder):
    run, endings = recorder.follow(RunInTask(max_queue=2))
    for n in range(3):
        run(recorder.task(n, lasts=1))
    await advance(60)
    assert recorder.log == [(1, 0), (1, 1)]
    assert [e.why for e in endings] == ["queue full", "", ""]


async def test_a_long_queue_is_told_of_with_its_age_and_again_at_twice_the_length(
    advance, recorder, caplog
):
    run, _ = recorder.follow(RunSerially())
    run(recorder.task("first", lasts=3600))
    await advance(1)
    run(recorder.task("oldest"))
    await advance(42)
    for n in range(98):
        run(recorder.task(n))
    assert caplog.messages == []
    for n in range(101):
        run(recorder.task(n))
    advice = "they start faster than they end"
    assert caplog.messages == [
        f"100 tasks wait, the oldest (oldest) for 42.0 s: {advice}",
        f"200 tasks wait, the oldest (oldest) for 42.0 s: {advice}",
    ]
    await run.close()


async def test_many_at_once_are_told_of_too(advance, recorder, caplog):
    run, _ = recorder.follow(RunInTask(warn_queue=3))
    run(recorder.task("oldest", lasts=60))
    await advance(2)
    for n in range(3):
        run(recorder.task(n, lasts=60))
    [message] = caplog.messages
    assert message.startswith("3 tasks run at once, the oldest (oldest) for 2.0 s")
    await run.close()


async def test_a_queue_that_was_worked_off_is_told_of_afresh(advance, recorder, caplog):
    run, _ = recorder.follow(RunSerially(warn_queue=2))
    for _ in range(2):
        for n in range(3):
            run(recorder.task(n, lasts=1))
        await advance(60)
        run(recorder.task("alone"))
        await advance(60)
    assert len(caplog.messages) == 2


# --- RunLatest ----------------------------------------------------------------------------------


async def test_the_latest_begins_when_the_one_that_it_cancelled_has_ended(advance, recorder):
    async def slow_to_end():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(3)
        recorder.log.append((recorder.now(), "ended"))

    run, endings = recorder.follow(RunLatest())
    run(slow_to_end)
    await advance(1)
    run(recorder.task("b", lasts=1))
    await advance(2.9)
    assert recorder.log == []
    await advance(60)
    assert recorder.log == [(4, "ended"), (5, "b")]
    assert ends(endings) == [(End.SUCCEEDED, 1, ""), (End.SUCCEEDED, 1, "")]


async def test_the_one_that_is_cancelled_is_interrupted_and_no_failure(advance, recorder):
    run, endings = recorder.follow(RunLatest())
    run(recorder.task("a", lasts=10))
    await advance(1)
    run(recorder.task("b", lasts=10))
    await advance(60)
    assert recorder.log == [(1, "a", "cancelled"), (11, "b")]
    assert ends(endings) == [(End.INTERRUPTED, 1, "superseded"), (End.SUCCEEDED, 1, "")]
    assert recorder.reports == []


async def test_of_many_that_come_meanwhile_only_the_newest_begins(advance, recorder):
    run, endings = recorder.follow(RunLatest())
    run(recorder.task("a", lasts=10))
    await advance(1)
    for n in range(4):
        run(recorder.task(n))
    await advance(0)
    assert recorder.log == [(1, "a", "cancelled"), (1, 3)]
    assert [e.why for e in endings] == ["superseded"] * 4 + [""]


async def test_its_clean_up_is_cancelled_once_only(advance, recorder):
    async def slow_to_end():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(3)
            recorder.log.append((recorder.now(), "cleaned up"))

    run, _ = recorder.follow(RunLatest())
    run(slow_to_end)
    await advance(1)
    run(recorder.task("b"))
    await advance(1)
    run(recorder.task("c"))
    await advance(60)
    assert recorder.log == [(4, "cleaned up"), (4, "c")]


async def test_one_that_waits_for_its_next_attempt_gives_way(advance, recorder):
    run, endings = recorder.follow(RunLatest(retry=True))
    run(recorder.task("failing", fails=99))
    await advance(1)
    run(recorder.task("newer"))
    await advance(60)
    assert recorder.log == [(0, "failing"), (1, "newer")]
    assert ends(endings) == [(End.SKIPPED, 1, "superseded"), (End.SUCCEEDED, 1, "")]


async def test_the_latest_that_waits_is_still_to_be_done(advance, recorder):
    async def stubborn():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    run, _ = recorder.follow(RunLatest())
    run(stubborn)
    await advance(1)
    newer = recorder.task("newer")
    run(newer)
    await advance(1)
    assert run.unfinished() == [newer]
    await run.close()


# --- RunSingle ----------------------------------------------------------------------------------


async def test_a_new_one_is_dropped_while_one_runs(advance, recorder):
    run, endings = recorder.follow(RunSingle())
    run(recorder.task("a", lasts=10))
    run(recorder.task("at once"))
    await advance(9)
    run(recorder.task("b"))
    await advance(1)
    run(recorder.task("c"))
    await advance(60)
    assert recorder.log == [(10, "a"), (10, "c")]
    assert ends(endings)[:2] == [(End.SKIPPED, 0, "busy")] * 2


async def test_a_new_one_is_dropped_while_one_waits_for_its_next_attempt(advance, recorder):
    run, _ = recorder.follow(RunSingle(retry=True))
    run(recorder.task("a", fails=1))
    await advance(1)
    run(recorder.task("b"))
    await advance(60)
    assert recorder.log == [(0, "a"), (2, "a")]


async def test_after_a_failure_the_next_may_run(advance, recorder):
    run, _ = recorder.follow(RunSingle())
    run(recorder.task("a", fails=1))
    await advance(1)
    run(recorder.task("b"))
    await advance(1)
    assert recorder.log == [(0, "a"), (1, "b")]


# --- RunConcurrently ----------------------------------------------------------------------------


async def test_so_many_run_at_once_and_the_others_wait_in_order(advance, recorder):
    run, _ = recorder.follow(RunConcurrently(2))
    for n, lasts in enumerate((10, 4, 1, 1, 1)):
        run(recorder.task(n, lasts=lasts))
    await advance(1)
    assert (run.running, run.queued) == (2, 3)
    await advance(60)
    assert recorder.log == [(4, 1), (5, 2), (6, 3), (7, 4), (10, 0)]


async def test_a_place_is_held_between_attempts(advance, recorder):
    run, _ = recorder.follow(RunConcurrently(1, retry=True))
    run(recorder.task("a", fails=1))
    run(recorder.task("b"))
    await advance(60)
    assert recorder.log == [(0, "a"), (2, "a"), (2, "b")]


def test_a_limit_that_lets_nothing_run_is_refused():
    with pytest.raises(ValueError, match="write 1 or more"):
        RunConcurrently(0)


@pytest.mark.parametrize(
    ("errors", "attempts"),
    [
        ([OSError("no line")], 3),
        ([OSError("no line"), ValueError("bad")], 3),
        ([ValueError("bad")], 1),
        ([OSError("no line"), NameError("lamp")], 1),
        ([ExceptionGroup("inner", [OSError("no line")])], 3),
    ],
    ids=str,
)
async def test_errors_are_looked_for_in_groups_too(errors, attempts, advance):
    tried = []

    async def fail():
        tried.append(1)
        raise ExceptionGroup("several", errors)

    RunSerially(retry=True, max_attempts=3, retry_on=(OSError,)).build()(fail)
    await advance(60)
    assert len(tried) == attempts
