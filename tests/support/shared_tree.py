"""Servers that share a tree through NATS, and what passes between them while time passes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from eshet.nats.address import NatsAddress
from eshet.nats.connection import NatsConnection, NatsMessage
from eshet.nats.exceptions import NatsError
from eshet.nats.joined import JoinedServer
from eshet.protocol import MAX_PAYLOAD
from eshet_rules.testing.virtual_time import VirtualLoop

__all__ = ["SharedTree"]

_STEP = 0.9  # in seconds: shorter than the time within which NATS has to answer
_RECONNECTION = 0.01  # in real seconds, for a part of it


class SharedTree:
    """Servers of this process that share a tree.

    As a connector, it gives each connection a server of its own.

    Args:
        address: of NATS, with the name of the tree.
    """

    def __init__(self, address: NatsAddress) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._address = address
        self._advance = loop.advance
        self._servers: list[JoinedServer] = []
        self._wiretap = _Wiretap(address)

    async def __aenter__(self) -> Self:
        await self._wiretap.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in reversed(self._servers):
            await server.close()
        await self._wiretap.connection.close()

    async def join(self) -> JoinedServer:
        """Start another server, which runs until the end."""
        server = JoinedServer(self._address)
        self._servers.append(server)
        await server.open()
        return server

    def connector(self) -> "Joining":
        """Return a connector with a server of its own, for one client."""
        return Joining(self)

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        """See `eshet.connection.Connector`."""
        return await (await self.join()).connect(factory)

    async def advance(self, seconds: float = 0) -> None:
        """Let time pass; what is sent in each of its steps has arrived before the next one.

        Without that, the virtual clock would be ahead of NATS, and each request would time out.
        """
        await self._settle()
        while seconds > 0:
            step = min(seconds, _STEP)
            await self._advance(step)
            await self._deliver()
            seconds -= step
        await self._settle()

    async def _settle(self) -> None:
        """Return when nothing is on its way any more; no time passes."""
        await self._deliver()
        messages = -1
        while messages != self._wiretap.messages:
            messages = self._wiretap.messages
            await asyncio.gather(*map(_catch_up, self._servers))
            await self._deliver()

    async def _deliver(self) -> None:
        """Return when what the servers have sent has arrived, and was handled."""
        await self._advance(0)
        connections = [server.connection for server in self._servers]
        if not all(connection.is_connected for connection in connections):
            # They connect again in real time.
            await asyncio.get_running_loop().run_in_executor(None, time.sleep, _RECONNECTION)
        await asyncio.gather(*map(_flush, connections))  # now NATS has it
        await asyncio.gather(*map(_flush, [*connections, self._wiretap.connection]))
        await self._advance(0)


class Joining:
    """Joins a tree when a client first connects, as `eshet.nats.connector.NatsConnector` does."""

    is_in_process: Final = True

    def __init__(self, tree: SharedTree) -> None:
        self._tree = tree
        self._server: JoinedServer | None = None

    @property
    def max_payload(self) -> int:
        return MAX_PAYLOAD if self._server is None else self._server.max_payload

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        if self._server is None:
            self._server = await self._tree.join()
        return await self._server.connect(factory)


class _Wiretap:
    """Counts all messages between servers, and their writes."""

    def __init__(self, address: NatsAddress) -> None:
        self.connection: Final = NatsConnection(address, name="wiretap")
        self.messages = 0
        self._subjects = (f"{address.prefix}.>", f"$KV.{address.prefix}_nodes.>")

    async def open(self) -> None:
        await self.connection.open()
        for subject in self._subjects:
            self.connection.subscribe(subject, self._count)

    def _count(self, _: NatsMessage) -> None:
        self.messages += 1


async def _flush(connection: NatsConnection) -> None:
    with contextlib.suppress(NatsError):  # it is lost
        await connection.flush()


async def _catch_up(server: JoinedServer) -> None:
    """Return when a server has what the others have written."""
    uplink = server._uplink
    if uplink is not None and server.is_joined and server.connection.is_connected:
        caught_up = asyncio.get_running_loop().create_future()
        uplink.synchronise(lambda: caught_up.set_result(None))
        await caught_up
