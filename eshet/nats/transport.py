"""The socket of a connection to a NATS server, as nats-py uses it.

That of nats-py waits for a server that does not read, even to close the socket; reveals neither
whether TLS was used nor how much is unsent; and can't be closed at once.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Iterable
from typing import Final, cast
from urllib.parse import ParseResult

from nats.aio.transport import Transport

__all__ = ["NatsTransport"]

_MAX_LINE: Final = 1 << 20
"""In bytes: the first line of a server lists all servers of its cluster."""


class NatsTransport(Transport, asyncio.Protocol):
    """A TCP connection, with or without TLS.

    Args:
        tls: returns how to check the certificate of the server, when TLS starts: loading the
            certificates of the system takes long. TLS also starts if only the server demands it.
        is_encrypted: whether to send nothing before the connection uses TLS.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext], *, is_encrypted: bool) -> None:
        self._tls: Final = tls
        self._is_encrypted: Final = is_encrypted
        self._loop: Final = asyncio.get_running_loop()
        self._socket: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Final[asyncio.Future[None]] = self._loop.create_future()
        self.has_tls: bool = False
        """Whether the connection uses TLS."""
        self.error: Exception | None = None
        """Why the connection ended; None if the server closed it, or it was closed here."""

    def __bool__(self) -> bool:
        """Return True, so that nats-py uses this transport instead of its own."""
        return True

    @property
    def unsent(self) -> int:
        """The number of bytes that the server has not taken yet."""
        return 0 if self._socket is None else self._socket.get_write_buffer_size()

    @property
    def has_ended(self) -> bool:
        """Whether the connection has ended."""
        return self._lost.done()

    # --- as nats-py calls it ------------------------------------------------------------------

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect to a server without TLS."""
        async with asyncio.timeout(connect_timeout):
            await self._loop.create_connection(lambda: self, uri.hostname or "", uri.port or 0)
        # Nobody listens, but Linux has chosen the port of the server for this end as well.
        if self._socket is not None and is_connected_to_itself(self._socket):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        """Start TLS."""
        host = uri if isinstance(uri, str) else uri.hostname
        plain, self._socket = self._socket, None
        if plain is None:
            raise ConnectionResetError("the server closed the connection")
        try:
            async with asyncio.timeout(connect_timeout):
                self._socket = await self._loop.start_tls(
                    plain, self, self._tls(), server_hostname=host
                )
        except BaseException:
            plain.abort()  # after a failed handshake, asyncio does not report its end
            raise
        self.has_tls = True

    def write(self, payload: bytes) -> None:
        """Send bytes; does nothing once the connection has ended."""
        self.writelines((payload,))

    def writelines(self, payload: Iterable[bytes]) -> None:
        """Send bytes; does nothing once the connection has ended.

        Raises:
            ConnectionError: the server does not offer TLS, which the address demands.
        """
        if self._is_encrypted and not self.has_tls:
            raise ConnectionError("the server does not offer TLS, so no password was sent")
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        """Return received bytes, at most so many; none if the connection has ended."""
        await self._wait_for(b"")
        return self._take(min(len(self._buffer), buffer_size))

    async def readline(self) -> bytes:
        """Return a line with its end, or less if the connection has ended or the line is too long.

        Raises:
            OSError: the connection has ended, and there is nothing left.
        """
        await self._wait_for(b"\n")
        if not self._buffer:
            raise self.error or ConnectionResetError("the server closed the connection")
        return self._take(self._buffer.find(b"\n") + 1 or len(self._buffer))

    async def drain(self) -> None:
        """Return: nothing waits for a server that does not read; see `unsent`."""

    async def wait_closed(self) -> None:
        """Return when the socket is closed."""
        if self._socket is not None:
            await asyncio.shield(self._lost)

    def close(self) -> None:
        """Close the socket without sending what is unsent."""
        if self._socket is not None:
            self._socket.abort()

    def at_eof(self) -> bool:
        """Whether the connection has ended and everything was read."""
        return self._lost.done() and not self._buffer

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the socket when it is connected."""
        self._socket = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by the socket with received bytes."""
        self._buffer += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the socket, once, when the connection has ended."""
        self.error = exc
        if not self._lost.done():
            self._lost.set_result(None)
        self._wake()

    # --- the reader ---------------------------------------------------------------------------

    async def _wait_for(self, separator: bytes) -> None:
        """Wait until the buffer contains the separator, or anything if it is empty, or the end."""
        while not (
            self._lost.done()
            or (self._buffer and separator in self._buffer)
            or len(self._buffer) > _MAX_LINE
        ):
            self._waiter = self._loop.create_future()
            await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def is_connected_to_itself(transport: asyncio.Transport) -> bool:
    """Whether both ends of a connection are the same socket."""
    own, peer = map(transport.get_extra_info, ("sockname", "peername"))
    return own is not None and own == peer
