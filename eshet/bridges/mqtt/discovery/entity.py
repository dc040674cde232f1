"""One entity of a discovery message, between its topics and its device."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from eshet.bridges.device import Action, Property
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.discovery.availability import Availability
from eshet.bridges.mqtt.discovery.components import parts_of
from eshet.bridges.mqtt.discovery.config import EntityConfig
from eshet.bridges.mqtt.discovery.parts import Command, Reading, Value
from eshet.bridges.mqtt.templates import MissingValue, Template, TemplateFailed
from eshet.bridges.published_device import PublishedDevice

__all__ = ["Entity", "Publish"]

_log: Final = logging.getLogger("eshet.bridges")

Publish = Callable[[str, bytes], Awaitable[object]]
"""Publishes a payload on a topic."""


class Entity:
    """An entity.

    Args:
        config: its configuration.
        publish: see `Publish`.

    Raises:
        UnreadableEntity: it is of a component that is not supported, or lacks an option.
        UnsupportedTemplate: one of its templates can't be evaluated.
    """

    def __init__(self, config: EntityConfig, publish: Publish) -> None:
        self.config: Final = config
        self.name: str = ""
        """The name of its nodes in the directory of the device, which is given by the device."""
        self.availability: Final = Availability(config.options)
        self._parts = parts_of(config.component, config.options)
        self._publish = publish
        self._templates: dict[str, Template] = {}
        self._was_wrong: set[str] = set()
        for text in self._texts_of_templates():
            self._templates[text] = Template(text)

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it reads."""
        return (
            frozenset(reading.topic for _, reading in self._readings()) | self.availability.topics
        )

    @property
    def has_triggers(self) -> bool:
        """Whether each message counts, not only the last."""
        return bool(self._parts.triggers)

    # --- declarations -------------------------------------------------------------------------

    def properties(self) -> Iterator[Property]:
        """Yield its states."""
        for value in self._parts.values:
            if value.reading is not None:
                setter = None if value.command is None else functools.partial(self._set, value)
                yield Property(self._path_of(value.name), value.kind, setter)

    def events(self) -> Iterator[str]:
        """Yield the names of its events."""
        for trigger in self._parts.triggers:
            yield self._path_of(trigger.name)

    def actions(self) -> Iterator[Action]:
        """Yield its actions."""
        for value in self._parts.values:
            if value.reading is None:
                yield Action(self._path_of(value.name), functools.partial(self._call, value))
        for name, command in self._parts.presses:
            yield Action(self._path_of(name), functools.partial(self._send, command, None))

    def _path_of(self, name: str) -> str:
        if self.config.component == "device_automation":
            return name  # one event for all triggers of the device
        return f"{self.name}/{name}" if name else self.name

    # --- from the device ----------------------------------------------------------------------

    def receive(self, message: Message, device: PublishedDevice) -> Awaitable[object] | None:
        """Read a message of one of its topics, and report or emit what it says."""
        text = message.payload.decode(errors="replace")
        self.availability.receive(message.topic, text, self._render)
        for value in self._parts.values:
            if value.reading is not None and value.reading.topic == message.topic:
                read = self._read(value.reading, text, self._path_of(value.name))
                if read is not None:
                    device.report({self._path_of(value.name): read})
        emitted: Awaitable[object] | None = None
        for trigger in self._parts.triggers:
            if trigger.reading.topic == message.topic and not message.retained:
                name = self._path_of(trigger.name)
                happened = self._read(trigger.reading, text, name)
                if happened is not None:
                    emitted = device.emit(name, happened)
        return emitted

    def _read(self, reading: Reading, text: str, name: str) -> object:
        """Return the value in a message; None if it has none, which is logged if it should have."""
        try:
            rendered = self._render(reading.template, text)
            value = None if rendered == "" else reading.convert(rendered)
        except MissingValue:
            return None  # many messages only have a part
        except (TemplateFailed, TypeError, ValueError) as error:
            if name not in self._was_wrong:
                self._was_wrong.add(name)
                _log.warning("%s: %s", reading.topic, error)
            return None
        self._was_wrong.discard(name)
        return value

    def _render(self, template: str, text: str) -> str:
        return self._templates[template].render(text) if template else text

    # --- to the device ------------------------------------------------------------------------

    async def _set(self, value: Value, wanted: object) -> None:
        if value.command is not None:
            await self._send(value.command, wanted)

    async def _call(self, value: Value, wanted: object = None) -> None:
        await self._set(value, value.kind.check(wanted))

    async def _send(self, command: Command, wanted: object) -> None:
        converted = command.convert(wanted)
        text = converted if isinstance(converted, str) else json.dumps(converted)
        await self._publish(command.topic, self._render(command.template, text).encode())

    # --- templates ----------------------------------------------------------------------------

    def _readings(self) -> Iterator[tuple[str, Reading]]:
        for value in self._parts.values:
            if value.reading is not None:
                yield value.name, value.reading
        for trigger in self._parts.triggers:
            yield trigger.name, trigger.reading

    def _texts_of_templates(self) -> Iterator[str]:
        for _, reading in self._readings():
            if reading.template:
                yield reading.template
        for value in self._parts.values:
            if value.command is not None and value.command.template:
                yield value.command.template
        for _, command in self._parts.presses:
            if command.template:
                yield command.template
        yield from self.availability.templates
