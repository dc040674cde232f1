"""The parts of an entity of a discovery message: its values, commands and triggers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.kinds import Kind

__all__ = ["Command", "Parts", "Reading", "Trigger", "UnreadableEntity", "Value"]


class UnreadableEntity(BridgeError, ValueError):
    """A discovery message is incomplete, or its entity is not supported."""


@dataclass(frozen=True)
class Reading:
    """How a value is read from the messages of a topic.

    Args:
        topic: of the messages.
        template: gives the text of the value; empty for the payload itself.
        convert: returns the value of that text, `Unknown` if the text stands for a missing value,
            or None to keep the last value; raises ValueError.
    """

    topic: str
    template: str
    convert: Callable[[str], object]


@dataclass(frozen=True)
class Command:
    """How a value is sent.

    Args:
        topic: of the message.
        convert: returns the text of a checked value, or a map that is sent as JSON.
        template: gives the payload for that text; empty for the text itself.
    """

    topic: str
    convert: Callable[[Any], object] = str
    template: str = ""


@dataclass(frozen=True)
class Value:
    """A value of an entity: a state if it is read, otherwise an action.

    Args:
        name: below that of the entity; empty for the only value of an entity.
        kind: of the value.
        reading: how it is read; None if it is only sent.
        command: how it is sent; None if it is only read.
    """

    name: str
    kind: Kind
    reading: Reading | None = None
    command: Command | None = None


@dataclass(frozen=True)
class Trigger:
    """An event of an entity.

    Args:
        name: of the event; empty for that of the entity.
        reading: how its payload is read; the value None stands for a message without the event.
    """

    name: str
    reading: Reading


@dataclass
class Parts:
    """The values, commands and events of an entity.

    Args:
        values: its values.
        presses: its actions without an argument, by name.
        triggers: its events.
    """

    values: list[Value] = field(default_factory=list)
    presses: list[tuple[str, Command]] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
