"""The routes that get, set, call, emit and list nodes: one request, one answer.

`/get`, `/set` and `/call` are those of the original gateway, with its answers: 200 and the value as
JSON, 520 and the error value as JSON, or 400 and a text for a body that is not JSON.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from aiohttp import web

from eshet.client import Client
from eshet.client.server_tree import list_directory
from eshet.exceptions import (
    Disconnected,
    ErrorValue,
    InvalidPath,
    MessageTooLong,
    TooManyRequests,
    UnsupportedValue,
)
from eshet.gateway import json_values
from eshet.gateway.access import Scope, caller_of, require
from eshet.gateway.answers import HttpError, json_answer
from eshet.gateway.limits import HttpLimits
from eshet.text import encodable

__all__ = ["ERROR_VALUE", "NodeRoutes"]

ERROR_VALUE: Final = 520
"""The status of an error of the server, or of the owner of a node."""


class _NotJson(Exception):
    """The body is not JSON, or not of the kind that the request needs.

    Args:
        text: of the answer.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class NodeRoutes:
    """The routes, for one client.

    Args:
        client: sends the requests to the server.
        limits: of the gateway.
    """

    def __init__(self, client: Client, limits: HttpLimits) -> None:
        self._client = client
        self._limits = limits

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes."""
        return [
            web.get("/get/{path:.*}", self._get),
            web.post("/set/{path:.*}", self._set),
            web.post("/call/{path:.*}", self._call),
            web.post("/emit/{path:.*}", self._emit),
            web.get("/ls/{path:.*}", self._ls),
            web.get("/ls", self._ls),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        path = _path(request)
        require(request, caller_of(request).access.scope_to_read(path))
        return await self._answer(request, self._client.get(path))

    async def _set(self, request: web.Request) -> web.Response:
        require(request, Scope.ACT)
        try:
            value = await _body(request)
        except _NotJson as error:
            return _text(error)
        path = _acting(request, "set")
        return await self._answer(request, self._client.set(path, value))

    async def _call(self, request: web.Request) -> web.Response:
        require(request, Scope.ACT)
        try:
            arguments = await _body(request)
            if not isinstance(arguments, list):
                raise _NotJson("error at character 0: the arguments are not a list")
        except _NotJson as error:
            return _text(error)
        path = _acting(request, "call")
        return await self._answer(request, self._client.action_call(path, *arguments))

    async def _emit(self, request: web.Request) -> web.Response:
        require(request, Scope.ACT)
        try:
            payload = await _body(request)
        except _NotJson as error:
            return _text(error)
        path = _acting(request, "emit")
        return await self._answer(request, self._client.event_emit(path, payload))

    async def _ls(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._list(_path(request)))

    async def _list(self, path: str) -> Any:
        """Return the result of `/meta/ls`, for a directory of any length."""
        kind, *entries = await list_directory(self._client, path)
        return ["dir", entries] if kind == "dir" else kind

    async def _answer(self, request: web.Request, result: Awaitable[object]) -> web.Response:
        try:
            async with asyncio.timeout(self._limits.answer):
                value = await result
        except ErrorValue as error:
            return json_answer(error.value, ERROR_VALUE)
        except InvalidPath:
            return json_answer("invalid_path", ERROR_VALUE)
        except UnsupportedValue as error:
            return _text(_NotJson(f"error at character 0: {error.problem}"))
        except MessageTooLong as error:
            raise HttpError(413, "message_too_long", str(error)) from None
        except TooManyRequests as error:
            raise HttpError(503, "too_many_requests", f"{error}; try again later") from None
        except Disconnected as error:
            raise HttpError(503, "disconnected", f"{error}; try again later") from None
        except TimeoutError:
            raise HttpError(
                504,
                "no_answer",
                f"the owner of the node did not answer in {self._limits.answer:g} s; the request "
                "may still take effect",
            ) from None
        return json_answer({"value": value} if "wrap" in request.query else value)


def _path(request: web.Request) -> str:
    """Return the path of a node in a URL, in which one slash at the end is ignored."""
    return "/" + request.match_info.get("path", "").removesuffix("/")


def _acting(request: web.Request, action: str) -> str:
    """Report that an action is about to be done, and return its path."""
    caller, path = caller_of(request), _path(request)
    caller.access.on_act(caller, action, path)
    return path


async def _body(request: web.Request) -> Any:
    try:
        return json_values.loads(await request.read())
    except json_values.InvalidJson as error:
        if error.position is None:
            raise _NotJson(f"error at character 0: {error.problem}") from None
        raise _NotJson(f"error at character {error.position}: invalid_json") from None


def _text(error: _NotJson) -> web.Response:
    return web.Response(text=encodable(error.text), status=400)
