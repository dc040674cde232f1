"""A peer that speaks raw frames: it says just what a test tells it, right or wrong."""

import asyncio
from collections.abc import Callable

from eshet.connection import Connector
from eshet.link import link
from eshet.messages import FROM_CLIENT, FROM_SERVER, Message, Table, pack, unpack
from eshet.protocol.framing import FrameReader, frame

__all__ = ["Closed", "RawPeer", "RawServer", "connect_raw"]


class Closed(Exception):
    """The other side closed the connection."""


class RawPeer(asyncio.Protocol):
    """One end of a connection; `table` tells what the other end may send."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._frames = FrameReader()
        self._received: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            self._received.put_nowait(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._received.put_nowait(None)

    def send(self, *messages: Message | bytes) -> None:
        """Send messages, or bytes as they are, in one write."""
        self.transport.write(
            b"".join(m if isinstance(m, bytes) else frame(pack(m)) for m in messages)
        )

    async def payload(self) -> bytes:
        payload = await self._received.get()
        if payload is None:
            raise Closed
        return payload

    async def receive(self) -> Message:
        return unpack(await self.payload(), self._table)

    async def end(self) -> None:
        """End the connection, and return when the other side has taken note of that."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        await self.closed()

    async def closed(self) -> list[Message]:
        """Wait for the end, and return what came before it."""
        before = []
        try:
            while True:
                before.append(await self.receive())
        except Closed:
            return before


async def connect_raw(connector: Connector) -> RawPeer:
    """Connect a raw client to a server."""
    peer = RawPeer(FROM_SERVER)
    await connector.connect(lambda: peer)
    return peer


class RawServer:
    """Accepts connections and hands each to the test; a `Connector` without a socket."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[RawPeer] = asyncio.Queue()

    def new_peer(self) -> RawPeer:
        peer = RawPeer(FROM_CLIENT)
        self._accepted.put_nowait(peer)
        return peer

    async def accept(self) -> RawPeer:
        return await self._accepted.get()

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        return link(factory, self.new_peer)[0]
