import asyncio
import contextlib
import functools
import itertools
from datetime import UTC, datetime

import pytest
import structlog

from eshet.exceptions import Interrupted, PathTaken, ReactiveTypeError
from eshet.scope import Reason, current_scope
from eshet.utils import RunInTask, RunSerially, TaskStrategy
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.status import RuleState
from eshet_rules.supervision.supervised_rule import SupervisedRule


class Bench:
    """A rule that notes its attempts, of which the first ones fail."""

    def __init__(self, strategy, fails=0, error=OSError, live=True, lasts=0):
        self.attempts = []
        self.lasts = lasts
        self.disposed = []
        self.reports = []
        self.fails = fails
        self.error = error
        self.rule = self.supervised(self.set_up, strategy, live)

    def supervised(self, function, strategy, live=True):
        scope = TaskScope("hall.light", on_error=lambda e, doing: self.reports.append(doing))
        rule = Rule("light", function, strategy)
        log = structlog.wrap_logger(structlog.testing.ReturnLogger())
        return SupervisedRule(rule, scope, log=log, live=live)

    async def set_up_quietly(self):
        self.attempts.append(asyncio.get_running_loop().time())

    async def set_up(self):
        scope = current_scope()
        attempt = len(self.attempts) + 1
        await self.set_up_quietly()
        scope.own(lambda: self.disposed.append((attempt, scope.reason)))
        if attempt <= self.fails:
            await asyncio.sleep(self.lasts)
            raise self.error("no line")


@pytest.fixture(autouse=True)
async def task_factory():
    own_tasks_by_scope(asyncio.get_running_loop())


async def test_a_rule_that_succeeds_stays_until_its_scope_ends(advance):
    bench = Bench(RunInTask())
    bench.rule.start()
    await advance(3600)
    assert bench.rule.first_attempt.result() is True
    assert bench.disposed == []
    await bench.rule.scope.close(Reason.SHUTDOWN)
    assert bench.disposed == [(1, Reason.SHUTDOWN)]


async def test_what_a_failed_attempt_made_is_disposed(advance):
    bench = Bench(RunInTask(), fails=1)
    bench.rule.start()
    await advance(3600)
    assert bench.rule.first_attempt.result() is False
    assert bench.disposed == [(1, Reason.FAILED)]
    assert bench.reports == ["task light"]


@pytest.mark.parametrize("strategy", [RunInTask(timeout=5), RunSerially(timeout=5, retry=True)])
async def test_the_timeout_of_a_strategy_does_not_end_a_rule(advance, strategy):
    bench = Bench(strategy)
    ended = []

    async def run_forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(current_scope())

    bench.rule = bench.supervised(run_forever, strategy)
    bench.rule.start()
    await advance(3600)
    assert not ended
    assert bench.rule.status().state is RuleState.RUNNING
    await bench.rule.scope.close(Reason.SHUTDOWN)
    assert ended


async def test_a_strategy_with_retries_sets_up_afresh_each_time(advance):
    bench = Bench(RunSerially(retry=True), fails=2)
    bench.rule.start()
    await advance(3600)
    assert bench.attempts == [0, 2, 6]
    assert bench.reports == ["attempt 1 of task light", "attempt 2 of task light"]
    assert bench.disposed == [(1, Reason.FAILED), (2, Reason.FAILED)]
    assert bench.rule.first_attempt.result() is False


async def test_a_rule_that_runs_for_ever_is_still_in_its_first_attempt(advance):
    async def for_ever():
        await asyncio.get_running_loop().create_future()

    scope = TaskScope("hall.light")
    rule = SupervisedRule(Rule("light", for_ever, RunInTask()), scope)
    rule.start()
    await advance(3600)
    assert not rule.first_attempt.done()
    assert await scope.close() == []


async def test_sys_exit_in_a_rule_is_a_failure_as_any_other(advance):
    async def leave():
        raise SystemExit(3)

    reports = []
    scope = TaskScope("hall.light", on_error=lambda error, doing: reports.append(error))
    SupervisedRule(Rule("light", leave, RunInTask()), scope).start()
    await advance(0)
    [error] = reports
    assert "a rule can't end the runner" in str(error)


async def test_a_strategy_that_repeats_replaces_what_the_last_attempt_made(advance):
    bench = Bench(RunSerially(only_latest=True, retry=True, assume_failed=True))
    bench.rule.start()
    await advance(2)
    assert bench.attempts == [0, 2]
    assert bench.disposed == [(1, Reason.RESTARTED)]
    await bench.rule.scope.close()


async def test_a_strategy_that_cannot_be_built_is_a_failure_of_its_rule():
    class Broken(TaskStrategy):
        def build(self):
            raise KeyError("no such line")

    bench = Bench(Broken())
    bench.rule.start()
    assert bench.reports == ["strategy of light"]
    assert bench.rule.first_attempt.result() is False


# --- restarts -----------------------------------------------------------------------------------


async def test_a_rule_that_fails_is_restarted_ever_later_and_then_stays_failed(advance):
    bench = Bench(RunInTask(), fails=99)
    bench.rule.start()
    await advance(3600)
    assert bench.attempts == [0, 1, 3, 7, 15, 31]
    status = bench.rule.status()
    assert (status.state, status.restarts) == (RuleState.FAILED, 5)
    assert status.last_error == "OSError: no line"
    assert status.why == (
        "it failed again after 5 restarts in 600 s; save its file, "
        "or restart it with `eshet-rules restart`"
    )


async def test_what_an_attempt_made_is_gone_before_the_restart(advance):
    bench = Bench(RunInTask(), fails=2)
    bench.rule.start()
    await advance(0.999)
    assert bench.disposed == [(1, Reason.FAILED)]
    await advance(60)
    assert bench.attempts == [0, 1, 3]
    assert bench.disposed == [(1, Reason.FAILED), (2, Reason.FAILED)]
    assert bench.rule.status().state is RuleState.RUNNING


async def test_restarts_long_ago_do_not_count(advance):
    bench = Bench(RunInTask(), fails=99)

    async def fail_after_long():
        await bench.set_up_quietly()
        await asyncio.sleep(200)
        raise OSError("no line")

    bench.rule = bench.supervised(fail_after_long, RunInTask())
    bench.rule.start()
    await advance(86_400)
    assert bench.rule.status().state in (RuleState.RUNNING, RuleState.RESTARTING)
    pauses = [b - a - 200 for a, b in itertools.pairwise(bench.attempts)]
    assert pauses[:5] == [1, 2, 4, 4, 4]
    assert set(pauses) == {1, 2, 4}


async def test_a_rule_that_fails_long_after_its_set_up_is_restarted_too(advance):
    bench = Bench(RunInTask())

    async def fail_later():
        await bench.set_up_quietly()
        await asyncio.sleep(3600)
        raise OSError("no line")

    bench.rule = bench.supervised(fail_later, RunInTask())
    bench.rule.start()
    await advance(3601)
    assert bench.attempts == [0, 3601]
    await bench.rule.scope.close()


async def test_a_strategy_has_its_attempts_before_the_rule_is_restarted(advance):
    bench = Bench(RunInTask(retry=True, max_attempts=2), fails=99)
    bench.rule.start()
    await advance(1)
    assert bench.rule.status().state is RuleState.RETRYING
    await advance(9)
    assert bench.attempts == [0, 2, 3, 5, 7, 9]
    assert bench.rule.status().state is RuleState.RESTARTING
    await bench.rule.scope.close()


async def test_a_bug_is_not_retried_by_the_strategy_but_the_rule_is_restarted(advance):
    bench = Bench(RunSerially(retry=True), fails=1, error=TypeError)
    bench.rule.start()
    await advance(60)
    assert bench.attempts == [0, 1]


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (NameError("name 'lux' is not defined"), [0]),
        (ReactiveTypeError("a Value is neither true nor false"), [0]),
        (TypeError("'<' not supported between instances of 'coroutine' and 'int'"), [0]),
        (AttributeError("module 'eshet.yarp' has no attribute 'obsrve'"), [0]),
        (AttributeError("'NoneType' object has no attribute 'x'"), [0, 1]),
        (ValueError("x"), [0, 1, 3, 7, 15, 31]),
    ],
    ids=repr,
)
async def test_a_rule_whose_set_up_has_a_bug_stays_failed_at_once(advance, error, attempts):
    bench = Bench(RunInTask(), fails=99, error=lambda *_: error)
    bench.rule.start()
    await advance(600)
    assert bench.attempts == attempts
    assert bench.rule.status().state is RuleState.FAILED


async def test_a_bug_that_shows_after_the_set_up_is_restarted(advance):
    bench = Bench(RunInTask(), fails=2, error=NameError, lasts=20)
    bench.rule.start()
    await advance(600)
    assert len(bench.attempts) == 3


async def test_a_strategy_of_ones_own_that_does_not_retry_is_helped_out(advance):
    class Plain(TaskStrategy):
        def build(self):
            async def run(task):
                with contextlib.suppress(OSError):
                    await task()

            return lambda task: asyncio.create_task(run(task)) and None

    bench = Bench(Plain(), fails=2)
    bench.rule.start()
    await advance(60)
    assert bench.attempts == [0, 1, 3]


async def test_a_strategy_of_ones_own_that_retries_in_time_is_left_alone(advance):
    class Eager(TaskStrategy):
        def build(self):
            async def run(task):
                try:
                    await task()
                except OSError:
                    await asyncio.sleep(0.5)
                    await run(task)

            return lambda task: asyncio.create_task(run(task)) and None

    bench = Bench(Eager(), fails=4)
    bench.rule.start()
    await advance(60)
    assert bench.attempts == [0, 0.5, 1, 1.5, 2]
    assert bench.rule.status().restarts == 0


async def test_a_rule_whose_scope_has_ended_is_not_restarted(advance):
    bench = Bench(RunInTask(), fails=99)
    bench.rule.start()
    await advance(0.5)
    await bench.rule.scope.close(Reason.REPLACED)
    await advance(60)
    assert bench.attempts == [0]
    assert bench.rule.status().state is RuleState.ENDED


async def test_a_rule_that_is_not_live_yet_is_restarted_only_then(advance):
    bench = Bench(RunInTask(), fails=1, live=False)
    bench.rule.start()
    await advance(10)
    assert bench.attempts == [0]
    bench.rule.go_live()
    await advance(10)
    assert bench.attempts == [0, 11]


async def test_one_rule_restarts_and_the_other_does_not_notice(advance):
    failing, other = Bench(RunInTask(), fails=99), Bench(RunInTask())
    failing.rule.start()
    other.rule.start()
    await advance(3600)
    assert other.attempts == [0]
    assert other.disposed == []
    await other.rule.scope.close()


# --- told to ------------------------------------------------------------------------------------


async def test_failing_a_rule_ends_it_at_once_and_for_good(advance):
    bench = Bench(RunInTask())

    async def for_ever():
        await bench.set_up_quietly()
        current_scope().own(lambda: bench.disposed.append("gone"))
        await asyncio.sleep(10_000)

    bench.rule = bench.supervised(for_ever, RunInTask())
    bench.rule.start()
    await advance(1)
    bench.rule.fail(RuntimeError("it went round in circles"))
    assert bench.disposed == ["gone"]
    await advance(3600)
    assert bench.attempts == [0]
    status = bench.rule.status()
    assert status.state is RuleState.FAILED
    assert status.why == (
        "it went round in circles; save its file, or restart it with `eshet-rules restart`"
    )


async def test_a_rule_that_is_failed_stays_so_while_it_ends_slowly(advance):
    async def blocks():
        async def slow_to_end():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(1)

        asyncio.create_task(slow_to_end())  # noqa: RUF006
        await asyncio.sleep(0)
        raise Interrupted("it blocked the house")

    bench = Bench(RunInTask())
    bench.rule = bench.supervised(blocks, RunInTask())
    bench.rule.start()
    await advance(0)
    bench.rule.fail(Interrupted("it blocked the house"))
    await advance(60)
    assert bench.rule.status().state is RuleState.FAILED
    assert bench.rule.status().last_error == "it blocked the house"
    assert bench.rule.first_attempt.result() is False


# --- at a glance --------------------------------------------------------------------------------


async def test_its_status_tells_since_when_and_what_its_sinks_have_to_do(advance):
    async def set_up():
        run = RunSerially().build()
        for _ in range(3):
            run(functools.partial(asyncio.sleep, 10))

    bench = Bench(RunInTask())
    bench.rule = bench.supervised(set_up, RunSerially(only_latest=True))
    bench.rule.start()
    await advance(5)
    status = bench.rule.status()
    assert (status.running, status.queued) == (1, 2)
    assert status.strategy == "RunSerially(only_latest=True)"
    assert status.since == datetime(2026, 1, 1, tzinfo=UTC)
    await advance(60)
    assert (bench.rule.status().running, bench.rule.status().queued) == (0, 0)
    await bench.rule.scope.close()


async def test_the_configuration_has_a_say_where_the_rule_says_nothing(advance):
    configured = RunSerially(retry=True)
    scope = TaskScope("hall.light", on_error=lambda error, doing: None)
    attempts = []

    async def fail():
        attempts.append(asyncio.get_running_loop().time())
        raise OSError

    SupervisedRule(Rule("light", fail), scope, strategy=configured).start()
    await advance(7)
    assert attempts == [0, 2, 6]
    await scope.close()


async def test_a_rule_that_has_its_path_and_is_cancelled_later_waits_for_no_path(advance):
    bench = Bench(RunInTask(), fails=1, error=lambda text: PathTaken(text, "/lamp"))
    bench.rule.start()
    await advance(0)
    assert bench.rule.taken_path == "/lamp"
    await advance(10)
    assert (bench.rule.taken_path, bench.rule.status().state) == ("", RuleState.RUNNING)
