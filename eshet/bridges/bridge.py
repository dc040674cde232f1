"""What all bridges have in common, and how one is made from its settings."""

from typing import Protocol

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.settings import BridgeSettings, HomeAssistantSettings, NotifySettings
from eshet.client import Client

__all__ = ["Bridge", "make_bridge"]


class Bridge(Protocol):
    """A bridge; everything that it has registered ends with its client."""

    @property
    def connected(self) -> bool:
        """Whether it is connected to what its devices are connected to."""

    @property
    def problem(self) -> str:
        """Why it is not connected; empty while it is."""

    @property
    def device_count(self) -> int:
        """How many devices there are."""

    async def run(self) -> None:
        """Publish the devices until this is cancelled; outages do not end it."""


def make_bridge(name: str, settings: BridgeSettings, client: Client) -> Bridge:
    """Return a bridge that is ready to run.

    Args:
        name: of the bridge.
        settings: its settings.
        client: registers the nodes; it must be the bridge's own, and is not closed by it.

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
