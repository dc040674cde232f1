"""Devices as nodes: unknown states, checked and confirmed sets, events, and renaming."""

import asyncio
import contextlib
import logging

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.bridges.device import Action, Device, Property
from eshet.bridges.kinds import Flag, Number, Text
from eshet.bridges.names import Alias, Aliases
from eshet.bridges.published_device import OFFLINE_AFTER
from eshet.bridges.tree import DeviceTree
from eshet.server import Server
from tests.support.proxy import Proxy
from tests.support.waiting import passing_time, until


class House:
    """A tree with a server, and an observer of its states."""

    def __init__(self, server, client, other, options):
        self.server = server
        self.other = other
        self.tree = DeviceTree(client, "/mqtt/z2m", **options)
        self.tree.set_reachable(True)
        self.sent = []
        self.heard = []

    async def send(self, value):
        self.sent.append(value)

    def lamp(self, **changes):
        declared = {
            "id": "0x00124b001234abcd",
            "name": "Hall lamp",
            "info": {"model": "TRADFRI", "description": "x" * 300, "area": ""},
            "properties": (
                Property("on", Flag(), self.send),
                Property("brightness", Number(0, 1), self.send),
                Property("voltage", Number()),
            ),
            "events": ("action",),
        }
        return Device(**{**declared, **changes})

    async def put(self, device=None):
        published = self.tree.put(device or self.lamp())
        await self.registered()
        return published

    async def registered(self):
        await self.tree.registrations.join()

    async def observe(self, path):
        return await self.other.state_observe(
            path, lambda value: self.heard.append((path.rpartition("/")[2], value))
        )

    async def get(self, path):
        try:
            return await self.other.get(path)
        except ErrorValue as error:
            return error.value


@pytest.fixture
async def make_house():
    async with contextlib.AsyncExitStack() as stack:

        async def make(**options):
            server = await stack.enter_async_context(Server())
            client = await stack.enter_async_context(Client(server=server, client_id="z2m"))
            other = await stack.enter_async_context(Client(server=server))
            made = House(server, client, other, options)
            stack.push_async_callback(made.tree.close)
            return made

        yield make


@pytest.fixture
async def house(make_house):
    return await make_house()


LAMP = "/mqtt/z2m/Hall_lamp"


async def test_a_device_is_a_directory_with_typed_states(house):
    lamp = await house.put()
    lamp.set_online(True)
    lamp.report({"on": True, "brightness": 1, "unheard_of": 3})
    assert await house.get(f"{LAMP}/on") is True
    assert repr(await house.get(f"{LAMP}/brightness")) == "1.0"
    assert await house.get(f"{LAMP}/online") is True
    info = await house.get(f"{LAMP}/info")
    assert (info["id"], info["name"], info["model"]) == (lamp.id, "Hall lamp", "TRADFRI")
    assert len(info["description"]) <= 200
    assert "area" not in info


async def test_a_property_is_unknown_until_it_is_reported(house, advance):
    lamp = await house.put()
    assert await house.observe(f"{LAMP}/on") is Unknown
    lamp.report({"on": False})
    lamp.report({"on": False, "brightness": 0.5})
    lamp.report({"on": True})
    await advance(0)
    assert house.heard == [("on", False), ("on", True)]


async def test_all_values_are_unknown_while_the_bridge_is_not_connected(house, advance):
    lamp = await house.put()
    lamp.set_online(True)
    lamp.report({"on": True})
    await house.observe(f"{LAMP}/on")
    await house.observe(f"{LAMP}/online")
    house.tree.set_reachable(False)
    await advance(0.1)
    assert sorted(house.heard) == [("on", Unknown), ("online", Unknown)]
    house.tree.set_reachable(True)
    await advance(0.1)
    assert sorted(house.heard[2:]) == [("on", True), ("online", True)]


async def test_offline_is_published_after_two_seconds_and_online_at_once(house, advance):
    lamp = await house.put()
    lamp.set_online(True)
    lamp.report({"on": True})
    await house.observe(f"{LAMP}/on")
    lamp.set_online(False)
    await advance(OFFLINE_AFTER - 0.1)
    lamp.set_online(True)
    await advance(10)
    assert house.heard == []
    lamp.set_online(False)
    lamp.set_online(False)
    await advance(OFFLINE_AFTER + 0.1)
    assert house.heard == [("on", Unknown)]
    lamp.set_online(True)
    await advance(0)
    assert house.heard == [("on", Unknown), ("on", True)]


async def test_a_device_that_does_not_report_becomes_stale(make_house, advance):
    house = await make_house(stale_after={"Hall lamp": 60})
    lamp = await house.put()
    lamp.report({"on": True})
    await house.observe(f"{LAMP}/on")
    await advance(40)
    lamp.report({"on": True})
    await advance(59)
    assert house.heard == []
    await advance(2)
    assert house.heard == [("on", Unknown)]
    lamp.report({"on": True})
    await advance(0)
    assert house.heard[1:] == [("on", True)]


async def test_a_report_of_another_kind_is_logged_once_and_the_last_value_stays(house, caplog):
    lamp = await house.put()
    lamp.report({"on": True})
    for _ in range(3):
        lamp.report({"on": "broken", "brightness": 0.5})
    assert await house.get(f"{LAMP}/on") is True
    assert await house.get(f"{LAMP}/brightness") == 0.5
    assert caplog.messages == [f"{LAMP}/on: the device reported 'broken' instead of true or false"]


async def test_a_set_is_checked_and_sent(house):
    await house.put()
    await house.other.set(f"{LAMP}/brightness", 0.25)
    with pytest.raises(ErrorValue, match="brightness: 7 is not allowed: write a number from 0 to"):
        await house.other.set(f"{LAMP}/brightness", 7)
    with pytest.raises(ErrorValue, match="voltage can only be read"):
        await house.other.set(f"{LAMP}/voltage", 7)
    with pytest.raises(ErrorValue, match="online can only be read"):
        await house.other.set(f"{LAMP}/online", True)
    assert house.sent == [0.25]


async def test_a_set_of_an_offline_device_is_an_error(house, advance):
    lamp = await house.put()
    lamp.set_online(False)
    await advance(OFFLINE_AFTER + 1)
    with pytest.raises(ErrorValue, match="Hall lamp is offline"):
        await house.other.set(f"{LAMP}/on", True)
    assert house.sent == []


async def test_a_confirmed_set_waits_for_the_report(make_house, advance):
    house = await make_house(confirm=5)
    lamp = await house.put()
    setting = asyncio.ensure_future(house.other.set(f"{LAMP}/brightness", 0.5))
    await advance(1)
    lamp.report({"brightness": 0.9})
    await advance(1)
    assert not setting.done()
    lamp.report({"brightness": 0.498})  # rounded by the device
    await advance(0)
    assert setting.done()
    await setting


async def test_a_set_that_is_not_confirmed_is_an_error(make_house, advance):
    house = await make_house(confirm=5)
    lamp = await house.put()
    lamp.report({"on": False})
    setting = asyncio.ensure_future(house.other.set(f"{LAMP}/on", True))
    await advance(6)
    with pytest.raises(
        ErrorValue, match="not_confirmed: 5 s after True was sent, the device still reports False"
    ):
        await setting


async def test_a_set_of_the_reported_value_needs_no_other_report(make_house):
    house = await make_house(confirm=5)
    lamp = await house.put()
    lamp.report({"on": True})
    await house.other.set(f"{LAMP}/on", True)
    assert house.sent == [True]


async def test_events_reach_listeners_in_order(house, advance):
    lamp = await house.put()
    heard = []
    await house.other.event_listen_cb(f"{LAMP}/action", heard.append)
    await asyncio.gather(*[lamp.emit("action", number) for number in range(3)])
    await advance(0)
    assert heard == [0, 1, 2]


async def test_an_event_waits_until_it_is_registered(house, advance):
    heard = []
    await house.other.event_listen_cb(f"{LAMP}/action", heard.append)
    lamp = house.tree.put(house.lamp())
    await lamp.emit("action", "single")
    await advance(0.1)
    assert heard == ["single"]


async def test_an_event_without_an_answer_is_emitted_again_after_the_outage(caplog, advance):
    heard = []
    async with (
        Server() as server,
        Client(server=server) as other,
        contextlib.AsyncExitStack() as stack,
    ):
        await server.listen("127.0.0.1", 0)
        proxy = await stack.enter_async_context(Proxy(server.addresses[0]))
        client = await stack.enter_async_context(Client(server=proxy.address, client_id="z2m"))
        house = House(server, client, other, {})
        stack.push_async_callback(house.tree.close)
        lamp = await house.put()
        await other.event_listen_cb(f"{LAMP}/action", heard.append)
        proxy.swallowing = True
        lamp.report({"on": True})
        emitted = asyncio.ensure_future(lamp.emit("action", "single"))
        await advance(1)
        assert not emitted.done()
        assert heard == []
        proxy.cut()
        proxy.swallowing = False
        await passing_time(emitted, advance)
        await until(lambda: heard == ["single"], advance)
        assert await house.get(f"{LAMP}/on") is True
    assert not [each for each in caplog.records if each.name == "eshet.bridges"]


async def test_actions_are_called_with_their_arguments(house):
    async def identify(seconds):
        return f"blinks for {seconds} s"

    await house.put(house.lamp(actions=(Action("identify", identify),)))
    assert await house.other.action_call(f"{LAMP}/identify", 3) == "blinks for 3 s"


async def test_a_renamed_device_moves_with_its_values(house):
    lamp = await house.put()
    lamp.report({"on": True})
    await house.put(house.lamp(name="Kitchen/lamp"))
    assert await house.get("/mqtt/z2m/Kitchen/lamp/on") is True
    assert await house.get(f"{LAMP}/on") == "path_not_found"


async def test_two_devices_exchange_their_names(house):
    one, two = house.lamp(), house.lamp(id="0x2", name="Second")
    (await house.put(one)).report({"on": True})
    (await house.put(two)).report({"on": False})
    await house.put(house.lamp(name="Second"))
    await house.put(house.lamp(id="0x2", name="Hall lamp"))
    await house.put(house.lamp(name="Second"))
    assert await house.get(f"{LAMP}/on") is False
    assert await house.get("/mqtt/z2m/Second/on") is True


async def test_a_new_declaration_keeps_values_and_removes_missing_nodes(house):
    lamp = await house.put()
    lamp.report({"on": True, "brightness": 0.5})
    await house.observe(f"{LAMP}/on")
    await house.put(house.lamp(properties=(Property("on", Flag()),), events=()))
    assert house.heard == []
    assert await house.get(f"{LAMP}/on") is True
    assert await house.get(f"{LAMP}/brightness") == "path_not_found"


async def test_a_removed_device_is_gone_and_may_come_back(house):
    lamp = await house.put()
    lamp.report({"on": True})
    house.tree.remove(lamp.id)
    house.tree.remove(lamp.id)
    await house.registered()
    assert await house.get(f"{LAMP}/on") == "path_not_found"
    await house.put()
    assert await house.observe(f"{LAMP}/on") is Unknown


async def test_devices_with_the_same_path_get_the_end_of_their_ids(house):
    await house.put()
    other = await house.put(house.lamp(id="0x0000000000005678", name="Hall, lamp"))
    assert other.directory == f"{LAMP}_5678"
    bridge = await house.put(house.lamp(id="0x0000000000009abc", name="bridge"))
    assert bridge.directory == "/mqtt/z2m/bridge_9abc"


async def test_names_of_the_tree_itself_are_not_taken_by_properties(house):
    lamp = await house.put(house.lamp(properties=(Property("online", Flag()),)))
    lamp.report({"online": True})
    assert await house.get(f"{LAMP}/online_") is True


async def test_aliases_move_devices_and_single_properties(make_house):
    aliases = {
        "Hall lamp": Alias("/house/hall/lamp"),
        "Hall lamp/voltage": Alias("/house/meter/voltage"),
    }
    house = await make_house(aliases=Aliases(aliases))
    lamp = await house.put()
    lamp.report({"on": True, "voltage": 230})
    assert await house.get("/house/hall/lamp/on") is True
    assert await house.get("/house/meter/voltage") == 230.0
    assert await house.get(f"{LAMP}/on") == "path_not_found"


async def test_a_negated_alias_exchanges_true_and_false(make_house):
    house = await make_house(aliases=Aliases({"Hall lamp/on": Alias("/house/dark", True)}))
    lamp = await house.put()
    lamp.report({"on": True})
    assert await house.get("/house/dark") is False
    await house.other.set("/house/dark", True)
    assert house.sent == [False]


async def test_a_device_may_have_no_value(house):
    lamp = await house.put()
    lamp.report({"on": True})
    assert await house.observe(f"{LAMP}/on") is True
    lamp.report({"on": Unknown})
    assert await house.observe(f"{LAMP}/on") is Unknown


async def test_a_path_that_another_client_provides_is_logged_and_the_others_work(house, caplog):
    await house.other.state_register(f"{LAMP}/on")
    caplog.set_level(logging.WARNING, "eshet.bridges")
    lamp = await house.put()
    lamp.report({"on": True, "brightness": 0.5})
    assert await house.get(f"{LAMP}/brightness") == 0.5
    assert [message for message in caplog.messages if "/Hall_lamp/on" in message]


async def test_values_that_change_while_the_server_is_away_are_published_when_it_is_back(
    house, advance
):
    lamp = await house.put()
    lamp.report({"on": True})
    await house.observe(f"{LAMP}/on")
    await house.server.close()
    lamp.report({"on": False})
    lamp.report({"on": True})
    lamp.report({"on": False})
    await advance(1)
    assert house.heard == [("on", Unknown), ("on", False)]


async def test_names_of_one_device_that_give_the_same_path_get_different_ones(house):
    names = ("mode a", "mode-a", "sub", "sub/x")
    lamp = await house.put(
        house.lamp(properties=tuple(Property(name, Number()) for name in names), events=("sub",))
    )
    lamp.report({name: number for number, name in enumerate(names)})
    for path, value in {"mode_a": 0, "mode_a_": 1, "sub": 2, "sub_/x": 3}.items():
        assert await house.get(f"{LAMP}/{path}") == value
    assert lamp.events == {"sub": f"{LAMP}/sub__"}


async def test_any_number_of_devices_may_have_one_name(house):
    directories = [(await house.put(house.lamp(id=f"{n} same"))).directory for n in range(4)]
    assert directories == [LAMP, f"{LAMP}_same", f"{LAMP}_same_2", f"{LAMP}_same_3"]


async def test_readers_do_not_replace_the_devices_of_each_other(house):
    mine = await house.put(house.lamp(source="tasmota"))
    other = await house.put(house.lamp(source="discovery", name="Thief"))
    mine.report({"on": True})
    other.report({"on": False})
    assert await house.get(f"{LAMP}/on") is True
    house.tree.remove(other.declared.key)
    await house.registered()
    assert await house.get(f"{LAMP}/on") is True
    assert await house.get("/mqtt/z2m/Thief/on") == "path_not_found"


async def test_a_value_of_a_property_that_is_now_of_another_kind_is_forgotten(house):
    lamp = await house.put()
    lamp.report({"on": True, "brightness": 0.5})
    await house.observe(f"{LAMP}/on")
    changed = (Property("on", Number()), Property("brightness", Number(0, 100)))
    await house.put(house.lamp(properties=changed))
    assert await house.get(f"{LAMP}/on") == "state_unknown"
    assert await house.get(f"{LAMP}/brightness") == 0.5
    lamp.report({"on": 3})
    assert await house.get(f"{LAMP}/on") == 3


async def test_a_value_that_fits_into_no_message_is_unknown_and_logged_once(house, caplog):
    lamp = await house.put(house.lamp(properties=(Property("text", Text()),)))
    lamp.report({"text": "short"})
    for number in range(3):
        lamp.report({"text": str(number) * 100_000})
    assert await house.get(f"{LAMP}/text") == "state_unknown"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{LAMP}/text is unknown: ")
    lamp.report({"text": "short"})
    assert await house.get(f"{LAMP}/text") == "short"


async def test_values_are_published_though_registrations_never_end(house, advance):
    """Devices may be described anew faster than their nodes are registered."""
    lamp = house.tree.put(house.lamp())
    lamp.report({"on": True})
    registered = house.tree.client.event_register

    async def register_slowly(path):
        await asyncio.sleep(0.5)
        house.tree.registrations.register(
            f"{path}x", lambda: register_slowly(f"{path}x"), lambda: None, owner="an event"
        )
        return await registered(path)

    house.tree.registrations.register(
        "/mqtt/z2m/e", lambda: register_slowly("/mqtt/z2m/e"), lambda: None, owner="an event"
    )
    await advance(4)
    assert await house.get(f"{LAMP}/on") is True
