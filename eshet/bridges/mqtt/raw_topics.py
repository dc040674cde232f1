"""Messages of chosen topics as states, for topics that no reader supports."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from eshet.bridges.device import Device, Property
from eshet.bridges.kinds import DATA
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import parse
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree
from eshet.text import shorten

__all__ = ["RawTopics", "value_of"]

_log: Final = logging.getLogger("eshet.bridges")

MAX_TOPICS: Final = 1000
"""Maximum number of shown topics; a wildcard may match any number."""


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
        self._values: dict[str, object] = {}  # the last ones, by topic
        self._is_full = False
        self._is_declaring = False
        self._published: PublishedDevice | None = None

    def start(self) -> None:
        """Subscribe."""
        for pattern in self._patterns:
            self._connection.subscribe(pattern, self._on_message)

    def _on_message(self, message: Message) -> None:
        topic = message.topic
        if topic not in self._values:
            if len(self._values) >= MAX_TOPICS:
                self._log_full(topic)
                return
            if not self._is_declaring:
                # Many topics arrive together: the broker sends all retained messages at once.
                self._is_declaring = True
                asyncio.get_running_loop().call_soon(self._declare)
        self._values[topic] = value = value_of(message.payload)
        if self._published is not None and not self._is_declaring:
            self._published.report({topic: value})

    def _log_full(self, topic: str) -> None:
        if not self._is_full:
            self._is_full = True
            _log.warning(
                "more than %d topics match %s: %s and others are not shown",
                MAX_TOPICS,
                shorten(", ".join(self._patterns), 200),
                shorten(topic, 200),
            )

    def _declare(self) -> None:
        self._is_declaring = False
        device = Device(
            "topics",
            "topic",
            properties=tuple(Property(topic, DATA) for topic in self._values),
            source="topics",
        )
        self._published = self._tree.put(device, f"{self._tree.directory}/topic")
        self._published.report(self._values)


def value_of(payload: bytes) -> Any:
    """Return the value of a payload: of its JSON, otherwise as text, or as bytes if not UTF-8."""
    try:
        return parse(payload)
    except ValueError:
        pass
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload
