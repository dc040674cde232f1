"""Malformed and hostile messages: each is logged once, and has no other effect."""

import asyncio
import json
import logging

import pytest

from eshet import Unknown

pytestmark = pytest.mark.usefixtures("without_jinja")

DEEP = b"[" * 100_000
DEEP_MAP = b'{"state":' * 200 + b"1" + b"}" * 200
HUGE_INTEGER = b'{"state": "ON", "brightness": %s}' % (b"9" * 100)
ENDLESS_INTEGER = b'{"brightness": %s}' % (b"9" * 5000)
LARGE = b'"' + b"x" * 300_000 + b'"'
DISCOVERY = "homeassistant/sensor/evil/config"
DEVICES = "zigbee2mqtt/bridge/devices"


def lamp(address="0x1", name="Lamp", **more):
    state = {"type": "binary", "property": "state", "access": 7, "value_on": "ON", "value_off": "x"}
    level = {"type": "numeric", "name": "brightness", "property": "brightness", "access": 7}
    exposes = [{"type": "light", "features": [state, {**level, "value_max": 254}]}]
    return {
        "ieee_address": address,
        "friendly_name": name,
        "definition": {"exposes": exposes},
        **more,
    }


def sensor(**more):
    device = {"ids": "good", "name": "Good"}
    return {"name": "T", "stat_t": "good/t", "unit_of_meas": "W", "dev": device, **more}


def evil(**more):
    return sensor(**{"dev": {"ids": "evil", "name": "Evil"}, "name": "E", **more})


@pytest.fixture
async def good(house):
    """A bridge with a device of each family, all of which have reported."""
    await house.publish("zigbee2mqtt/bridge/state", "online", retained=True)
    await house.publish(DEVICES, [lamp()], retained=True)
    await house.publish("zigbee2mqtt/Lamp", {"state": "ON", "brightness": 254})
    tasmota = {"t": "plug", "dn": "Plug", "rl": [1], "state": ["OFF", "ON"]}
    await house.publish("tasmota/discovery/AB/config", tasmota, retained=True)
    await house.publish("tele/plug/STATE", {"POWER": "ON"})
    await house.publish("shellies/shelly1/relay/0", "on")
    await house.publish("homeassistant/sensor/good/config", sensor(uniq_id="u"), retained=True)
    await house.publish("good/t", "5")
    await house.settle()
    return house


VALUES = {
    "Lamp/state": True,
    "Lamp/brightness": 1.0,
    "Plug/POWER": True,
    "shelly1/relay_0": True,
    "Good/T": 5.0,
}

MESSAGES = [
    # Not JSON, or hardly.
    ("zigbee2mqtt/Lamp", b"{"),
    ("zigbee2mqtt/Lamp", b'{"state": "ON",}'),
    ("zigbee2mqtt/Lamp", b"\xff\xfe\x00"),
    ("zigbee2mqtt/Lamp", b'{"brightness": NaN}'),
    ("zigbee2mqtt/Lamp", b'{"brightness": Infinity}'),
    ("zigbee2mqtt/Lamp", b'{"brightness": 1e999}'),
    ("zigbee2mqtt/Lamp", b'{"state": "\\ud800"}'),
    ("zigbee2mqtt/Lamp", DEEP),
    ("zigbee2mqtt/Lamp", DEEP_MAP),
    ("zigbee2mqtt/Lamp", LARGE),
    ("zigbee2mqtt/Lamp", ENDLESS_INTEGER),
    ("tele/plug/STATE", DEEP),
    ("tele/plug/SENSOR", b"\xff"),
    ("shellies/announce", DEEP),
    ("shellies/shelly1/input_event/0", b"{"),
    ("shellyplus1-x/events/rpc", DEEP),
    ("eshet/house/bridge/rpc", b"\xff"),
    (DISCOVERY, b"{"),
    (DISCOVERY, DEEP),
    (DEVICES, b"["),
    ("zigbee2mqtt/bridge/groups", DEEP),
    ("zigbee2mqtt/bridge/info", b"nothing"),
    ("tasmota/discovery/AB/config", b"{"),
    ("tasmota/discovery/AB/config", b"{}"),
    # JSON of other types.
    ("zigbee2mqtt/Lamp", b'{"state": {"a": []}, "brightness": "x"}'),
    (DISCOVERY, b"[]"),
    (DISCOVERY, json.dumps(evil(dev=5))),
    (DISCOVERY, json.dumps(evil(o="me"))),
    (DISCOVERY, json.dumps(evil(stat_t={"a": 1}))),
    (DISCOVERY, json.dumps(evil(stat_t="a/#"))),
    (DISCOVERY, json.dumps(evil(avty_t="a/+"))),
    (DISCOVERY, json.dumps(evil(stat_t="a\n"))),
    (DISCOVERY, json.dumps(evil(avty_t="a\x7f"))),
    (DISCOVERY, json.dumps(evil(stat_t="a/" * 200))),
    (DISCOVERY, json.dumps(evil(stat_t="$share/a"))),
    ("tasmota/discovery/evil/config", json.dumps({"t": "a\nb", "rl": [1]})),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "two\nlines")])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "a/" * 200)])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "+" * 60_000)])),
    (DISCOVERY, json.dumps(evil(uniq_id="u"))),
    (DISCOVERY, json.dumps(evil(val_tpl="{{ value"))),
    (DISCOVERY, json.dumps(evil(val_tpl="{% if value %}"))),
    (DISCOVERY, json.dumps(evil(val_tpl="{{" * 2000))),
    (DISCOVERY, json.dumps(evil(val_tpl="{{ " + "(" * 1000 + " }}"))),
    (DISCOVERY, json.dumps(evil(val_tpl="x" * 100_000))),
    (DISCOVERY, json.dumps(evil(val_tpl="{% for x in range(10**9) %}{% endfor %}"))),
    ("homeassistant/device/evil/config", json.dumps({"dev": {"ids": "evil"}, "cmps": []})),
    ("homeassistant/device/evil/config", json.dumps({"dev": {"ids": "e"}, "cmps": {"a": 5}})),
    ("homeassistant/nothing/evil/config", json.dumps(evil())),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "a/+/b")])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "Odd", definition={"exposes": "abc"})])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "Odd", definition={"exposes": [{"type": []}]})])),
]

IGNORED = [
    ("zigbee2mqtt/Lamp", b"[]"),
    ("zigbee2mqtt/Lamp", b"3"),
    ("zigbee2mqtt/Lamp", b""),
    ("zigbee2mqtt/Lamp", b'{"other": %s}' % (b"9" * 100)),
    ("zigbee2mqtt/Lamp/availability", b"\xff"),
    ("zigbee2mqtt/bridge/info", b""),
    ("zigbee2mqtt/bridge/groups", b""),
    (DEVICES, b""),
    ("zigbee2mqtt/bridge/state", b"\xff"),
    ("zigbee2mqtt/bridge/info", b'{"config": {"advanced": []}}'),
    ("zigbee2mqtt/bridge/info", b'{"config": 5}'),
    ("zigbee2mqtt/bridge/event", b'[{"type": 3}]'),
    ("zigbee2mqtt/bridge/response/x", b'{"transaction": {}}'),
    ("zigbee2mqtt/bridge/groups", b'[3, {"id": []}, {"id": 1, "members": "abc"}]'),
    ("zigbee2mqtt/bridge/groups", b'[{"id": 1, "members": [{"ieee_address": {}}, 5]}]'),
    (DEVICES, json.dumps([lamp(), 5, None, [], {"ieee_address": {"a": 1}, "friendly_name": []}])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "Odd", definition="abc")])),
    (DEVICES, json.dumps([lamp(), lamp("0x2", "Odd", definition={"model": {}, "exposes": []})])),
    ("tele/plug/STATE", b"[]"),
    ("tele/plug/STATE", b""),
    ("tele/plug/STATE", '{"POWER²": "ON", "POWER": 7}'.encode()),
    ("tele/plug/LWT", b"\xff"),
    ("stat/plug/RESULT", DEEP),
    ("stat/plug/RESULT", b'{"StatusSNS": []}'),
    ("stat/plug/POWER", b"\xff"),
    ("tasmota/discovery/AB/sensors", b'{"sn": []}'),
    ("shellies/shelly1/online", b"\xff"),
    ("shellies/announce", b'{"id": {}}'),
    ("shellies/shelly1/input_event/0", b'{"event": "S", "event_cnt": "many"}'),
    ("shellies/shelly1/input_event/0", b'{"event": ["S"]}'),
    ("shellyplus1-x/online", b"\xff"),
    ("eshet/house/bridge/rpc", b'{"id": [1]}'),
    (DISCOVERY, json.dumps(evil(avty=[5, {"t": None}], stat_t="e"))),
    ("good/t", b""),
]


@pytest.mark.parametrize(("topic", "payload"), MESSAGES)
async def test_a_malformed_message_is_logged_once_and_has_no_other_effect(
    good, caplog, topic, payload
):
    await good.hear(*VALUES)
    caplog.clear()
    for _ in range(3):
        await good.publish(topic, payload)
    messages = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(messages) in (1, 2), messages  # two values of one device are named each
    assert all(len(message) < 700 for message in messages)
    await assert_undisturbed(good)


@pytest.mark.parametrize(("topic", "payload"), IGNORED)
async def test_an_odd_message_is_ignored(good, caplog, topic, payload):
    await good.hear(*VALUES)
    caplog.clear()
    for _ in range(2):
        await good.publish(topic, payload)
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    assert good.bridge.connection.failed == 0
    await assert_undisturbed(good)


async def assert_undisturbed(house):
    """Check that no value has changed, and that all devices still work."""
    await house.advance(5)
    assert house.heard == []
    assert {name: await house.get(name) for name in VALUES} == VALUES
    await house.publish("zigbee2mqtt/Lamp", {"state": "x"})
    await house.publish("tele/plug/STATE", {"POWER": "OFF"})
    await house.publish("shellies/shelly1/relay/0", "off")
    await house.publish("good/t", "6")
    changed = {**VALUES, "Good/T": 6.0, "Lamp/state": False}
    changed |= {"Plug/POWER": False, "shelly1/relay_0": False}
    assert {name: await house.get(name) for name in VALUES} == changed


async def test_an_integer_of_a_hundred_digits_is_a_float(good):
    await good.publish("zigbee2mqtt/Lamp", HUGE_INTEGER)
    assert await good.get("Lamp/state") is True
    assert await good.get("Lamp/brightness") == pytest.approx(1e100 / 254)


async def test_a_template_with_an_exploding_result_is_logged_once(good, caplog):
    template = "{{ value" + f" | replace('x', '{'x' * 90}')" * 10 + " }}"
    await good.publish(DISCOVERY, evil(stat_t="e", val_tpl=template))
    caplog.clear()
    for _ in range(3):
        await good.publish("e", "x" * 60_000)
    assert caplog.messages == ["e: a text of more than 65536 characters"]
    await assert_undisturbed(good)


@pytest.mark.parametrize(
    "name", ["bridge", "topic", "Lamp", "Plug", "x" * 100_000, "/", "..", "灯"]
)
async def test_a_device_with_any_name_does_not_affect_others(good, name):
    await good.publish(DISCOVERY, evil(dev={"ids": ["0x1"], "name": name}, stat_t="e"))
    await good.publish("e", "9")
    await good.hear(*VALUES)
    await assert_undisturbed(good)
    assert (await good.get("bridge/info"))["broker"] == "mqtt://memory"


async def test_a_device_with_the_id_and_name_of_another_family_does_not_affect_it(good):
    await good.hear(*VALUES)
    steals = evil(dev={"ids": ["0x1"], "name": "Lamp"}, name="state", stat_t="e")
    await good.publish(DISCOVERY, steals, retained=True)
    await good.publish("tasmota/discovery/0x1/config", {"t": "evil", "dn": "Lamp"}, retained=True)
    await good.publish("e", "9")
    await good.publish(DISCOVERY, "", retained=True)
    await good.publish("tasmota/discovery/0x1/config", "", retained=True)
    await assert_undisturbed(good)


async def test_a_device_with_thousands_of_values_is_cut(good, caplog):
    sensors = {f"S{number}": number for number in range(9000)}
    await good.publish("tasmota/discovery/AB/sensors", {"sn": sensors})
    assert caplog.messages == ["Plug has more than 4000 nodes: only some are shown"]
    assert await good.get("Plug/S1000") == "state_unknown"
    assert await good.get("Plug/S5000") == "path_not_found"


async def test_thousands_of_devices_are_read(good):
    for number in range(2_000):
        device = {"ids": f"d{number}", "name": f"Device {number}"}
        config = {"stat_t": f"d/{number}", "dev": device, "stat_cla": "measurement"}
        good.publish_now(f"homeassistant/sensor/d{number}/config", config, retained=True)
    await good.settle()
    good.publish_now("d/1999", "1")
    await good.settle()
    assert await good.get("Device_1999/sensor") == 1
    assert good.bridge.device_count == 2_004
    await good.hear("Device_1999/sensor")
    for number in range(2_000):
        good.publish_now(f"homeassistant/sensor/d{number}/config", "", retained=True)
    await good.settle()
    assert good.heard == [("Device_1999/sensor", Unknown)]
    assert good.bridge.device_count == 4


async def test_very_many_devices_of_each_family_are_cut(good, monkeypatch, caplog):
    monkeypatch.setattr("eshet.bridges.tree.MAX_DEVICES", 20)
    await good.hear(*VALUES)
    caplog.clear()
    for _ in range(2):
        await good.publish(DEVICES, [lamp(), *(lamp(f"0x{n}", f"Z{n}") for n in range(10, 50))])
        for number in range(30):
            device = {"ids": f"d{number}", "name": f"D{number}"}
            await good.publish(f"homeassistant/sensor/d{number}/config", evil(dev=device))
            config = {"t": f"t{number}", "dn": f"T{number}", "rl": [1]}
            await good.publish(f"tasmota/discovery/{number}/config", config)
            await good.publish(f"shellies/s{number}/relay/0", "on")
            await good.publish(f"shellyplus-{number}/online", "true")
    assert good.bridge.device_count == 4 * 20
    named = [each.getMessage() for each in caplog.records]
    assert len([each for each in named if "there are 20 devices already" in each]) == 5
    await assert_undisturbed(good)


async def test_very_many_values_of_a_shelly_are_cut(good, caplog):
    for number in range(300):
        await good.publish(f"shellies/shelly1/relay/{number}", "on")
        await good.publish(f"shellies/shelly1/input_event/{number}", {"event": "S"})
    assert len([each for each in caplog.messages if "200 values already" in each]) == 2
    await good.hear(*VALUES)
    await assert_undisturbed(good)


async def test_descriptions_of_sensors_without_a_device_are_not_kept(good):
    for number in range(300):
        await good.publish(f"tasmota/discovery/{number}/sensors", {"sn": {"T": number}})
    for number in (0, 299):
        config = {"t": f"t{number}", "dn": f"T{number}", "rl": [1]}
        await good.publish(f"tasmota/discovery/{number}/config", config)
    assert await good.get("T0/T") == "path_not_found"
    assert await good.get("T299/T") == "state_unknown"


async def test_devices_are_published_in_turns_that_newer_descriptions_replace(good, monkeypatch):
    """Also if two devices exchange their names in the middle of the first description."""
    monkeypatch.setattr("eshet.bridges.mqtt.zigbee2mqtt._TURN", -1)  # one device in each turn
    first = [lamp(f"0x{n}", f"Z{n}") for n in range(2, 100)]
    await good.publish(DEVICES, first)
    await good.publish("zigbee2mqtt/Z98", {"state": "ON"})
    await good.publish("zigbee2mqtt/Z99", {"state": "x"})
    assert (await good.get("Z98/state"), await good.get("Z99/state")) == (True, False)
    good.publish_now(DEVICES, [*first[:-2], lamp("0x98", "Z99"), lamp("0x99", "Z98")])
    for _ in range(1000):
        await asyncio.sleep(0)
        if not good.bridge.tree.registrations.has("/mqtt/house/Z98/state"):
            break
    good.publish_now(DEVICES, first)
    await good.settle()
    assert (await good.get("Z98/state"), await good.get("Z99/state")) == (True, False)


async def test_thousands_of_devices_become_unknown_in_several_steps_of_the_loop(good, monkeypatch):
    """So that other tasks run between them, at the end of zigbee2mqtt and of the broker."""
    many = [lamp(f"0x{n}", f"Z{n}") for n in range(1, 500)]
    await good.publish(DEVICES, many)
    for each in many:
        good.publish_now(f"zigbee2mqtt/{each['friendly_name']}", {"state": "ON"})
    await good.settle()
    client = good.bridge.tree.client
    send, sent = client.send_now, []

    def count(*request):
        sent[-1] += 1
        return send(*request)

    monkeypatch.setattr(client, "send_now", count)
    sent[:] = [0]
    await good.publish("zigbee2mqtt/bridge/state", "offline")
    await good.advance(1.99)
    for _ in range(50):
        sent.append(0)
        await good.advance(0.01)
    assert sum(sent) >= 2 * 499
    assert max(sent) < 400
    assert await good.get("Z499/state") == "state_unknown"
    await good.publish("zigbee2mqtt/bridge/state", "online")
    assert await good.get("Z499/state") is True
    sent[:] = [0]
    good.bridge.tree.set_reachable(False)
    for _ in range(50):
        sent.append(0)
        await asyncio.sleep(0)
    assert sum(sent) >= 499
    assert max(sent) < 400
    assert await good.get("Z499/state") == "state_unknown"
