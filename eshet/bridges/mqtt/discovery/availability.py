"""The availability of an entity, from the messages of several topics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from eshet.bridges.mqtt.discovery.parts import UnreadableEntity
from eshet.bridges.mqtt.filters import check_topic
from eshet.text import safe_repr

__all__ = ["Availability"]


class _Source(NamedTuple):
    available: str
    not_available: str
    template: str


class Availability:
    """The availability of one entity.

    Args:
        options: of the entity, by their full names.

    Raises:
        UnreadableEntity: a topic is not valid.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._sources: dict[str, _Source] = {}
        self._mode = str(options.get("availability_mode", "latest"))
        self._states: dict[str, bool] = {}
        self._latest: bool | None = None
        for each in options.get("availability") or ():
            self._add("topic", each, "value_template")
        self._add("availability_topic", options, "availability_template")

    def _add(self, name: str, options: Mapping[str, Any], template: str) -> None:
        topic = options.get(name)
        if topic is None:
            return
        if not isinstance(topic, str):
            raise UnreadableEntity(f"{safe_repr(topic, 80)} instead of a topic")
        try:
            check_topic(topic)
        except ValueError as error:
            raise UnreadableEntity(str(error)) from None
        self._sources[topic] = _Source(
            str(options.get("payload_available", "online")),
            str(options.get("payload_not_available", "offline")),
            str(options.get(template) or ""),
        )

    @property
    def topics(self) -> frozenset[str]:
        """The topics that the availability depends on."""
        return frozenset(self._sources)

    @property
    def templates(self) -> list[str]:
        """The texts of the templates."""
        return [source.template for source in self._sources.values() if source.template]

    def template_of(self, topic: str) -> str:
        """Return the text of the template for a topic; empty if there is none."""
        source = self._sources.get(topic)
        return "" if source is None else source.template

    @property
    def state(self) -> bool | None:
        """Whether the entity is available; None if not known, or if no topic is configured."""
        if not self._sources or not self._states:
            return None
        if self._mode == "all":
            return all(self._states.get(topic, False) for topic in self._sources)
        if self._mode == "any":
            return any(self._states.values())
        return self._latest

    def receive(self, topic: str, text: str, render: Callable[[str, str], str]) -> None:
        """Take a message of one of the topics; other topics and unexpected texts are ignored.

        Args:
            topic: of the message.
            text: its payload.
            render: renders a template with a payload.
        """
        source = self._sources.get(topic)
        if source is None:
            return
        rendered = render(source.template, text)
        if rendered in (source.available, source.not_available):
            self._latest = self._states[topic] = rendered == source.available
