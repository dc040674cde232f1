"""Devices with Tasmota: descriptions, reports and commands, with configurable words."""

import asyncio

import pytest

from eshet.bridges.mqtt.tasmota_config import TasmotaConfig

PLUG = {
    "ip": "192.168.1.7",
    "dn": "Plug",
    "fn": ["Plug", None],
    "hn": "tasmota-1",
    "mac": "AABBCCDDEEFF",
    "md": "Sonoff",
    "t": "plug",
    "ft": "%prefix%/%topic%/",
    "tp": ["cmnd", "stat", "tele"],
    "rl": [1, 0, 0],
    "state": ["OFF", "ON", "TOGGLE", "HOLD"],
    "onln": "Online",
    "ofln": "Offline",
    "sw": "14.1.0",
    "so": {"73": 0, "114": 0},
    "btn": [0, 0],
    "swc": [-1, -1],
    "lt_st": 0,
    "ver": 1,
}


async def describe(house, mac="AABBCCDDEEFF", sensors=None, **changes):
    """Send the description of a device, and discard the requests of the bridge to it."""
    discovery = f"tasmota/discovery/{mac}"
    await house.publish(f"{discovery}/config", {**PLUG, **changes}, retained=True)
    if sensors is not None:
        await house.publish(f"{discovery}/sensors", {"sn": sensors, "ver": 1}, retained=True)
    await house.settle()
    house.sent.clear()


async def test_a_new_device_is_asked_for_the_values_that_it_does_not_retain(house):
    await house.publish("tasmota/discovery/AABBCCDDEEFF/config", PLUG, retained=True)
    await house.settle()
    assert house.sent == [("cmnd/plug/STATE", ""), ("cmnd/plug/STATUS", 10)]


async def test_a_device_is_described(house):
    await describe(house)
    assert await house.get("Plug/info") == {
        "id": "AABBCCDDEEFF",
        "name": "Plug",
        "kind": "tasmota",
        "model": "Sonoff",
        "firmware": "14.1.0",
        "address": "192.168.1.7",
    }


async def test_the_last_will_is_the_availability_of_the_device(house, advance):
    await describe(house)
    await house.publish("tele/plug/STATE", {"POWER": "ON"})
    await house.publish("tele/plug/LWT", "Online", retained=True)
    assert await house.get("Plug/online") is True
    await house.publish("tele/plug/LWT", "Offline", retained=True)
    await advance(2.1)
    assert await house.get("Plug/POWER") == "state_unknown"
    assert await house.get("Plug/online") is False
    await house.publish("tele/plug/LWT", "something else")
    assert await house.get("Plug/online") is False


async def test_a_single_relay_has_no_number(house):
    await describe(house)
    await house.publish("tele/plug/STATE", {"POWER": "ON", "Wifi": {"RSSI": 80}})
    assert await house.get("Plug/POWER") is True
    assert await house.get("Plug/Wifi/RSSI") == 80
    await house.publish("stat/plug/RESULT", {"POWER": "OFF"})
    assert await house.get("Plug/POWER") is False
    await house.publish("stat/plug/POWER1", "ON")  # also written so by some versions
    assert await house.get("Plug/POWER") is True
    await house.publish("stat/plug/POWER", "MAYBE")
    await house.publish("stat/plug/POWER", b"\xff")
    assert await house.get("Plug/POWER") is True
    await house.set("Plug/POWER", False)
    assert house.sent == [("cmnd/plug/POWER", "OFF")]
    assert not [topic for topic in house.broker.retained if topic.startswith("cmnd")]


async def test_several_relays_have_numbers(house):
    await describe(house, rl=[1, 1, 0, 2], lt_st=1)
    await house.publish("tele/plug/STATE", {"POWER1": "ON", "POWER2": "OFF", "Dimmer": 50})
    await house.publish("stat/plug/POWER4", "ON")
    names = ("POWER1", "POWER2", "POWER4", "brightness")
    assert [await house.get(f"Plug/{name}") for name in names] == [True, False, True, 0.5]
    assert await house.get("Plug/POWER3") == "path_not_found"
    await house.set("Plug/POWER2", True)
    assert house.sent == [("cmnd/plug/POWER2", "ON")]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (0, set()),
        (1, {"brightness"}),
        (2, {"brightness", "color_temp"}),
        (3, {"brightness", "color"}),
        (4, {"brightness", "color"}),
        (5, {"brightness", "color", "color_temp"}),
    ],
)
async def test_a_light_has_the_properties_of_its_kind(house, kind, names):
    await describe(house, rl=[2], lt_st=kind)
    found = {
        name
        for name in ("brightness", "color", "color_temp")
        if await house.get(f"Plug/{name}") == "state_unknown"
    }
    assert found == names


async def test_a_light_reports_and_takes_units_of_all_lights(house):
    await describe(house, rl=[2], lt_st=5)
    state = {"POWER": "ON", "Dimmer": 25, "HSBColor": "240,100,25", "CT": 250}
    await house.publish("tele/plug/STATE", state)
    assert await house.get("Plug/brightness") == 0.25
    assert await house.get("Plug/color_temp") == 4000
    assert await house.get("Plug/color") == {"hue": 240, "saturation": 100}
    await house.publish("tele/plug/STATE", {"Dimmer": True, "HSBColor": "red", "CT": 0})
    assert await house.get("Plug/brightness") == 0.25
    await house.set("Plug/brightness", 0.5)
    await house.set("Plug/color_temp", 6536)
    await house.set("Plug/color", {"hue": 120, "saturation": 50})
    assert "a map with hue and saturation" in await house.refused(
        house.set("Plug/color", {"hue": 1})
    )
    assert house.sent == [
        ("cmnd/plug/Dimmer", 50),
        ("cmnd/plug/CT", 153),
        ("cmnd/plug/HSBColor1", 120),
        ("cmnd/plug/HSBColor2", 50),
    ]


async def test_a_shutter_has_a_position_and_actions(house):
    await describe(house, rl=[3, 3, 3, 3])
    await house.publish("tele/plug/SENSOR", {"Shutter1": {"Position": 40, "Direction": 0}})
    await house.publish("stat/plug/RESULT", {"Shutter2": {"Position": 100}})
    assert [await house.get("Plug/Shutter1"), await house.get("Plug/Shutter2")] == [40, 100]
    await house.set("Plug/Shutter2", 75)
    for what in ("Open", "Close", "Stop"):
        await house.call(f"Plug/Shutter{what}1")
    assert house.sent == [
        ("cmnd/plug/ShutterPosition2", 75),
        ("cmnd/plug/ShutterOpen1", ""),
        ("cmnd/plug/ShutterClose1", ""),
        ("cmnd/plug/ShutterStop1", ""),
    ]
    assert await house.get("Plug/POWER1") == "path_not_found"


SENSORS = {
    "Time": "2026-11-29T10:00:00",
    "DS18B20-1": {"Id": "0316", "Temperature": 20.6},
    "ENERGY": {"Total": 1.5, "Power": [3, 4], "Name": "x"},
    "Odd": True,
    "Empty": None,
    "TempUnit": "C",
}


async def test_sensors_are_states_with_units(house):
    await describe(house, sensors=SENSORS)
    await house.publish(
        "tele/plug/SENSOR",
        {
            "DS18B20-1": {"Id": "0316", "Temperature": 21},
            "ENERGY": {"Total": 2, "Power": [5, 6], "Name": "y", "New": 1},
            "Empty": 7,
        },
    )
    assert repr(await house.get("Plug/DS18B20_1/Temperature")) == "21.0"
    assert await house.get("Plug/ENERGY/Total") == 2
    assert await house.get("Plug/ENERGY/Power") == [5, 6]
    assert await house.get("Plug/ENERGY/Name") == "y"
    assert await house.get("Plug/Empty") == 7
    for name in ("Time", "TempUnit", "DS18B20_1/Id", "ENERGY/New", "Odd"):
        assert await house.get(f"Plug/{name}") == "path_not_found", name
    page = await house.call("bridge/devices")
    states = page["devices"][0]["states"]
    assert states["/mqtt/house/Plug/DS18B20_1/Temperature"]["unit"] == "°C"
    assert states["/mqtt/house/Plug/ENERGY/Total"]["unit"] == "kWh"


async def test_the_answer_to_a_question_is_a_report(house):
    await describe(house, sensors=SENSORS)
    await house.publish("stat/plug/STATUS10", {"StatusSNS": {"ENERGY": {"Total": 9}}})
    assert await house.get("Plug/ENERGY/Total") == 9


async def test_fahrenheit_is_converted(house):
    await describe(house, sensors={"AM2301": {"Temperature": 68, "Humidity": 40}, "TempUnit": "F"})
    await house.publish("tele/plug/SENSOR", {"AM2301": {"Temperature": 212, "Humidity": 40}})
    assert await house.get("Plug/AM2301/Temperature") == 100
    assert await house.get("Plug/AM2301/Humidity") == 40


async def test_buttons_and_switches_are_events(house):
    options = {"73": 1, "114": 1}
    await describe(house, so=options, btn=[1, 0, 1], swc=[-1, 2])
    await house.listen("Plug/Button1", "Plug/Button3", "Plug/Switch2")
    await house.publish("stat/plug/RESULT", {"Button1": {"Action": "SINGLE"}})
    await house.publish("stat/plug/RESULT", {"Button3": {"Action": "HOLD"}})
    await house.publish("stat/plug/RESULT", {"Button2": {"Action": "SINGLE"}})
    await house.publish("stat/plug/RESULT", {"Switch2": {"Action": "ON"}})
    await house.publish("stat/plug/RESULT", {"Button1": "odd"})
    assert house.heard == [
        ("Plug/Button1", "SINGLE"),
        ("Plug/Button3", "HOLD"),
        ("Plug/Switch2", "ON"),
    ]


async def test_a_retained_press_did_not_happen_now(house):
    await house.publish("stat/plug/RESULT", {"Button1": {"Action": "SINGLE"}}, retained=True)
    await describe(house, so={"73": 1}, btn=[1])
    await house.listen("Plug/Button1")
    await house.settle()
    assert house.heard == []


async def test_prefixes_and_words_are_those_of_the_user(house, advance):
    await describe(
        house,
        ft="home/%topic%/%prefix%",
        tp=["do", "did", "says"],
        state=["Aus", "An", "Um"],
        onln="da",
        ofln="weg",
    )
    await house.publish("home/plug/says/STATE", {"POWER": "An"})
    assert await house.get("Plug/POWER") is True
    await house.publish("home/plug/did/POWER", "Aus")
    assert await house.get("Plug/POWER") is False
    await house.set("Plug/POWER", True)
    assert house.sent == [("home/plug/do/POWER", "An")]
    await house.publish("home/plug/says/LWT", "weg")
    await advance(2.1)
    assert await house.get("Plug/online") is False
    await house.publish("home/plug/says/LWT", "da")
    assert await house.get("Plug/online") is True


async def test_topics_may_have_the_host_name_and_a_part_of_the_address(house):
    await describe(house, ft="%hostname%-%id%/%prefix%/")
    await house.publish("tasmota-1-DDEEFF/tele/STATE", {"POWER": "ON"})
    assert await house.get("Plug/POWER") is True


async def test_a_command_is_answered_with_its_result(house):
    await describe(house, so={"73": 1}, btn=[1])

    def answer(topic, payload):
        if topic == "cmnd/plug/TelePeriod":
            house.publish_now("stat/plug/RESULT", {"Button1": {"Action": "SINGLE"}})
            house.publish_now("stat/plug/RESULT", {"TelePeriod": payload})

    house.on_sent = answer
    assert await house.call("Plug/command", "TelePeriod", 60) == {"TelePeriod": 60}
    refused = "the name of a command, such as 'Status', and its value"
    for wrong in ((), ("",), ("a/b",), (3,)):
        assert refused in await house.refused(house.call("Plug/command", *wrong))


async def test_commands_are_answered_one_after_the_other(house):
    await describe(house)
    house.on_sent = lambda topic, payload: house.publish_now(
        "stat/plug/RESULT", {topic.rpartition("/")[2]: payload}
    )
    results = await asyncio.gather(
        house.call("Plug/command", "Sleep", 1), house.call("Plug/command", "Fade", 2)
    )
    assert results == [{"Sleep": 1}, {"Fade": 2}]


async def test_a_command_without_a_result_is_an_error(house, advance):
    await describe(house)
    calling = asyncio.ensure_future(house.refused(house.call("Plug/command", "Status")))
    await advance(10.1)
    assert await calling == "Status: no result in 10 s"


async def test_a_device_that_was_removed_is_gone(house):
    await describe(house)
    await house.publish("tasmota/discovery/AABBCCDDEEFF/config", "", retained=True)
    assert await house.get("Plug/info") == "path_not_found"
    await house.publish("tele/plug/STATE", {"POWER": "ON"})
    await describe(house)
    await house.publish("tele/plug/STATE", {"POWER": "ON"})
    assert await house.get("Plug/POWER") is True


async def test_a_description_that_changes_moves_the_device(house):
    await describe(house)
    await house.publish("tele/plug/STATE", {"POWER": "ON"})
    await describe(house, dn="Heater", t="heater")
    assert await house.get("Plug/info") == "path_not_found"
    assert await house.get("Heater/POWER") is True
    await house.publish("tele/plug/STATE", {"POWER": "OFF"})
    assert await house.get("Heater/POWER") is True
    await house.publish("tele/heater/STATE", {"POWER": "OFF"})
    assert await house.get("Heater/POWER") is False


@pytest.mark.parametrize("key", sorted(PLUG.keys() - {"t"}))
@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [None], [[]], {"a": []}, True])
def test_parts_of_a_wrong_type_in_a_description_are_left_out(key, value):
    config = TasmotaConfig.read("AABBCCDDEEFF", {**PLUG, key: value})
    assert config.mac == "AABBCCDDEEFF"
    assert config.name
    assert len(config.topics) == 3


@pytest.mark.parametrize("topic", [None, 7, "", "a/+/b", "#", "a\0", {}])
def test_a_description_without_a_topic_is_an_error(topic):
    with pytest.raises(ValueError, match="topic"):
        TasmotaConfig.read("AABBCCDDEEFF", {**PLUG, "t": topic})
