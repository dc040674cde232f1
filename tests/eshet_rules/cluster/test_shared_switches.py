"""Rules that were enabled or disabled by command, at several runners at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from eshet.nats.bucket import Bucket
from eshet_rules.cluster.shared_switches import SharedSwitches, Switch
from tests.conftest import Advance
from tests.support.rules import Log
from tests.support.waiting import until

RULE = "hall.light"


class SlowlyAnswered(Bucket):
    """A bucket in which writes are stored at once, but answered only when that is allowed."""

    may_answer: asyncio.Event

    async def put(self, key: str, value: bytes, revision: int | None) -> int:
        stored = await super().put(key, value, revision)
        await self.may_answer.wait()
        return stored


class Runner:
    """A runner that follows the others, and what it has heard."""

    def __init__(self, bucket: Bucket, log: Log) -> None:
        self.rules: dict[str, bool] = {}
        self.switches = SharedSwitches(bucket, "house", log.logger)
        self.switches.on_change = self._follow

    async def _follow(self, switches: Mapping[str, Switch]) -> None:
        self.rules |= {rule: switch.on for rule, switch in switches.items()}

    def switch(self, rule: str, *, on: bool) -> None:
        self.rules[rule] = on
        self.switches.switch([rule], on)


@pytest.fixture
async def slow(bucket: Bucket) -> SlowlyAnswered:
    slow = SlowlyAnswered(bucket.connection, bucket.name)
    slow.may_answer = asyncio.Event()
    return slow


@pytest.fixture
async def two(
    bucket: Bucket, slow: SlowlyAnswered, log: Log
) -> AsyncIterator[tuple[Runner, Runner]]:
    """Two runners; the first one receives answers to what it writes late."""
    runners = Runner(slow, log), Runner(bucket, log)
    watches = [await each.switches.open() for each in runners]
    works = [work for each in runners for work in (each.switches.tell, each.switches.follow)]
    tasks = [asyncio.create_task(work()) for work in works]
    yield runners
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for watch in watches:
        await watch.close()


async def test_of_two_commands_at_once_the_one_that_was_stored_last_holds_at_both(
    two: tuple[Runner, Runner], slow: SlowlyAnswered, advance: Advance
) -> None:
    one, other = two
    one.switch(RULE, on=False)
    await until(lambda: RULE in other.rules, advance)
    other.switch(RULE, on=True)
    received = one.switches._received
    await until(lambda: RULE in received and received[RULE].value.on, advance)
    slow.may_answer.set()
    await until(lambda: one.rules[RULE], advance)
    assert other.rules[RULE]


async def test_what_was_stored_before_the_own_command_does_not_hold(
    two: tuple[Runner, Runner], slow: SlowlyAnswered, advance: Advance
) -> None:
    one, other = two
    one.switch(RULE, on=False)
    await until(lambda: RULE in other.rules, advance)
    one.switch(RULE, on=True)
    slow.may_answer.set()
    await until(lambda: other.rules[RULE], advance)
    await advance(1)
    assert one.rules[RULE]
