"""The interface of all bridges, and the function that makes one from its settings."""

import asyncio
from typing import Protocol

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.settings import BridgeSettings, HomeAssistantSettings, NotifySettings
from eshet.client import Client

__all__ = ["Bridge", "make_bridge"]


class Bridge(Protocol):
    """A bridge; its registrations end with its client."""

    @property
    def connected(self) -> bool:
        """Whether it is connected to the broker or hub of its devices."""

    @property
    def problem(self) -> str:
        """Why it is not connected; empty while it is connected."""

    @property
    def device_count(self) -> int:
        """The number of devices."""

    @property
    def ready(self) -> asyncio.Event:
        """Set when the devices that were known at the first connection are registered."""

    async def run(self) -> None:
        """Publish the devices until this is cancelled; it goes on after outages."""


def make_bridge(name: str, settings: BridgeSettings, client: Client) -> Bridge:
    """Return a bridge that is ready to run.

    Args:
        name: of the bridge.
        settings: its settings.
        client: registers the nodes; used by this bridge only, which does not close it.

    Raises:
        BridgeError: a file in the settings can't be read, a secret is missing, or a library is not
            installed.
    """
    try:
        if isinstance(settings, HomeAssistantSettings):
            from eshet.bridges.homeassistant.bridge import HomeAssistantBridge

            return HomeAssistantBridge(name, settings, client)
        if isinstance(settings, NotifySettings):
            from eshet.bridges.notify.bridge import NotifyBridge

            return NotifyBridge(name, settings, client)
        from eshet.bridges.mqtt.bridge import MqttBridge

        return MqttBridge(name, settings, client)
    except ModuleNotFoundError as error:
        raise BridgeError(
            f"the bridge {name} needs the library {error.name}: "
            f"pip install 'eshet-rules[{settings.type}]'"
        ) from None
