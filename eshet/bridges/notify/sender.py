"""The data of a notification, and the interface to the services that send it."""

import re
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from eshet.bridges.exceptions import BridgeError

__all__ = [
    "DEADLINE",
    "LEVELS",
    "MAX_WAITING",
    "Notification",
    "NotificationFailed",
    "Sender",
    "without_secrets",
]

LEVELS: Final = ("info", "success", "warning", "error")

DEADLINE: Final = 30.0
"""Seconds after which a notification that was not sent fails; it is not sent later."""

MAX_WAITING: Final = 20
"""Maximum number of notifications of one service that are being sent at the same time."""

_SHORTEST_SECRET: Final = 3
"""Minimum length of a removed part; the removal of shorter ones would spoil the text."""


class NotificationFailed(BridgeError):
    """A notification was not sent, or it is not known whether it was."""


@dataclass(frozen=True)
class Notification:
    """A notification.

    Args:
        message: its text.
        title: its heading; empty for none.
        level: one of `LEVELS`.
    """

    message: str
    title: str = ""
    level: str = "info"


class Sender(Protocol):
    """Sends notifications by one service."""

    problem: str
    """Why it can't send notifications; empty unless a problem is known."""

    async def send(self, notification: Notification) -> None:
        """Send a notification; return when the service has accepted it.

        Raises:
            NotificationFailed: the service did not accept it before the deadline. The text has no
                secrets.
        """

    async def close(self) -> None:
        """Stop sending; waiting notifications are dropped."""


def without_secrets(text: str, url: str) -> str:
    """Return a text without any part of a URL, which may be a password or a key."""
    _, _, rest = url.partition("://")
    parts = {part for part in re.split(r"[/:@?&=#,]+", rest) if len(part) >= _SHORTEST_SECRET}
    parts |= {unquote(part) for part in parts}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "…")
    return text
