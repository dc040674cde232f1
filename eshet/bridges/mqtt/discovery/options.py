"""Helpers for the options of entities: topics, templates, and texts for values."""

from collections.abc import Callable, Mapping
from typing import Any

from eshet.bridges.kinds import Text
from eshet.bridges.mqtt.discovery.parts import (
    Command,
    Parts,
    Reading,
    Value,
)
from eshet.bridges.mqtt.filters import check_topic
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = [
    "Options",
    "choice",
    "command_of",
    "constant",
    "flag_reader",
    "flag_writer",
    "parts_with",
    "read_number",
    "read_text",
    "reading_of",
    "texts_in",
    "write_number",
]

Options = Mapping[str, Any]
"""The options of an entity, by their full names."""


def reading_of(
    options: Options,
    convert: Callable[[str], object],
    topic: str = "state_topic",
    template: str = "value_template",
) -> Reading | None:
    """Return the reading of a value; None if the entity has no such topic.

    Args:
        options: of the entity.
        convert: see `Reading`.
        topic: the name of the option with the topic.
        template: the name of the option with the template.

    Raises:
        TypeError: the topic is not a text.
        ValueError: the topic is not valid.
    """
    if not options.get(topic):
        return None
    return Reading(_topic(options[topic]), str(options.get(template) or ""), convert)


def command_of(
    options: Options,
    convert: Callable[[Any], object],
    topic: str = "command_topic",
    template: str = "command_template",
) -> Command | None:
    """Return the command of a value; None if the entity has no such topic.

    Args:
        options: of the entity.
        convert: see `Command`.
        topic: the name of the option with the topic.
        template: the name of the option with the template.

    Raises:
        TypeError: the topic is not a text.
        ValueError: the topic is not valid.
    """
    if not options.get(topic):
        return None
    return Command(_topic(options[topic]), convert, str(options.get(template) or ""))


def _topic(topic: Any) -> str:
    if not isinstance(topic, str):
        raise TypeError(f"{safe_repr(topic, 80)} instead of a topic")
    check_topic(topic)
    return topic


def texts_in(items: Any) -> tuple[str, ...]:
    """Return the items of a list as texts.

    Raises:
        TypeError: it is not a list.
    """
    if not isinstance(items, list | tuple):
        raise TypeError(f"{safe_repr(items, 80)} instead of a list")
    return tuple(map(str, items))


def parts_with(*values: Value) -> Parts:
    """Return the parts of an entity: those of these values that are read or sent."""
    return Parts([each for each in values if each.reading or each.command])


def read_number(text: str) -> object:
    """Return the number in a text, or `Unknown` for a text that stands for a missing value."""
    if text in ("None", "", "unknown", "unavailable"):
        return Unknown
    return float(text)


def read_text(text: str) -> object:
    """Return the text, or `Unknown` for the text `None`."""
    return Unknown if text == "None" else text


def flag_reader(on: object, off: object) -> Callable[[str], object]:
    """Return a function that converts the texts for on and off; booleans are `True` and `False`."""
    on_text, off_text = str(on), str(off)

    def convert(text: str) -> object:
        if text == on_text:
            return True
        if text == off_text:
            return False
        return Unknown if text == "None" else _wrong(text, on_text, off_text)

    return convert


def _wrong(text: str, on: str, off: str) -> object:
    raise ValueError(f"{text[:80]!r} instead of {on!r} or {off!r}")


def flag_writer(on: object, off: object) -> Callable[[Any], object]:
    """Return a function that converts true and false to the texts for on and off."""
    return lambda value: str(on if value else off)


def constant(payload: object) -> Callable[[Any], object]:
    """Return a function that converts every value to the same text."""
    return lambda _: str(payload)


def write_number(value: float) -> str:
    """Return a number as text, without the fraction `.0`, as Home Assistant sends it."""
    return str(int(value)) if float(value).is_integer() else str(value)


def choice(options: Options, name: str, choices: str) -> Value:
    """Return a value that is one of several texts, with topics of its own."""
    return Value(
        name,
        Text(texts_in(options.get(choices) or ())),
        reading_of(options, read_text, f"{name}_state_topic", f"{name}_value_template"),
        command_of(options, str, f"{name}_command_topic", f"{name}_command_template"),
    )
