"""A gateway in front of a server of its own, on a free port of loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from eshet import Client
from eshet.address import Address
from eshet.gateway.access import Access
from eshet.gateway.gateway import Gateway
from eshet.gateway.json_values import dumps, loads
from eshet.gateway.limits import HttpLimits
from eshet.gateway.listening import serve
from eshet.gateway.tokens import Scope, TokenFile
from eshet.server import Server
from tests.support.http import Answer, exchange

__all__ = ["GatewayHouse", "Socket", "gateway_house"]


class Socket:
    """A WebSocket of a test."""

    def __init__(self, response: ClientWebSocketResponse) -> None:
        self.response = response

    async def send(self, *content: Any) -> None:
        await self.response.send_str(dumps(list(content)))

    async def receive(self) -> Any:
        received = await self.response.receive()
        assert received.type is WSMsgType.TEXT, (received, self.response.close_code)
        return loads(received.data)

    async def ask(self, *content: Any) -> Any:
        await self.send(*content)
        return await self.receive()

    async def closed(self) -> int | None:
        """Wait for the end, and return its code."""
        while (received := await self.response.receive()).type is WSMsgType.TEXT:
            pass
        assert received.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING), received
        return self.response.close_code


class GatewayHouse:
    """A server, a client of it, and a gateway."""

    def __init__(self, server: Server, owner: Client, tokens: TokenFile, access: Access) -> None:
        self.server = server
        self.owner = owner
        self.tokens = tokens
        self.access = access
        self.actor = f"Bearer {tokens.add('actor', Scope.ACT, 0)}"
        self.reader = f"Bearer {tokens.add('reader', Scope.READ, 0)}"
        self.port = 0
        self.url = ""
        self.session: ClientSession
        self._sockets: list[Socket] = []

    async def close(self) -> None:
        """Close the WebSockets that are still open."""
        for socket in self._sockets:
            await socket.response.close()

    async def get(self, target: str, **headers: str) -> Answer:
        return await exchange(self.port, "GET", target, **headers)

    async def post(self, target: str, body: Any = None, **named: Any) -> Answer:
        named.setdefault("Authorization", self.actor)
        return await exchange(self.port, "POST", target, body, **named)

    async def socket(self, token: str | None = None, **named: Any) -> Socket:
        """Open a WebSocket, with the token that may act unless another one is given."""
        headers = {"Authorization": self.actor if token is None else token}
        headers = {name: value for name, value in headers.items() if value}
        socket = Socket(
            await self.session.ws_connect(f"{self.url}/ws", headers=headers, max_msg_size=0)
        )
        self._sockets.append(socket)
        return socket

    async def greeted(self, token: str | None = None, idle: float = 0) -> Socket:
        socket = await self.socket(token)
        assert (await socket.ask("hello", 1, idle))[0] == "hello_id"
        return socket


@asynccontextmanager
async def gateway_house(
    folder: Path, limits: HttpLimits | None = None, *, over_tcp: bool = False
) -> AsyncIterator[GatewayHouse]:
    """Run one within an `async with` statement.

    Args:
        folder: for the tokens.
        limits: of the gateway.
        over_tcp: whether the gateway is connected to the server by TCP.
    """
    tokens = TokenFile(folder / "tokens.json")
    access = Access(tokens, limits=limits)
    async with Server() as server:
        await server.listen(port=0)
        target = Address(*server.addresses[0]) if over_tcp else server
        async with (
            Client(server=server) as owner,
            Client(server=target) as client,
            ClientSession() as session,
            serve(Gateway(client, access).routes(), Address("127.0.0.1", 0), access=access) as url,
        ):
            house = GatewayHouse(server, owner, tokens, access)
            house.url, house.port, house.session = url, int(url.rpartition(":")[2]), session
            try:
                yield house
            finally:
                await house.close()
