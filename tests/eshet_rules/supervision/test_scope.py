import asyncio
import contextlib
import contextvars

import pytest

from eshet.scope import Reason, Scope
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope


@pytest.fixture(autouse=True)
async def task_factory():
    own_tasks_by_scope(asyncio.get_running_loop())


@pytest.fixture
def scope():
    return TaskScope("rule")


async def sleep():
    await asyncio.sleep(3600)


async def test_a_task_made_in_the_scope_is_cancelled_with_it(advance, scope):
    with scope.active():
        task = asyncio.create_task(sleep())
    await advance(1)
    assert await scope.close() == []
    assert task.cancelled()


async def test_a_task_made_elsewhere_is_left_alone(advance, scope):
    task = asyncio.create_task(sleep())
    await scope.close()
    await advance(1)
    assert not task.done()
    task.cancel()


async def test_tasks_of_tasks_belong_to_the_scope_too(advance, scope):
    inner = []

    async def outer():
        inner.append(asyncio.create_task(sleep()))

    with scope.active():
        await asyncio.create_task(outer())
    await scope.close()
    assert inner[0].cancelled()


async def test_a_task_with_a_context_of_its_own_belongs_to_the_scope_of_that(scope):
    with scope.active():
        context = contextvars.copy_context()
    task = asyncio.create_task(sleep(), context=context)
    await scope.close()
    assert task.cancelled()


async def test_tasks_of_groups_and_timeouts_are_owned(advance, scope):
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(sleep())
            group.create_task(asyncio.wait_for(sleep(), 3000))

    with scope.active():
        task = asyncio.create_task(work())
    await advance(1)
    assert await scope.close() == []
    assert task.cancelled()
    assert len(asyncio.all_tasks()) == 1


async def test_a_plain_scope_within_passes_its_tasks_on(scope):
    with Scope("inner", parent=scope).active():
        task = asyncio.create_task(sleep())
    await scope.close()
    assert task.cancelled()


async def test_an_inner_scope_ends_its_own_tasks_only(advance, scope):
    inner = TaskScope("attempt", parent=scope)
    with scope.active():
        outer_task = asyncio.create_task(sleep())
    with inner.active():
        inner_task = asyncio.create_task(sleep())
    await inner.close(Reason.FAILED)
    assert inner_task.cancelled()
    assert not outer_task.done()
    await scope.close()


async def test_an_outer_scope_waits_for_the_tasks_of_the_inner(advance, scope):
    ended = []

    async def slow_to_end():
        try:
            await sleep()
        finally:
            await asyncio.sleep(2)
            ended.append(True)

    with TaskScope("attempt", parent=scope).active():
        asyncio.create_task(slow_to_end())  # noqa: RUF006
    await advance(1)
    closing = asyncio.create_task(scope.close())
    await advance(2)
    assert closing.done()
    assert ended == [True]


async def test_a_task_that_will_not_end_is_named_after_the_shutdown_time(advance, scope):
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if finish:
                    raise

    finish = []
    with scope.active():
        task = asyncio.create_task(stubborn())
    await advance(0)
    closing = asyncio.create_task(scope.close())
    await advance(4.9)
    assert not closing.done()
    await advance(0.1)
    [name] = await closing
    assert name.endswith("stubborn")
    finish.append(True)
    task.cancel()


async def test_clean_up_may_start_tasks_while_the_scope_closes(advance, scope):
    saved = []

    async def save():
        await asyncio.sleep(1)
        saved.append(True)

    async def work():
        try:
            await sleep()
        finally:
            await asyncio.wait_for(asyncio.create_task(save()), 3)

    with scope.active():
        asyncio.create_task(work())  # noqa: RUF006
    await advance(0)
    closing = asyncio.create_task(scope.close())
    await advance(2)
    assert closing.done()
    assert saved == [True]


async def test_a_task_that_comes_after_the_end_is_cancelled_before_it_begins(advance, scope):
    began = []

    async def late():
        began.append(True)

    await scope.close()
    with scope.active():
        task = asyncio.create_task(late())
    await advance(0)
    assert task.cancelled()
    assert began == []


async def test_a_task_may_close_its_own_scope_and_goes_on(advance, scope):
    log = []

    async def end_all():
        log.append(await scope.close())

    with scope.active():
        task = asyncio.create_task(end_all())
    await advance(0)
    assert log == [[]]
    assert not task.cancelled()


async def test_a_task_that_has_ended_is_forgotten(advance, scope):
    with scope.active():
        await asyncio.create_task(asyncio.sleep(0))
    await advance(0)
    assert not scope._all_tasks


async def test_disposing_twice_is_disposing_once(scope):
    scope.dispose(Reason.REPLACED)
    await scope.close(Reason.SHUTDOWN)
    assert scope.reason is Reason.REPLACED


def test_a_scope_can_be_disposed_without_a_loop():
    scope = TaskScope("rule")
    scope.dispose()
    assert scope.disposed


async def test_what_was_entered_is_left_in_reverse_order(scope):
    log = []

    @contextlib.contextmanager
    def line(name):
        yield name.upper()
        log.append(name)

    assert scope.enter(line("a")) == "A"
    assert scope.enter(line("b")) == "B"
    scope.on_dispose(lambda: log.append("c"))
    await scope.close()
    assert log == ["c", "b", "a"]


async def test_what_takes_time_to_leave_is_waited_for(advance, scope):
    log = []

    @contextlib.asynccontextmanager
    async def line(name):
        yield name.upper()
        await asyncio.sleep(1)
        log.append(name)

    assert await scope.enter_async(line("a")) == "A"

    @scope.on_dispose
    async def close():
        await asyncio.sleep(2)
        log.append("closed")

    closing = asyncio.create_task(scope.close())
    await advance(1.5)
    assert log == ["a"]
    assert not closing.done()
    await advance(0.5)
    assert log == ["a", "closed"]
    assert await closing == []


async def test_clean_up_has_a_limit_too(advance, scope):
    @scope.on_dispose
    async def close():
        await asyncio.sleep(3600)

    closing = asyncio.create_task(scope.close())
    await advance(5)
    [name] = await closing
    assert name.endswith("close")
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_it_knows_of_tasks_that_have_not_begun(advance, scope):
    with scope.active():
        task = asyncio.create_task(sleep())
    assert scope.has_unbegun_tasks
    await advance(0)
    assert not scope.has_unbegun_tasks
    assert not task.done()
    await scope.close()
