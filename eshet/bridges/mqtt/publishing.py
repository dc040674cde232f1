"""Publishes chosen nodes of the server on a broker, and announces them to Home Assistant.

    eshet/NAME/bridge         `online`, or `offline` by the will of the connection (retained)
    eshet/NAME/PATH           the value of a state as JSON (retained), or an event with its payload
    eshet/NAME/PATH/online    whether the state is known: `online` or `offline` (retained)
    eshet/NAME/PATH/set       receives new values for a state that may be set

All nodes of one directory are one device. Announcements have the form of
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload, and are repeated when
Home Assistant has started.
"""

import asyncio
import contextlib
import functools
import json
import logging
import math
import random
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from eshet.bridges.exceptions import BridgeError, NotAllowed
from eshet.bridges.kinds import DATA, Flag, Kind, Number, Text
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import parse
from eshet.bridges.server_connection import connections
from eshet.bridges.settings import PublishedPath
from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.exceptions import Disconnected, EshetError
from eshet.unknown import Unknown

__all__ = ["Publishing"]

_log: Final = logging.getLogger("eshet.bridges")

_BIRTH_DELAY: Final = (1.0, 5.0)
"""The range of seconds from the start of Home Assistant to new announcements, chosen at random, so
that not all bridges announce their devices at once."""

_LOOK_EVERY: Final = 1.0
"""Interval at which the nodes of the server are listed, in seconds; rules register many at once."""

_MAX_EVENTS: Final = 1000
"""Maximum number of events that wait to be sent; beyond it the oldest are dropped."""

_KINDS: Final = ("state", "event", "action")


class Publishing:
    """Publishes nodes of the server on a broker.

    Args:
        connection: to the broker.
        client: observes the nodes.
        name: of the bridge.
        paths: the settings of published nodes, by globs of paths.
        prefix: the first part of the topics of announcements.
    """

    def __init__(
        self,
        connection: MqttConnection,
        client: Client,
        name: str,
        paths: Mapping[str, PublishedPath],
        prefix: str,
    ) -> None:
        self._connection = connection
        self._client = client
        self._name = name
        self._paths = paths
        self._prefix = prefix
        self._nodes: dict[str, _Node] = {}
        # The last payload of each retained topic, and all events, by topic and number.
        self._to_send: dict[tuple[str, int], tuple[bytes, bool]] = {}
        self._event_count = 0
        self._drops_events = False
        self._has_work: Final = asyncio.Event()
        self._retained: dict[str, bytes] = {}  # by topic

    async def run(self) -> None:
        """Publish until this is cancelled."""
        self._connection.subscribe(f"{self._prefix}/status", self._on_status)
        forget = self._connection.on_connected(self._send_all)
        look = asyncio.Event()
        await self._client.event_listen_cb("/meta/changed", lambda _: look.set())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                tasks.create_task(self._look_when_connected(look))
                while True:
                    await look.wait()
                    look.clear()
                    await self._find_nodes()
                    await asyncio.sleep(_LOOK_EVERY)
        finally:
            forget()

    # --- nodes --------------------------------------------------------------------------------

    async def _look_when_connected(self, look: asyncio.Event) -> None:
        """Have the nodes listed after each connection to the server."""
        async for _ in connections(self._client):
            look.set()

    async def _find_nodes(self) -> None:
        """Observe the new nodes of the server."""
        try:
            async for path, kind, owner in list_nodes(self._client):
                if owner is not None and kind in _KINDS and path not in self._nodes:
                    try:
                        await self._add(path, kind)
                    except Disconnected:
                        self._nodes.pop(path, None)
                        raise
                    except EshetError as error:  # the node may be gone, or of another kind
                        _log.warning("%s is not published: %s", path, error)
                        self._nodes.pop(path, None)
        except Disconnected:
            return  # the nodes are listed again after the next connection
        except EshetError as error:
            _log.warning("can't list the nodes of the server: %s", error)

    async def _add(self, path: str, kind: str) -> None:
        how = next((self._paths[glob] for glob in self._paths if fnmatchcase(path, glob)), None)
        if how is None or path.startswith(("/meta/", "/mqtt/")):
            return
        node = self._nodes[path] = _Node(path, kind, how, f"eshet/{self._name}{path}")
        if kind == "event":
            await self._client.event_listen_cb(path, functools.partial(self._on_event, node))
        elif kind == "state":
            if how.settable:
                self._connection.subscribe(
                    f"{node.topic}/set", functools.partial(self._on_set, node), events=True
                )
            show = functools.partial(self._on_value, node)
            show(await self._client.state_observe(path, show))
        if kind == "action":
            self._connection.subscribe(
                f"{node.topic}/set", functools.partial(self._on_press, node), events=True
            )
        self._announce(node.directory)

    def _on_value(self, node: "_Node", value: object) -> None:
        if value is Unknown or (isinstance(value, float) and not math.isfinite(value)):
            self._publish(f"{node.topic}/online", b"offline", retained=True)
            return
        component = node.component_of(value)
        if component != node.component:
            node.component = component
            self._announce(node.directory)
        self._publish(node.topic, _json(value), retained=True)
        self._publish(f"{node.topic}/online", b"online", retained=True)

    def _on_event(self, node: "_Node", payload: object) -> None:
        message = _json({"event_type": "event", "payload": payload})
        self._publish(node.topic, message, retained=False)

    async def _on_set(self, node: "_Node", message: Message) -> None:
        if not message.payload:
            return
        if message.retained:
            await self._remove_retained(message.topic)
            return
        value: object = message.payload.decode(errors="replace")
        if not isinstance(node.settable_kind(), Text):
            with contextlib.suppress(ValueError):
                value = parse(message.payload)
        try:
            await self._client.set(node.path, node.settable_kind().check(value))
        except NotAllowed as error:
            _log.warning("%s: %s", message.topic, error)
        except EshetError as error:
            _log.warning("%s", error)

    async def _remove_retained(self, topic: str) -> None:
        """Remove a command that would be carried out again at each connection."""
        _log.warning("%s: a retained command is ignored and removed", topic)
        await self._connection.publish(topic, b"", retained=True)

    async def _on_press(self, node: "_Node", message: Message) -> None:
        if not message.payload:
            return
        if message.retained:
            await self._remove_retained(message.topic)
            return
        try:
            await self._client.action_call(node.path)
        except EshetError as error:
            _log.warning("%s", error)

    # --- announcements ------------------------------------------------------------------------

    def _on_status(self, message: Message) -> None:
        if message.payload == b"online" and not message.retained:
            loop = asyncio.get_running_loop()
            loop.call_later(random.uniform(*_BIRTH_DELAY), self._send_all)  # noqa: S311

    def _announce(self, directory: str) -> None:
        components = {
            node.path.rpartition("/")[2]: node.announcement(self._name)
            for node in self._nodes.values()
            if node.directory == directory and node.component is not None
        }
        if not components:
            return
        # Paths have no hyphens, so the ids of different paths differ.
        device_id = f"eshet_{self._name}{directory.replace('/', '-')}"
        message = {
            "dev": {"ids": [device_id], "name": directory.strip("/").replace("/", " ")},
            "o": {"name": "eshet", "url": "https://pypi.org/project/eshet-rules/"},
            "cmps": components,
        }
        topic = f"{self._prefix}/device/{device_id}/config"
        self._publish(topic, _json(message), retained=True)

    def _send_all(self) -> None:
        """Publish everything again, as the broker or Home Assistant may have lost it."""
        # Announcements come first: Home Assistant subscribes the states when it has them.
        states = f"eshet/{self._name}/"
        for topic in sorted(self._retained, key=lambda topic: topic.startswith(states)):
            self._publish(topic, self._retained[topic], retained=True)

    # --- sending ------------------------------------------------------------------------------

    def _publish(self, topic: str, payload: bytes, *, retained: bool) -> None:
        number = 0
        if retained:
            self._retained[topic] = payload
        else:
            self._event_count += 1
            number = self._event_count
        self._to_send.pop((topic, number), None)  # it moves to the end
        self._to_send[topic, number] = payload, retained
        if len(self._to_send) > len(self._retained) + _MAX_EVENTS:
            self._drop_event()
        self._has_work.set()

    def _drop_event(self) -> None:
        oldest = next((key for key in self._to_send if key[1]), None)
        if oldest is not None:
            del self._to_send[oldest]
        if not self._drops_events:
            self._drops_events = True
            _log.warning("bridge %s: too many events: the oldest are dropped", self._name)

    async def _send(self) -> None:
        while True:
            await self._has_work.wait()
            if not self._connection.connected:
                # After a connection, states are published again; events would be old by then.
                self._to_send.clear()
            while self._to_send:
                topic, number = next(iter(self._to_send))
                payload, retained = self._to_send.pop((topic, number))
                try:
                    await self._connection.publish(topic, payload, retained=retained)
                except BridgeError as error:
                    _log.warning("%s", error)
            self._has_work.clear()


class _Node:
    """A published node."""

    def __init__(self, path: str, kind: str, how: PublishedPath, topic: str) -> None:
        self.path: Final = path
        self.kind: Final = kind
        self.topic: Final = topic
        self.directory: Final = path.rpartition("/")[0] or "/"
        self.component: str | None = {"event": "event", "action": "button"}.get(kind)
        self._how = how

    def component_of(self, value: object) -> str:
        """Return the component of Home Assistant for a state with this value."""
        settable = self._how.settable
        if isinstance(value, bool):
            return "switch" if settable else "binary_sensor"
        if isinstance(value, int | float):
            return "number" if settable else "sensor"
        if settable and isinstance(value, str):
            return "select" if self._how.options else "text"
        return "sensor"

    def settable_kind(self) -> Kind:
        """Return the kind of the values that may be set."""
        how = self._how
        number = Number(how.min, how.max, unit=how.unit)
        match self.component:
            case "number":
                return number
            case "switch":
                return Flag()
            case "select" | "text":
                return Text(how.options)
            case None if how.options:  # the state is unknown, so its type is that of the settings
                return Text(how.options)
            case None if how.min is not None or how.max is not None:
                return number
        return DATA

    def announcement(self, bridge: str) -> Mapping[str, Any]:
        """Return the announcement of the node, with abbreviated options."""
        how = self._how
        options: dict[str, Any] = {
            "p": self.component,
            "name": how.name or self.path.rpartition("/")[2].replace("_", " "),
            "uniq_id": f"eshet_{bridge}{self.path.replace('/', '-')}",
            "avty": [{"t": f"eshet/{bridge}/bridge"}],
            "avty_mode": "all",
        }
        if self.kind == "state":
            options["stat_t"] = self.topic
            options["avty"].append({"t": f"{self.topic}/online"})
        if self.kind == "event":
            options |= {"stat_t": self.topic, "evt_typ": ["event"]}
        if how.settable or self.kind == "action":
            options["cmd_t"] = f"{self.topic}/set"
        if self.component in ("switch", "binary_sensor"):
            options |= {"pl_on": "true", "pl_off": "false"}
        limits = {"min": how.min, "max": how.max, "step": how.step}
        if self.component == "number":
            options |= {name: limit for name, limit in limits.items() if limit is not None}
        if self.component in ("number", "sensor") and how.unit:
            options["unit_of_meas"] = how.unit
        if self.component in ("select", "text", "sensor"):
            options["val_tpl"] = "{{ value_json }}"
        if self.component == "select":
            options["options"] = list(how.options)
        return options


def _json(value: object) -> bytes:
    return json.dumps(value, default=_plain, skipkeys=True, ensure_ascii=False).encode()


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else str(value)
