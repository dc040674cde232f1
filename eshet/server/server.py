"""The server itself: where it listens, and the clients that are connected."""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from eshet import codec
from eshet.connection import Connection
from eshet.exceptions import ListenError
from eshet.link import link
from eshet.messages import (
    FROM_CLIENT,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Message,
    pack,
    unpack,
)
from eshet.protocol import DEFAULT_PORT, ServerProtocol
from eshet.protocol.framing import frame
from eshet.protocol.server import HELLO_TIMEOUT
from eshet.server.meta import Meta
from eshet.server.peer import Peer
from eshet.server.router import Router

__all__ = ["Server"]

_FLUSH_WITHIN: Final = 1.0
"""How long a client may take to read what was sent to it before the end, in seconds."""

_log: Final = logging.getLogger("eshet.server")


class Server:
    """An ESHET server for the running event loop, with its own tree of nodes.

    It serves whoever connects to an address given to `listen`, and clients in this process that
    are made with `Client(server=server)`, without a socket. Use it with `async with`, or `close`
    it.

    Args:
        hello_timeout: how long a client may take to say hello, in seconds.
        logger: for what clients do wrong.
    """

    def __init__(
        self, *, hello_timeout: float = HELLO_TIMEOUT, logger: logging.Logger = _log
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._hello_timeout = hello_timeout
        self._log = logger
        self.router: Final = Router(self._loop.time)
        Meta(self.router.tree, self._loop.time())
        self._flushing: asyncio.Handle | None = None
        self._listeners: list[asyncio.Server] = []
        self._sessions: set[_Session] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        where = ", ".join(f"{host}:{port}" for host, port in self.addresses)
        return f"<Server on {where}>" if where else "<Server of this process>"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket that the server listens on."""
        sockets = [socket for listener in self._listeners for socket in listener.sockets]
        return [socket.getsockname()[:2] for socket in sockets]

    async def listen(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        """Listen on an address; may be called for several.

        Args:
            host: a name or address of this machine.
            port: 0 for any that is free; see `addresses`.

        Raises:
            ListenError: the address is not this machine's, or is in use.
        """
        try:
            listener = await self._loop.create_server(self._new_connection, host, port)
        except (OSError, OverflowError) as error:
            raise ListenError(f"{host}:{port}", _advice(error)) from error
        self._listeners.append(listener)

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect a client of this process, without a socket; see `eshet.connection.Connector`."""
        return link(protocol_factory, self._new_connection)[0]

    async def close(self) -> None:
        """Stop listening, end all connections, and wait until they have ended.

        A client that does not read what was sent to it is cut off after a second.
        """
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for session in list(self._sessions):
            session.connection.close("the server is closing")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_WITHIN):
                await self._idle.wait()
        for session in list(self._sessions):
            session.connection.abort()
        await self._idle.wait()

    def handle(self, peer: Peer, payload: bytes) -> None:
        """Act on a message of a client; what it causes for others is sent in the next turn."""
        self.router.handle(peer, payload)
        if self._flushing is None and self.router.has_to_flush:
            self.flush_soon()

    def flush_soon(self) -> None:
        """Send in the next turn of the loop what waits for clients, in one write for each."""
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self.router.flush()

    def _new_connection(self) -> Connection:
        session = _Session(self, self._hello_timeout, self._log, self._ended)
        self._sessions.add(session)
        self._idle.clear()
        return session.connection

    def _ended(self, session: "_Session") -> None:
        self._sessions.remove(session)
        if not self._sessions:
            self._idle.set()


class _Session:
    """One connection of one client, from before its hello until its end."""

    __slots__ = ("_log", "_on_end", "_peer", "_server", "connection")

    def __init__(
        self,
        server: "Server",
        hello_timeout: float,
        logger: logging.Logger,
        on_end: "Callable[[_Session], None]",
    ) -> None:
        protocol = ServerProtocol(asyncio.get_running_loop().time(), hello_timeout)
        self.connection = Connection(protocol, self._on_payload, self._on_lost)
        self._server = server
        self._log = logger
        self._on_end = on_end
        self._peer: Peer | None = None

    def _on_payload(self, payload: bytes) -> None:
        if self._peer is None:
            self._greet(unpack(payload, FROM_CLIENT))
        else:
            self._server.handle(self._peer, payload)

    def _greet(self, message: Message) -> None:
        """Let the client in: the protocol sees to it that its first message is a hello."""
        router, connection = self._server.router, self.connection
        if isinstance(message, HelloId):
            client_id, answer = codec.canonical(message.client_id), pack(HelloAccepted())
        else:
            client_id = router.allocate_id()
            answer = pack(HelloAllocated(client_id))
        self._peer = Peer(client_id, connection.endpoint.out, connection.flush, connection.close)
        router.join(self._peer)
        connection.send(frame(answer))

    def _on_lost(self, reason: str) -> None:
        self._log.log(
            logging.DEBUG if reason == "the peer closed it" else logging.INFO,
            "connection of %s ended: %s",
            self.connection.peername,
            reason,
        )
        if self._peer is not None:
            self._server.router.leave(self._peer)
            self._server.flush_soon()
        self._on_end(self)


def _advice(error: OSError | OverflowError) -> str:
    if isinstance(error, OverflowError):
        return "a port is a number from 0 to 65535"
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; stop it, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    if error.errno == errno.EACCES:
        return "the system does not allow it; choose a port above 1023"
    return error.strerror or str(error)
