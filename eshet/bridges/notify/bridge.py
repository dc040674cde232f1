"""The action that sends notifications by one service."""

import asyncio
import functools
from typing import Final

from eshet.bridges.exceptions import BridgeError, NotAllowed
from eshet.bridges.notify.sender import (
    LEVELS,
    MAX_WAITING,
    Notification,
    NotificationFailed,
    Sender,
)
from eshet.bridges.scope import bridge_scope
from eshet.bridges.server_connection import claim_name
from eshet.bridges.settings import NotifySettings
from eshet.client import Client

__all__ = ["NotifyBridge"]


class NotifyBridge:
    """Registers the action `/notify/NAME`, which sends a message, a title and a level.

    Args:
        name: of the bridge.
        settings: its settings.
        client: registers the action; used by this bridge only, which does not close it.

    Raises:
        BridgeError: the URL is missing or not valid.
        ModuleNotFoundError: the library that sends notifications to this URL is not installed.
    """

    def __init__(self, name: str, settings: NotifySettings, client: Client) -> None:
        self._name = name
        self._client = client
        self._sender: Final = _sender(name, settings.url(name))
        self._sending = 0
        self._is_registered = False
        self._failure = ""  # of the last notification
        self.ready: asyncio.Event = asyncio.Event()
        """See `Bridge`."""

    @property
    def connected(self) -> bool:
        """See `Bridge`: false after a failure, until a notification is sent."""
        return self._is_registered and not self.problem

    @property
    def problem(self) -> str:
        """See `Bridge`."""
        return self._sender.problem or self._failure

    @property
    def device_count(self) -> int:
        """See `Bridge`."""
        return 0

    async def run(self) -> None:
        """See `Bridge`."""
        try:
            with bridge_scope(self._name).active():
                register = functools.partial(
                    self._client.action_register, f"/notify/{self._name}", self._notify
                )
                await claim_name(self._name, self._client, register)
                self._is_registered = True
                self.ready.set()
                await asyncio.get_running_loop().create_future()
        finally:
            await self._sender.close()

    async def _notify(
        self, message: object = None, title: object = "", level: object = "info"
    ) -> None:
        """Send a notification; return when the service has accepted it.

        Raises:
            NotAllowed: an argument is of a wrong type, or the level does not exist.
            NotificationFailed: see there.
        """
        if not isinstance(message, str) or not message:
            raise NotAllowed(message, "a text", "message")
        if not isinstance(title, str):
            raise NotAllowed(title, "a text", "title")
        if level not in LEVELS or not isinstance(level, str):
            raise NotAllowed(level, f"one of {', '.join(map(repr, LEVELS))}", "level")
        if self._sending >= MAX_WAITING:
            raise NotificationFailed(f"{MAX_WAITING} notifications wait already")
        self._sending += 1
        try:
            await self._sender.send(Notification(message, title, level))
            self._failure = ""
        except NotificationFailed as error:
            self._failure = str(error)
            raise
        finally:
            self._sending -= 1


def _sender(name: str, url: str) -> Sender:
    from eshet.bridges.notify.ntfy import NtfySender, NtfyTopic

    try:
        topic = NtfyTopic.parse(url)
    except ValueError:
        raise BridgeError(
            f"the URL of the bridge {name} has no topic, or more than that: write ntfy://TOPIC "
            "for ntfy.sh, or https://HOST/TOPIC"
        ) from None
    if topic is not None:
        return NtfySender(topic)
    from eshet.bridges.notify.apprise import AppriseSender

    return AppriseSender(name, url)
