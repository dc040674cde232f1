"""A client for the messages of the original gateway, written from their description alone.

It knows nothing of this project's code: JSON lists over `/ws`, and no header, hint or field beyond
those that the original gateway has.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

__all__ = ["Failed", "OriginalClient"]


class Failed(Exception):
    """The reply to a request was an error."""


class OriginalClient:
    """A client; each request waits for the reply with its id."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.actions: dict[str, Callable[..., Awaitable[Any]]] = {}
        self.getters: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.setters: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self.changes: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._ids = itertools.count()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._greeted: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    async def hello(self, *client_id: Any, timeout_s: float = 30) -> list[Any]:
        await self._send(["hello_id" if client_id else "hello", 1, timeout_s, *client_id])
        return await self._greeted

    async def ask(self, name: str, *fields: Any) -> Any:
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._send([name, number, *fields])
        kind, *content = await reply
        if kind == "error":
            raise Failed(*content)
        return content[0] if len(content) == 1 else content

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self.socket.close()

    async def _send(self, message: list[Any]) -> None:
        await self.socket.send_str(json.dumps(message))

    async def _read(self) -> None:
        async for message in self.socket:
            assert message.type is WSMsgType.TEXT
            await self._handle(json.loads(message.data))

    async def _handle(self, message: list[Any]) -> None:
        match message:
            case ["hello"] | ["hello_id", _]:
                self._greeted.set_result(message)
            case ["reply" | "reply_state", number, result]:
                self._replies.pop(number).set_result(result)
            case ["action_call", number, path, arguments]:
                await self._answer(number, self.actions[path](*arguments))
            case ["prop_get", number, path]:
                await self._answer(number, self.getters[path]())
            case ["prop_set" | "state_set", number, path, value]:
                await self._answer(number, self.setters[path](value))
            case ["state_changed", path, value]:
                self.changes.put_nowait((path, value))
            case ["event_notify", path, payload]:
                self.events.put_nowait((path, payload))
            case _:
                raise AssertionError(
                    f"a message that the original gateway does not send: {message}"
                )

    async def _answer(self, number: int, answering: Awaitable[Any]) -> None:
        try:
            reply = ["ok", await answering]
        except ValueError as error:
            reply = ["error", str(error)]
        await self._send(["reply", number, reply])
