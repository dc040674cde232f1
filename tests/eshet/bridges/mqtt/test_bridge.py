"""The MQTT bridge as a whole: outages, aliases, confirmed sets, and facts about itself."""

import asyncio

import pytest

from eshet import Client, Unknown
from eshet.bridges.bridge import make_bridge
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.bridge import MqttBridge
from eshet.bridges.settings import BrokerUrl, MqttSettings
from eshet.server import Server
from tests.support.bridged import bridged_house

STATE = {"type": "binary", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"}
LEVEL = {"type": "numeric", "name": "brightness", "property": "brightness", "access": 7}
CONTACT = {
    "type": "binary",
    "name": "contact",
    "property": "contact",
    "access": 1,
    "value_on": False,
    "value_off": True,
}
LAMP = {
    "ieee_address": "0x1",
    "friendly_name": "Hall lamp",
    "definition": {
        "exposes": [{"type": "light", "features": [STATE, {**LEVEL, "value_max": 254}]}]
    },
}


async def with_lamp(house):
    await house.publish("zigbee2mqtt/bridge/devices", [LAMP], retained=True)
    await house.publish("zigbee2mqtt/Hall lamp", {"state": "ON", "brightness": 254})


async def test_a_short_outage_of_the_broker_changes_no_value(house, advance):
    await with_lamp(house)
    await house.hear("Hall_lamp/state", "bridge/online")
    house.broker.cut("bridge")
    await advance(1.9)
    assert house.bridge.connected
    assert house.heard == []


async def test_all_states_are_unknown_during_a_longer_outage(house, advance):
    await with_lamp(house)
    await house.hear("Hall_lamp/state", "bridge/online")
    house.broker.stop()
    await advance(3)
    assert sorted(house.heard) == [("Hall_lamp/state", Unknown), ("bridge/online", False)]
    assert house.bridge.problem
    info = await house.get("bridge/info")
    assert info["problem"] == house.bridge.problem
    house.broker.start()
    await advance(60)
    assert sorted(house.heard[2:]) == [("Hall_lamp/state", True), ("bridge/online", True)]
    assert (await house.get("bridge/info"))["problem"] == ""


async def test_a_command_during_an_outage_is_an_error(house, advance):
    await with_lamp(house)
    house.broker.stop()
    setting = asyncio.ensure_future(house.refused(house.set("Hall_lamp/state", False)))
    await advance(10)
    assert "zigbee2mqtt/Hall lamp/set" in await setting
    house.broker.start()
    await advance(60)
    assert not [topic for topic, _ in house.sent if topic.endswith("/set")]


async def test_broken_json_is_logged_as_one_line(house, caplog):
    await with_lamp(house)
    await house.publish("zigbee2mqtt/Hall lamp", "{")
    (record,) = caplog.records
    assert "a message of zigbee2mqtt/Hall lamp: NotJson: not JSON: " in record.message
    assert record.exc_info is None


async def test_facts_about_the_bridge_are_published(house, advance):
    await with_lamp(house)
    await house.publish("zigbee2mqtt/Hall lamp", "{")
    await advance(10.1)
    info = await house.get("bridge/info")
    assert (info["broker"], info["devices"], info["failed"]) == ("mqtt://memory", 1, 1)
    assert info["received"] >= 3
    house.broker.cut("bridge")
    await advance(20)
    assert (await house.get("bridge/info"))["reconnects"] == 1


async def test_aliases_assign_paths_to_devices_and_properties(advance, caplog):
    aliases = {
        "Hall lamp": "/house/hall/lamp",
        "0x1/brightness": "/house/hall/level",
        "Gone/x": "/house/gone",
    }
    async with bridged_house(advance, aliases=aliases) as house:
        await with_lamp(house)
        assert await house.client.get("/house/hall/lamp/state") is True
        assert await house.client.get("/house/hall/level") == 1.0
        await house.client.set("/house/hall/level", 0.5)
        assert house.sent == [("zigbee2mqtt/Hall lamp/set", {"brightness": 127})]
        assert await house.get("Hall_lamp/state") == "path_not_found"
        await advance(20)
        assert (await house.get("bridge/info"))["unused_aliases"] == ["Gone/x"]
        assert caplog.messages == ["bridge house: no device for the alias of Gone/x"]


async def test_aliases_with_the_same_path_are_named(advance, caplog):
    aliases = {"Hall lamp": "/house/a", "Door/contact": "/house/a/state"}
    door = {"ieee_address": "0x2", "friendly_name": "Door", "definition": {"exposes": [CONTACT]}}
    async with bridged_house(advance, aliases=aliases) as house:
        await house.publish("zigbee2mqtt/bridge/devices", [LAMP, door], retained=True)
        assert caplog.messages == [
            "/house/a/state is not registered for contact of Door: state of Hall lamp has this "
            "path; change one of their aliases"
        ]


async def test_an_alias_to_a_path_of_another_client_is_named(advance, caplog):
    async with bridged_house(advance, aliases={"Hall lamp/state": "/house/a"}) as house:
        await house.client.state_register("/house/a")
        await with_lamp(house)
        assert caplog.messages == [
            "/house/a is not registered for state of Hall lamp: another client has this path; "
            "write another path in [alias]"
        ]


async def test_a_set_is_confirmed_by_the_device(advance):
    async with bridged_house(advance, confirm=5.0) as house:
        await with_lamp(house)
        house.on_sent = lambda topic, payload: house.publish_now("zigbee2mqtt/Hall lamp", payload)
        await house.set("Hall_lamp/brightness", 0.5)
        house.on_sent = lambda topic, payload: None
        setting = asyncio.ensure_future(house.refused(house.set("Hall_lamp/state", False)))
        await advance(5.1)
        assert await setting == (
            "not_confirmed: 5 s after False was sent, the device still reports True"
        )


async def test_a_device_that_does_not_report_is_stale(advance):
    async with bridged_house(advance, stale_after={"Hall lamp": 60}) as house:
        await with_lamp(house)
        await advance(50)
        assert await house.get("Hall_lamp/state") is True
        await advance(11)
        assert await house.get("Hall_lamp/state") == "state_unknown"


async def test_a_set_of_several_values_is_confirmed_by_the_device(advance):
    async with bridged_house(advance, confirm=5.0) as house:
        await with_lamp(house)
        wanted = {"state": False, "brightness": 0.5}
        reports = {"state": "OFF", "brightness": 127}
        house.on_sent = lambda topic, payload: house.publish_now("zigbee2mqtt/Hall lamp", reports)
        await house.call("Hall_lamp/set", wanted)
        assert await house.get("Hall_lamp/brightness") == 0.5
        house.on_sent = lambda topic, payload: house.publish_now(
            "zigbee2mqtt/Hall lamp", {"state": "ON"}
        )
        calling = house.call("Hall_lamp/set", {"state": True, "brightness": 1})
        setting = asyncio.ensure_future(house.refused(calling))
        await advance(5.1)
        assert await setting == (
            "not_confirmed: 5 s after 1 was sent, the device still reports 0.5"
        )


async def test_stale_after_of_an_unknown_device_is_logged(advance, caplog):
    ages = {"Hall lamp": 60, "Hal lamp": 60, "0x1": 60}
    async with bridged_house(advance, stale_after=ages) as house:
        await with_lamp(house)
        await advance(20)
        assert caplog.messages == ["bridge house: no device for stale_after of Hal lamp"]


async def test_only_the_configured_families_are_read(advance):
    wanted = {"zigbee2mqtt": (), "tasmota": False, "shelly": False, "discovery": ()}
    async with bridged_house(advance, **wanted) as house:
        assert house.broker.subscriptions("bridge") == []


@pytest.mark.parametrize("start", ["first", -1, None, 1.5])
async def test_a_wrong_page_of_devices_is_an_error(house, start):
    problem = await house.refused(house.call("bridge/devices", start))
    assert "write the number of a device; 0 for the first one" in problem


async def test_two_bridges_of_one_broker_both_have_the_devices(advance, house):
    await with_lamp(house)
    async with Client(server=house.server, client_id="second") as client:
        second = MqttBridge("second", MqttSettings(), client, house.broker.client("second"))
        running = asyncio.create_task(second.run())
        await advance(1)
        await house.publish("zigbee2mqtt/Hall lamp", {"state": "OFF"})
        await second.tree.registrations.join()
        assert await house.client.get("/mqtt/second/Hall_lamp/state") is False
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_second_bridge_with_the_same_name_registers_nothing(house, caplog):
    await with_lamp(house)
    client = Client(server=house.server, client_id="second")
    second = MqttBridge("house", MqttSettings(), client, house.broker.client("second"))
    with pytest.raises(BridgeError, match="another bridge house is on this server"):
        await second.run()
    await client.close()
    assert "path_already_exists" not in caplog.text


async def test_states_are_unknown_after_the_end_of_the_bridge(advance):
    async with bridged_house(advance) as house:
        await with_lamp(house)
        await house.hear("Hall_lamp/state")
        await house.bridge._client.close()
        await advance(0)
        assert house.heard == [("Hall_lamp/state", Unknown)]


async def test_a_bridge_that_can_not_read_its_files_is_an_error(tmp_path):
    async with Server() as server, Client(server=server) as client:
        gone = tmp_path / "gone"
        broker = BrokerUrl("b", 8883, is_encrypted=True)
        with pytest.raises(BridgeError, match="can't read certificates in"):
            make_bridge("x", MqttSettings(broker=broker, ca_file=gone), client)
        user = BrokerUrl("b", 1883, user="me")
        with pytest.raises(BridgeError, match="can't read the secret in"):
            make_bridge("x", MqttSettings(broker=user, password_file=gone), client)
        assert str(make_bridge("x", MqttSettings(), client).connection) == "mqtt://localhost:1883"
