import asyncio

import pytest

from eshet.scope import Reason, current_scope
from eshet.utils import RunInTask, RunSerially, TaskStrategy
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.supervisor import SupervisedRule


class Bench:
    """A rule that notes its attempts, of which the first ones fail."""

    def __init__(self, strategy, fails=0):
        self.attempts = []
        self.disposed = []
        self.reports = []
        self.fails = fails
        scope = TaskScope("hall.light", on_error=lambda e, doing: self.reports.append(doing))
        self.rule = SupervisedRule(Rule("light", self.set_up, strategy), scope)

    async def set_up(self):
        scope = current_scope()
        attempt = len(self.attempts) + 1
        self.attempts.append(asyncio.get_running_loop().time())
        scope.own(lambda: self.disposed.append((attempt, scope.reason)))
        if attempt <= self.fails:
            raise OSError("no line")


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
    assert bench.disposed == [(1, Reason.REPLACED)]
    await bench.rule.scope.close()


async def test_a_strategy_that_cannot_be_built_is_a_failure_of_its_rule():
    class Broken(TaskStrategy):
        def build(self):
            raise KeyError("no such line")

    bench = Bench(Broken())
    bench.rule.start()
    assert bench.reports == ["strategy of light"]
    assert bench.rule.first_attempt.result() is False
