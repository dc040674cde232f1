"""Many reloads under load: each event is handled once, and nothing is left behind.

The suite runs a small share of it. All of it, 500 modules and 1,000 reloads, takes some minutes:

    ESHET_MODULES=500 ESHET_RELOADS=1000 pytest tests/eshet_rules/reload/test_reload_ledger.py
"""

import asyncio
import gc
import os
import random
import sys
import tracemalloc
from collections import Counter

import pytest

from eshet import codec
from eshet.reactive.core.graph import Node
from eshet.server import router

MODULES = int(os.environ.get("ESHET_MODULES", "50"))
RELOADS = int(os.environ.get("ESHET_RELOADS", "100"))
INTERVAL = 0.001  # from one event to the next, in seconds
RELOAD_TIME = 0.01  # which the house is given for each, in seconds
WINDOW = 600  # longer than all reloads take, in seconds
PATIENCE = 60 + MODULES * RELOADS / 100

MODULE = """
    from eshet import yarp
    from eshet_rules import rule

    VERSION = {version}

    @rule
    async def count():
        event = await yarp.event_listen("/event/{number}")
        await yarp.action_call("/ledger", {number}, VERSION, event)
        await yarp.state_register("/recent/{number}", yarp.len(yarp.time_window(event, {window})))
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
    house.write(f"room_{number}.py", MODULE.format(number=number, version=version, window=WINDOW))


class Load:
    """Lets an event happen each millisecond, half of them to the module that is reloaded."""

    def __init__(self, house, chance):
        self.reloaded = 0
        self.events = Counter()
        self._house = house
        self._chance = chance
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        async with asyncio.TaskGroup() as emissions:
            while self.reloaded is not None:
                target = self._chance.choice([self.reloaded, self._chance.randrange(MODULES)])
                self.events[target] += 1
                emissions.create_task(
                    self._house.viewer.event_emit(f"/event/{target}", self.events[target])
                )
                await asyncio.sleep(INTERVAL)

    async def end(self):
        self.reloaded = None
        await self._house.advance(INTERVAL)
        await self._task


async def reload_under_load(house, chance, reloads=RELOADS):
    """Reload one module after the other; return how often each was, and what happened."""
    load, versions = Load(house, chance), Counter()
    for _ in range(reloads):
        load.reloaded = chance.randrange(MODULES)
        versions[load.reloaded] += 1
        write(house, load.reloaded, versions[load.reloaded])
        assert await house.update(RELOAD_TIME)
    await load.end()
    return versions, load.events


@pytest.mark.timeout(PATIENCE)
async def test_each_event_is_handled_once_by_the_version_that_was_live(house, ledger):
    chance = random.Random(7)  # noqa: S311 - to get the same again
    versions, events = await reload_under_load(house, chance)
    handled = Counter((module, event) for module, _, event in ledger.entries)
    assert set(handled.values()) == {1}
    assert set(handled) == {(m, e) for m in events for e in range(1, events[m] + 1)}
    assert sum(events.values()) >= RELOADS * RELOAD_TIME / INTERVAL
    for number in range(MODULES):
        mine = [version for module, version, _ in ledger.entries if module == number]
        assert mine == sorted(mine)
        assert not mine or mine[-1] <= versions[number]
        assert await house.get(f"/recent/{number}") == events[number]


@pytest.mark.timeout(PATIENCE)
async def test_nobody_hears_of_the_reload_of_another_module(house, ledger):
    others = [await house.watch(f"/recent/{number}") for number in range(1, MODULES)]
    for version in range(1, 20):
        write(house, 0, version)
        await house.reload()
    assert all(told == [0] for told in others)


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


# The server keeps short values that it has checked, up to a number of them: that is no growth.
_CACHES = [tracemalloc.Filter(False, each.__file__) for each in (codec, router)]


async def memory(house):
    """Return how much is used, in bytes.

    Without the table of all modules: it grows in large steps, and at which of them it is depends on
    the tests before. The census counts the modules of rules.
    """
    house.log.clear()
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(_CACHES)
    used = sum(each.size for each in snapshot.statistics("filename"))
    return used - sys.getsizeof(sys.modules)


@pytest.mark.timeout(2 * PATIENCE)  # tracing makes it slow
async def test_nothing_is_left_over(traced, house, ledger):
    chance = random.Random(7)  # noqa: S311 - to get the same again
    # Then everything that is made once exists, and sets of tasks have reached their largest size.
    await reload_under_load(house, chance, RELOADS // 2)
    await house.advance(WINDOW + 1)  # until no window remembers an event
    ledger.entries.clear()
    before, used_before = await census(house), await memory(house)
    await reload_under_load(house, chance)
    await house.advance(WINDOW + 1)
    ledger.entries.clear()
    assert await census(house) == before
    assert await memory(house) < used_before * 1.05
