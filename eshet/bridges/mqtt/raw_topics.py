"""Messages of chosen topics as they are, for what no reader understands."""

import logging
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from eshet.bridges.device import Device, Property
from eshet.bridges.kinds import DATA
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import parse
from eshet.bridges.names import segment
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree

__all__ = ["RawTopics", "value_of"]

_log: Final = logging.getLogger("eshet.bridges")

MAX_TOPICS: Final = 1000
"""How many topics are shown; a wildcard may match any number."""

_MAX_PAYLOAD: Final = 60_000
"""Maximum size of a payload, in bytes; a message of ESHET takes little more."""


class RawTopics:
    """Shows the last message of each topic as a state in the directory `topic` of the bridge.

    Args:
        connection: to the broker.
        tree: receives the topics, as one device.
        patterns: filters of topics.
    """

    def __init__(
        self, connection: MqttConnection, tree: DeviceTree, patterns: Sequence[str]
    ) -> None:
        self._connection = connection
        self._tree = tree
        self._patterns = patterns
        self._names: dict[str, str] = {}
        self._is_full = False
        self._published: PublishedDevice | None = None

    def start(self) -> None:
        """Subscribe."""
        for pattern in self._patterns:
            self._connection.subscribe(pattern, self._on_message)

    def _on_message(self, message: Message) -> Awaitable[object] | None:
        name = self._names.get(message.topic)
        if name is None:
            if len(self._names) >= MAX_TOPICS:
                if not self._is_full:
                    self._is_full = True
                    _log.warning(
                        "more than %d topics match %s: %s and others are not shown",
                        MAX_TOPICS,
                        ", ".join(self._patterns),
                        message.topic,
                    )
                return None
            name = "/".join(filter(None, map(segment, message.topic.split("/")))) or "topic"
            self._names[message.topic] = name
            self._publish()
        if self._published is not None and len(message.payload) <= _MAX_PAYLOAD:
            self._published.report({name: value_of(message.payload)})
        return None

    def _publish(self) -> None:
        device = Device(
            "topics",
            "topic",
            properties=tuple(Property(name, DATA) for name in dict.fromkeys(self._names.values())),
        )
        self._published = self._tree.put(device, f"{self._tree.directory}/topic")


def value_of(payload: bytes) -> Any:
    """Return a payload as the value of its JSON; otherwise as text, or as bytes."""
    try:
        return parse(payload)
    except ValueError:
        pass
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload
