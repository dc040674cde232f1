"""The MQTT bridge: all devices of one broker, as nodes of an ESHET server."""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from eshet.address import Address
from eshet.bridges.exceptions import BridgeError, NotAllowed
from eshet.bridges.mqtt.broker import Broker, BrokerError, Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.discovery.reader import DiscoveryReader
from eshet.bridges.mqtt.json_text import dump
from eshet.bridges.mqtt.paho_broker import Credentials, PahoBroker
from eshet.bridges.mqtt.publishing import Publishing
from eshet.bridges.mqtt.raw_topics import RawTopics
from eshet.bridges.mqtt.shelly1 import Shelly1
from eshet.bridges.mqtt.shelly_rpc import ShellyRpc
from eshet.bridges.mqtt.tasmota import Tasmota
from eshet.bridges.mqtt.templates import installed_jinja
from eshet.bridges.mqtt.zigbee2mqtt import Zigbee2Mqtt
from eshet.bridges.names import Aliases
from eshet.bridges.own_nodes import OwnNodes
from eshet.bridges.scope import bridge_scope
from eshet.bridges.settings import MqttSettings
from eshet.bridges.tree import DeviceTree
from eshet.client import Client
from eshet.text import first_names

__all__ = ["MqttBridge", "make_broker"]

_log: Final = logging.getLogger("eshet.bridges")

_REFRESH: Final = 10.0
"""Interval at which the facts about the bridge are compared with the published ones, in seconds."""

_RETAINED_WITHIN: Final = 0.2
"""Seconds in which the retained messages with the descriptions of devices arrive."""

_CHECK_ALIASES_AFTER: Final = 15.0
"""Seconds until aliases and values of `stale_after` without a device are logged."""


class MqttBridge:
    """A bridge to one broker.

    Args:
        name: of the bridge; its nodes are below `/mqtt/NAME`.
        settings: its settings.
        client: registers the nodes; used by this bridge only, which does not close it.
        broker: replaces the broker of the settings, for tests.

    Raises:
        BridgeError: a file in the settings can't be read.
    """

    def __init__(
        self, name: str, settings: MqttSettings, client: Client, broker: Broker | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._aliases = Aliases(settings.aliases)
        self.tree: Final = DeviceTree(
            client,
            f"/mqtt/{name}",
            self._aliases,
            confirm=settings.confirm,
            stale_after=settings.stale_after,
        )
        self.connection: Final = MqttConnection(
            broker or make_broker(name, settings),
            will=Message(f"eshet/{name}/bridge", b"offline", retained=True, qos=1),
        )
        self._own_nodes = OwnNodes(name, self.tree, devices_within=_RETAINED_WITHIN)
        self._info: Mapping[str, Any] = {}
        self._jinja = installed_jinja()

    @property
    def connected(self) -> bool:
        """See `Bridge`."""
        return self.connection.connected

    @property
    def problem(self) -> str:
        """See `Bridge`."""
        return self.connection.problem

    @property
    def device_count(self) -> int:
        """The number of devices."""
        return sum(device.is_listed for device in self.tree.devices.values())

    @property
    def ready(self) -> asyncio.Event:
        """See `Bridge`."""
        return self._own_nodes.ready

    async def run(self) -> None:
        """See `Bridge`."""
        with bridge_scope(self._name).active():
            await self._run()

    async def _run(self) -> None:
        connection, client = self.connection, self._client
        await self._own_nodes.register()
        await client.state_register(f"{self._own_nodes.directory}/info")
        await client.action_register(f"{self._own_nodes.directory}/publish", self._publish)
        connection.on_connected(self._on_connected)
        connection.on_lost(self._on_lost)
        self._start_readers()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.run())
                tasks.create_task(self._refresh())
                if self._settings.publish:
                    tasks.create_task(self._publishing().run())
        finally:
            if self._jinja is not None:
                await self._jinja.close()
            await self._own_nodes.close()

    def _start_readers(self) -> None:
        settings, connection, tree = self._settings, self.connection, self.tree
        has_native: list[str] = []
        for base in settings.zigbee2mqtt:
            Zigbee2Mqtt(connection, tree, base).start()
            has_native = ["Zigbee2MQTT"]
        if settings.tasmota:
            Tasmota(connection, tree).start()
            has_native.append("Tasmota")
        if settings.shelly:
            Shelly1(connection, tree).start()
            # Bridges on several servers may have the same name, but not the same client id.
            source = f"eshet/{self._name}/{quote(connection.client_id, safe='')}"
            ShellyRpc(connection, tree, source).start()
        for prefix in settings.discovery:
            DiscoveryReader(connection, tree, prefix, has_native, self._jinja).start()
        if settings.topics:
            RawTopics(connection, tree, settings.topics).start()

    def _publishing(self) -> Publishing:
        settings = self._settings
        prefix = (*settings.discovery, "homeassistant")[0]
        return Publishing(self.connection, self._client, self._name, settings.publish, prefix)

    # --- the broker ---------------------------------------------------------------------------

    def _on_connected(self) -> None:
        self._own_nodes.set_connected(True)
        _ = self.tree.registrations.start(self._announce())

    def _on_lost(self, _: str) -> None:
        self._own_nodes.set_connected(False)

    async def _announce(self) -> None:
        """Publish `online`, which replaces the will of an earlier connection."""
        try:
            await self.connection.publish(f"eshet/{self._name}/bridge", b"online", retained=True)
        except BridgeError as error:
            _log.warning("%s", error)

    async def _publish(
        self, topic: object = None, payload: object = b"", retained: object = False
    ) -> None:
        """Publish any message: bytes and texts unchanged, other values as JSON."""
        if not isinstance(topic, str):
            raise NotAllowed(topic, "a topic, a payload, and true if it is retained")
        if isinstance(payload, str):
            payload = payload.encode()
        elif not isinstance(payload, bytes):
            payload = dump(payload)
        try:
            await self.connection.publish(topic, payload, retained=retained is True)
        except ValueError as error:
            raise BridgeError(str(error)) from None

    # --- facts about the bridge ---------------------------------------------------------------

    async def _refresh(self) -> None:
        """Publish the facts about the bridge when they have changed."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        has_checked = False
        while True:
            if not has_checked and loop.time() - started >= _CHECK_ALIASES_AFTER:
                has_checked = True
                self._log_unused("the alias", self._aliases.unused)
                self._log_unused("stale_after", self.tree.unused_stale_after)
            info = self._facts()
            if info != self._info:
                self._info = info
                await self._client.state_changed(f"{self._own_nodes.directory}/info", info)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._own_nodes.changed.wait(), _REFRESH)
            self._own_nodes.changed.clear()

    def _log_unused(self, setting: str, names: list[str]) -> None:
        if names:
            text = ", ".join(first_names(names))
            _log.warning("bridge %s: no device for %s of %s", self._name, setting, text)

    def _facts(self) -> dict[str, Any]:
        connection = self.connection
        return {
            "broker": str(connection),
            "problem": connection.problem,
            "devices": self.device_count,
            "received": connection.received,
            "dropped": connection.dropped,
            "failed": connection.failed,
            "reconnects": connection.reconnects,
            "unused_aliases": first_names(self._aliases.unused),
        }


def make_broker(name: str, settings: MqttSettings, suffix: str = "") -> Broker:
    """Return the broker of a bridge, not connected.

    Args:
        name: of the bridge.
        settings: its settings.
        suffix: of the client id, for a client beside the bridge: equal ids disconnect each other.

    Raises:
        BridgeError: a file in the settings can't be read.
    """
    url = settings.broker
    context: ssl.SSLContext | None = None
    if url.is_encrypted:
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            raise BridgeError(f"can't read certificates in {settings.ca_file}: {error}") from None
    source = settings.password_source(name)
    if (user := url.user) is None:
        credentials = None
        advice = f"write the user into the URL, as in mqtt://USER@{url.host}, and use {source}"
    else:
        settings.password(name)  # a file that can't be read is an error now
        credentials = functools.partial(_credentials, name, user, settings)
        advice = f"check the user {user!r} and the password in {source}"
    return PahoBroker(
        Address(url.host, url.port),
        client_id=(settings.client_id or f"eshet-{socket.gethostname()}-{name}") + suffix,
        credentials=credentials,
        advice=advice,
        tls=context,
    )


def _credentials(name: str, user: str, settings: MqttSettings) -> Credentials:
    try:
        return Credentials(user, settings.password(name))
    except BridgeError as error:
        raise BrokerError(str(error)) from None
