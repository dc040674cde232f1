"""One entity of a discovery message: connects its topics with its device."""

import functools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from eshet.bridges.device import Action, Property
from eshet.bridges.kinds import Number
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.discovery.availability import Availability
from eshet.bridges.mqtt.discovery.components import parts_of
from eshet.bridges.mqtt.discovery.config import EntityConfig
from eshet.bridges.mqtt.discovery.parts import Command, Reading, Value
from eshet.bridges.mqtt.json_text import dump
from eshet.bridges.mqtt.templates import (
    JinjaTemplates,
    MissingValue,
    Rendered,
    Template,
    TemplateFailed,
    UnsupportedTemplate,
)
from eshet.bridges.published_device import PublishedDevice
from eshet.text import safe_str

__all__ = ["Entity", "Publish"]

_log: Final = logging.getLogger("eshet.bridges")

_WRONG: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""The errors that conversions raise for a payload of another form."""

Publish = Callable[[str, bytes], Awaitable[object]]
"""Publishes a payload on a topic."""


class Entity:
    """An entity.

    Args:
        config: its configuration.
        publish: see `Publish`.
        jinja: evaluates the templates that are not supported by ours; None for no such templates.

    Raises:
        UnreadableEntity: it is of a component that is not supported, or lacks an option.
        UnsupportedTemplate: one of its templates can't be evaluated.
    """

    def __init__(
        self, config: EntityConfig, publish: Publish, jinja: JinjaTemplates | None = None
    ) -> None:
        self.config: Final = config
        self.name: str = ""
        """The name of its nodes in the directory of the device; assigned by the device."""
        self.availability: Final = Availability(config.options)
        self._parts = parts_of(config.component, config.options)
        self._publish = publish
        self._jinja = jinja
        self._templates: dict[str, Template] = {}
        self.for_jinja: Final[set[str]] = set()
        """The templates that jinja2 evaluates."""
        self._logged: set[str] = set()  # topics with a payload that could not be read
        for text in self._texts_of_templates():
            self._add_template(text)

    def _add_template(self, text: str) -> None:
        try:
            self._templates[text] = Template(text)
        except UnsupportedTemplate as error:
            if self._jinja is None:
                raise
            try:
                self._jinja.check(text)
            except UnsupportedTemplate:
                raise error from None
            self.for_jinja.add(text)

    @property
    def topics(self) -> frozenset[str]:
        """The topics of its messages."""
        return (
            frozenset(reading.topic for _, reading in self._readings()) | self.availability.topics
        )

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

    def jinja_templates_of(self, topic: str) -> set[str]:
        """Return the templates for messages of a topic that jinja2 evaluates."""
        templates = {each.template for _, each in self._readings() if each.topic == topic}
        return (templates | {self.availability.template_of(topic)}) & self.for_jinja

    def receive(
        self, message: Message, device: PublishedDevice, rendered: Rendered
    ) -> Awaitable[object] | None:
        """Read a message of one of its topics, and report its values or emit its events.

        Args:
            message: the message.
            device: its device.
            rendered: the results of `jinja_templates_of` for the payload.
        """
        text = message.payload.decode(errors="replace")
        self._receive_availability(message.topic, text, rendered)
        for value in self._parts.values:
            if value.reading is not None and value.reading.topic == message.topic:
                read = self._read(value.reading, text, rendered)
                if read is not None:
                    device.report({self._path_of(value.name): read})
        emitted: Awaitable[object] | None = None
        for trigger in self._parts.triggers:
            if trigger.reading.topic == message.topic and not message.retained:
                name = self._path_of(trigger.name)
                happened = self._read(trigger.reading, text, rendered)
                if happened is not None:
                    emitted = device.emit(name, happened)
        return emitted

    def _receive_availability(self, topic: str, text: str, rendered: Rendered) -> None:
        render = functools.partial(self._render, rendered)
        try:
            self.availability.receive(topic, text, render)
        except MissingValue:
            pass  # many messages only have a part
        except TemplateFailed as error:
            self._log_once(topic, error)

    def _log_once(self, topic: str, error: Exception) -> None:
        if topic not in self._logged:
            self._logged.add(topic)
            _log.warning("%s: %s", topic, safe_str(error, 200))

    def _read(self, reading: Reading, text: str, results: Rendered) -> object:
        """Return the value in a message; None without a value, logged unless that is expected."""
        try:
            rendered = self._render(results, reading.template, text)
            value = None if rendered == "" else reading.convert(rendered)
        except MissingValue:
            return None  # many messages only have a part
        except (TemplateFailed, *_WRONG) as error:
            self._log_once(reading.topic, error)
            return None
        return value

    def _render(self, rendered: Rendered, template: str, given: str | float) -> str:
        if template not in self.for_jinja:
            return self._templates[template].render(given) if template else str(given)
        result = rendered.get(template)
        if isinstance(result, str):
            return result
        # Without a result, the entity has appeared while the message was evaluated.
        raise result or MissingValue("the message came too early")

    # --- to the device ------------------------------------------------------------------------

    async def _set(self, value: Value, wanted: object) -> None:
        if value.command is not None:
            await self._send(value.command, wanted, is_number=isinstance(value.kind, Number))

    async def _call(self, value: Value, wanted: object = None) -> None:
        await self._set(value, value.kind.check(wanted))

    async def _send(self, command: Command, wanted: object, *, is_number: bool = False) -> None:
        converted = command.convert(wanted)
        payload = converted.encode() if isinstance(converted, str) else dump(converted)
        if command.template:
            text = payload.decode()
            # As a number, since templates may calculate with it.
            given = _as_number(text) if is_number else text
            rendered: Rendered = {}
            if self._jinja is not None and command.template in self.for_jinja:
                rendered = await self._jinja.render([command.template], given)
            payload = self._render(rendered, command.template, given).encode()
        await self._publish(command.topic, payload)

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


def _as_number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
