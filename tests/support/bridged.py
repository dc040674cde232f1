"""An MQTT bridge between a broker in memory and a server, in virtual time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from eshet import Client, ErrorValue
from eshet.bridges.mqtt.bridge import MqttBridge
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.memory_broker import MemoryBroker
from eshet.bridges.names import Alias
from eshet.bridges.settings import MqttSettings
from eshet.server import Server

__all__ = ["BridgedHouse", "bridged_house"]


class BridgedHouse:
    """What a test does with devices on one side, and with their nodes on the other.

    Attributes:
        sent: what the bridge has published, as pairs of the topic and the payload.
        heard: what was heard of states and events, as pairs of the path and the value.
    """

    def __init__(self, advance, broker, server, client, bridge):
        self.advance = advance
        self.broker = broker
        self.server = server
        self.client = client
        self.bridge = bridge
        self.sent = []
        self.heard = []
        self.on_sent = lambda topic, payload: None
        self._own = []

    def keep(self, message):
        if (message.topic, message.payload) in self._own:
            self._own.remove((message.topic, message.payload))
            return
        payload = message.payload.decode()
        with contextlib.suppress(ValueError):
            payload = json.loads(payload)
        if message.topic != "eshet/house/bridge":
            self.sent.append((message.topic, payload))
        self.on_sent(message.topic, payload)

    async def publish(self, topic, payload, *, retained=False, qos=0):
        """Publish a text, or anything else as JSON, as a device does; the bridge handles it."""
        self.publish_now(topic, payload, retained=retained, qos=qos)
        await self.settle()

    def publish_now(self, topic, payload, *, retained=False, qos=0):
        if not isinstance(payload, bytes):
            payload = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
        self._own.append((topic, payload))
        self.broker.publish(topic, payload, retained=retained, qos=qos)

    async def settle(self):
        await self.advance(0)
        await self.bridge.tree.registrations.join()
        await self.advance(0)

    async def refused(self, setting):
        """Return the text of the error that a set or a call is answered with."""
        try:
            value = await setting
        except ErrorValue as error:
            return error.value
        return f"no error, but {value!r}"

    async def get(self, path):
        """Return the value of a state, or the text of the error."""
        try:
            return await self.client.get(f"/mqtt/house/{path}")
        except ErrorValue as error:
            return error.value

    async def set(self, path, value):
        await self.client.set(f"/mqtt/house/{path}", value)

    async def call(self, path, *arguments):
        return await self.client.action_call(f"/mqtt/house/{path}", *arguments)

    async def hear(self, *paths):
        """Hear all changes of states."""
        for path in paths:
            await self.client.state_observe(
                f"/mqtt/house/{path}", lambda value, path=path: self.heard.append((path, value))
            )

    async def listen(self, *paths):
        """Hear all events."""
        for path in paths:
            await self.client.event_listen_cb(
                f"/mqtt/house/{path}", lambda value, path=path: self.heard.append((path, value))
            )


@contextlib.asynccontextmanager
async def bridged_house(advance, *, aliases=None, **settings) -> AsyncIterator[BridgedHouse]:
    """Run a bridge with the name `house`."""
    broker = MemoryBroker()
    async with (
        Server() as server,
        Client(server=server, client_id="bridge") as own,
        Client(server=server) as client,
    ):
        given = MqttSettings(
            aliases={target: Alias(path) for target, path in (aliases or {}).items()}, **settings
        )
        bridge = MqttBridge("house", given, own, broker.client("bridge"))
        house = BridgedHouse(advance, broker, server, client, bridge)
        spy = MqttConnection(broker.client("spy"))
        tasks = [asyncio.ensure_future(spy.run()), asyncio.ensure_future(bridge.run())]
        while not (spy.connected and bridge.connection.connected):
            await advance(0.1)
        spy.subscribe("#", house.keep, events=True)
        await advance(0)
        house.sent.clear()
        try:
            yield house
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
