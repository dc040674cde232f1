"""Devices on a real broker, and their nodes on a real server, with a bridge as a user runs it."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eshet import Client, Unknown
from eshet.address import Address
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.paho_broker import PahoBroker
from tests.support.mosquitto import Mosquitto, mosquitto
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

LAMP = {
    "ieee_address": "0x1",
    "friendly_name": "Lamp",
    "type": "Router",
    "definition": {
        "model": "LED1",
        "exposes": [
            {
                "type": "light",
                "features": [
                    {
                        "type": "binary",
                        "name": "state",
                        "property": "state",
                        "access": 7,
                        "value_on": "ON",
                        "value_off": "OFF",
                    }
                ],
            },
            {"type": "numeric", "name": "level", "property": "level", "access": 1},
        ],
    },
}
REMOTE = {
    "ieee_address": "0x2",
    "friendly_name": "Remote",
    "type": "EndDevice",
    "definition": {
        "model": "R1",
        "exposes": [
            {"type": "enum", "name": "action", "property": "action", "access": 1, "values": ["on"]}
        ],
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).removeprefix("listening on ")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "broker") as running_broker:
        yield running_broker


def in_real_time(test: Callable[[], Any]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


class Zigbee2Mqtt:
    """Plays zigbee2mqtt with a lamp that does as it is told, and a remote."""

    def __init__(self, port: int) -> None:
        address = Address("127.0.0.1", port)
        self.connection = MqttConnection(PahoBroker(address, client_id="zigbee2mqtt"))
        self.state = {"state": "OFF"}
        self.commands: list[bytes] = []
        self.connection.subscribe("zigbee2mqtt/Lamp/set", self._on_set, events=True)
        self.connection.subscribe("zigbee2mqtt/Lamp/get", lambda _: self.report(), events=True)

    async def _on_set(self, message: Any) -> None:
        assert not message.retained
        self.commands.append(message.payload)
        self.state.update(json.loads(message.payload))
        await self.report()

    async def report(self) -> None:
        await self.publish("Lamp", self.state)

    async def publish(self, name: str, value: object, *, retained: bool = False) -> None:
        payload = json.dumps(value).encode()
        await self.connection.publish(f"zigbee2mqtt/{name}", payload, retained=retained)

    async def describe(self) -> None:
        await self.publish("bridge/state", {"state": "online"}, retained=True)
        await self.publish("bridge/devices", [LAMP, REMOTE], retained=True)


@contextlib.asynccontextmanager
async def devices(port: int) -> AsyncIterator[Zigbee2Mqtt]:
    playing = Zigbee2Mqtt(port)
    task = asyncio.ensure_future(playing.connection.run())
    try:
        await playing.describe()
        await playing.publish("Lamp", playing.state, retained=True)
        yield playing
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Observer:
    """What a client sees of the nodes of a bridge."""

    def __init__(self, client: Client, base: str) -> None:
        self.client = client
        self.base = base
        self.changed = asyncio.Event()
        self.values: dict[str, Any] = {}

    async def observe(self, name: str) -> None:
        def keep(value: Any) -> None:
            self.values[name] = value
            self.changed.set()

        keep(await self.client.state_observe(f"{self.base}/{name}", keep))

    async def until(self, name: str, value: object) -> None:
        while self.values.get(name) is not value and self.values.get(name) != value:
            self.changed.clear()
            await self.changed.wait()


@contextlib.contextmanager
def bridge(server: str, port: int, name: str) -> Iterator[Any]:
    arguments = ("--name", name, "--broker", f"mqtt://127.0.0.1:{port}")
    with running("eshet", "bridge", "mqtt", *arguments, server=server) as process:
        yield process


def test_a_lamp_is_set_and_reports_across_an_outage_of_the_broker(
    server: str, broker: Mosquitto
) -> None:
    async def test() -> None:
        with bridge(server, broker.port, "outage"):
            async with Client(server=server) as client, devices(broker.port) as zigbee:
                lamp = Observer(client, "/mqtt/outage/Lamp")
                await lamp.observe("state")
                await lamp.until("state", False)
                await client.set("/mqtt/outage/Lamp/state", True)
                await lamp.until("state", True)
                broker.kill()
                await lamp.until("state", Unknown)
                zigbee.state["state"] = "OFF"  # and nobody is told
                broker.start()
                await zigbee.describe()
                await lamp.until("state", False)  # the bridge has asked again
                await client.set("/mqtt/outage/Lamp/state", True)
                await lamp.until("state", True)
                assert zigbee.commands == [b'{"state": "ON"}'] * 2

    in_real_time(test)


def test_all_is_unknown_when_the_bridge_is_killed_and_known_when_it_is_back(
    server: str, broker: Mosquitto
) -> None:
    async def test() -> None:
        async with Client(server=server) as client, devices(broker.port):
            lamp = Observer(client, "/mqtt/killed")
            await lamp.observe("Lamp/state")
            await lamp.observe("bridge/online")
            with bridge(server, broker.port, "killed") as process:
                await lamp.until("Lamp/state", False)
                await lamp.until("bridge/online", True)
                process.send_signal(signal.SIGKILL)
                await lamp.until("Lamp/state", Unknown)
                await lamp.until("bridge/online", Unknown)
            with bridge(server, broker.port, "killed"):
                await lamp.until("Lamp/state", False)

    in_real_time(test)


def test_a_thousand_presses_of_a_button_are_a_thousand_events_in_order(
    server: str, broker: Mosquitto
) -> None:
    async def test() -> None:
        with bridge(server, broker.port, "presses"):
            async with Client(server=server) as client, devices(broker.port) as zigbee:
                lamp = Observer(client, "/mqtt/presses")
                await lamp.observe("Lamp/state")
                await lamp.until("Lamp/state", False)  # so the devices are known
                heard: list[Any] = []
                complete = asyncio.Event()

                def keep(action: Any) -> None:
                    heard.append(action)
                    if len(heard) == 1000:
                        complete.set()

                await client.event_listen_cb("/mqtt/presses/Remote/action", keep)
                await asyncio.gather(
                    *[zigbee.publish("Remote", {"action": f"press {n}"}) for n in range(1000)]
                )
                await complete.wait()
                assert heard == [f"press {number}" for number in range(1000)]

    in_real_time(test)


def test_of_a_flood_the_last_value_is_shown(server: str, broker: Mosquitto) -> None:
    async def test() -> None:
        with bridge(server, broker.port, "flood"):
            async with Client(server=server) as client, devices(broker.port) as zigbee:
                lamp = Observer(client, "/mqtt/flood/Lamp")
                await lamp.observe("state")
                await lamp.observe("level")
                await lamp.until("state", False)
                for number in range(20_000):
                    state = {"state": "ON" if number % 2 else "OFF", "level": number}
                    payload = json.dumps(state).encode()
                    await zigbee.connection.publish("zigbee2mqtt/Lamp", payload, qos=0)
                await lamp.until("level", 19_999.0)
                assert await client.get("/mqtt/flood/Lamp/state") is True

    in_real_time(test)


def test_six_lines_of_configuration_show_the_devices_in_the_runner(
    server: str, broker: Mosquitto, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "follow.py").write_text(
        "from eshet import yarp\n"
        "from eshet_rules import rule\n\n\n"
        "@rule\n"
        "async def follow():\n"
        '    press = await yarp.event_listen("/house/remote/action")\n'
        '    await yarp.set_value("/house/lamp/state", yarp.fn(lambda _: True)(press))\n'
    )
    (rules / "eshet-rules.toml").write_text(
        f'[bridges.z2m]\ntype = "mqtt"\nbroker = "mqtt://127.0.0.1:{broker.port}"\n\n'
        '[alias]\n"/house/lamp" = "z2m/Lamp"\n"/house/remote" = "z2m/Remote"\n'
    )

    async def test() -> None:
        async with Client(server=server) as client, devices(broker.port) as zigbee:
            with runner(Folder(rules), server) as home:
                await asyncio.to_thread(home.wait_for, "runner.started")
                lamp = Observer(client, "/house/lamp")
                await lamp.observe("state")
                await lamp.until("state", False)
                listed = await asyncio.to_thread(command, "eshet-rules", "list", server=server)
                assert f"bridge z2m: connected to mqtt://127.0.0.1:{broker.port}" in listed.stdout
                found = await asyncio.to_thread(
                    command, "eshet-rules", "devices", "/house/*", "--json", server=server
                )
                directories = [each["directory"] for each in json.loads(found.stdout)]
                assert directories == ["/house/lamp", "/house/remote"]
                await zigbee.publish("Remote", {"action": "on"})
                await lamp.until("state", True)

    in_real_time(test)
