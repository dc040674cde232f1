"""A connection to a server that a test cuts: pass a `Cable` to a client as its server."""

import asyncio
from collections.abc import Callable

from eshet.connection import Connector

__all__ = ["Cable"]


class Cable:
    """Connects one client to a server.

    Args:
        server: the server.
    """

    def __init__(self, server: Connector) -> None:
        self._server = server
        self._transport: asyncio.BaseTransport | None = None
        self._protocol: asyncio.BaseProtocol | None = None
        self.is_unplugged = False
        """Whether new connections fail."""

    def __str__(self) -> str:
        return str(self._server)

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """See `eshet.connection.Connector`.

        Raises:
            OSError: the cable is unplugged.
        """
        if self.is_unplugged:
            raise OSError("the cable is unplugged")
        self._transport = transport = await self._server.connect(protocol_factory)
        assert isinstance(transport, asyncio.Transport)
        self._protocol = transport.get_protocol()
        return transport

    def cut(self) -> None:
        """End the present connection; the client learns it in the next turn of the loop."""
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.abort()

    def reset(self) -> None:
        """End the present connection as asyncio does if the peer resets it: the client knows it."""
        assert isinstance(self._protocol, asyncio.Protocol)
        self._protocol.connection_lost(ConnectionResetError())
        self.cut()

    def unplug(self) -> None:
        """End the present connection, and let new ones fail until `is_unplugged` is false again."""
        self.is_unplugged = True
        self.cut()
