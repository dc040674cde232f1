"""The rules in `rules/` with devices on an MQTT broker, as `make run-mqtt` runs them.

The broker is in memory, and the time is virtual.
"""

import asyncio
import importlib.util
from pathlib import Path

import pytest

from eshet import Client, Unknown
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.memory_broker import MemoryBroker
from eshet.server import Server
from eshet_rules.config import ConfigurationFile
from eshet_rules.logs import receiving_stdlib_logs
from eshet_rules.runner.main import run

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
FOLDER = ROOT / "rules_mqtt"

SPEC = importlib.util.spec_from_file_location("simulation", FOLDER / "simulated_zigbee2mqtt.py")
simulation = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(simulation)


class House:
    """The house: its devices on the broker, and a client of the server."""

    def __init__(self, broker, zigbee, client):
        self.broker = broker
        self.zigbee = zigbee
        self.client = client

    async def watch(self, path):
        """Collect from when on a path had which value, in whole seconds."""
        seen = []
        loop = asyncio.get_running_loop()

        def note(value):
            if not seen or seen[-1][1] != value:
                seen.append((round(loop.time()), value))

        note(await self.client.state_observe(path, note))
        return seen


@pytest.fixture
async def house(log, advance, monkeypatch):
    broker = MemoryBroker()
    monkeypatch.setattr(
        "eshet.bridges.mqtt.bridge.make_broker", lambda name, settings: broker.client(name)
    )
    configuration = ConfigurationFile(FOLDER / "eshet-rules.toml", must_exist=True).read()
    with receiving_stdlib_logs(log.logger):
        async with Server() as server, Client(server=server) as client:
            connection = MqttConnection(broker.client("zigbee2mqtt"), will=simulation.WILL)
            zigbee = simulation.Zigbee2Mqtt(connection)
            tasks = [
                asyncio.create_task(zigbee.run()),
                asyncio.create_task(
                    run(
                        RULES,
                        log.logger,
                        server=server,
                        reload=False,
                        configuration=configuration,
                    )
                ),
            ]
            await advance(1)
            yield House(broker, zigbee, client)
            for task in reversed(tasks):  # first the rules, then the devices
                task.cancel()
                await asyncio.wait([task])
    assert [record for record in log.records if record["level"] == "error"] == []


async def test_the_hall_light_is_on_for_half_a_minute_after_a_movement_in_the_dark(house, advance):
    light = await house.watch("/house/hall/light")
    await advance(179)
    assert light == [
        (1, False), (5, True), (35, False), (50, True), (80, False), (95, True), (125, False),
    ]  # fmt: skip


async def test_the_heater_follows_the_target_that_somebody_sets(house, advance):
    await advance(59)
    heater = await house.watch("/house/living_room/heater")
    await house.client.set("/house/thermostat/target", 23)
    await advance(60)
    temperature = house.zigbee.thermometer.values["temperature"]
    assert temperature == pytest.approx(23, abs=0.35)
    assert await house.client.get("/house/living_room/temperature") == temperature
    await house.client.set("/house/thermostat/target", 18)
    await advance(1)
    assert heater[-1][1] is False
    assert (60, True) in heater
    assert not house.zigbee.heater.is_on


async def test_a_door_left_open_is_told_and_one_that_is_closed_soon_is_not(house, log, advance):
    left_open = await house.watch("/house/front_door/left_open")
    await advance(60)
    assert left_open == [(1, False), (42, True), (52, False)]
    warning = log.find("the front door has been open for 20 s")
    assert warning["rule"] == "front_door.left_open"


async def test_all_off_by_the_button_beside_the_bed(house, advance):
    kitchen = await house.watch("/house/kitchen/light")
    await advance(50)
    assert (45, False) in kitchen


async def test_the_house_goes_on_after_an_outage_of_the_broker(house, advance):
    light = await house.watch("/house/hall/light")
    await advance(29)
    house.broker.stop(forget=True)
    await advance(12)
    house.broker.start()
    await advance(20)
    assert light[:2] == [(1, False), (5, True)]
    assert (32, Unknown) in light  # two seconds after the broker stopped
    assert await house.client.get("/house/hall/light") is True  # somebody passed at 50
    assert house.zigbee.hall_light.is_on
