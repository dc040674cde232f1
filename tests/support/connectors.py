"""Ways to a server other than TCP."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TlsAddress", "UnixAddress"]

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
