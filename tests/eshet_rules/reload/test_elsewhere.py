"""Modules that another runner of the cluster runs: they come and go with their state."""

import asyncio
from dataclasses import replace
from textwrap import dedent

import pytest

from eshet import Unknown
from eshet_rules.reload.checkpoint import decode_module, encode_module
from eshet_rules.reload.checkpoint_writer import wall_epoch

COUNTER = """
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def counter():
        pressed = await yarp.event_listen("/button")
        count = keep("count", 0)
        await yarp.state_register("/{name}/count", count)

        @pressed.on_event
        def add(by):
            count.value += by
    """


class Moving:
    """Moves modules to another runner, and back, with what they leave."""

    def __init__(self, house):
        self.house = house
        self.stored = {}
        self.saved = asyncio.Event()
        self.saved.set()
        house.reloader.on_leaving = self.on_leaving
        self.left = []
        house.reloader.on_left = self.on_left

    def on_leaving(self, name):
        snapshot = self.house.reloader.snapshot(name, wall_epoch())
        self.stored[name] = encode_module(snapshot)[0]
        return self.saved.wait()

    async def on_left(self, name):
        self.left.append(name)

    async def update(self, *elsewhere):
        """Let the runner see that these modules run elsewhere, and all others here."""
        sources = self.house.folder.sources()
        marked = {
            name: replace(source, is_elsewhere=name in elsewhere)
            for name, source in sources.items()
        }
        for name in self.stored.keys() - set(elsewhere) - self.house.reloader.instances.keys():
            snapshot = decode_module(self.stored[name], wall_epoch(), 0.0)
            self.house.reloader.inherit(name, snapshot)
        update = asyncio.create_task(self.house.reloader.update(marked))
        await self.house.advance(0)
        return update


@pytest.fixture
async def moving(house):
    house.button = await house.viewer.event_register("/button")
    house.write("hall.py", COUNTER.format(name="hall"))
    house.write("bath.py", COUNTER.format(name="bath"))
    moving = Moving(house)
    assert await (await moving.update())
    await house.button(1)
    await house.advance(0)
    return moving


async def test_a_module_that_leaves_is_unloaded_with_its_state(house, moving):
    await moving.update("hall")
    assert await house.get("/hall/count") is Unknown
    assert await house.get("/bath/count") == 1
    assert house.log.events("hall") == ["module.loaded", "module.unloaded"]
    assert moving.stored.keys() == {"hall"}


async def test_a_module_that_comes_back_goes_on_from_the_state_that_it_has_left(house, moving):
    await moving.update("hall")
    await house.button(1)
    await moving.update()
    await house.button(1)
    await house.advance(0)
    assert await house.get("/hall/count") == 2
    assert await house.get("/bath/count") == 3


async def test_it_does_not_act_any_more_while_its_state_is_stored(house, moving):
    moving.saved.clear()
    update = await moving.update("hall")
    await house.button(1)
    await house.advance(10)
    assert not update.done()
    assert await house.get("/hall/count") == 1  # shown until the state is stored
    moving.saved.set()
    await house.advance(0)
    assert update.done()
    assert await house.get("/hall/count") is Unknown


async def test_no_module_that_leaves_waits_for_one_that_ends_slowly(house, moving):
    slow = (
        COUNTER
        + """
    @rule
    async def slow():
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(60)
    """
    )
    house.write("hall.py", "import asyncio\n" + dedent(slow).format(name="hall"))
    await moving.update()
    await house.advance(60)  # until it counts as set up
    update = await moving.update("hall", "bath")
    assert moving.left == ["bath"]
    assert not update.done()
    await house.advance(10)
    assert moving.left == ["bath", "hall"]
    assert update.done()


async def test_a_module_elsewhere_can_still_be_imported(house, moving):
    house.write("bath.py", "from hall import counter as other\n" + "NAME = 1\n")
    house.write("attic.py", "import hall\n" + COUNTER.replace("\n    ", "\n").format(name="attic"))
    assert await (await moving.update("hall"))
    assert "attic" in house.reloader.instances
    assert "hall" not in house.reloader.instances


async def test_a_module_elsewhere_is_not_loaded_when_its_file_changes(house, moving):
    await moving.update("hall")
    house.write("hall.py", COUNTER.format(name="hall") + "# edited")
    await moving.update("hall")
    assert house.log.events("hall") == ["module.loaded", "module.unloaded"]


async def test_what_was_to_be_inherited_is_dropped_when_the_module_goes_elsewhere(house, moving):
    await moving.update("hall")
    snapshot = decode_module(moving.stored["hall"], wall_epoch(), 0.0)
    house.reloader.inherit("hall", snapshot)
    assert "hall" in house.reloader.with_snapshot
    moving.stored.clear()
    await moving.update("hall")
    assert "hall" not in house.reloader.with_snapshot
    await moving.update()
    assert await house.get("/hall/count") == 0


async def test_a_module_that_is_cut_ends_at_once_and_leaves_nothing(house, moving):
    house.reloader.cut(["hall"])
    await house.button(1)
    await moving.update("hall")
    assert await house.get("/bath/count") == 2
    assert await house.get("/hall/count") is Unknown
    assert moving.stored == {}
    house.reloader.cut(["hall", "absent"])  # which are not there
