"""Devices of zigbee2mqtt: reports and sets, and states and requests of zigbee2mqtt itself."""

import asyncio
import json

import pytest

from eshet import Unknown
from tests.support.bridged import bridged_house

BASE = "zigbee2mqtt"


def binary(name, on="ON", off="OFF", access=1, **more):
    return {
        "type": "binary",
        "name": name,
        "property": name,
        "access": access,
        "value_on": on,
        "value_off": off,
        **more,
    }


def numeric(name, access=1, **more):
    return {"type": "numeric", "name": name, "property": name, "access": access, **more}


def enum(name, values, access=1):
    return {"type": "enum", "name": name, "property": name, "access": access, "values": values}


def device(address, name, *exposes, **more):
    return {
        "ieee_address": address,
        "type": "Router",
        "friendly_name": name,
        "definition": {
            "model": "M1",
            "vendor": "Acme",
            "description": "A thing",
            "exposes": list(exposes),
        },
        **more,
    }


LIGHT = {
    "type": "light",
    "features": [
        binary("state", access=7),
        numeric("brightness", 7, value_min=0, value_max=254),
        numeric("color_temp", 7, value_min=153, value_max=500, unit="mired"),
        {
            "type": "composite",
            "name": "color_xy",
            "property": "color",
            "access": 7,
            "features": [numeric("x", 7), numeric("y", 7)],
        },
    ],
}
LAMP = device("0x1111", "Hall lamp", LIGHT, enum("effect", ["blink", "breathe"], access=2))
REMOTE = device("0x2222", "Remote", enum("action", ["on", "off"]), numeric("battery", unit="%"))
DOOR = device("0x3333", "Front door", binary("contact", False, True), numeric("battery"))


@pytest.fixture
async def z2m(house):
    await house.publish(f"{BASE}/bridge/state", {"state": "online"}, retained=True)
    await declare(house, LAMP, REMOTE, DOOR)
    return house


async def declare(house, *devices):
    coordinator = {"ieee_address": "0x0", "type": "Coordinator", "friendly_name": "Coordinator"}
    await house.publish(f"{BASE}/bridge/devices", [coordinator, *devices], retained=True)


async def test_a_lamp_reports_typed_values_in_units_of_all_lamps(z2m):
    await z2m.publish(
        f"{BASE}/Hall lamp",
        {"state": "ON", "brightness": 127, "color_temp": 250, "color": {"x": 0.3, "y": 0.4}},
    )
    assert await z2m.get("Hall_lamp/state") is True
    assert await z2m.get("Hall_lamp/brightness") == 0.5
    assert await z2m.get("Hall_lamp/color_temp") == 4000
    assert await z2m.get("Hall_lamp/color") == {"x": 0.3, "y": 0.4}


async def test_a_message_with_some_values_leaves_the_others(z2m):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON", "brightness": 254})
    await z2m.publish(f"{BASE}/Hall lamp", {"brightness": None, "linkquality": 3, "state": "OFF"})
    assert await z2m.get("Hall_lamp/state") is False
    assert await z2m.get("Hall_lamp/brightness") == 1.0


async def test_a_set_is_sent_in_the_units_of_the_device_and_not_retained(z2m):
    await z2m.set("Hall_lamp/state", False)
    await z2m.set("Hall_lamp/brightness", 0.5)
    await z2m.set("Hall_lamp/color_temp", 2700)
    await z2m.set("Hall_lamp/color", {"x": 0.1, "y": 0.2})
    assert z2m.sent == [
        (f"{BASE}/Hall lamp/set", {"state": "OFF"}),
        (f"{BASE}/Hall lamp/set", {"brightness": 127}),
        (f"{BASE}/Hall lamp/set", {"color_temp": 370}),
        (f"{BASE}/Hall lamp/set", {"color": {"x": 0.1, "y": 0.2}}),
    ]
    assert not [topic for topic in z2m.broker.retained if topic.endswith("/set")]


async def test_several_values_are_set_in_one_message(z2m):
    await z2m.call("Hall_lamp/set", {"state": True, "brightness": 0.25})
    assert z2m.sent == [(f"{BASE}/Hall lamp/set", {"state": "ON", "brightness": 64})]
    assert await z2m.refused(z2m.call("Hall_lamp/set", {"brightness": 7})) == (
        "brightness: 7 is not allowed: write a number from 0 to 1"
    )
    assert "a map with some of state, brightness" in await z2m.refused(z2m.call("Hall_lamp/set"))
    assert "color.x: 'red'" in await z2m.refused(z2m.call("Hall_lamp/set", {"color": {"x": "red"}}))
    assert len(z2m.sent) == 1


async def test_a_value_that_can_only_be_set_is_an_action(z2m):
    await z2m.call("Hall_lamp/effect", "blink")
    assert z2m.sent == [(f"{BASE}/Hall lamp/set", {"effect": "blink"})]
    assert await z2m.refused(z2m.call("Hall_lamp/effect", "explode")) == (
        "'explode' is not allowed: write one of 'blink', 'breathe'"
    )
    assert await z2m.refused(z2m.call("Hall_lamp/effect")) == (
        "[] is not allowed: write one of 'blink', 'breathe'"
    )


async def test_an_action_with_one_choice_needs_no_argument(z2m):
    await declare(z2m, device("0x4", "Plug", enum("identify", ["identify"], access=2)))
    await z2m.call("Plug/identify")
    assert z2m.sent == [(f"{BASE}/Plug/set", {"identify": "identify"})]


async def test_an_action_of_a_remote_is_an_event(z2m):
    await z2m.listen("Remote/action")
    await z2m.publish(f"{BASE}/Remote", {"action": "on", "battery": 80})
    await z2m.publish(f"{BASE}/Remote", {"action": "on", "battery": 80})
    await z2m.publish(f"{BASE}/Remote", {"action": "", "battery": 79})
    assert z2m.heard == [("Remote/action", "on"), ("Remote/action", "on")]
    assert await z2m.get("Remote/battery") == 79
    assert await z2m.get("Remote/set") == "path_not_found"


async def test_a_burst_of_actions_is_not_conflated(z2m):
    await z2m.listen("Remote/action")
    for number in range(5):
        z2m.publish_now(f"{BASE}/Remote", {"action": str(number)})
    await z2m.settle()
    assert [payload for _, payload in z2m.heard] == ["0", "1", "2", "3", "4"]


async def test_actions_that_are_known_after_an_interview_are_not_conflated(house):
    await declare(house, device("0x2222", "Remote", numeric("battery")))
    await declare(house, REMOTE)
    await house.listen("Remote/action")
    for number in range(3):
        house.publish_now(f"{BASE}/Remote", {"action": str(number)})
    await house.settle()
    assert len(house.heard) == 3


async def test_a_retained_action_did_not_happen_now(house):
    await house.publish(f"{BASE}/Remote", {"action": "on", "battery": 50}, retained=True)
    await house.listen("Remote/action")
    await declare(house, REMOTE)
    await house.settle()
    assert house.heard == []
    assert await house.get("Remote/battery") == 50


async def test_a_repeated_action_with_one_transaction_happens_once(z2m, advance):
    await z2m.listen("Remote/action")
    for _ in range(3):
        await z2m.publish(f"{BASE}/Remote", {"action": "on", "action_transaction": 7})
    await z2m.publish(f"{BASE}/Remote", {"action": "on", "action_transaction": 8})
    await advance(6)
    await z2m.publish(f"{BASE}/Remote", {"action": "on", "action_transaction": 7})
    await z2m.publish(f"{BASE}/Remote", {"action": "on", "action_transaction": {"odd": 1}})
    assert len(z2m.heard) == 4


async def test_a_contact_has_the_value_that_zigbee2mqtt_reports(z2m):
    await z2m.publish(f"{BASE}/Front door", {"contact": False})
    assert await z2m.get("Front_door/contact") is False
    await z2m.publish(f"{BASE}/Front door", {"contact": True})
    assert await z2m.get("Front_door/contact") is True


async def test_words_for_on_and_off_are_those_of_the_device(house):
    await declare(
        house,
        device("0x5", "Leak", binary("leak", "Leak", "Dry", 3), binary("lock", "LOCK", "UNLOCK")),
    )
    await house.publish(f"{BASE}/Leak", {"leak": "Leak", "lock": "UNLOCK"})
    assert await house.get("Leak/leak") is True
    assert await house.get("Leak/lock") is False
    await house.set("Leak/leak", False)
    assert house.sent == [(f"{BASE}/Leak/set", {"leak": "Dry"})]


async def test_a_value_of_a_wrong_kind_is_logged_once_and_the_last_one_stays(z2m, caplog):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON", "brightness": 254})
    for _ in range(3):
        await z2m.publish(f"{BASE}/Hall lamp", {"state": "MAYBE", "brightness": 127})
    assert await z2m.get("Hall_lamp/state") is True
    assert await z2m.get("Hall_lamp/brightness") == 0.5
    assert caplog.messages == [
        "/mqtt/house/Hall_lamp/state: the device reported 'MAYBE' instead of true or false"
    ]


async def test_a_group_has_the_values_that_all_its_members_have(z2m):
    second = device("0x6", "Second lamp", LIGHT, numeric("power"))
    await declare(z2m, LAMP, second, REMOTE)
    members = [{"ieee_address": "0x1111", "endpoint": 1}, {"ieee_address": "0x6", "endpoint": 1}]
    group = {"id": 3, "friendly_name": "All lamps", "members": members}
    await z2m.publish(f"{BASE}/bridge/groups", [group], retained=True)
    await z2m.publish(f"{BASE}/All lamps", {"state": "ON", "brightness": 254})
    assert await z2m.get("All_lamps/state") is True
    assert await z2m.get("All_lamps/power") == "path_not_found"
    info = await z2m.get("All_lamps/info")
    assert (info["kind"], info["members"], info["id"]) == ("group", 2, "group 3")
    await z2m.set("All_lamps/state", False)
    assert z2m.sent == [(f"{BASE}/All lamps/set", {"state": "OFF"})]


async def test_a_group_of_unlike_members_has_no_values(z2m):
    members = [{"ieee_address": "0x1111"}, {"ieee_address": "0x3333"}]
    groups = [{"id": 1, "friendly_name": "Mixed", "members": members}, {"id": 2, "members": []}]
    await z2m.publish(f"{BASE}/bridge/groups", groups, retained=True)
    assert await z2m.get("Mixed/state") == "path_not_found"
    assert (await z2m.get("Mixed/info"))["members"] == 2
    assert (await z2m.get("2/info"))["name"] == "2"


async def test_a_device_is_offline_according_to_its_availability(z2m, advance):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await z2m.publish(f"{BASE}/Hall lamp/availability", {"state": "online"}, retained=True)
    assert await z2m.get("Hall_lamp/online") is True
    await z2m.publish(f"{BASE}/Hall lamp/availability", {"state": "offline"}, retained=True)
    await advance(2.1)
    assert await z2m.get("Hall_lamp/online") is False
    assert await z2m.get("Hall_lamp/state") == "state_unknown"
    assert "Hall lamp is offline" in await z2m.refused(z2m.set("Hall_lamp/state", True))
    await z2m.publish(f"{BASE}/Hall lamp/availability", "online", retained=True)  # older versions
    assert await z2m.get("Hall_lamp/state") is True


async def test_all_devices_are_offline_while_zigbee2mqtt_is(z2m, advance):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await z2m.publish(f"{BASE}/Hall lamp/availability", {"state": "online"}, retained=True)
    await z2m.publish(f"{BASE}/Front door", {"contact": True})
    await z2m.publish(f"{BASE}/bridge/state", {"state": "offline"}, retained=True)
    await advance(2.1)
    assert await z2m.get("Hall_lamp/state") == "state_unknown"
    assert await z2m.get("Front_door/contact") == "state_unknown"
    assert await z2m.get("bridge/zigbee2mqtt/online") is False
    assert await z2m.refused(z2m.set("Hall_lamp/state", True)) == "zigbee2mqtt is offline"
    assert await z2m.refused(z2m.call("Hall_lamp/set", {})) == "zigbee2mqtt is offline"
    await z2m.publish(f"{BASE}/bridge/state", {"state": "online"}, retained=True)
    assert await z2m.get("Hall_lamp/state") is True
    assert await z2m.get("Front_door/contact") is True


async def test_a_short_restart_of_zigbee2mqtt_changes_nothing(z2m, advance):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await z2m.publish(f"{BASE}/Hall lamp/availability", {"state": "online"}, retained=True)
    await z2m.hear("Hall_lamp/state", "Hall_lamp/online")
    await z2m.publish(f"{BASE}/bridge/state", {"state": "offline"}, retained=True)
    await advance(1)
    await z2m.publish(f"{BASE}/bridge/state", {"state": "online"}, retained=True)
    await advance(10)
    assert z2m.heard == []


async def test_an_offline_device_stays_offline_when_zigbee2mqtt_comes_back(z2m, advance):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await z2m.publish(f"{BASE}/Hall lamp/availability", {"state": "offline"}, retained=True)
    await advance(3)
    await z2m.hear("Hall_lamp/state", "Hall_lamp/online")
    for state in ("offline", "online"):
        await z2m.publish(f"{BASE}/bridge/state", {"state": state}, retained=True)
        await advance(3)
    assert z2m.heard == []


async def test_devices_that_are_read_while_zigbee2mqtt_is_offline_are_offline(house, advance):
    await house.publish(f"{BASE}/bridge/state", {"state": "offline"}, retained=True)
    await declare(house, LAMP)
    await house.publish(f"{BASE}/Hall lamp", {"state": "ON"}, retained=True)
    await advance(2.1)
    assert await house.get("Hall_lamp/state") == "state_unknown"


async def test_a_renamed_device_moves_and_keeps_its_values(z2m):
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await declare(z2m, {**LAMP, "friendly_name": "Küche/Lampe"}, REMOTE)
    assert await z2m.get("Kuche/Lampe/state") is True
    assert await z2m.get("Hall_lamp/state") == "path_not_found"
    await z2m.publish(f"{BASE}/Küche/Lampe", {"state": "OFF"})
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    assert await z2m.get("Kuche/Lampe/state") is False
    await z2m.set("Kuche/Lampe/state", True)
    assert z2m.sent == [(f"{BASE}/Küche/Lampe/set", {"state": "ON"})]
    assert (await z2m.get("Kuche/Lampe/info"))["name"] == "Küche/Lampe"


async def test_two_devices_exchange_their_names_at_once(z2m):
    await z2m.publish(f"{BASE}/Front door", {"contact": True, "battery": 5})
    await z2m.publish(f"{BASE}/Remote", {"battery": 9})
    remote, door = ({**REMOTE, "friendly_name": "Front door"}, {**DOOR, "friendly_name": "Remote"})
    await declare(z2m, remote, door)
    assert await z2m.get("Front_door/battery") == 9
    assert await z2m.get("Front_door/contact") == "path_not_found"
    assert await z2m.get("Remote/contact") is True
    await z2m.publish(f"{BASE}/Remote", {"contact": False})
    assert await z2m.get("Remote/contact") is False


async def test_a_removed_or_disabled_device_is_gone(z2m):
    await z2m.hear("Hall_lamp/state")
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    await declare(z2m, {**REMOTE, "disabled": True}, DOOR)
    assert z2m.heard[-1] == ("Hall_lamp/state", Unknown)
    assert await z2m.get("Hall_lamp/info") == "path_not_found"
    assert await z2m.get("Remote/info") == "path_not_found"
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    assert (await z2m.get("Front_door/info"))["model"] == "M1"
    await declare(z2m, LAMP)
    await z2m.publish(f"{BASE}/Hall lamp", {"state": "ON"})
    assert await z2m.get("Hall_lamp/state") is True


async def test_two_devices_with_names_alike_get_different_paths(house):
    await declare(house, device("0xa1", "Lamp 1", LIGHT), device("0xb2", "Lamp-1", LIGHT))
    await house.publish(f"{BASE}/Lamp 1", {"state": "ON"})
    await house.publish(f"{BASE}/Lamp-1", {"state": "OFF"})
    assert await house.get("Lamp_1/state") is True
    assert await house.get("Lamp_1_0xb2/state") is False


async def test_the_info_describes_the_device(z2m):
    more = {"power_source": "Battery", "software_build_id": "2.3", "description": "at the wall"}
    await declare(z2m, {**REMOTE, **more})
    info = await z2m.get("Remote/info")
    assert info == {
        "id": "0x2222",
        "name": "Remote",
        "kind": "zigbee",
        "model": "M1",
        "vendor": "Acme",
        "description": "at the wall",
        "firmware": "2.3",
        "power": "Battery",
    }


async def test_a_device_without_a_definition_has_only_facts(house):
    unknown = {"ieee_address": "0x9", "type": "EndDevice", "definition": None, "model_id": "X9"}
    await declare(house, unknown)
    assert (await house.get("0x9/info"))["model"] == "X9"


async def test_an_unreadable_feature_is_named_once_in_the_log_and_in_the_info(house, caplog):
    odd = {"type": "hologram", "name": "odd", "property": "odd", "access": 1}
    for _ in range(2):
        await declare(house, device("0x7", "Odd", odd, binary("state")))
    await house.publish(f"{BASE}/Odd", {"odd": 1, "state": "ON"})
    assert await house.get("Odd/state") is True
    assert (await house.get("Odd/info"))["unread"] == ["hologram odd"]
    assert caplog.messages == ["Odd: can't read hologram odd"]


async def test_a_request_is_answered_with_the_data_of_the_response(z2m):
    def respond(topic, payload):
        what = topic.removeprefix(f"{BASE}/bridge/request/")
        status = {"status": "ok", "data": {"to": payload.get("to")}}
        if what == "device/remove":
            status = {"status": "error", "error": "no such device", "data": {}}
        elsewhere = {"transaction": "another", "status": "error"}
        z2m.publish_now(f"{BASE}/bridge/response/{what}", elsewhere)
        z2m.publish_now(
            f"{BASE}/bridge/response/{what}", {**status, "transaction": payload["transaction"]}
        )

    z2m.on_sent = respond
    call = "bridge/zigbee2mqtt/request/"
    assert await z2m.call(f"{call}device/rename", {"from": "a", "to": "b"}) == {"to": "b"}
    assert "device/remove: no such device" in await z2m.refused(
        z2m.call(f"{call}device/remove", {"id": "x"})
    )
    assert "a map with the fields" in await z2m.refused(z2m.call(f"{call}restart", 3))


async def test_a_request_without_a_response_is_an_error(z2m, advance):
    request = asyncio.ensure_future(z2m.refused(z2m.call("bridge/zigbee2mqtt/request/restart")))
    await advance(10.1)
    assert await request == "restart: no response in 10 s"


async def test_joining_and_leaving_devices_are_events_of_the_bridge(z2m):
    await z2m.listen("bridge/zigbee2mqtt/event")
    joined = {"friendly_name": "New", "ieee_address": "0x8", "endpoints": {}}
    await z2m.publish(f"{BASE}/bridge/event", {"type": "device_joined", "data": joined})
    await z2m.publish(f"{BASE}/bridge/event", {"type": "odd", "data": 3})
    await z2m.publish(f"{BASE}/bridge/event", [])
    assert [payload for _, payload in z2m.heard] == [
        {"type": "device_joined", "friendly_name": "New", "ieee_address": "0x8"},
        {"type": "odd"},
    ]


@pytest.mark.parametrize("before", [True, False])
async def test_values_on_topics_of_their_own_are_read(house, before):
    info = {"config": {"advanced": {"output": "attribute"}}}
    if before:
        await house.publish(f"{BASE}/bridge/info", info, retained=True)
    await declare(house, LAMP, REMOTE)
    if not before:
        await house.publish(f"{BASE}/bridge/info", info, retained=True)
    await house.listen("Remote/action")
    await house.publish(f"{BASE}/Hall lamp/state", "ON")
    await house.publish(f"{BASE}/Hall lamp/brightness", "127")
    await house.publish(f"{BASE}/Hall lamp/linkquality", "3")
    await house.publish(f"{BASE}/Remote/action", "off")
    assert await house.get("Hall_lamp/state") is True
    assert await house.get("Hall_lamp/brightness") == 0.5
    assert house.heard == [("Remote/action", "off")]


async def test_an_action_that_is_received_on_two_topics_is_emitted_once(house):
    info = {"config": {"advanced": {"output": "attribute_and_json"}}}
    await house.publish(f"{BASE}/bridge/info", info, retained=True)
    await declare(house, REMOTE)
    await house.listen("Remote/action")
    await house.publish(f"{BASE}/Remote", {"action": "on"})
    await house.publish(f"{BASE}/Remote/action", "on")
    assert house.heard == [("Remote/action", "on")]


async def test_devices_that_have_not_reported_are_asked_one_after_the_other(house, advance):
    switch = {"type": "switch", "features": [binary("state_left", access=7)]}
    await declare(house, LAMP, REMOTE, DOOR, device("0x8", "Switch", switch))
    await house.publish(f"{BASE}/Front door", {"contact": True})
    await advance(1.9)
    assert house.sent == []
    await advance(0.2)
    assert house.sent == [(f"{BASE}/Hall lamp/get", {"state": ""})]
    await advance(0.2)
    assert house.sent[1:] == [(f"{BASE}/Switch/get", {"state_left": ""})]


async def test_two_zigbee2mqtt_may_have_the_same_device(advance):
    async with bridged_house(advance, zigbee2mqtt=("z1", "z2")) as house:
        for base, state in (("z1", "ON"), ("z2", "OFF")):
            await house.publish(f"{base}/bridge/devices", [LAMP], retained=True)
            await house.publish(f"{base}/Hall lamp", {"state": state})
        assert await house.get("Hall_lamp/state") is True
        assert await house.get("Hall_lamp_1111/state") is False
        await house.publish("z1/bridge/devices", [], retained=True)
        assert await house.get("Hall_lamp/state") == "path_not_found"
        assert await house.get("Hall_lamp_1111/state") is False


async def test_the_description_of_many_devices_is_read(house):
    devices = [device(f"0x{number:x}", f"Lamp {number}", LIGHT) for number in range(400)]
    assert len(json.dumps(devices)) > 256 * 1024
    await declare(house, *devices)
    await house.publish(f"{BASE}/Lamp 399", {"state": "ON"})
    assert await house.get("Lamp_399/state") is True


async def test_each_of_several_partial_messages_counts(z2m):
    for part in ({"brightness": 127}, {"color_temp": 250}, {"color": {"x": 1}}, {"state": "OFF"}):
        z2m.publish_now(f"{BASE}/Hall lamp", part)
    await z2m.settle()
    assert await z2m.get("Hall_lamp/brightness") == 0.5
    assert await z2m.get("Hall_lamp/color_temp") == 4000.0
    assert await z2m.get("Hall_lamp/color") == {"x": 1.0}
    assert await z2m.get("Hall_lamp/state") is False
