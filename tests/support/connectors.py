"""Ways to a server other than TCP."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eshet.server import Server

__all__ = ["Interrupted", "TlsAddress", "UnixAddress"]

Factory = Callable[[], asyncio.Protocol]


@dataclass(frozen=True)
class UnixAddress:
    """A Unix socket."""

    path: Path

    async def connect(self, factory: Factory) -> asyncio.BaseTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(factory, str(self.path))
        return transport


@dataclass(frozen=True)
class TlsAddress:
    """A host and a port, and how to encrypt."""

    host: str
    port: int
    context: ssl.SSLContext

    async def connect(self, factory: Factory) -> asyncio.BaseTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            factory, self.host, self.port, ssl=self.context, server_hostname="localhost"
        )
        return transport


class Interrupted:
    """A way to a server of this process that a test can close and open again."""

    def __init__(self, server: Server, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self._server = server
        self._transport: asyncio.BaseTransport | None = None

    async def connect(self, factory: Factory) -> asyncio.BaseTransport:
        if not self.is_open:
            raise ConnectionRefusedError("closed by the test")
        self._transport = await self._server.connect(factory)
        return self._transport

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()
