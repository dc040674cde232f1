"""Commands that a broker has stored: which messages are commands, and their removal."""

import asyncio
import json

import pytest

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.memory_broker import MemoryBroker
from eshet.bridges.mqtt.retained import clear, find_commands, read_retained
from eshet.bridges.settings import MqttSettings
from tests.conftest import Advance
from tests.support.mosquitto import Mosquitto
from tests.support.processes import command


def families(*topics: str, payload: bytes = b"ON") -> list[str]:
    return [found.family for found in find_commands(dict.fromkeys(topics, payload))]


@pytest.mark.parametrize(
    ("topic", "family"),
    [
        ("zigbee2mqtt/Hall lamp/set", "zigbee2mqtt"),
        ("zigbee2mqtt/Hall lamp/set/brightness", "zigbee2mqtt"),
        ("zigbee2mqtt/attic/lamp/left/set", "zigbee2mqtt"),
        ("zigbee2mqtt/Hall lamp/get", "zigbee2mqtt"),
        ("zigbee2mqtt/bridge/request/permit_join", "zigbee2mqtt"),
        ("cmnd/tasmota_1234/POWER", "Tasmota"),
        ("attic/plug/cmnd/POWER1", "Tasmota"),
        ("shellies/shelly1-1234/relay/0/command", "Shelly"),
        ("shellies/shellydimmer-1234/light/0/set", "Shelly"),
        ("shellies/command", "Shelly"),
        ("shellyplus1-1234/command", "Shelly"),
        ("attic/plug/command/switch:0", "Shelly"),
        ("weather/light/lamp/command", "ESPHome"),
        ("weather/climate/room/mode/command", "ESPHome"),
        ("eshet/house/house/thermostat/target/set", "eshet"),
    ],
)
def test_topics_of_commands(topic: str, family: str) -> None:
    assert families(topic) == [family]


@pytest.mark.parametrize(
    "topic",
    [
        "zigbee2mqtt/Hall lamp",
        "zigbee2mqtt/Hall lamp/availability",
        "zigbee2mqtt/bridge/devices",
        "zigbee2mqtt/set",  # the state of a device with this name
        "stat/tasmota_1234/POWER",
        "tele/tasmota_1234/LWT",
        "shellies/shelly1-1234/relay/0",
        "shellyplus1-1234/status/switch:0",
        "shellyplus1-1234/events/rpc",
        "weather/light/lamp/state",
        "eshet/house/bridge",
        "homeassistant/status",
        "any/command",
    ],
)
def test_other_topics(topic: str) -> None:
    assert families(topic) == []


def test_a_call_of_a_shelly_is_a_command_and_its_reply_is_not() -> None:
    call = b'{"id": 1, "src": "x", "method": "Switch.Set"}'
    assert families("shellyplus1-1234/rpc", payload=call) == ["Shelly"]
    assert families("me/rpc", payload=b'{"id": 1, "result": {}}') == []


def test_an_empty_payload_is_not_a_command() -> None:
    assert families("cmnd/x/POWER", payload=b"") == []


def test_prefixes_of_the_configuration_and_of_devices_are_used() -> None:
    retained = {
        "z/lamp/set": b"ON",
        "plug/order/POWER": b"ON",
        "tasmota/discovery/0123/config": b'{"tp": ["order", "stat", "tele"]}',
    }
    found = find_commands(retained, MqttSettings(zigbee2mqtt=("z",)))
    assert [each.family for each in found] == ["Tasmota", "zigbee2mqtt"]


def test_commands_that_are_announced_and_why_they_are_retained() -> None:
    switch = {"~": "pump", "cmd_t": "~/do", "stat_t": "~/is", "ret": True}
    cover = {"cmps": {"blind": {"p": "cover", "set_pos_t": "blind/to"}}, "dev": {"ids": "x"}}
    retained = {
        "homeassistant/switch/pump/config": json.dumps(switch).encode(),
        "homeassistant/device/x/config": json.dumps(cover).encode(),
        "homeassistant/switch/broken/config": b"{",
        "pump/do": b"ON",
        "pump/is": b"ON",
        "blind/to": b"50",
    }
    found = find_commands(retained)
    assert [(each.topic, each.family) for each in found] == [
        ("blind/to", "discovery"),
        ("pump/do", "discovery"),
    ]
    assert "homeassistant/switch/pump/config" in found[1].advice
    assert "homeassistant" not in found[0].advice


async def test_commands_are_read_and_removed(advance: Advance) -> None:
    broker = MemoryBroker()
    for topic in ("cmnd/a/POWER", "stat/a/POWER"):
        broker.publish(topic, b"ON", retained=True)
    reading = asyncio.ensure_future(read_retained(broker.client("x"), 2))
    await advance(1)
    broker.publish("cmnd/b/POWER", b"ON")  # not retained
    await advance(1)
    found = find_commands(await reading)
    assert [each.topic for each in found] == ["cmnd/a/POWER"]
    await clear(broker.client("x"), found)
    assert broker.retained == {"stat/a/POWER": b"ON"}
    assert broker.clients == []


async def test_a_broker_that_does_not_show_all_topics_is_an_error() -> None:
    broker = MemoryBroker()
    broker.refused_filters.add("#")
    with pytest.raises(BridgeError, match="does not show all its topics to this user"):
        await read_retained(broker.client("x"), 2)
    assert broker.clients == []


async def test_a_broker_that_stops(advance: Advance) -> None:
    broker = MemoryBroker()
    reading = asyncio.ensure_future(read_retained(broker.client("x"), 2))
    await advance(1)
    broker.stop()
    with pytest.raises(BridgeError, match="the connection was lost: the broker was stopped"):
        await reading


def test_the_command_with_a_real_broker(broker: Mosquitto) -> None:
    url = f"mqtt://127.0.0.1:{broker.port}"
    find = ("eshet", "bridge", "retained-commands", "--broker", url, "--seconds", "0.5")
    none = command(*find)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == f"no retained commands on {url}\n"

    broker.publish_retained("cmnd/plug/POWER", "ON")
    broker.publish_retained("stat/plug/POWER", "ON")
    found = command(*find)
    lines = found.stdout.splitlines()
    assert lines[0] == "cmnd/plug/POWER  ON"
    assert lines[1].startswith("    Tasmota: on the device that publishes it: ButtonRetain 0")
    assert len(lines) == 2
    assert found.stderr == "1 retained command; remove with --clear\n"

    refused = command(*find, "--clear", stdin="n\n")
    assert f"Remove 1 retained command from {url}?" in refused.stderr
    assert command(*find).stdout != ""
    cleared = command(*find, "--clear", "--yes")
    assert cleared.stderr == "removed 1 retained command\n"
    assert command(*find).stdout == ""


def test_a_broker_that_can_not_be_reached(broker: Mosquitto) -> None:
    broker.kill()
    failed = command(
        "eshet", "bridge", "retained-commands", "--broker", f"mqtt://127.0.0.1:{broker.port}"
    )
    assert failed.returncode == 1
    assert f"can't connect to mqtt://127.0.0.1:{broker.port}: " in failed.stderr
    assert "refused" in failed.stderr
    assert "Traceback" not in failed.stderr
