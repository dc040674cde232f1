"""Home Assistant's WebSocket API: https://developers.home-assistant.io/docs/api/websocket."""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp

from eshet.bridges.exceptions import BridgeError
from eshet.text import safe_repr

__all__ = ["AuthenticationFailed", "HomeAssistantError", "WebSocket"]

_log: Final = logging.getLogger("eshet.bridges")

_HEARTBEAT: Final = 30.0
"""Interval of pings in seconds; without an answer the connection counts as lost."""
_CONNECT_TIMEOUT: Final = 10.0
_REPLY_TIMEOUT: Final = 30.0
"""Seconds until a request counts as unanswered; services may be slow."""

Handler = Callable[[Any], object]


_MAX_MESSAGE: Final = 64 * 2**20
"""Maximum size of a message, in bytes; the registries of a large house have a few million."""


class AuthenticationFailed(BridgeError):
    """Home Assistant does not accept the token."""


class HomeAssistantError(BridgeError):
    """Home Assistant answered a request with an error.

    Args:
        code: such as `"not_found"`.
        text: its description of the error.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{text} ({code})")


class WebSocket:
    """One connection to Home Assistant.

    Args:
        url: of Home Assistant, such as `"http://homeassistant.local:8123"`.
        token: a long-lived access token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._ids = itertools.count(1)  # they must grow
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._handlers: dict[int, Handler] = {}
        self._was_unreadable = False
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> str:
        """Connect and authenticate; return the version of Home Assistant.

        Raises:
            AuthenticationFailed: the token is not accepted.
            BridgeError: Home Assistant can't be reached.
        """
        self._session = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                self._socket = await self._session.ws_connect(
                    f"{self._url}/api/websocket", heartbeat=_HEARTBEAT, max_msg_size=_MAX_MESSAGE
                )
                await self._socket.receive_json()  # the message that requires authentication
                await self._socket.send_json({"type": "auth", "access_token": self._token})
                answer = await self._socket.receive_json()
        except TimeoutError:
            problem = f"no answer within {_CONNECT_TIMEOUT:g} s"
            raise BridgeError(f"can't connect to {self._url}: {problem}") from None
        except (aiohttp.ClientError, OSError, RecursionError, TypeError, ValueError) as error:
            text = str(error) or type(error).__name__
            raise BridgeError(f"can't connect to {self._url}: {text}") from None
        if not isinstance(answer, dict) or answer.get("type") not in ("auth_ok", "auth_invalid"):
            raise BridgeError(f"{self._url} does not answer like Home Assistant")
        if answer["type"] == "auth_invalid":
            raise AuthenticationFailed(
                f"{self._url} does not accept the token: {answer.get('message', '')}; create a "
                "long-lived access token on the page of your user"
            )
        return str(answer.get("ha_version", ""))

    async def run(self) -> str:
        """Receive messages until the connection is lost, and return why."""
        socket = self._socket
        if socket is None:
            return "not connected"
        reason = "Home Assistant closed it"
        async for message in socket:
            if message.type is aiohttp.WSMsgType.ERROR:
                reason = str(socket.exception())
                break
            if message.type is aiohttp.WSMsgType.TEXT:
                self._on_text(message.data)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(BridgeError("the connection was lost before the answer"))
        self._replies.clear()
        return reason

    async def request(self, kind: str, **fields: Any) -> Any:
        """Send a request, and return its result.

        Raises:
            HomeAssistantError: Home Assistant answered with an error.
            BridgeError: there was no answer.
        """
        return await self._request(next(self._ids), kind, fields)

    async def subscribe(self, handle: Handler, kind: str, **fields: Any) -> None:
        """Subscribe, and call a function with each event of the subscription.

        Raises:
            HomeAssistantError: see `request`.
            BridgeError: see `request`.
        """
        number = next(self._ids)
        self._handlers[number] = handle
        await self._request(number, kind, fields)

    async def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            with suppress(aiohttp.ClientError, OSError):
                await self._socket.close()
        if self._session is not None:
            await self._session.close()

    async def _request(self, number: int, kind: str, fields: dict[str, Any]) -> Any:
        socket = self._socket
        if socket is None or socket.closed:
            raise BridgeError(f"{kind}: not connected to {self._url}")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            await socket.send_json({"id": number, "type": kind, **fields})
            async with asyncio.timeout(_REPLY_TIMEOUT):
                return await reply
        except TimeoutError:
            raise BridgeError(f"{kind}: no answer in {_REPLY_TIMEOUT:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise BridgeError(f"{kind}: {error}") from None
        finally:
            self._replies.pop(number, None)

    def _on_text(self, text: str) -> None:
        try:
            messages = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._log_unreadable(error)
            return
        # With `coalesce_messages`, a frame may hold a list.
        for message in messages if isinstance(messages, list) else [messages]:
            try:
                self._on_message(message)
            except Exception as error:  # an unreadable message must not end the connection
                self._log_unreadable(error)

    def _log_unreadable(self, error: Exception) -> None:
        if not self._was_unreadable:
            self._was_unreadable = True
            _log.warning(
                "%s sent a message that can't be read; others like it are not logged: %s",
                self._url,
                safe_repr(error, 200),
            )

    def _on_message(self, message: dict[str, Any]) -> None:
        number = message.get("id", 0)
        if message.get("type") == "event":
            handle = self._handlers.get(number)
            if handle is not None:
                handle(message.get("event"))
            return
        reply = self._replies.get(number)
        if message.get("type") != "result" or reply is None or reply.done():
            return
        if message.get("success"):
            reply.set_result(message.get("result"))
        else:
            error = message.get("error") or {}
            reply.set_exception(
                HomeAssistantError(str(error.get("code")), str(error.get("message")))
            )
