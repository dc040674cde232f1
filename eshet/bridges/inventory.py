"""The devices of a bridge as data, for `eshet-rules devices` and generated modules."""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from eshet import codec
from eshet.bridges.exceptions import NotAllowed
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree
from eshet.text import shorten

__all__ = ["page"]

_BATTERY: Final = re.compile(r"(?:\w+_)?battery(?:_level|_percentage)?")
"""Names of properties with the charge of a battery, in contrast to its voltage."""

_MAX_PAGE: Final = 32 * 1024
"""Maximum size of a page, in bytes, so that it fits into a message."""

_MAX_STATES: Final = 40 * 1024
"""Maximum size of the states of one device, in bytes; real devices need up to 300 times 100."""
_MAX_NAMES: Final = 6 * 1024
"""Maximum size of the paths of its events, and of those of its actions, in bytes."""

_MAX_TEXT: Final = 200
"""Maximum length of a name, in characters."""

T = TypeVar("T")


def page(tree: DeviceTree, start: object = 0) -> dict[str, Any]:
    """Return one page of the devices.

    Args:
        tree: the devices of the bridge.
        start: the number of the first one.

    Returns:
        `devices`, a list of maps, and `next`, the number of the first device of the next page; None
        after the last one. Of a device with very many nodes, some are not listed; `unlisted` is
        their number.

    Raises:
        NotAllowed: `start` is not the number of a device.
    """
    if not isinstance(start, int) or start < 0:
        raise NotAllowed(start, "the number of a device; 0 for the first one")
    rows: list[dict[str, Any]] = []
    size = 0
    devices = sorted(
        (device for device in tree.devices.values() if device.is_listed),
        key=lambda device: device.directory,
    )
    for number, device in enumerate(devices[start:], start):
        row = _row(device)
        size += len(codec.pack(row))
        if rows and size > _MAX_PAGE:
            return {"devices": rows, "next": number}
        rows.append(row)
    return {"devices": rows, "next": None}


def _row(device: PublishedDevice) -> dict[str, Any]:
    info = device.declared.info
    states: list[tuple[str, dict[str, object]]] = [
        (state.path, {**state.kind.describe(), "settable": state.setter is not None})
        for state in device.states.values()
    ]
    events, actions = list(device.events.values()), list(device.actions.values())
    listed_states = _fitting(states, _MAX_STATES)
    listed_events, listed_actions = _fitting(events, _MAX_NAMES), _fitting(actions, _MAX_NAMES)
    listed = len(listed_states) + len(listed_events) + len(listed_actions)
    return {
        "directory": device.directory,
        "id": shorten(device.id, _MAX_TEXT),
        "name": shorten(device.declared.name, _MAX_TEXT),
        "kind": info.get("kind"),
        "model": info.get("model"),
        "online": device.online,
        "seen": device.seen,
        "battery": next(_batteries(device), None),
        "states": dict(listed_states),
        "events": listed_events,
        "actions": listed_actions,
        "unlisted": len(states) + len(events) + len(actions) - listed,
    }


def _fitting(items: list[T], most: int) -> list[T]:
    """Return the first of these items, as many as fit into this size, in bytes."""
    left = most
    fitting: list[T] = []
    for item in items:
        size = len(codec.pack(item))
        if size <= left:
            left -= size
            fitting.append(item)
    return fitting


def _batteries(device: PublishedDevice) -> Iterator[object]:
    for name, state in device.states.items():
        last = name.rpartition("/")[2].lower()
        is_level = _BATTERY.fullmatch(last) is not None
        if is_level and isinstance(state.value, int | float) and not isinstance(state.value, bool):
            yield state.value
