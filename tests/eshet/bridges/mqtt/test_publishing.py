"""Nodes of the server on the broker: values, events, sets, announcements, and outages."""

import asyncio
import contextlib

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.bridges.mqtt.bridge import MqttBridge
from eshet.bridges.mqtt.memory_broker import MemoryBroker
from eshet.bridges.settings import MqttSettings, PublishedPath
from eshet.server import Server
from tests.support.bridged import bridged_house
from tests.support.connectors import Interrupted

BASE = "eshet/house"
PATHS = {
    "/hall/target": PublishedPath(settable=True, min=5, max=30, step=0.5, unit="°C"),
    "/hall/mode": PublishedPath(settable=True, options=("eco", "heat"), name="Mode of the hall"),
    "/hall/note": PublishedPath(settable=True),
    "/hall/switch": PublishedPath(settable=True),
    "/hall/*": PublishedPath(),
    "/loft/*": PublishedPath(),
}


class Published:
    """A server with published nodes, and a client that owns some of them."""

    def __init__(self, house, owner):
        self.house = house
        self.owner = owner
        self.were_set = []

    async def state(self, path, value=Unknown):
        async def on_set(new):
            self.were_set.append((path, new))

        await self.owner.state_register(path, on_set)
        if value is not Unknown:
            await self.owner.state_changed(path, value)
        await self.house.advance(2)

    def announced(self, directory="hall"):
        topic = f"homeassistant/device/eshet_house-{directory}/config"
        return next((payload for at, payload in reversed(self.house.sent) if at == topic), None)

    def sent(self, path):
        return [payload for topic, payload in self.house.sent if topic == f"{BASE}{path}"]


@pytest.fixture
async def published(advance):
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(bridged_house(advance, publish=PATHS))
        owner = await stack.enter_async_context(Client(server=house.server))
        yield Published(house, owner)


async def test_a_state_is_published_with_its_value(published, advance):
    await published.state("/hall/lamp", True)
    await published.state("/cellar/lamp", True)
    await published.owner.state_changed("/hall/lamp", False)
    await advance(0)
    assert published.sent("/hall/lamp") == [True, False]
    assert set(published.sent("/hall/lamp/online")) == {"online"}
    assert published.sent("/cellar/lamp") == []
    assert published.house.broker.retained[f"{BASE}/hall/lamp"] == b"false"


async def test_an_unknown_state_is_offline(published, advance):
    await published.state("/hall/lamp")
    assert published.sent("/hall/lamp/online") == ["offline"]
    assert published.announced() is None
    await published.owner.state_changed("/hall/lamp", True)
    await published.owner.state_unknown("/hall/lamp")
    await advance(1)
    assert published.sent("/hall/lamp/online")[-1] == "offline"
    await published.owner.state_changed("/hall/lamp", True)
    await published.owner.close()
    await advance(1)
    assert published.sent("/hall/lamp/online")[-1] == "offline"


async def test_nodes_of_a_directory_are_one_device(published):
    await published.state("/hall/temperature", 20.5)
    await published.state("/hall/open", False)
    announced = published.announced()
    assert announced["dev"] == {"ids": ["eshet_house-hall"], "name": "hall"}
    assert announced["o"]["name"] == "eshet"
    assert announced["cmps"]["open"] == {
        "p": "binary_sensor",
        "name": "open",
        "uniq_id": "eshet_house-hall-open",
        "avty": [{"t": f"{BASE}/bridge"}, {"t": f"{BASE}/hall/open/online"}],
        "avty_mode": "all",
        "stat_t": f"{BASE}/hall/open",
        "pl_on": "true",
        "pl_off": "false",
    }
    assert announced["cmps"]["temperature"]["p"] == "sensor"


async def test_the_kind_of_an_entity_follows_from_the_value_and_the_settings(published):
    values = {"target": 21.0, "mode": "eco", "note": "hi", "switch": True, "text": "x"}
    for name, value in values.items():
        await published.state(f"/hall/{name}", value)
    entities = published.announced()["cmps"]
    assert {name: entity["p"] for name, entity in entities.items()} == {
        "target": "number",
        "mode": "select",
        "note": "text",
        "switch": "switch",
        "text": "sensor",
    }
    assert (
        entities["target"] | {"min": 5, "max": 30, "step": 0.5, "unit_of_meas": "°C"}
        == (entities["target"])
    )
    assert entities["mode"]["options"] == ["eco", "heat"]
    assert entities["mode"]["name"] == "Mode of the hall"
    assert "cmd_t" in entities["switch"]
    assert "cmd_t" not in entities["text"]


async def test_a_value_of_another_kind_is_announced_again(published, advance):
    await published.state("/hall/x", True)
    await published.owner.state_changed("/hall/x", 3)
    await advance(0)
    assert published.announced()["cmps"]["x"]["p"] == "sensor"


async def test_a_command_sets_the_state(published):
    for name, value in {"switch": True, "target": 20, "mode": "eco", "note": "3"}.items():
        await published.state(f"/hall/{name}", value)
    for name, text in {"switch": "false", "target": "19.5", "mode": "heat", "note": "3"}.items():
        await published.house.publish(f"{BASE}/hall/{name}/set", text)
    assert published.were_set == [
        ("/hall/switch", False),
        ("/hall/target", 19.5),
        ("/hall/mode", "heat"),
        ("/hall/note", "3"),
    ]


async def test_a_state_that_is_not_settable_has_no_command(published):
    await published.state("/hall/lamp", True)
    await published.house.publish(f"{BASE}/hall/lamp/set", "false")
    assert published.were_set == []


async def test_a_retained_command_is_ignored_and_removed(published, caplog):
    await published.house.publish(f"{BASE}/hall/switch/set", "true", retained=True)
    await published.state("/hall/switch", False)
    assert published.were_set == []
    assert f"{BASE}/hall/switch/set" not in published.house.broker.retained
    assert caplog.messages == [f"{BASE}/hall/switch/set: a retained command is ignored and removed"]


@pytest.mark.parametrize(
    ("name", "value", "text", "problem"),
    [
        ("target", 20, "99", "99 is not allowed: write a number from 5 to 30 °C"),
        ("target", Unknown, "4", "4 is not allowed: write a number from 5 to 30 °C"),
        ("target", 20, "abc", "'abc' is not allowed: write a number from 5 to 30 °C"),
        ("mode", "eco", "boost", "'boost' is not allowed: write one of 'eco', 'heat'"),
        ("mode", Unknown, "boost", "'boost' is not allowed: write one of 'eco', 'heat'"),
        ("switch", True, "ON", "'ON' is not allowed: write true or false"),
    ],
)
async def test_a_command_with_a_wrong_value_is_logged(
    published, caplog, name, value, text, problem
):
    await published.state(f"/hall/{name}", value)
    await published.house.publish(f"{BASE}/hall/{name}/set", text)
    assert published.were_set == []
    assert caplog.messages == [f"{BASE}/hall/{name}/set: {problem}"]


async def test_a_command_that_the_owner_refuses_is_logged(published, caplog):
    async def refuse(value):
        raise ValueError(f"{value} is too warm")

    await published.owner.state_register("/hall/target", refuse)
    await published.owner.state_changed("/hall/target", 20)
    await published.house.advance(2)
    await published.house.publish(f"{BASE}/hall/target/set", "29")
    assert any("29 is too warm" in message for message in caplog.messages)


async def test_an_action_is_a_button(published):
    pressed = []

    async def press():
        pressed.append(1)

    await published.owner.action_register("/hall/press", press)
    await published.house.advance(2)
    assert published.announced()["cmps"]["press"]["p"] == "button"
    await published.house.publish(f"{BASE}/hall/press/set", "PRESS")
    await published.house.publish(f"{BASE}/hall/press/set", "PRESS", retained=True)
    await published.house.publish(f"{BASE}/hall/press/set", "")
    assert pressed == [1, 1]  # only at its arrival is the retained flag not set


async def test_each_event_is_published_and_not_retained(published, advance):
    await published.owner.event_register("/hall/bell")
    await advance(2)
    assert published.announced()["cmps"]["bell"]["p"] == "event"
    for number in range(3):
        await published.owner.event_emit("/hall/bell", {"n": number})
    await advance(0)
    assert published.sent("/hall/bell") == [
        {"event_type": "event", "payload": {"n": number}} for number in range(3)
    ]
    assert f"{BASE}/hall/bell" not in published.house.broker.retained


async def test_announcements_are_repeated_when_home_assistant_has_started(published, advance):
    await published.state("/hall/lamp", True)
    published.house.sent.clear()
    await published.house.publish("homeassistant/status", "offline")
    await published.house.publish("homeassistant/status", "online")
    await advance(0.9)
    assert published.house.sent == []
    await advance(5)
    assert published.announced() is not None
    topics = [topic for topic, _ in published.house.sent]
    assert topics[0].startswith("homeassistant/device/")
    assert topics.count(f"{BASE}/hall/lamp") == 1


async def test_after_an_outage_the_last_values_are_published(published, advance, caplog):
    await published.state("/hall/lamp", True)
    await published.owner.event_register("/hall/bell")
    await advance(2)
    published.house.broker.stop(forget=True)
    for value in (False, True, False):
        await published.owner.state_changed("/hall/lamp", value)
        await published.owner.event_emit("/hall/bell", value)
    await advance(60)
    published.house.sent.clear()
    published.house.broker.start()
    await advance(60)
    assert published.sent("/hall/lamp") == [False]
    assert published.sent("/hall/bell") == []
    assert published.announced() is not None
    assert not [message for message in caplog.messages if "/hall/" in message]


async def test_the_topic_of_the_bridge_has_its_availability(published, advance):
    assert published.house.broker.retained[f"{BASE}/bridge"] == b"online"
    published.house.broker.cut("bridge")
    assert published.house.broker.retained[f"{BASE}/bridge"] == b"offline"
    await advance(10)
    assert published.house.broker.retained[f"{BASE}/bridge"] == b"online"


async def test_similar_paths_are_different_devices(published):
    await published.state("/hall/a/b", True)
    await published.state("/hall/a_b", True)
    assert published.announced("hall-a")["cmps"].keys() == {"b"}
    assert published.announced("hall")["cmps"].keys() == {"a_b"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"a": [1, None]}, {"a": [1, None]}),
        (b"\x01\xff", "01ff"),
        ({1: 2, b"k": 3}, {"1": 2}),
        ("ü", "ü"),
    ],
)
async def test_any_value_is_json(published, value, sent):
    await published.state("/hall/any", value)
    assert published.sent("/hall/any") == [sent]


async def test_a_number_that_json_can_not_hold_is_unknown(published):
    await published.state("/hall/any", float("nan"))
    assert published.sent("/hall/any") == []
    assert published.sent("/hall/any/online") == ["offline"]


async def test_a_retained_press_is_ignored_and_removed(published):
    pressed = []

    async def press():
        pressed.append(1)

    await published.house.publish(f"{BASE}/hall/press/set", "PRESS", retained=True)
    await published.owner.action_register("/hall/press", press)
    await published.house.advance(2)
    assert pressed == []
    assert f"{BASE}/hall/press/set" not in published.house.broker.retained


async def test_the_last_of_very_many_events_are_published(published, advance, caplog):
    await published.owner.event_register("/hall/bell")
    await advance(2)
    published.house.broker.pause()
    for number in range(1500):
        await published.owner.event_emit("/hall/bell", number)
    published.house.broker.proceed()
    await advance(1)
    numbers = [event["payload"] for event in published.sent("/hall/bell")]
    assert numbers[-1000:] == list(range(500, 1500))
    assert caplog.messages == ["bridge house: too many events: the oldest are dropped"]


async def test_a_node_that_is_gone_before_it_is_published_disturbs_no_other(
    published, monkeypatch, caplog
):
    client = published.house.bridge._client
    observe = client.state_observe

    async def gone(path, callback):
        if path == "/hall/gone":
            raise ErrorValue("path_not_found")
        return await observe(path, callback)

    monkeypatch.setattr(client, "state_observe", gone)
    await published.state("/hall/gone", True)
    await published.state("/hall/lamp", True)
    assert published.sent("/hall/lamp")[-1] is True
    assert "/hall/gone is not published: path_not_found" in caplog.text


async def test_nodes_are_found_when_the_server_is_reached_and_after_an_outage(advance, caplog):
    async with Server() as server, Client(server=server) as owner:
        connector = Interrupted(server, is_open=False)
        own = Client(server=connector)
        broker = MemoryBroker()
        settings = MqttSettings(publish={"/hall/*": PublishedPath()})
        running = asyncio.ensure_future(
            MqttBridge("house", settings, own, broker.client("bridge")).run()
        )
        for name in ("lamp", "fan"):
            await owner.state_register(f"/hall/{name}")
            await owner.state_changed(f"/hall/{name}", True)
            await advance(5)
            assert f"{BASE}/hall/{name}" not in broker.retained
            connector.is_open = True
            await advance(20)
            assert broker.retained[f"{BASE}/hall/{name}"] == b"true"
            connector.close()
            await advance(1)
        running.cancel()
        await asyncio.wait([running])
        await own.close()
    assert "can't list the nodes" not in caplog.text
