"""Publishes the devices of a bridge as nodes of an ESHET server.

Each device is a directory: the states `info` and `online`, a state for each property, and its
events and actions. Except for `info`, all states are unknown while the bridge is not connected to
the broker or hub of its devices. States of properties are also unknown while the device is offline,
or has not reported for longer than its `stale_after`.

A report is handled in one step, without a task; only changed values are sent.
"""

import asyncio
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from eshet.bridges.device import Device
from eshet.bridges.exceptions import TooManyDevices
from eshet.bridges.names import Aliases, segment, segments
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.registration_queue import RegistrationQueue
from eshet.client import Client

__all__ = ["MAX_DEVICES", "DeviceTree"]

MAX_DEVICES: Final = 5000
"""The maximum number of devices of one reader: any client may announce devices to a broker."""

_RESERVED: Final = frozenset({"bridge", "topic"})
"""Names in the directory of a bridge that are reserved, so devices do not get them."""


_AT_ONCE: Final = 50
"""How many devices publish their values in one turn of the event loop."""


class DeviceTree:
    """The devices of one bridge.

    Args:
        client: registers the nodes; used by this bridge only.
        directory: the path of the bridge's directory, such as `"/mqtt/z2m"`.
        aliases: paths from the configuration.
        confirm: seconds within which a device must report a value that was set; None to answer a
            set as soon as the value is sent.
        stale_after: seconds without a report after which the properties of a device are unknown, by
            its name or id.
    """

    def __init__(
        self,
        client: Client,
        directory: str,
        aliases: Aliases | None = None,
        *,
        confirm: float | None = None,
        stale_after: Mapping[str, float] | None = None,
    ) -> None:
        self.client: Client = client
        self.directory: Final = directory
        self.aliases: Aliases = aliases or Aliases({})
        self.confirm: float | None = confirm
        self.reachable: bool = False
        """Whether the bridge is connected to the broker or hub of its devices."""
        self.devices: Final[dict[str, PublishedDevice]] = {}
        """The devices, by `Device.key`."""
        self.registrations: RegistrationQueue = RegistrationQueue()
        self._stale_after = dict(stale_after or {})
        self._unused_ages = set(self._stale_after)
        self._keys: dict[str, str] = {}  # of the devices, by directory

    @property
    def unused_stale_after(self) -> list[str]:
        """The names in `stale_after` without a known device, in the order of the alphabet."""
        return sorted(self._unused_ages)

    def check_room(self, device: str, known: Collection[str]) -> None:
        """Check whether a reader may add a device to those that it knows.

        Args:
            device: identifies it in the reader.
            known: the devices of the reader.

        Raises:
            TooManyDevices: it is a new one beyond `MAX_DEVICES`.
        """
        if len(known) >= MAX_DEVICES and device not in known:
            raise TooManyDevices(device, MAX_DEVICES)

    def put(self, device: Device, directory: str | None = None) -> PublishedDevice:
        """Publish a device, or replace the declaration of the device with this key.

        Nodes that both declarations have keep their values. This returns before the nodes are
        registered.

        Args:
            device: the device.
            directory: the path of its directory; None for that of its alias or its name.
        """
        published = self.devices.get(device.key)
        if published is None:
            published = self.devices[device.key] = PublishedDevice(self, device.id)
        directory = directory or self._directory_of(device)
        self._forget(published.directory, device.key)
        self._keys[directory] = device.key
        self._unused_ages -= {device.name, device.id}
        stale_after = self._stale_after.get(device.name, self._stale_after.get(device.id))
        published.declare(device, directory, stale_after)
        return published

    def remove(self, key: str) -> None:
        """Remove a device and its nodes; does nothing if this `Device.key` is not in the tree."""
        published = self.devices.pop(key, None)
        if published is not None:
            self._forget(published.directory, key)
            published.remove()

    def release(self, key: str) -> None:
        """Unregister the nodes of a device until the next `put`, so that others get its path."""
        published = self.devices.get(key)
        if published is not None:
            self._forget(published.directory, key)
            published.withdraw()

    def set_reachable(self, reachable: bool) -> None:
        """Publish the values of all devices, or make them unknown; see `reachable`.

        Many devices are handled in several turns of the loop.
        """
        if reachable is not self.reachable:
            self.reachable = reachable
            keys = list(self.devices)
            self._show(keys[:_AT_ONCE])
            if len(keys) > _AT_ONCE:
                _ = self.registrations.start(self._show_rest(keys[_AT_ONCE:]))

    async def _show_rest(self, keys: list[str]) -> None:
        for first in range(0, len(keys), _AT_ONCE):
            await asyncio.sleep(0)
            self._show(keys[first : first + _AT_ONCE])

    def _show(self, keys: Iterable[str]) -> None:
        for key in keys:
            if (device := self.devices.get(key)) is not None:
                device.show()

    async def close(self) -> None:
        """End all timers and tasks; the nodes end with the client."""
        for device in self.devices.values():
            device.stop()
        await self.registrations.close()

    def _directory_of(self, device: Device) -> str:
        alias = self.aliases.directory(device.name, device.id)
        if alias is not None:
            return alias
        name = segments(device.name) or segment(device.id) or "device"
        directory = f"{self.directory}/{name}"
        if self._is_taken(directory, device) or name.partition("/")[0] in _RESERVED:
            directory = f"{directory}_{segment(device.id)[-4:]}"
        numbered = directory
        for number in itertools.count(2):
            if not self._is_taken(numbered, device):
                break
            numbered = f"{directory}_{number}"
        return numbered

    def _is_taken(self, directory: str, device: Device) -> bool:
        return self._keys.get(directory, device.key) != device.key

    def _forget(self, directory: str, key: str) -> None:
        if self._keys.get(directory) == key:
            del self._keys[directory]
