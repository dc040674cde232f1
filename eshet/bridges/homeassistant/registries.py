"""The registries of Home Assistant: its areas, devices, floors and labels."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from eshet.bridges.homeassistant.websocket import HomeAssistantError, WebSocket

__all__ = ["CHANGES", "Registries"]

_IDS: Final = {"area": "area_id", "device": "id", "floor": "floor_id", "label": "label_id"}
"""The registries of possible targets of services, with the field for the id of an entry."""

CHANGES: Final = (
    *(f"{each}_registry_updated" for each in (*_IDS, "entity")),
    "service_registered",
    "service_removed",
)
"""The types of events that require reading registries or services again."""


class Registries:
    """The last content of the registries; empty at first."""

    def __init__(self) -> None:
        self.areas: Mapping[str, str] = {}
        """The names of areas, by the id of an entity."""
        self.targets: Mapping[str, frozenset[str]] = {}
        """The possible targets of services: ids by the name of the field, such as `area_id`. A
        field is missing if this version of Home Assistant does not have the registry."""

    async def read(self, socket: WebSocket) -> None:
        """Read all registries.

        Raises:
            BridgeError: the connection was lost, or there was no answer.
        """
        read = {each: await _read(socket, each) for each in (*_IDS, "entity")}
        self.targets = {
            f"{each}_id": frozenset(str(entry.get(of)) for entry in entries)
            for each, of in _IDS.items()
            if (entries := read[each]) is not None
        }
        names = {entry.get("area_id"): entry.get("name") for entry in _entries(read["area"])}
        of_devices = {entry.get("id"): entry.get("area_id") for entry in _entries(read["device"])}
        areas = {}
        for entry in _entries(read["entity"]):
            area = entry.get("area_id") or of_devices.get(entry.get("device_id"))
            if name := names.get(area):
                areas[str(entry.get("entity_id"))] = str(name)
        self.areas = areas


async def _read(socket: WebSocket, registry: str) -> list[Mapping[str, Any]] | None:
    """Return the entries of a registry; None if Home Assistant does not have it."""
    try:
        entries = await socket.request(f"config/{registry}_registry/list")
    except HomeAssistantError:
        return None
    return [entry for entry in entries or () if isinstance(entry, dict)]


def _entries(read: list[Mapping[str, Any]] | None) -> Iterable[Mapping[str, Any]]:
    return read or ()
