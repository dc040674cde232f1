"""Two clients over one connection, of which one takes the place of the other."""

import asyncio

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.client.view import ClientView, has_published
from eshet.scope import Scope
from tests.support.cable import Cable


class House:
    """A connection with an old and a new view, and somebody who looks on."""

    def __init__(self, cable, connection, viewer, advance):
        self.cable = cable
        self.connection = connection
        self.viewer = viewer
        self.advance = advance
        self.old = ClientView(connection)
        self.new = ClientView(connection, held_back=True)
        self.old_scope = Scope("old")

    async def take_over(self):
        self.new.take_over(self.old)
        self.old_scope.dispose()
        await self.advance(0)

    async def told(self, path):
        told = []
        told.append(await self.viewer.state_observe(path, told.append))
        return told


@pytest.fixture
async def house(tree, advance):
    async with (
        Client(server=(cable := Cable(tree.connector()))) as connection,
        Client(server=tree.connector()) as viewer,
    ):
        yield House(cable, connection, viewer, advance)


async def test_a_state_of_both_changes_hands_without_a_message(house):
    with house.old_scope.active():
        await (await house.old.state_register("/light")).changed(1)
    told = await house.told("/light")
    light = await house.new.state_register("/light")
    await light.changed(1)
    await house.take_over()
    assert told == [1]
    await light.changed(2)
    await house.advance(0)
    assert told == [1, 2]


async def test_a_value_that_differs_is_published_when_it_takes_over(house):
    with house.old_scope.active():
        await (await house.old.state_register("/light")).changed(1)
    told = await house.told("/light")
    light = await house.new.state_register("/light")
    await light.changed(2)
    await light.changed(3)
    await house.advance(0)
    assert told == [1]
    await house.take_over()
    assert told == [1, 3]


async def test_a_state_that_is_said_to_be_unknown_is(house):
    with house.old_scope.active():
        await (await house.old.state_register("/light")).changed(1)
    told = await house.told("/light")
    await (await house.new.state_register("/light")).unknown()
    await house.take_over()
    assert told == [1, Unknown]


async def test_a_new_path_is_registered_at_once_but_says_nothing(house):
    state = await house.new.state_register("/light")
    told = await house.told("/light")
    await state.changed(1)
    assert told == [Unknown]
    await house.take_over()
    assert told == [Unknown, 1]


async def test_what_only_the_old_one_has_goes_with_its_scope(house):
    with house.old_scope.active():
        await house.old.action_register("/old", lambda: 1)
    await house.take_over()
    with pytest.raises(ErrorValue, match="path_not_found"):
        await house.viewer.action_call("/old")


async def test_an_action_is_answered_by_who_is_live(house):
    with house.old_scope.active():
        await house.old.action_register("/who", lambda: "old")
    await house.new.action_register("/who", lambda: "new")
    await house.new.action_register("/only_new", lambda: "new")
    assert await house.viewer.action_call("/who") == "old"
    too_early = asyncio.ensure_future(house.viewer.action_call("/only_new"))
    await house.advance(1)
    with pytest.raises(ErrorValue, match="not_implemented"):
        await too_early
    waiting = asyncio.ensure_future(house.viewer.action_call("/only_new"))
    await house.advance(0.5)
    await house.take_over()
    assert await waiting == "new"
    assert await house.viewer.action_call("/who") == "new"
    assert await house.viewer.action_call("/only_new") == "new"


async def test_each_event_reaches_one_of_both(house):
    heard = []
    emit = await house.viewer.event_register("/bell")
    with house.old_scope.active():
        await house.old.event_listen_cb("/bell", lambda n: heard.append(("old", n)))
    await house.new.event_listen_cb("/bell", lambda n: heard.append(("new", n)))
    await emit(1)
    await house.advance(0)
    await house.take_over()
    await emit(2)
    await house.advance(0)
    assert heard == [("old", 1), ("new", 2)]


async def test_of_a_state_the_new_one_is_told_what_it_missed_once(house):
    lux = await house.viewer.state_register("/lux")
    await lux.changed(1)
    told = []
    told.append(await house.new.state_observe("/lux", told.append))
    await lux.changed(2)
    await lux.changed(3)
    await house.advance(0)
    assert told == [1]
    await house.take_over()
    assert told == [1, 3]


async def test_what_is_set_and_emitted_waits_and_is_not_repeated(house):
    sets, rings = [], []
    await house.viewer.state_register("/heater", sets.append)
    await house.viewer.event_listen_cb("/bell", rings.append)
    for view in (house.old, house.new):
        await view.set("/heater", 1)
        await view.event_emit("/bell", "set up")
    await house.new.set("/heater", 2)
    await house.advance(0)
    assert (sets, rings) == ([1], ["set up"])
    await house.take_over()
    assert (sets, rings) == ([1, 1, 2], ["set up"])


async def test_a_version_that_is_given_up_leaves_nothing(house):
    with house.old_scope.active():
        await (await house.old.state_register("/light")).changed(1)
    told = await house.told("/light")
    nodes = (await house.viewer.action_call("/meta/stats"))["nodes"]
    with Scope("new").active() as scope:
        await (await house.new.state_register("/light")).changed(2)
        await house.new.state_register("/new")
        await house.new.event_listen_cb("/bell", print)
    scope.dispose()
    await house.advance(0)
    assert told == [1]
    assert await house.viewer.get("/light") == 1
    assert (await house.viewer.action_call("/meta/stats"))["nodes"] == nodes


async def test_one_version_can_not_register_a_path_twice(house):
    with house.old_scope.active():
        await house.old.state_register("/light")
    await house.new.state_register("/light")
    with pytest.raises(ErrorValue, match="path_already_exists"):
        await house.new.state_register("/light")


async def test_a_state_can_not_be_changed_before_it_is_registered(house):
    with house.old_scope.active():
        await house.old.state_register("/light")
    with pytest.raises(ErrorValue, match="not_owner"):
        await house.new.state_changed("/light", 1)


async def test_a_path_of_another_client_is_an_error_at_once(house):
    await house.viewer.state_register("/light")
    with pytest.raises(ErrorValue, match="path_already_exists"):
        await house.new.state_register("/light")


async def test_a_path_that_another_client_is_about_to_give_up_is_waited_for(house):
    scope = Scope("other")
    with scope.active():
        await (await house.viewer.state_register("/light")).changed(1)
    new = ClientView(house.connection, held_back=True, is_releasing=lambda path: path == "/light")
    await (await new.state_register("/light")).changed(2)
    free = asyncio.get_running_loop().create_future()
    new.take_over(when_free=free)
    scope.dispose()
    await house.advance(0)
    free.set_result(None)
    await house.advance(0)
    assert await house.viewer.get("/light") == 2


async def test_what_a_state_has_is_known_without_asking(house):
    state = await house.old.state_register("/light")
    assert has_published(house.old, "/light", Unknown)
    await state.changed([1, True])
    assert has_published(house.new, "/light", [1, True])
    assert not has_published(house.new, "/light", [1, 1])
    assert not has_published(house.new, "/lux", 1)


async def test_a_registration_that_was_handed_over_is_restored_after_a_reconnection(house):
    with house.old_scope.active():
        await (await house.old.state_register("/light")).changed(1)
    light = await house.new.state_register("/light")
    await light.changed(1)
    await house.take_over()
    house.cable.cut()
    await house.advance(1)
    assert await house.viewer.get("/light") == 1
