"""What a task had made is freed when it has failed, as memory may be why it has."""

import asyncio
import gc
import weakref

import pytest

from eshet.utils import RunInTask, RunSerially
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.supervised_rule import SupervisedRule


class Large:
    """Something that takes memory."""


@pytest.fixture
def without_collector():
    gc.disable()
    yield
    gc.enable()


def run_rule(function, scope):
    SupervisedRule(Rule("light", function), scope).start()


def run_task(strategy):
    def run(function, scope):
        with scope.active():
            strategy.build()(function)

    return run


WAYS = {
    "a rule": run_rule,
    "a task": run_task(RunInTask()),
    "a task that is attempted again": run_task(RunInTask(retry=True, max_attempts=2)),
    "tasks one after the other": run_task(RunSerially()),
}


@pytest.mark.parametrize("run", WAYS.values(), ids=WAYS)
async def test_what_a_failed_attempt_had_made_is_freed_at_once(advance, without_collector, run):
    own_tasks_by_scope(asyncio.get_running_loop())
    made = []

    async def fail():
        large = Large()
        made.append(weakref.ref(large))
        raise MemoryError

    scope = TaskScope("hall.light", on_error=lambda error, doing: None)
    run(fail, scope)
    await advance(120)
    scope.dispose()
    assert made
    assert [large() for large in made] == [None] * len(made)
