"""Rules in quarantine at all runners, and when they count as released."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from eshet.nats.bucket import Bucket
from eshet_rules.cluster.shared_quarantine import SharedBlame, SharedQuarantine
from eshet_rules.supervision.guard.quarantine import Blame
from tests.conftest import Advance
from tests.support.rules import Log
from tests.support.waiting import until

RULE = "hall.light"
CRASH = Blame("hall", "light", "hall.py", 7, {"hall": "3f2a91bc"}, "2000-01-01T00:00:00+00:00")


@pytest.mark.parametrize("time", [CRASH.time, "2999-01-01T00:00:00+00:00"], ids=["past", "ahead"])
async def test_an_enabled_rule_is_released_whatever_the_clock_of_the_crashed_runner(
    bucket: Bucket, log: Log, advance: Advance, time: str
) -> None:
    attic, cellar = (SharedQuarantine(bucket, "house", n, log.logger) for n in ("attic", "cellar"))
    received: dict[str, SharedBlame] = {}

    async def receive(blames: Mapping[str, SharedBlame]) -> None:
        received.update(blames)

    cellar.on_change = receive
    watch = await cellar.open()
    tasks = [asyncio.create_task(work()) for work in (attic.tell, cellar.follow)]
    crash = replace(CRASH, time=time)
    attic.add([crash])
    await until(lambda: RULE in received, advance)
    assert received[RULE].blame == replace(crash, runner="attic")
    assert not received[RULE].is_released
    attic.release([received[RULE].blame])
    await until(lambda: received[RULE].is_released, advance)
    assert received[RULE].released >= time
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await watch.close()
