"""The nodes of a bridge about itself: whether it is connected, and its devices as a list."""

import asyncio
import functools
from typing import Final

from eshet.bridges.inventory import page
from eshet.bridges.published_device import OFFLINE_AFTER
from eshet.bridges.server_connection import claim_name
from eshet.bridges.tree import DeviceTree

__all__ = ["OwnNodes"]


class OwnNodes:
    """The state `bridge/online` and the action `bridge/devices` of a bridge.

    Args:
        name: of the bridge.
        tree: its devices, which are unknown while it is not connected.
        devices_within: seconds after a connection in which the descriptions of devices arrive.
    """

    def __init__(self, name: str, tree: DeviceTree, *, devices_within: float = 0.0) -> None:
        self.directory: Final = f"{tree.directory}/bridge"
        """The path of these nodes."""
        self.ready: Final = asyncio.Event()
        """See `Bridge`."""
        self.changed: Final = asyncio.Event()
        """Set when the shown connection changes; cleared by the code that waits for it."""
        self._name = name
        self._tree = tree
        self._devices_within = devices_within
        self._going_offline: asyncio.TimerHandle | None = None
        self._is_shown: bool | None = None

    async def register(self) -> None:
        """Register the nodes, when there is a connection to the server.

        Raises:
            BridgeError: another bridge has this name; see `claim_name`.
            Disconnected: see there.
        """
        client = self._tree.client
        online = functools.partial(client.state_register, f"{self.directory}/online")
        await claim_name(self._name, client, online)
        devices = functools.partial(page, self._tree)
        await client.action_register(f"{self.directory}/devices", devices)

    def set_connected(self, is_connected: bool) -> None:
        """Show whether the bridge is connected; False takes effect after `OFFLINE_AFTER` seconds.

        Values are kept for that time, as the restart of a broker or hub is short.
        """
        if is_connected:
            self._cancel_timer()
            self._show(True)
            if not self.ready.is_set():
                _ = self._tree.registrations.start(self._become_ready())
        elif self._going_offline is None and self._is_shown is not False:
            loop = asyncio.get_running_loop()
            self._going_offline = loop.call_later(OFFLINE_AFTER, self._show, False)

    async def close(self) -> None:
        """End all timers and tasks of the bridge; the nodes end with its client."""
        self._cancel_timer()
        await self._tree.close()

    def _cancel_timer(self) -> None:
        if self._going_offline is not None:
            self._going_offline.cancel()
            self._going_offline = None

    async def _become_ready(self) -> None:
        await asyncio.sleep(self._devices_within)
        await self._tree.registrations.join()
        self.ready.set()

    def _show(self, is_online: bool) -> None:
        self._going_offline = None
        self.changed.set()
        self._tree.set_reachable(is_online)
        if is_online is not self._is_shown:
            self._is_shown = is_online
            changing = self._tree.client.state_changed(f"{self.directory}/online", is_online)
            _ = self._tree.registrations.start(changing)
