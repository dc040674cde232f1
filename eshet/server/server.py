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
from eshet.exceptions import ListenError, ProtocolError
from eshet.link import link
from eshet.messages import Hello, HelloAccepted, HelloAllocated, HelloId, Message
from eshet.protocol import DEFAULT_PORT, ServerProtocol
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
        self._router = Router(self._loop.time)
        Meta(self._router.tree, self._loop.time())
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

    def _new_connection(self) -> Connection:
        session = _Session(self._router, self._hello_timeout, self._log, self._ended)
        self._sessions.add(session)
        self._idle.clear()
        return session.connection

    def _ended(self, session: "_Session") -> None:
        self._sessions.remove(session)
        if not self._sessions:
            self._idle.set()


class _Session:
    """One connection of one client, from before its hello until its end."""

    def __init__(
        self,
        router: Router,
        hello_timeout: float,
        logger: logging.Logger,
        on_end: "Callable[[_Session], None]",
    ) -> None:
        now = asyncio.get_running_loop().time()
        self.connection = Connection(
            ServerProtocol(now, hello_timeout), self._on_message, self._on_lost
        )
        self._router = router
        self._log = logger
        self._on_end = on_end
        self._peer: Peer | None = None

    def _on_message(self, message: Message) -> None:
        if self._peer is not None:
            self._router.handle(self._peer, message)
        else:
            self._greet(message)

    def _greet(self, message: Message) -> None:
        """Let the client in: the protocol sees to it that its first message is a hello."""
        try:
            client_id = codec.canonical(message.client_id) if isinstance(message, HelloId) else None
        except ProtocolError as error:
            self.connection.close(f"its client id is {error}")
            return
        connection = self.connection
        self._peer = Peer(
            client_id or self._router.allocate_id(),
            connection.send,
            connection.request,
            connection.close,
        )
        self._router.join(self._peer)
        if isinstance(message, Hello):
            connection.send(HelloAllocated(self._peer.client_id))
        else:
            connection.send(HelloAccepted())

    def _on_lost(self, reason: str) -> None:
        self._log.log(
            logging.DEBUG if reason == "the peer closed it" else logging.INFO,
            "connection of %s ended: %s",
            self.connection.peername,
            reason,
        )
        if self._peer is not None:
            self._router.leave(self._peer)
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
