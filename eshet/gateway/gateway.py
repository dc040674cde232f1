"""The gateway: all routes by which programs without an ESHET client reach a server."""

import logging
from typing import Final, cast

from aiohttp import WSCloseCode, web

from eshet.client import Client
from eshet.connection import Connector
from eshet.gateway.access import Access, caller_of
from eshet.gateway.events import EventRoutes
from eshet.gateway.nodes import NodeRoutes
from eshet.gateway.websocket import WebSocketSession

__all__ = ["Gateway"]

_log: Final = logging.getLogger("eshet.gateway")

_CLOSE_WITHIN: Final = 1.0
"""How long a client of a WebSocket may take to confirm its end, in seconds."""


class Gateway:
    """The routes `/get`, `/set`, `/call`, `/emit`, `/ls`, `/events` and `/ws`.

    Args:
        client: sends the requests of all HTTP requests and streams; not closed. A WebSocket has a
            connection of its own to the same server.
        access: the access control of the server that has these routes.
        log: for the end of WebSockets.
    """

    def __init__(self, client: Client, access: Access, *, log: logging.Logger = _log) -> None:
        self._client = client
        self._access = access
        self._log = log

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes, for `listening.serve`."""
        limits = self._access.limits
        return [
            *NodeRoutes(self._client, limits).routes(),
            *EventRoutes(self._client, limits).routes(),
            web.get("/ws", self._web_socket, allow_head=False),
        ]

    async def _web_socket(self, request: web.Request) -> web.StreamResponse:
        limits = self._access.limits
        socket = web.WebSocketResponse(
            heartbeat=limits.heartbeat,
            max_msg_size=limits.body,
            compress=False,
            timeout=_CLOSE_WITHIN,
        )
        await socket.prepare(request)
        connector = cast(Connector, self._client.server)
        caller = caller_of(request)
        try:
            await WebSocketSession(socket, connector, self._access, caller, self._log).run()
        finally:
            if socket.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE) and request.transport:
                request.transport.abort()  # the client does not read the rest of the output
        return socket
