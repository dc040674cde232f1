"""What a notification is, and the interface to the services that send it."""

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
"""Seconds after which a notification counts as failed; after that it is not sent any more."""

MAX_WAITING: Final = 20
"""How many notifications of one service may be on their way at the same time."""

_SHORTEST_SECRET: Final = 3
"""Characters; shorter parts of a URL say nothing, and their removal would spoil the text."""


class NotificationFailed(BridgeError):
    """A notification was not sent, or nobody knows whether it was."""


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
    """Why it can't send anything; empty while it can, as far as is known."""

    async def send(self, notification: Notification) -> None:
        """Send a notification; return when the service has accepted it.

        Raises:
            NotificationFailed: it did not, or not before the deadline. The text has no secrets.
        """

    async def close(self) -> None:
        """End it; what waits is not sent any more."""


def without_secrets(text: str, url: str) -> str:
    """Return a text without any part of a URL, which may be a password or a key."""
    _, _, rest = url.partition("://")
    parts = {part for part in re.split(r"[/:@?&=#,]+", rest) if len(part) >= _SHORTEST_SECRET}
    parts |= {unquote(part) for part in parts}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "…")
    return text
