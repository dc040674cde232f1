"""Messages with a value of a wrong type at any place: logged errors, and no other effect."""

import asyncio
import copy

import pytest

from tests.eshet.bridges.mqtt.test_shelly_rpc import STATUS, Shelly
from tests.support.bridged import bridged_house

ODD = [
    None, True, 0, -1, 10**30, 1e308, "", "x", "a/+/#", "\0", "{{ x", "²", "9" * 400,
    [], [[]], [None, {}], {}, {"a": {"b": []}}, {"id": []}, "Küche" * 5000,
]  # fmt: skip


def places(value, before=()):
    """Yield the place of each value in a message, and of the message itself."""
    yield before
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*before, key))


def replaced(message, place, odd):
    """Return a copy of a message with another value at a place."""
    if not place:
        return odd
    changed = copy.deepcopy(message)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return changed


def missing(message, place):
    """Return a copy of a message without the value at a place."""
    changed = copy.deepcopy(message)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


def wrong(message):
    """Yield the messages with something wrong at one place."""
    for place in places(message):
        for odd in ODD:
            yield replaced(message, place, odd)
        if place:
            yield missing(message, place)


STATE = {
    "type": "binary", "name": "state", "property": "state", "access": 7,
    "value_on": "ON", "value_off": "OFF",
}  # fmt: skip
LEVEL = {
    "type": "numeric", "name": "brightness", "property": "brightness", "access": 7,
    "value_min": 0, "value_max": 254, "value_step": 1, "unit": "%",
}  # fmt: skip
WARMTH = {**LEVEL, "name": "color_temp", "property": "color_temp"}
COLOR = {
    "type": "composite", "name": "color_xy", "property": "color", "access": 7,
    "features": [{"type": "numeric", "name": "x", "access": 7}],
}  # fmt: skip
ACTION = {
    "type": "enum", "name": "action", "property": "action", "access": 1, "values": ["on", 1],
}  # fmt: skip
ZIGBEE = [
    {
        "ieee_address": "0x1", "type": "Router", "friendly_name": "Lamp", "disabled": False,
        "description": "x", "power_source": "Mains",
        "definition": {
            "model": "M", "vendor": "V", "description": "d",
            "exposes": [{"type": "light", "features": [STATE, LEVEL, WARMTH, COLOR]}, ACTION],
        },
    }
]  # fmt: skip
GROUPS = [{"id": 1, "friendly_name": "All", "members": [{"ieee_address": "0x1", "endpoint": 1}]}]
REPORT = {
    "state": "ON", "brightness": 3, "color_temp": 250, "color": {"x": 0.1}, "action": "on",
    "action_transaction": 3,
}  # fmt: skip
TASMOTA = {
    "ip": "1.2.3.4", "dn": "Plug", "fn": ["A"], "hn": "h", "mac": "AB", "md": "M", "t": "plug",
    "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": [1, 2, 3, 3],
    "state": ["OFF", "ON"], "onln": "Online", "ofln": "Offline", "sw": "14",
    "so": {"73": 1, "114": 1}, "btn": [1], "swc": [1], "lt_st": 5,
}  # fmt: skip
SENSORS = {"sn": {"Time": "x", "AM": {"Temperature": 20, "Id": "x"}, "TempUnit": "F"}, "ver": 1}
TELE = {
    "POWER1": "ON", "Dimmer": 50, "CT": 250, "HSBColor": "1,2,3", "Wifi": {"RSSI": 3},
    "Shutter1": {"Position": 3}, "AM": {"Temperature": 68}, "Button1": {"Action": "SINGLE"},
}  # fmt: skip
DEVICE = {"ids": ["d"], "cns": [["mac", "a"]], "name": "D", "mf": "A", "mdl": "M", "sw": "1"}
ENTITY = {
    "name": "X", "uniq_id": "u", "dev": DEVICE, "o": {"name": "o"}, "~": "base",
    "avty": [{"t": "~/on", "pl_avail": "online", "val_tpl": "{{ value }}"}], "avty_mode": "all",
}  # fmt: skip
WHOLE = {
    "dev": DEVICE, "o": {"name": "o"}, "avty_t": "d/on", "stat_t": "d/s",
    "cmps": {
        "a": {"p": "sensor", "name": "A", "val_tpl": "{{ value_json.a }}", "unit_of_meas": "W"},
        "b": {"p": "number", "name": "B", "cmd_t": "d/b", "min": 0, "max": 5, "step": 1},
    },
}  # fmt: skip
LIGHT = {
    **ENTITY, "uniq_id": "light", "stat_t": "~/s", "cmd_t": "~/c",
    "bri_stat_t": "~/b", "bri_cmd_t": "~/b/c",
    "bri_scl": 100, "clr_temp_stat_t": "~/t", "clr_temp_cmd_t": "~/t/c", "min_mirs": 1,
    "max_mirs": 5, "rgb_stat_t": "~/r", "fx_list": ["a"], "fx_cmd_t": "~/f",
}  # fmt: skip
JSON_LIGHT = {
    **ENTITY, "uniq_id": "json_light", "schema": "json", "stat_t": "~/j", "cmd_t": "~/c",
    "sup_clrm": ["xy", "color_temp"], "bri_scl": 100, "fx_list": ["a"],
}  # fmt: skip
COVER = {
    **ENTITY,
    "uniq_id": "cover",
    "pos_t": "~/p",
    "set_pos_t": "~/p/c",
    "pos_open": 1,
    "pos_clsd": 0,
}
EVENT = {**ENTITY, "uniq_id": "event", "stat_t": "~/e", "evt_typ": ["a"]}
SHELLY1 = {"id": "shelly1", "model": "M", "ip": "1", "fw_ver": "1"}
NOTIFIED = {
    "src": "x", "method": "NotifyStatus",
    "params": {"ts": 1.0, "switch:0": {"id": 0, "output": True, "aenergy": {"total": 1}}},
}  # fmt: skip
NOTIFIED_EVENT = {
    "src": "x", "method": "NotifyEvent",
    "params": {"ts": 1.0, "events": [{"component": "input:0", "event": "single_push", "ts": 1}]},
}  # fmt: skip
READY = {"temperature": 5, "brightness": 5, "color_temp": 3, "color": {"x": 1}, "effect": "a"}

MESSAGES = {
    "zigbee2mqtt/bridge/devices": ZIGBEE,
    "zigbee2mqtt/bridge/groups": GROUPS,
    "zigbee2mqtt/bridge/info": {"config": {"advanced": {"output": "json"}}},
    "zigbee2mqtt/bridge/state": {"state": "online"},
    "zigbee2mqtt/bridge/event": {"type": "x", "data": {"friendly_name": "x", "status": "x"}},
    "zigbee2mqtt/bridge/response/x": {"transaction": "x", "status": "ok", "data": {}},
    "zigbee2mqtt/Lamp": REPORT,
    "zigbee2mqtt/Lamp/availability": {"state": "online"},
    "tasmota/discovery/AB/config": TASMOTA,
    "tasmota/discovery/AB/sensors": SENSORS,
    "tele/plug/STATE": TELE,
    "stat/plug/RESULT": TELE,
    "homeassistant/device/w/config": WHOLE,
    "homeassistant/light/l/config": LIGHT,
    "homeassistant/light/j/config": JSON_LIGHT,
    "homeassistant/cover/c/config": COVER,
    "homeassistant/event/e/config": EVENT,
    "d/s": {"a": 5},
    "base/j": {"state": "ON", **READY},
    "base/e": {"event_type": "a"},
    "base/p": 5,
    "shellies/announce": SHELLY1,
    "shellies/shelly1/input_event/0": {"event": "S", "event_cnt": 1},
    "shellies/shelly1/light/0/status": {"ison": True, "brightness": 40},
    "shellyplus1-z/events/rpc": NOTIFIED,
    "shellyplus1-z/online": True,
    "eshet/house/bridge/rpc": {"id": 1, "src": "x", "result": {}},
}


@pytest.fixture
async def house(advance):
    async with bridged_house(advance) as house:
        shelly = Shelly(house, "shellyplus1-z")
        await shelly.come_online()
        for topic, message in MESSAGES.items():
            await house.publish(topic, message)
        yield house


@pytest.mark.parametrize(
    ("topic", "message"), [*MESSAGES.items(), ("shellyplus1-z/events/rpc", NOTIFIED_EVENT)]
)
async def test_a_value_of_a_wrong_type_affects_no_other(house, caplog, topic, message):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    for each in wrong(message):
        await house.publish(topic, each)
        if topic != "d/s" and "config" not in topic:
            continue
        for values in MESSAGES:  # the declared device must still read valid reports
            if values.startswith(("d/", "base/", "tele/")):
                house.publish_now(values, MESSAGES[values])
        await house.settle()
    assert failures == []
    errors = [each.exc_info[1] for each in caplog.records if each.exc_info]
    assert [error for error in errors if not isinstance(error, ValueError)] == []
    await house.publish(topic, message)
    assert house.bridge.connection.connected


@pytest.mark.parametrize("method", ["Shelly.GetDeviceInfo", "Shelly.GetConfig", "Shelly.GetStatus"])
async def test_a_result_of_a_wrong_type_has_no_effect(house, caplog, method):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    results = {
        "Shelly.GetDeviceInfo": {"id": "z", "model": "M", "ver": "1"},
        "Shelly.GetConfig": {"sys": {"device": {"name": "Z"}}},
        "Shelly.GetStatus": STATUS,
    }
    shelly = Shelly(house, "shellyplus1-z")
    for each in wrong(results[method]):
        shelly.results[method] = each
        await shelly.come_online()
    assert failures == []
    assert [each for each in caplog.records if each.exc_info] == []
