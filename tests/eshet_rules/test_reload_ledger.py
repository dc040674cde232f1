"""Many reloads under load: each event is handled once, and nothing is left behind."""

import asyncio
import gc
import random
import sys
import tracemalloc
from collections import Counter

import pytest

from eshet.reactive.graph import Node

MODULES = 50
RELOADS = 100
EVENTS_PER_RELOAD = 10

MODULE = """
    from eshet import yarp
    from eshet_rules import rule

    VERSION = {version}

    @rule
    async def count():
        event = await yarp.event_listen("/event/{number}")
        await yarp.action_call("/ledger", {number}, VERSION, event)
        await yarp.state_register("/recent/{number}", yarp.len(yarp.time_window(event, 3600)))
    """


class Ledger:
    """Who handled what."""

    def __init__(self):
        self.entries = []

    def handled(self, module, version, event):
        self.entries.append((module, version, event))


@pytest.fixture
async def ledger(house):
    ledger = Ledger()
    await house.viewer.action_register("/ledger", ledger.handled)
    for number in range(MODULES):
        write(house, number, 0)
        await house.viewer.event_register(f"/event/{number}")
    assert await house.reload()
    return ledger


def write(house, number, version):
    house.write(f"room_{number}.py", MODULE.format(number=number, version=version))


async def reload_and_emit(house, chance, versions, events):
    """Save one module, and let events happen to it, and to others, while it is reloaded."""
    number = chance.randrange(MODULES)
    versions[number] += 1
    write(house, number, versions[number])
    update = house.start_update()
    emitting = []
    for _ in range(EVENTS_PER_RELOAD):
        target = chance.choice([number, chance.randrange(MODULES)])
        events[target] += 1
        emitting.append(house.viewer.event_emit(f"/event/{target}", events[target]))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    emitted = asyncio.gather(*emitting)
    await house.advance(0.01)
    await emitted
    assert await update


async def test_each_event_is_handled_once_by_the_version_that_was_live(house, ledger):
    chance = random.Random(7)  # noqa: S311 - to get the same again
    versions, events = Counter(), Counter()
    for _ in range(RELOADS):
        await reload_and_emit(house, chance, versions, events)
    await house.advance(0)
    handled = Counter((module, event) for module, _, event in ledger.entries)
    assert set(handled.values()) == {1}
    assert set(handled) == {(m, e) for m in events for e in range(1, events[m] + 1)}
    for number in range(MODULES):
        mine = [version for module, version, _ in ledger.entries if module == number]
        assert mine == sorted(mine)
        assert await house.get(f"/recent/{number}") == events[number]


async def test_nobody_hears_of_the_reload_of_another_module(house, ledger):
    told = await house.watch("/recent/0")
    for version in range(1, 20):
        write(house, 1, version)
        await house.reload()
    assert told == [0]


async def census(house):
    gc.collect()
    server = await house.viewer.action_call("/meta/stats")
    return {
        "nodes": sum(isinstance(each, Node) for each in gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not t.cancelled() for t in asyncio.get_running_loop()._scheduled),
        "paths": server["nodes"],
        "clients": server["clients"],
        "modules": sum("@" in name for name in sys.modules),
    }


@pytest.fixture
def traced():
    """Count what is allocated from before the house is built."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def memory(house):
    house.log.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.timeout(180)  # tracing makes it slow
async def test_nothing_is_left_over(traced, house, ledger):
    chance = random.Random(7)  # noqa: S311 - to get the same again
    versions = Counter()

    async def reload_all():
        for _ in range(RELOADS):
            number = chance.randrange(MODULES)
            versions[number] += 1
            write(house, number, versions[number])
            await house.reload()

    await reload_all()
    before, used_before = await census(house), await memory(house)
    await reload_all()
    assert await census(house) == before
    assert await memory(house) < used_before * 1.05
