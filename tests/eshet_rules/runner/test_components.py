"""A failure of one part of the runner ends neither the runner nor another part."""

import asyncio

import pytest

from eshet.exceptions import Interrupted
from eshet_rules.runner.components import attempt, keep_running

ERRORS = [
    ValueError("x"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    Interrupted("x"),
    asyncio.CancelledError(),
    type("Own", (BaseException,), {})("x"),
    BaseExceptionGroup("x", [ValueError()]),
]

every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


class Component:
    """Fails in each run, after a time; each start is noted."""

    def __init__(self, error, uptime=0.0):
        self.error = error
        self.uptime = uptime
        self.starts = []

    async def run(self):
        self.starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.uptime)
        if self.error is not None:
            raise self.error

    @property
    def pauses(self):
        pairs = zip(self.starts, self.starts[1:], strict=False)
        return [round(later - earlier - self.uptime) for earlier, later in pairs]


@pytest.fixture
async def start(log):
    tasks = []

    def start(component):
        tasks.append(asyncio.create_task(keep_running("publisher", component.run, log.logger)))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
        assert await asyncio.gather(task, return_exceptions=True)


@every_error
async def test_it_is_logged_and_started_again_after_a_longer_and_longer_pause(
    start, log, advance, error
):
    component = Component(error)
    task = start(component)
    await advance(1000)
    assert not task.done()
    assert component.pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    first = log.records[0]
    assert (first["event"], first["component"], first["pause_s"]) == (
        "component.failed",
        "publisher",
        1.0,
    )
    assert type(error).__name__ in first["error"]


async def test_a_component_that_ran_for_a_while_is_started_soon_again(start, advance):
    component = Component(ValueError(), uptime=70)
    start(component)
    await advance(300)
    assert component.pauses == [1, 1, 1, 1]


async def test_one_that_returns_is_done(start, advance):
    component = Component(None)
    task = start(component)
    await advance(10)
    assert task.done()
    assert len(component.starts) == 1


async def test_it_ends_when_it_is_cancelled(start, log, advance):
    task = start(Component(None, uptime=1000))
    await advance(1)
    task.cancel()
    await advance(1)
    assert task.cancelled()
    assert log.records == []


@every_error
async def test_a_single_attempt_is_logged_and_not_repeated(log, error):
    component = Component(error)
    await attempt("update", component.run, log.logger)
    assert len(component.starts) == 1
    assert log.find("component.failed")["component"] == "update"
