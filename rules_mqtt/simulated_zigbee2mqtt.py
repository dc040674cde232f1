"""A zigbee2mqtt without a radio: the devices of rules/simulation.py, as they look on a broker.

    python rules_mqtt/simulated_zigbee2mqtt.py [--port 18830]

Each device reports its values as JSON on zigbee2mqtt/NAME, and takes new ones on
zigbee2mqtt/NAME/set.
"""

import argparse
import asyncio
import json
import logging
from contextlib import suppress

from eshet.address import Address
from eshet.bridges.mqtt.broker import AT_LEAST_ONCE, Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.paho_broker import PahoBroker

BASE = "zigbee2mqtt"
WILL = Message(f"{BASE}/bridge/state", b'{"state": "offline"}', retained=True, qos=AT_LEAST_ONCE)

log = logging.getLogger("zigbee2mqtt")


def numeric(name, unit):
    return {"type": "numeric", "name": name, "property": name, "access": 1, "unit": unit}


def switch(kind):
    state = {
        "type": "binary",
        "name": "state",
        "property": "state",
        "access": 7,  # 1: it reports the value, 2: it can be set, 4: it can be asked for
        "value_on": "ON",
        "value_off": "OFF",
    }
    return {"type": kind, "features": [state]}


def action(*values):
    return {
        "type": "enum",
        "name": "action",
        "property": "action",
        "access": 1,
        "values": list(values),
    }


CONTACT = {
    "type": "binary",
    "name": "contact",
    "property": "contact",
    "access": 1,
    "value_on": False,
    "value_off": True,
}


class Device:
    """A device: what it can do, and what it last reported.

    Args:
        zigbee: sends its messages.
        name: the name that its user gave it.
        model: its type.
        exposes: its values, in the words of zigbee2mqtt.
        **values: what it reports at first.
    """

    def __init__(self, zigbee, name, model, exposes, **values):
        self.zigbee = zigbee
        self.name = name
        self.model = model
        self.exposes = exposes
        self.values = values
        self.changed = asyncio.Event()
        zigbee.devices.append(self)
        zigbee.connection.subscribe(f"{BASE}/{name}/set", self.on_set, events=True)
        zigbee.connection.subscribe(f"{BASE}/{name}/get", self.on_get, events=True)

    @property
    def is_on(self):
        return self.values.get("state") == "ON"

    async def report(self, **values):
        """Report changed values, together with the others; an `action` is reported once only.

        Values are retained, as zigbee2mqtt does with `retain: true`, so they are known at once.
        """
        self.values |= {name: value for name, value in values.items() if name != "action"}
        retained = "action" not in values
        await self.zigbee.publish(self.name, self.values | values, retained=retained)

    async def on_set(self, message):
        """Do as a command says, and report it."""
        command = json.loads(message.payload)
        log.info("%s is set to %s", self.name, command)
        await self.report(**{name: command[name] for name in command if name in self.values})

    async def on_get(self, message):
        await self.report()

    def description(self, address):
        """What `bridge/devices` says of it."""
        return {
            "ieee_address": f"0x{address:016x}",
            "type": "EndDevice",
            "friendly_name": self.name,
            "supported": True,
            "disabled": False,
            "definition": {
                "model": self.model,
                "vendor": "Nobody",
                "description": "simulated",
                "exposes": self.exposes,
            },
        }


class Zigbee2Mqtt:
    """The devices of a house, and who lives there.

    Args:
        connection: to the broker.
    """

    def __init__(self, connection):
        self.connection = connection
        self.devices = []
        self.hall_light = Device(self, "Hall light", "Lamp", [switch("light")], state="OFF")
        self.hall_sensor = Device(
            self,
            "Hall sensor",
            "Motion sensor",
            [numeric("illuminance", "lx"), action("passed")],
            illuminance=25,
        )
        self.heater = Device(self, "Living room heater", "Plug", [switch("switch")], state="OFF")
        self.thermometer = Device(
            self,
            "Living room sensor",
            "Thermometer",
            [numeric("temperature", "°C")],
            temperature=20.5,
        )
        self.kitchen_light = Device(self, "Kitchen light", "Lamp", [switch("light")], state="OFF")
        self.front_door = Device(self, "Front door", "Door contact", [CONTACT], contact=True)
        self.button = Device(self, "Bedroom button", "Button", [action("single")])
        connection.on_connected(lambda: self.tasks.create_task(self.announce()))

    async def run(self):
        """Play the house until this is cancelled."""
        async with asyncio.TaskGroup() as self.tasks:
            for play in (
                self.connection.run,
                self.hall,
                self.living_room,
                self.kitchen,
                self.somebody_comes_home,
                self.somebody_goes_to_bed,
            ):
                self.tasks.create_task(play())

    async def announce(self):
        """Say what there is, and what it last reported; the broker may have lost it."""
        devices = [device.description(number) for number, device in enumerate(self.devices, 1)]
        await self.publish("bridge/state", {"state": "online"}, retained=True)
        await self.publish("bridge/devices", devices, retained=True)
        for device in self.devices:
            await device.report()

    async def publish(self, topic, content, *, retained=False):
        with suppress(Exception):
            await self.connection.publish(
                f"{BASE}/{topic}", json.dumps(content).encode(), retained=retained
            )

    async def hall(self):
        """Somebody passes now and then. It gets dark, and light again."""
        while True:
            for lux in (25, 15, 10, 90):
                await self.hall_sensor.report(illuminance=lux)
                await asyncio.sleep(5)
                log.info("somebody passes through the hall")
                await self.hall_sensor.report(action="passed")
                await asyncio.sleep(40)

    async def living_room(self):
        """It cools down slowly, and is heated faster."""
        while True:
            await asyncio.sleep(1)
            temperature = self.thermometer.values["temperature"]
            change = 0.1 if self.heater.is_on else -0.05
            await self.thermometer.report(temperature=round(temperature + change, 2))

    async def kitchen(self):
        """The cook switches the light on by hand, and forgets it."""
        while True:
            await asyncio.sleep(15)
            await self.kitchen_light.report(state="ON")

    async def somebody_comes_home(self):
        """And closes the door behind them; the next one does not."""
        while True:
            for how_long in (2, 30):
                await asyncio.sleep(10)
                log.info("the front door opens")
                await self.front_door.report(contact=False)
                await asyncio.sleep(how_long)
                log.info("the front door closes")
                await self.front_door.report(contact=True)

    async def somebody_goes_to_bed(self):
        while True:
            await asyncio.sleep(45)
            log.info("somebody presses the button beside the bed")
            await self.button.report(action="single")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=18830, help="of the broker on this machine")
    port = parser.parse_args().port
    logging.basicConfig(format="%(asctime)s  zigbee2mqtt  %(message)s", level=logging.INFO)
    broker = PahoBroker(Address("127.0.0.1", port), client_id="simulated-zigbee2mqtt")

    async def play():
        await Zigbee2Mqtt(MqttConnection(broker, will=WILL)).run()

    with suppress(KeyboardInterrupt):
        asyncio.run(play())


if __name__ == "__main__":
    main()
