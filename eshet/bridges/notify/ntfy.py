"""Sends notifications by ntfy: https://docs.ntfy.sh/publish/#publish-as-json."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp

from eshet.bridges.notify.sender import DEADLINE, Notification, NotificationFailed

__all__ = ["NtfySender", "NtfyTopic"]

_CLOUD: Final = "https://ntfy.sh"
_ACCEPTED: Final = 200

_PRIORITIES: Final[Mapping[str, int]] = {"info": 3, "success": 3, "warning": 4, "error": 5}

_TAGS: Final[Mapping[str, list[str]]] = {
    "success": ["white_check_mark"],
    "warning": ["warning"],
    "error": ["rotating_light"],
}
"""The names of the symbols that ntfy shows before the title."""


@dataclass(frozen=True)
class NtfyTopic:
    """A topic of an ntfy server.

    Args:
        server: its URL, without the topic.
        topic: the name of the topic, which is a secret: it is enough to read the notifications.
        authorization: the value of the header `Authorization`; empty for none.
    """

    server: str
    topic: str
    authorization: str = ""

    @classmethod
    def parse(cls, url: str) -> "NtfyTopic | None":
        """Read a URL; None if it is not one for ntfy.

        These are `ntfy://TOPIC` for ntfy.sh, `ntfys://HOST/TOPIC` or `https://HOST/TOPIC`, and
        `ntfy://HOST/TOPIC` or `http://HOST/TOPIC` without TLS. Before the host there may be
        `USER:PASSWORD@`, or an access token and `@`.

        Raises:
            ValueError: it is one for ntfy, with a missing topic or a longer path.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ntfy", "ntfys", "http", "https"):
            return None
        *_, host = parts.netloc.rpartition("@")  # keeps capital letters, which a topic may have
        path, _, topic = parts.path.rstrip("/").rpartition("/")
        if parts.query or parts.fragment:
            raise ValueError
        if not topic and parts.scheme.startswith("ntfy"):
            server, topic = _CLOUD, host
        elif path and parts.scheme.startswith("ntfy"):
            raise ValueError
        else:
            is_encrypted = parts.scheme.endswith("s") or host == "ntfy.sh"
            server = f"http{'s' if is_encrypted else ''}://{host}{path}"
        if not topic or not host:
            raise ValueError
        return cls(server, unquote(topic), _authorization(parts.username, parts.password))


class NtfySender:
    """A `Sender` to one topic of ntfy.

    Args:
        topic: where to send notifications.
    """

    def __init__(self, topic: NtfyTopic) -> None:
        self.problem: str = ""
        """See `Sender.problem`."""
        self._topic = topic
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notification: Notification) -> None:
        """See `Sender.send`."""
        topic = self._topic
        body: dict[str, object] = {
            "topic": topic.topic,
            "message": notification.message,
            "priority": _PRIORITIES[notification.level],
        }
        if notification.title:
            body["title"] = notification.title
        if notification.level in _TAGS:
            body["tags"] = _TAGS[notification.level]
        headers = {"Authorization": topic.authorization} if topic.authorization else {}
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with (
                asyncio.timeout(DEADLINE),
                self._session.post(
                    topic.server, json=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                if answer.status != _ACCEPTED:
                    raise NotificationFailed(f"ntfy answered {_status(answer.status)}")
        except TimeoutError:
            raise NotificationFailed(f"ntfy did not answer in {DEADLINE:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotificationFailed(f"can't reach ntfy: {_reason(error)}") from None
        except ValueError:  # its text may have the token
            raise NotificationFailed(
                "can't reach ntfy: the host or the token in its URL is not valid"
            ) from None

    async def close(self) -> None:
        """See `Sender.close`."""
        if self._session is not None:
            await self._session.close()


def _status(status: int) -> str:
    """Return a status with its usual reason, as that of the server may have any text."""
    with contextlib.suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)


def _reason(error: Exception) -> str:
    """Return the reason of a failed request, without the URL that its text may have."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else type(error).__name__


def _authorization(user: str | None, password: str | None) -> str:
    if not user:
        return ""
    if password is None:
        return f"Bearer {unquote(user)}"
    return aiohttp.BasicAuth(unquote(user), unquote(password), encoding="utf-8").encode()
