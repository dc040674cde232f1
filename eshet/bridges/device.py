"""What a device has, as its reader declares it. `tree` publishes it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from eshet.bridges.kinds import Kind

__all__ = ["Action", "Device", "Property", "Setter"]

Setter = Callable[[object], Awaitable[object]]
"""Sends a checked value to the device; returns when the way to the device has taken it."""


@dataclass(frozen=True)
class Property:
    """A value that a device reports: a state in the tree.

    Args:
        name: the name in the device's directory, such as `"brightness"`.
        kind: what values it can have.
        set: sends a value to the device; None if it only reports.
    """

    name: str
    kind: Kind
    set: Setter | None = None


@dataclass(frozen=True)
class Action:
    """Something that a device does when it is called, and may answer: an action in the tree.

    Args:
        name: the name in the device's directory, such as `"identify"`.
        call: does it; its result is that of the call.
    """

    name: str
    call: Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class Device:
    """A device.

    Args:
        id: identifies it within its bridge, also when it is renamed, such as `"0x00124b0022"`.
        name: the name that the user gave it, such as `"Hall lamp"`.
        info: facts about it, such as its model; what is empty or None is left out.
        properties: what it reports.
        events: the names of what it emits, such as `"action"`.
        actions: what it does when it is called.
        source: the reader that describes it; ids identify devices within one reader.
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
        """Identifies it among the devices of all readers."""
        return f"{self.source} {self.id}" if self.source else self.id
