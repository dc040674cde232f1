"""The bridges to devices, and their devices."""

from datetime import datetime
from typing import Any, Final

from eshet.bridges.device_list import devices_of
from eshet.exceptions import EshetError
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.plain import stamp

__all__ = ["Devices"]

_MOST: Final = 500


class Devices:
    """Describes bridges and devices.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view

    async def now(self) -> dict[str, Any]:
        """Return the bridges of the runner, and the devices of all bridges of its server."""
        redaction = self._view.redaction
        devices, more = await self._devices()
        return {
            "bridges": [
                {**each, "problem": redaction.text(each["problem"] or "")}
                for each in self._view.bridges()
            ],
            "devices": devices,
            "more": more,
        }

    async def _devices(self) -> tuple[list[dict[str, Any]], int]:
        found: list[dict[str, Any]] = []
        more = 0
        try:
            async for device in devices_of(self._view.client):
                if len(found) < _MOST:
                    found.append(_plain(device))
                else:
                    more += 1
        except (EshetError, LookupError, TypeError, ValueError):  # a bridge of another kind
            pass
        return sorted(found, key=lambda each: str(each["path"])), more


def _plain(device: dict[str, Any]) -> dict[str, Any]:
    """Return a device as the page shows it, with the number of its nodes instead of their types."""
    seen = device["seen"]
    return {
        "path": device["directory"],
        "name": device["name"],
        "kind": device["kind"],
        "model": device["model"],
        "online": device["online"],
        "seen": stamp(datetime.fromisoformat(seen)) if isinstance(seen, str) else None,
        "battery": device["battery"],
        "nodes": sum(len(device[kind]) for kind in ("states", "events", "actions")),
    }
