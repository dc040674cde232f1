"""A device as data: its properties, events and actions. Readers declare it; `tree` publishes it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from eshet.bridges.kinds import Kind

__all__ = ["Action", "Device", "Property", "Setter"]

Setter = Callable[[object], Awaitable[object]]
"""Sends a checked value; returns when the broker, hub or gateway of the device has accepted it."""


@dataclass(frozen=True)
class Property:
    """A value that a device reports: a state in the tree.

    Args:
        name: the name in the device's directory, such as `"brightness"`.
        kind: of its values.
        set: sends a value to the device; None if the property is read-only.
    """

    name: str
    kind: Kind
    set: Setter | None = None


@dataclass(frozen=True)
class Action:
    """An operation of a device, which may have a result: an action in the tree.

    Args:
        name: the name in the device's directory, such as `"identify"`.
        call: carries it out, and returns the result of the action.
    """

    name: str
    call: Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class Device:
    """A device.

    Args:
        id: identifies it within its reader, such as `"0x00124b0022"`; stays when it is renamed.
        name: the name that the user gave it, such as `"Hall lamp"`.
        info: facts about it, such as its model; empty facts and None are left out.
        properties: the values that it reports.
        events: the names of its events, such as `"action"`.
        actions: its operations.
        source: the reader that declares it; two readers may use the same id.
    """

    id: str
    name: str
    info: Mapping[str, object] = field(default_factory=dict)
    properties: tuple[Property, ...] = ()
    events: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    source: str = ""

    @property
    def key(self) -> str:
        """Identifies it among the devices of all readers of a bridge."""
        return f"{self.source} {self.id}" if self.source else self.id
