"""The bridge to a Home Assistant: its entities as nodes, and calls of its services."""

import asyncio
import contextlib
import logging

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.homeassistant.bridge import HomeAssistantBridge
from eshet.bridges.names import Alias
from eshet.bridges.published_device import OFFLINE_AFTER
from eshet.bridges.settings import HomeAssistantSettings
from eshet.cause import Cause, current_cause, use_cause
from eshet.client.cause_relay import CauseRelay
from eshet.client.observer import ClientObserver
from eshet.server import Server
from tests.support.connectors import Interrupted
from tests.support.fake_homeassistant import TOKEN, FakeHomeAssistant
from tests.support.waiting import passing_time, until


class House:
    """A Home Assistant, the bridge to it, and a client that observes its nodes."""

    def __init__(self, fake, client, bridge, advance):
        self.fake = fake
        self.client = client
        self.bridge = bridge
        self.advance = advance
        self.heard = []

    async def get(self, path):
        try:
            return await self.client.get(f"/ha/{path}")
        except ErrorValue as error:
            return error.value

    async def observe(self, path):
        def hear(value):
            self.heard.append((path, value))

        return await self.client.state_observe(f"/ha/{path}", hear)

    async def connected(self):
        await until(lambda: self.bridge.connected, self.advance, 0.01)
        await self.bridge.tree.registrations.join()

    async def until_heard(self, path, value):
        await until(lambda: (path, value) in self.heard, self.advance)

    async def until_lost(self):
        await until(lambda: not self.bridge.connected, self.advance)


@pytest.fixture
async def fake():
    fake = FakeHomeAssistant()
    await fake.start()
    await fake.change("light.kitchen", "off", friendly_name="Kitchen light", brightness=None)
    yield fake
    await fake.stop()


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def start(fake, server, advance, monkeypatch):
    """Start a bridge, and wait for its connection."""
    monkeypatch.setenv("ESHET_HA_TOKEN", TOKEN)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server=server))

        async def start_bridge(*, wait=True, observed=(), relay=None, **settings):
            own = await stack.enter_async_context(Client(server=server, client_id="bridge"))
            if relay is not None:
                own.attach(relay)
            given = HomeAssistantSettings(url=fake.url, **settings)
            house = House(fake, client, HomeAssistantBridge("ha", given, own), advance)
            for path in observed:
                await house.observe(path)
            task = asyncio.ensure_future(house.bridge.run())
            house.stop = task.cancel

            async def stop():
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled(), task.exception()

            stack.push_async_callback(stop)
            if wait:
                await house.connected()
            return house

        yield start_bridge


@pytest.fixture
async def house(start):
    return await start()


# --- entities ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "value"),
    [
        ("light.a", "on", {}, True),
        ("switch.a", "off", {}, False),
        ("binary_sensor.a", "on", {}, True),
        ("update.a", "off", {}, False),
        ("lock.a", "locked", {}, True),
        ("lock.a", "unlocked", {}, False),
        ("lock.a", "jammed", {}, "state_unknown"),
        ("sensor.a", "19", {"unit_of_measurement": "°C"}, 19.0),
        ("sensor.a", "7", {"state_class": "total"}, 7.0),
        ("sensor.a", "7", {}, "7"),
        ("number.a", "3.5", {"min": 0, "max": 10, "step": 0.5}, 3.5),
        ("input_number.a", "3", {"min": "0", "max": True}, 3.0),
        ("select.a", "eco", {"options": ["eco", "boost"]}, "eco"),
        ("select.a", "eco", {"options": 5}, "eco"),
        ("text.a", "hello", {"max": 10}, "hello"),
        ("climate.a", "heat", {"hvac_modes": ["off", "heat"]}, "heat"),
        ("cover.a", "opening", {}, "opening"),
        ("weather.a", "cloudy", {}, "cloudy"),
        ("weather.a", "unknown", {}, "state_unknown"),
        ("light.a", "unknown", {}, "state_unknown"),
        ("sensor.a", "unavailable", {"unit_of_measurement": "°C"}, "state_unknown"),
    ],
)
async def test_the_type_of_a_state(fake, start, entity_id, state, attributes, value):
    await fake.change(entity_id, state, **attributes)
    house = await start()
    found = await house.get(entity_id.replace(".", "/") + "/state")
    assert found == value
    assert type(found) is type(value)


async def test_changes_and_facts_of_an_entity(house):
    await house.observe("light/kitchen/state")
    await house.fake.change("light.kitchen", "on")
    await house.until_heard("light/kitchen/state", True)
    assert await house.get("light/kitchen/online") is True
    info = {
        "id": "light.kitchen",
        "name": "light.kitchen",
        "kind": "homeassistant light",
        "title": "Kitchen light",
        "area": "Kitchen",
    }
    assert await house.get("light/kitchen/info") == info
    await house.observe("light/kitchen/info")
    await house.fake.change("light.kitchen", "on", friendly_name="Big light")
    await house.until_heard("light/kitchen/info", info | {"title": "Big light"})


async def test_an_entity_that_moves_to_another_room(house):
    await house.observe("light/kitchen/info")
    house.fake.registries["area"].append({"area_id": "hall", "name": "Hall"})
    house.fake.registries["device"][0]["area_id"] = "hall"
    await house.fake.emit("device_registry_updated")

    def has_moved():
        return bool(house.heard) and house.heard[-1][1]["area"] == "Hall"

    await until(has_moved, house.advance, 0.1)


async def test_entities_come_and_go(house):
    await house.fake.change("switch.fan", "on")
    await house.observe("switch/fan/state")
    await house.until_heard("switch/fan/state", True)
    await house.fake.remove("switch.fan")
    await house.until_heard("switch/fan/state", Unknown)
    await house.bridge.tree.registrations.join()
    assert house.bridge.device_count == 1


async def test_only_chosen_entities_are_published(fake, start, caplog):
    await fake.change("sensor.power", "5", state_class="measurement")
    house = await start(entities=("light.*",))
    assert house.bridge.device_count == 1
    await fake.change("sensor.power", "6")
    await fake.change("light.kitchen", "on")
    await house.observe("light/kitchen/state")
    await house.until_heard("light/kitchen/state", True)
    assert await house.get("sensor/power/state") == "path_not_found"
    assert "can't be read" not in caplog.text


async def test_a_sensor_that_gets_a_unit_becomes_a_number(fake, start):
    await fake.change("sensor.power", "5")
    house = await start()
    assert await house.get("sensor/power/state") == "5"
    await house.observe("sensor/power/state")
    await fake.change("sensor.power", "6", unit_of_measurement="W")
    await house.until_heard("sensor/power/state", 6.0)


async def test_an_unavailable_entity_is_unknown_at_once_and_offline_later(house):
    await house.observe("light/kitchen/state")
    await house.observe("light/kitchen/online")
    await house.fake.change("light.kitchen", "unavailable")
    await house.until_heard("light/kitchen/state", Unknown)
    await house.advance(OFFLINE_AFTER)
    assert ("light/kitchen/online", False) in house.heard
    await house.fake.change("light.kitchen", "on")
    await house.until_heard("light/kitchen/state", True)


async def test_attributes_are_published_when_they_are_observed(fake, start):
    await fake.change("light.kitchen", "on", brightness=120)
    await fake.change("light.other", "on", brightness=10)
    house = await start()
    await house.observe("light/other/attr/brightness")
    await house.until_heard("light/other/attr/brightness", 10)
    assert await house.get("light/kitchen/attr/brightness") == "path_not_found"
    await house.observe("light/kitchen/attr/brightness")
    await house.until_heard("light/kitchen/attr/brightness", 120)
    await house.fake.change("light.kitchen", "on", brightness=200)
    await house.until_heard("light/kitchen/attr/brightness", 200)
    await house.fake.change("light.kitchen", "off", brightness=None)
    await house.until_heard("light/kitchen/attr/brightness", Unknown)


async def test_attributes_that_were_observed_before_the_bridge_started(fake, start):
    await fake.change("light.kitchen", "on", brightness=120, **{"Effect name": "rainbow"})
    paths = ("light/kitchen/attr/brightness", "light/kitchen/attr/Effect_name")
    house = await start(observed=paths)
    await house.until_heard(paths[0], 120)
    await house.until_heard(paths[1], "rainbow")


async def test_attributes_that_were_observed_without_a_connection(
    fake, server, advance, monkeypatch, caplog
):
    monkeypatch.setenv("ESHET_HA_TOKEN", TOKEN)
    await fake.change("light.kitchen", "on", brightness=120, color_temp=300)
    connector = Interrupted(server, is_open=False)
    own = Client(server=connector)
    async with Client(server=server) as client:
        bridge = HomeAssistantBridge("ha", HomeAssistantSettings(url=fake.url), own)
        running = asyncio.ensure_future(bridge.run())
        for name, value in (("brightness", 120), ("color_temp", 300)):
            heard = asyncio.Queue()
            await client.state_observe(f"/ha/light/kitchen/attr/{name}", heard.put_nowait)
            await advance(5)
            connector.is_open = True
            assert await passing_time(heard.get(), advance) == value
            connector.close()
        running.cancel()
        await asyncio.wait([running])
        await own.close()
    assert "can't list" not in caplog.text


async def test_aliases_of_an_entity_and_an_attribute(fake, start, caplog):
    await fake.change("light.kitchen", "on", brightness=120)
    aliases = {
        "light.kitchen": Alias("/house/kitchen/light"),
        "light.kitchen/attr/brightness": Alias("/house/kitchen/brightness"),
        "light.kitchn": Alias("/house/typo"),
    }
    house = await start(aliases=aliases)
    assert await house.client.get("/house/kitchen/light/state") is True
    assert await house.client.get("/house/kitchen/brightness") == 120
    assert "no entity for the alias of light.kitchn" in caplog.text


async def test_an_alias_without_an_entity_is_named_once(fake, start, caplog):
    house = await start(aliases={"light.kitchn": Alias("/house/typo")})
    await fake.stop()
    await house.until_lost()
    await fake.start()
    await house.connected()
    assert caplog.text.count("no entity for the alias of light.kitchn") == 1


async def test_attributes_are_found_among_many_nodes(fake, start, server):
    await fake.change("light.kitchen", "on", brightness=120)
    async with Client(server=server) as other:
        for number in range(900):
            await other.state_register(f"/a/name_that_is_long_enough_for_many_pages/{number}")
        house = await start(observed=["light/kitchen/attr/brightness"])
        await house.until_heard("light/kitchen/attr/brightness", 120)


async def test_events_are_emitted_once_each(fake, start):
    await fake.change("event.bell", "2026-01-01T00:00:00+00:00", event_type="old")
    house = await start()
    heard = []
    await house.client.event_listen_cb("/ha/event/bell/event", heard.append)
    await fake.change("event.bell", "unavailable")
    await fake.change("event.bell", "2026-01-01T00:00:00+00:00")
    await fake.change("event.bell", "2026-01-01T00:00:01+00:00", event_type="ring")
    await fake.change("event.bell", "2026-01-01T00:00:02+00:00")
    await until(lambda: len(heard) == 2, house.advance)
    assert heard == ["ring", "ring"]


async def test_the_first_event_of_an_entity(fake, start):
    await fake.change("event.bell", "unknown")
    house = await start()
    heard = []
    await house.client.event_listen_cb("/ha/event/bell/event", heard.append)
    await fake.change("event.bell", "2026-01-01T00:00:01+00:00", event_type="ring")
    await until(lambda: heard == ["ring"], house.advance)


async def test_the_first_event_after_an_entity_was_unavailable(fake, start):
    await fake.change("event.bell", "unavailable")
    house = await start()
    heard = []
    await house.client.event_listen_cb("/ha/event/bell/event", heard.append)
    await fake.change("event.bell", "unknown")
    await fake.change("event.bell", "2026-01-01T00:00:01+00:00", event_type="ring")
    await until(lambda: heard == ["ring"], house.advance)


async def test_an_event_entity_that_was_unavailable_at_first_shows_no_old_event(fake, start):
    await fake.change("event.bell", "unavailable")
    house = await start()
    heard = []
    await house.client.event_listen_cb("/ha/event/bell/event", heard.append)
    await fake.change("event.bell", "2026-01-01T00:00:01+00:00", event_type="old")
    await fake.change("event.bell", "2026-01-01T00:00:02+00:00", event_type="new")
    await until(lambda: bool(heard), house.advance)
    assert heard == ["new"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '[1, "x", null]',
        '{"type": "event", "id": 11, "event": {"a": [1]}}',
        '{"type": "event", "id": 11, "event": {"c": {"light.kitchen": 5}}}',
        '{"type": "event", "id": 11, "event": 5}',
        '{"type": "result", "id": 4000}',
    ],
)
async def test_an_unreadable_message_has_no_effect(house, caplog, text):
    [connection] = house.fake._connections
    [number] = connection.subscriptions["subscribe_entities"]
    await house.observe("light/kitchen/state")
    for _ in range(3):
        await house.fake.send(text.replace('"id": 11', f'"id": {number}'))
    await house.fake.change("light.kitchen", "on")
    await house.until_heard("light/kitchen/state", True)
    assert caplog.text.count("can't be read") == (0 if "4000" in text else 1)


async def test_an_entity_that_can_not_be_read_does_not_affect_the_others(fake, start, caplog):
    fake.entities = {"sensor.odd": ("5", [1]), "sensor.odder": ("5", 3), **fake.entities}
    house = await start()
    await house.observe("light/kitchen/state")
    await fake.change("light.kitchen", "on")
    await house.until_heard("light/kitchen/state", True)
    assert caplog.text.count("can't be read") == 1


@pytest.mark.parametrize("answer", ["[]", '"x"', "[" * 100_000, '{"type": "hello"}'])
async def test_another_server_than_home_assistant_is_named(fake, start, advance, answer):
    async def send_answer(socket):
        for _ in range(2):
            await socket.send_str(answer)

    fake.on_connect = send_answer
    house = await start(wait=False)
    await until(lambda: house.bridge.problem != "not connected yet", advance, 0.1)
    assert fake.url in house.bridge.problem
    fake.on_connect = None
    await until(lambda: house.bridge.connected, advance, 0.1)


async def test_a_server_without_an_answer_is_named(fake, start, advance):
    fake.on_connect = lambda socket: socket.receive()
    house = await start(wait=False)
    await until(lambda: house.bridge.problem != "not connected yet", advance, 1)
    assert house.bridge.problem == f"can't connect to {fake.url}: no answer within 10 s"


async def test_an_answer_of_another_form_is_named_and_asked_for_again(fake, start, advance, caplog):
    right, fake.services = fake.services, {"light": 5, "x": [1]}
    house = await start(wait=False)
    await until(lambda: "can't be read" in house.bridge.problem, advance, 0.1)
    await advance(3)
    fake.services = right
    await until(lambda: house.bridge.connected, advance, 0.1)
    assert caplog.text.count("an answer of Home Assistant can't be read: ") == 1


async def test_thousands_of_entities_are_added_in_turns(fake, start, advance, monkeypatch):
    monkeypatch.setattr("eshet.bridges.homeassistant.bridge._TURN", -1)  # one in each turn
    for number in range(300):
        await fake.change(f"switch.s{number}", "on")
    house = await start(wait=False)
    put, order = house.bridge.tree.put, []

    def record(device, *rest):
        if not order:
            asyncio.get_running_loop().call_soon(order.append, "another task")
        order.append(device.id)
        return put(device, *rest)

    monkeypatch.setattr(house.bridge.tree, "put", record)
    await house.connected()
    assert order.index("another task") < 10
    await house.observe("switch/s299/state")
    await fake.change("switch.s299", "off")
    await house.until_heard("switch/s299/state", False)
    assert house.bridge.device_count == 301
    assert house.bridge.connected


# --- services ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity_id", "attributes", "value", "call"),
    [
        ("light.a", {}, True, ("homeassistant", "turn_on", {})),
        ("light.a", {}, False, ("homeassistant", "turn_off", {})),
        ("lock.a", {}, True, ("lock", "lock", {})),
        ("lock.a", {}, False, ("lock", "unlock", {})),
        ("cover.a", {}, "closed", ("cover", "close_cover", {})),
        ("cover.a", {}, "open", ("cover", "open_cover", {})),
        ("input_number.a", {"max": 9}, 7.5, ("input_number", "set_value", {"value": 7.5})),
        ("select.a", {"options": ["b"]}, "b", ("select", "select_option", {"option": "b"})),
        ("text.a", {}, "b", ("text", "set_value", {"value": "b"})),
        ("climate.a", {"hvac_modes": ["b"]}, "b", ("climate", "set_hvac_mode", {"hvac_mode": "b"})),
    ],
)
async def test_a_set_calls_a_service(fake, start, entity_id, attributes, value, call):
    await fake.change(entity_id, "unknown", **attributes)
    house = await start()
    await house.client.set(f"/ha/{entity_id.replace('.', '/')}/state", value)
    assert fake.calls == [(*call, {"entity_id": entity_id})]


@pytest.mark.parametrize(
    ("entity_id", "attributes", "value", "error"),
    [
        ("light.a", {}, "on", "write true or false"),
        ("cover.a", {}, "opening", "one of 'open', 'closed'"),
        ("number.a", {"min": 0, "max": 9}, 10, "a number from 0 to 9"),
        ("select.a", {"options": ["b", "c"]}, "d", "one of 'b', 'c'"),
        ("climate.a", {"hvac_modes": ["off", "heat"]}, "dry", "one of 'off', 'heat'"),
        ("text.a", {"max": 3}, "long", "a text of at most 3 characters"),
        ("sensor.a", {}, "d", "not_implemented|can only be read"),
    ],
)
async def test_a_wrong_value_is_not_sent(fake, start, entity_id, attributes, value, error):
    await fake.change(entity_id, "unknown", **attributes)
    house = await start()
    with pytest.raises(ErrorValue, match=error):
        await house.client.set(f"/ha/{entity_id.replace('.', '/')}/state", value)
    assert fake.calls == []


async def test_a_set_is_confirmed_by_the_state(start):
    house = await start(confirm=5)
    await house.client.set("/ha/light/kitchen/state", True)
    house.fake.obeys = False
    setting = asyncio.ensure_future(house.client.set("/ha/light/kitchen/state", False))
    await until(lambda: len(house.fake.calls) == 2, house.advance)
    await house.advance(5)
    with pytest.raises(ErrorValue, match="not_confirmed"):
        await setting


@pytest.mark.parametrize(
    ("entity_id", "name"),
    [("light.a", "event"), ("light.a", "press"), ("sensor.a", "turn_on"), ("button.a", "event")],
)
async def test_entities_have_no_other_events_and_actions(fake, start, entity_id, name):
    await fake.change(entity_id, "unknown")
    house = await start()
    path = f"/ha/{entity_id.replace('.', '/')}/{name}"
    with pytest.raises(ErrorValue, match="path_not_found"):
        await house.client.action_call(path)
    with pytest.raises(ErrorValue, match="path_not_found"):
        await house.client.event_emit(path, 1)


async def test_a_service_whose_path_is_taken_is_named_once(fake, start, server, caplog):
    async with Client(server=server) as other:
        await other.action_register("/ha/services/light/turn_on", lambda: None)
        house = await start()
        await house.client.action_call("/ha/services/light/turn_off")
    assert fake.calls == [("light", "turn_off", {}, {})]
    assert caplog.text.count("/ha/services/light/turn_on: path_already_exists") == 1


async def test_buttons_are_pressed(fake, start):
    await fake.change("button.bell", "unknown")
    house = await start()
    await house.client.action_call("/ha/button/bell/press")
    assert fake.calls == [("button", "press", {}, {"entity_id": "button.bell"})]


async def test_a_service_is_called_with_a_reply(house):
    await house.fake.change("todo.shopping", "1")
    target = {"entity_id": "todo.shopping"}
    reply = await house.client.action_call("/ha/services/todo/get_items", {"status": "all"}, target)
    assert reply == {"todo.shopping": {"items": ["milk"]}}
    reply = await house.client.action_call("/ha/bridge/call", "light", "turn_on", {"flash": "long"})
    assert reply is None
    assert house.fake.calls[-1] == ("light", "turn_on", {"flash": "long"}, {})


@pytest.mark.parametrize(
    ("data", "target", "error"),
    [
        ({"entity_id": "light.kitchn"}, None, "'light.kitchn' is not allowed: write one of light."),
        ({"entity_id": "light.kitchen, light.b"}, None, "'light.b' is not allowed"),
        ({}, {"entity_id": ["light.kitchen", "light.b"]}, "'light.b' is not allowed"),
        ({}, {"entity_id": [5]}, "write an id or a list of ids"),
        ({}, {"area_id": "bath"}, "area_id: 'bath' is not allowed: write one of kitchen"),
        ({}, {"floor_id": "top"}, "floor_id: 'top' is not allowed: write nothing"),
        ({"entity_id": "light.gone"}, None, "light.gone is offline"),
        (5, None, "data: 5 is not allowed: write a map"),
        ({}, "light.kitchen", "target: 'light.kitchen' is not allowed"),
    ],
)
async def test_a_target_that_home_assistant_would_ignore_is_an_error(
    fake, start, data, target, error
):
    await fake.change("light.gone", "unavailable")
    house = await start()
    with pytest.raises(ErrorValue, match=error):
        await house.client.action_call("/ha/services/light/turn_on", data, target)
    assert fake.calls == []


@pytest.mark.parametrize(
    "target", [{"entity_id": "all"}, {"area_id": "kitchen"}, {"label_id": "x"}]
)
async def test_targets_that_may_exist_are_sent(house, target):
    await house.client.action_call("/ha/services/light/turn_on", {}, target)
    assert house.fake.calls == [("light", "turn_on", {}, target)]


async def test_an_error_of_home_assistant_is_the_error_of_the_call(house):
    with pytest.raises(ErrorValue, match=r"Service light\.dance not found\. \(not_found\)"):
        await house.client.action_call("/ha/bridge/call", "light", "dance")
    with pytest.raises(ErrorValue, match="the domain and the name of a service"):
        await house.client.action_call("/ha/bridge/call")


async def test_nothing_is_requested_while_nothing_changes(house):
    requests = len(house.fake.requests)
    await house.advance(20)
    await house.fake.change("light.kitchen", "on")
    await house.observe("light/kitchen/state")
    await house.until_heard("light/kitchen/state", True)
    assert len(house.fake.requests) == requests


async def test_services_come_and_go(house):
    house.fake.services["vacuum"] = {"start": {}}
    del house.fake.services["button"]
    await house.fake.emit("service_registered")

    async def error_of(path):
        try:
            await house.client.action_call(path)
        except ErrorValue as error:
            return str(error.value)
        return ""

    while await error_of("/ha/services/vacuum/start") == "path_not_found":
        await house.advance(0.1)
    assert house.fake.calls == [("vacuum", "start", {}, {})]
    assert await error_of("/ha/services/button/press") == "path_not_found"


# --- the connection ---------------------------------------------------------------------------


async def test_all_states_are_unknown_while_home_assistant_restarts(house, caplog):
    fake = house.fake
    await fake.change("switch.old", "on")
    await house.observe("light/kitchen/state")
    await house.observe("bridge/online")
    await fake.stop()
    await house.until_lost()
    await house.advance(OFFLINE_AFTER - 0.1)
    assert house.heard == []
    await house.advance(0.2)
    assert house.heard == [("light/kitchen/state", Unknown), ("bridge/online", False)]
    with pytest.raises(ErrorValue, match="not connected to Home Assistant: can't connect"):
        await house.client.action_call("/ha/services/light/turn_on")

    fake.config_state = "STARTING"
    fake.entities = {"light.kitchen": ("on", {})}
    await fake.start()
    await until(lambda: fake.attempts == 2, house.advance, 0.1)
    await house.advance(3)
    assert not house.bridge.connected
    fake.config_state = "RUNNING"
    await house.connected()
    await house.until_heard("light/kitchen/state", True)
    await house.until_heard("bridge/online", True)
    assert house.bridge.device_count == 1
    await house.client.set("/ha/light/kitchen/state", False)
    assert fake.calls == [("homeassistant", "turn_off", {}, {"entity_id": "light.kitchen"})]
    warnings = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert "the connection was lost: Home Assistant closed it" in warnings[0]
    assert "can't connect" in warnings[1]


async def test_a_short_outage_is_not_seen(house):
    await house.observe("light/kitchen/state")
    await house.fake.stop()
    await house.until_lost()
    await house.fake.start()
    await house.connected()
    await house.advance(10)
    assert house.heard == []


async def test_entities_are_not_known_before_home_assistant_has_started(fake, start):
    fake.config_state = "NOT_RUNNING"
    house = await start(wait=False)
    await until(lambda: fake.attempts == 1, house.advance, 0.1)
    await house.advance(30)
    assert house.bridge.device_count == 0
    fake.config_state = "RUNNING"
    await house.connected()
    assert await house.get("light/kitchen/state") is False


async def test_the_first_attempt_is_made_at_once(fake, start):
    house = await start(wait=False)
    await until(lambda: house.bridge.connected, house.advance)
    assert asyncio.get_running_loop().time() == 0


async def test_a_bridge_that_stops_while_home_assistant_is_away_leaves_no_timer(house):
    await house.fake.stop()
    await house.until_lost()
    house.stop()
    await house.advance(OFFLINE_AFTER + 1)
    assert house.bridge.tree.reachable  # nobody has noticed that it is away


async def test_a_wrong_token_is_tried_again_after_a_minute(fake, start, advance, caplog):
    fake.token = "another token"  # noqa: S105
    house = await start(wait=False)
    await until(lambda: "does not accept the token" in house.bridge.problem, advance)
    await advance(59)
    assert fake.attempts == 1
    fake.token = TOKEN
    await advance(1)
    await until(lambda: house.bridge.connected, advance)
    assert caplog.text.count("does not accept the token: Invalid access token") == 1
    assert TOKEN not in caplog.text


async def test_a_missing_token_is_an_error(monkeypatch):
    monkeypatch.delenv("ESHET_HA_TOKEN", raising=False)
    async with Server() as server, Client(server=server) as client:
        with pytest.raises(BridgeError, match="no access token"):
            HomeAssistantBridge("ha", HomeAssistantSettings(), client)


# --- causes -----------------------------------------------------------------------------------


class Recorder(ClientObserver):
    """The observer of a rule's client, which keeps the inputs with their causes."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def on_input(self, kind, path, value):
        self.inputs.append((path, value, current_cause()))


@pytest.fixture
async def recorder():
    return Recorder()


@pytest.fixture
async def rule(server, recorder):
    async with Client(server=server) as client:
        client.attach(recorder)
        yield client


@pytest.fixture
async def traced(start, recorder, rule):
    """The house, with a script, whose bridge relays causes, and a rule that observes the lamp."""
    house = await start(relay=CauseRelay(recorder))
    await house.fake.change("script.evening", "off")
    house.fake.scripts["script.evening"] = ["light.kitchen"]
    await rule.state_observe("/ha/light/kitchen/state", lambda value: None)
    await house.observe("light/kitchen/state")
    await until(lambda: "script.evening" in house.bridge.tree.devices, house.advance)
    recorder.inputs.clear()
    return house


SCRIPT = "/ha/services/script/turn_on", {}, {"entity_id": "script.evening"}


async def test_the_effect_of_a_service_at_another_path_follows_from_its_call(
    traced, rule, recorder
):
    with use_cause(Cause("event", "/bell")) as bell:
        await rule.action_call(*SCRIPT)
    await until(lambda: recorder.inputs, traced.advance)
    [(path, value, cause)] = recorder.inputs
    assert (path, value, cause.parent) == ("/ha/light/kitchen/state", True, bell)


async def test_what_an_automation_does_later_follows_from_the_call(traced, rule, recorder):
    with use_cause(Cause("event", "/bell")) as bell:
        await rule.action_call(*SCRIPT)
    await traced.advance(5)
    await traced.fake.change_in(traced.fake.child(traced.fake.last_context), "light.kitchen", "off")
    await until(lambda: len(recorder.inputs) == 2, traced.advance)
    assert recorder.inputs[1][1:] == (False, recorder.inputs[1][2])
    assert recorder.inputs[1][2].parent is bell


async def test_a_change_by_hand_follows_from_nothing(traced, rule, recorder):
    with use_cause(Cause("event", "/bell")):
        await rule.action_call(*SCRIPT)
    await traced.fake.change("light.kitchen", "off")
    await until(lambda: len(recorder.inputs) == 2, traced.advance)
    assert recorder.inputs[1][2].parent is None


async def test_a_slow_service_holds_its_effects_back_for_a_second_and_nothing_else(
    traced, rule, recorder
):
    await traced.fake.change("switch.fan", "off")
    await until(lambda: "switch.fan" in traced.bridge.tree.devices, traced.advance)
    await traced.observe("switch/fan/state")
    traced.fake.replies = False
    with use_cause(Cause("event", "/bell")):
        call = asyncio.ensure_future(rule.action_call(*SCRIPT))
    await traced.fake.change("light.kitchen", "off")  # so that the script changes it
    await until(lambda: traced.fake.calls, traced.advance)
    await traced.fake.change("switch.fan", "on")
    await traced.until_heard("switch/fan/state", True)
    assert ("light/kitchen/state", True) not in traced.heard
    await traced.advance(1)
    await traced.until_heard("light/kitchen/state", True)
    await traced.fake.reply()
    await call


async def test_a_change_that_waits_and_can_not_be_read_does_not_fail_the_call(traced, rule, caplog):
    traced.fake.replies = False
    with use_cause(Cause("event", "/bell")):
        call = asyncio.ensure_future(rule.action_call(*SCRIPT))
    await until(lambda: traced.fake.calls, traced.advance)
    wrong = {"+": {"c": traced.fake.last_context, "a": 5}}
    traced.bridge._on_entities({"c": {"script.evening": wrong}})
    assert "can't be read" not in caplog.text
    await traced.fake.reply()
    assert await call is None
    assert "an update of script.evening can't be read" in caplog.text


async def test_nothing_is_held_back_without_an_observer(house):
    await house.observe("light/kitchen/state")
    house.fake.replies = False
    call = asyncio.ensure_future(house.client.set("/ha/light/kitchen/state", True))
    await house.until_heard("light/kitchen/state", True)
    await house.fake.reply()
    await call


async def test_effects_that_wait_are_shown_when_the_connection_is_lost(traced, rule):
    traced.fake.replies = False
    with use_cause(Cause("event", "/bell")):
        call = asyncio.ensure_future(rule.action_call(*SCRIPT))
    await until(lambda: traced.fake.calls, traced.advance)
    await until(lambda: traced.bridge._contexts._held, traced.advance)
    await traced.fake.stop()
    await traced.until_lost()
    await traced.until_heard("light/kitchen/state", True)
    with pytest.raises(ErrorValue):
        await passing_time(call, traced.advance)
