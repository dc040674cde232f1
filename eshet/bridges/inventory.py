"""What devices a bridge has, as data for `eshet-rules devices` and generated modules."""

from collections.abc import Iterator
from typing import Any, Final

from eshet import codec
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree
from eshet.unknown import Unknown

__all__ = ["page"]

_MAX_PAGE: Final = 32 * 1024
"""Size of a page, in bytes, so that it fits into a message."""


def page(tree: DeviceTree, start: int = 0) -> dict[str, Any]:
    """Return some of the devices.

    Args:
        tree: has the devices.
        start: the number of the first one.

    Returns:
        `devices`, a list of maps, and `next`, the number of the first device of the next page; None
        after the last one.
    """
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
    return {
        "directory": device.directory,
        "id": device.id,
        "name": device.declared.name,
        "kind": info.get("kind"),
        "model": info.get("model"),
        "online": device.online,
        "seen": device.seen,
        "battery": next(_batteries(device), None),
        "states": {
            state.path: {**state.kind.describe(), "settable": state.setter is not None}
            for state in device.states.values()
        },
        "events": list(device.events.values()),
        "actions": list(device.actions.values()),
    }


def _batteries(device: PublishedDevice) -> Iterator[object]:
    for name, state in device.states.items():
        if name.rpartition("/")[2].lower().startswith("battery") and state.value is not Unknown:
            yield state.value
