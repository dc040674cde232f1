"""Servers that share a tree through NATS."""

import asyncio
import contextlib
from collections.abc import Callable

from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer

__all__ = ["Apart"]


class Apart:
    """Connects each client to a server of its own; the servers share a tree."""

    def __init__(self, address: NatsAddress, stack: contextlib.AsyncExitStack) -> None:
        self._address = address
        self._stack = stack

    async def server(self) -> JoinedServer:
        return await self._stack.enter_async_context(JoinedServer(self._address))

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        return await (await self.server()).connect(factory)
