"""Shelly devices of generation 1: values from their topics, presses, and batteries."""

import pytest

ID = "shellyplug-AB12"
ANNOUNCED = {"id": ID, "model": "SHPLG-1", "mac": "AB12", "ip": "192.168.1.9", "fw_ver": "1.14"}


async def report(house, topic, payload, device=ID, **more):
    await house.publish(f"shellies/{device}/{topic}", payload, **more)


async def test_devices_are_asked_when_the_bridge_is_connected(house, advance):
    house.broker.cut("bridge")
    await advance(10)
    asked = [payload for topic, payload in house.sent if topic == "shellies/command"]
    assert asked == ["announce", "update"]


@pytest.mark.parametrize("topic", ["shellies/announce", f"shellies/{ID}/announce"])
async def test_a_device_announces_itself(house, topic):
    await house.publish(topic, ANNOUNCED)
    assert await house.get("shellyplug_AB12/info") == {
        "id": ID,
        "name": ID,
        "kind": "shelly",
        "vendor": "Shelly",
        "model": "SHPLG-1",
        "address": "192.168.1.9",
        "firmware": "1.14",
    }


@pytest.mark.parametrize(
    ("topic", "payload", "name", "value"),
    [
        ("relay/0", "on", "relay_0", True),
        ("relay/0", "overpower", "relay_0", False),
        ("relay/0/power", "12.5", "relay_0_power", 12.5),
        ("relay/0/energy", "120", "relay_0_energy", 2.0),
        ("emeter/1/total", "5", "emeter_1_total", 5.0),
        ("emeter/1/voltage", "231.2", "emeter_1_voltage", 231.2),
        ("emeter/1/current", "0.5", "emeter_1_current", 0.5),
        ("input/1", "1", "input_1", True),
        ("light/0", "off", "light_0", False),
        ("roller/0", "stop", "roller_0", "stop"),
        ("roller/0/pos", "45", "roller_0_pos", 45),
        ("temperature", "55.1", "temperature", 55.1),
        ("ext_temperature/0", "21", "ext_temperature_0", 21.0),
        ("ext_humidity/0", "50", "ext_humidity_0", 50.0),
        ("sensor/temperature", "19", "sensor_temperature", 19.0),
        ("sensor/humidity", "60.5", "sensor_humidity", 60.5),
        ("sensor/lux", "300", "sensor_lux", 300.0),
        ("sensor/flood", "true", "sensor_flood", True),
        ("sensor/motion", "0", "sensor_motion", False),
        ("sensor/state", "open", "sensor_state", "open"),
        ("overtemperature", "0", "overtemperature", False),
    ],
)
async def test_a_reported_value_is_a_typed_state(house, topic, payload, name, value):
    await report(house, topic, payload)
    read = await house.get(f"shellyplug_AB12/{name}")
    assert (type(read), read) == (type(value), value)


async def test_other_topics_are_not_read(house):
    for topic in ("relay/0/command", "color/0", "a/b/c", "relay/x", "longpush/0"):
        await report(house, topic, "on")
    assert await house.get("shellyplug_AB12/info") == "path_not_found"


async def test_a_payload_of_another_form_is_logged_once(house, caplog):
    await report(house, "relay/0", "on")
    await report(house, "relay/0/energy", "60")
    for payload in ("maybe", "", b"\xff", "nan"):
        await report(house, "relay/0", payload)
        await report(house, "relay/0/energy", payload)
    assert await house.get("shellyplug_AB12/relay_0") is True
    assert await house.get("shellyplug_AB12/relay_0_energy") == 1.0
    assert len(caplog.messages) == 2


async def test_commands_are_sent_and_not_retained(house):
    for topic, payload in {
        "relay/0": "on", "light/0": "on", "roller/0": "stop", "roller/0/pos": "1", "input/0": "0",
    }.items():  # fmt: skip
        await report(house, topic, payload)
    path = "shellyplug_AB12"
    await house.set(f"{path}/relay_0", False)
    await house.set(f"{path}/light_0", True)
    await house.set(f"{path}/roller_0", "open")
    await house.set(f"{path}/roller_0_pos", 30)
    assert "one of 'open', 'close', 'stop'" in await house.refused(
        house.set(f"{path}/roller_0", "up")
    )
    assert "only be read" in await house.refused(house.set(f"{path}/input_0", True))
    base = f"shellies/{ID}"
    assert house.sent == [
        (f"{base}/relay/0/command", "off"),
        (f"{base}/light/0/command", "on"),
        (f"{base}/roller/0/command", "open"),
        (f"{base}/roller/0/command/pos", 30),
    ]
    assert not [topic for topic in house.broker.retained if "command" in topic]


async def test_a_light_has_a_brightness(house):
    await report(house, "light/0/status", {"ison": True, "brightness": 40})
    assert await house.get("shellyplug_AB12/light_0_brightness") == 0.4
    await report(house, "light/0/status", {"ison": True, "brightness": "bright"})
    await report(house, "light/0/status", [])
    assert await house.get("shellyplug_AB12/light_0_brightness") == 0.4
    await house.set("shellyplug_AB12/light_0_brightness", 0.75)
    assert house.sent == [(f"shellies/{ID}/light/0/set", {"brightness": 75})]


async def test_the_last_will_is_the_availability_of_the_device(house, advance):
    await report(house, "relay/0", "on")
    await report(house, "online", "true", retained=True)
    assert await house.get("shellyplug_AB12/online") is True
    await report(house, "online", "false", retained=True)
    await advance(2.1)
    assert await house.get("shellyplug_AB12/online") is False
    assert await house.get("shellyplug_AB12/relay_0") == "state_unknown"


@pytest.mark.parametrize("offline_first", [True, False])
async def test_a_device_with_a_battery_keeps_its_values_while_it_sleeps(
    house, advance, offline_first
):
    if offline_first:
        await report(house, "online", "false", retained=True)
    await report(house, "sensor/temperature", "20")
    await report(house, "sensor/battery", "90")
    await report(house, "online", "false", retained=True)
    await advance(60)
    assert await house.get("shellyplug_AB12/sensor_temperature") == 20
    assert await house.get("shellyplug_AB12/online") == "state_unknown"


async def press(house, event, count, **more):
    message = {"event": event} if count is None else {"event": event, "event_cnt": count}
    await report(house, "input_event/0", message, **more)


async def test_presses_are_events_when_their_count_has_changed(house):
    await press(house, "", 0)
    await house.listen("shellyplug_AB12/input_event_0")
    for event, count in [("S", 1), ("S", 1), ("SS", 2), ("L", 3), ("", 4), ("X", 5), ("S", 0)]:
        await press(house, event, count)
    assert [payload for _, payload in house.heard] == ["single", "double", "long", "X", "single"]


async def test_an_old_press_is_not_an_event_after_the_start_of_the_bridge(house):
    await press(house, "S", 7, retained=True)
    await house.listen("shellyplug_AB12/input_event_0")
    await press(house, "S", 7)
    assert house.heard == []
    await press(house, "S", 8)
    assert house.heard == [("shellyplug_AB12/input_event_0", "single")]


async def test_presses_without_a_count_are_events(house):
    await press(house, "", None)
    await house.listen("shellyplug_AB12/input_event_0")
    await press(house, "S", None)
    await press(house, "S", "many")
    assert len(house.heard) == 2


@pytest.mark.parametrize("message", [[], 3, {"id": 3}, {"id": ""}, {}, {"id": ID, "model": {}}])
async def test_an_odd_announcement_disturbs_nothing(house, message):
    await house.publish("shellies/announce", message)
    await report(house, "input_event/0", message)
    await report(house, "relay/0", "on")
    assert await house.get("shellyplug_AB12/relay_0") is True
    assert house.bridge.connection.failed == 0
