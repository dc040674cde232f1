"""The server: its listeners and the connected clients."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from eshet.connection import CLOSED_BY_PEER
from eshet.exceptions import ListenError, WrongLoop
from eshet.link import link
from eshet.protocol import DEFAULT_PORT
from eshet.server.binding import bind_tcp, bind_unix, is_local
from eshet.server.limits import Limits
from eshet.server.listener import Listener
from eshet.server.memory import Trimmer, shrunk
from eshet.server.meta import Gone, Meta
from eshet.server.peer import Lease
from eshet.server.router import Router
from eshet.server.session import ServerSession

__all__ = ["Server"]

_FLUSH_WITHIN: Final = 1.0
"""How long a client may take to read its output before the connection is closed, in seconds."""
_FLUSH_BEYOND: Final = 256 * 1024
"""How many bytes may be read before the output that they cause is sent."""
_CLOSING: Final = "the server is closing"
_AS_INTENDED: Final = (CLOSED_BY_PEER, _CLOSING)
"""The reasons of connections that ended normally."""
_REMEMBERED: Final = 100
"""How many reasons of ended connections are kept."""

_log: Final = logging.getLogger("eshet.server")


class Server:
    """An ESHET server for the running event loop, with its own tree of nodes.

    It serves clients that connect to an address passed to `listen` or `listen_unix`, and clients in
    this process made with `Client(server=server)`, without a socket. Use it with `async with`, or
    `close` it.

    Args:
        limits: how much one client may use.
        logger: for errors of clients.
    """

    is_in_process: Final = True
    """See `eshet.connection.Connector`."""

    def __init__(self, *, limits: Limits | None = None, logger: logging.Logger = _log) -> None:
        self._link_context: Context | None = None  # of the sessions in this process
        self.limits: Final[Limits] = limits or Limits()
        self._loop = asyncio.get_running_loop()
        self._log = logger
        self.router: Final[Router] = self._make_router()
        self._gone: Final[deque[Gone]] = deque(maxlen=_REMEMBERED)
        Meta(self.router, self._gone, self._loop.time())
        self._listeners: list[Listener] = []
        self._sessions: dict[ServerSession, None] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._flushing: asyncio.Handle | None = None
        self._senders: dict[ServerSession, None] = {}
        self._trimmer = Trimmer(self._loop)
        self._unflushed = 0

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

    # --- listeners ----------------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket that the server listens on, except Unix sockets."""
        names = [listener.name for listener in self._listeners]
        return [name[:2] for name in names if isinstance(name, tuple)]

    async def listen(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        tls: ssl.SSLContext | None = None,
        insecure: bool = False,
    ) -> None:
        """Listen on an address; may be called for several.

        The protocol has no login: every client that can connect has full access. So an address that
        other machines can reach needs TLS, with client certificates to restrict the access.

        Args:
            host: a name or address of this machine.
            port: 0 for any free port; see `addresses`.
            tls: the encryption, and which clients to accept.
            insecure: whether to listen without TLS on an address that other machines can reach.

        Raises:
            ListenError: the address is not this machine's, is in use, or is open to others.
        """
        if tls is None and not insecure and not await is_local(host):
            raise ListenError(
                f"{host}:{port}",
                "other machines can reach it, and the protocol has no login; use TLS with client "
                "certificates (--tls-cert, --tls-key, --tls-client-ca), or confirm that this is "
                "intended (--insecure)",
            )
        for each in await bind_tcp(host, port):
            self._listen_on(each, tls)

    async def listen_unix(self, path: Path, *, mode: int = 0o600) -> None:
        """Listen on a Unix socket, replacing one that a dead server has left.

        Args:
            path: of the socket.
            mode: the mode of the file, which decides who may connect.

        Raises:
            ListenError: there is another kind of file, or a server that listens.
        """
        self._listen_on(await bind_unix(path, mode))

    def _listen_on(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        timeout = self.limits.hello_timeout
        self._listeners.append(
            Listener(sock, self._new_session, self._log, tls=tls, handshake_timeout=timeout)
        )

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol], lease: Lease | None = None
    ) -> asyncio.BaseTransport:
        """Connect a client of this event loop, without a socket; see `eshet.connection.Connector`.

        Args:
            protocol_factory: makes the client's side.
            lease: the right of the client to act, if it needs one; see `eshet.server.shared`.

        Raises:
            WrongLoop: the client runs in another loop.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise WrongLoop("server", "pass its address to the client instead, as HOST:PORT")
        return link(protocol_factory, lambda: self._new_link(lease), self._link_context)[0]

    # --- sessions, see eshet.server.session.Host ----------------------------------------------

    def started(self, session: ServerSession) -> None:
        """Register a connection; with TLS, after the handshake."""
        self._sessions[session] = None
        self._idle.clear()

    def sending(self, session: ServerSession, length: int) -> None:
        """Record that a client has sent some bytes, and send the output that they caused soon.

        That is in the next turn of the loop, unless it is a lot: the loop may read megabytes from
        one client before the next turn, and no sender would be stalled until then.
        """
        if not self.router.has_to_flush:
            return
        self._senders[session] = None
        self._unflushed += length
        if self._unflushed > _FLUSH_BEYOND:
            self._flush()
        else:
            self.flush_soon()

    def ended(self, session: ServerSession, reason: str) -> None:
        """Remove a client after the end of its connection."""
        as_intended = self._is_intended(reason)
        level = logging.DEBUG if as_intended else logging.INFO
        self._log.log(level, "connection of %s ended: %s", session.peername, reason)
        self._trimmer.freed(session.footprint)
        if session.peer is not None:
            self.router.leave(session.peer)
            self.flush_soon()
            if not as_intended:
                now_ms = round(self._loop.time() * 1000)
                self._gone.append(Gone(session.peer.client_id, reason, now_ms))
        self._senders.pop(session, None)
        del self._sessions[session]
        self._sessions = shrunk(self._sessions)
        if not self._sessions:
            self._idle.set()

    def _is_intended(self, reason: str) -> bool:
        """Whether a connection ended for a reason that has nothing to do with its client."""
        return reason in _AS_INTENDED

    async def close(self) -> None:
        """Stop listening, close all connections, and wait until they have ended.

        A client that does not read its output is cut off after a second.
        """
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        await self.disconnect_all(_CLOSING)
        self._trimmer.close()

    async def disconnect_all(self, reason: str) -> None:
        """Close the connections of all clients, and wait until they have ended; see `close`."""
        for session in list(self._sessions):
            session.close(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_WITHIN):
                await self._idle.wait()
        for session in list(self._sessions):
            session.abort()
        await self._idle.wait()

    def _make_router(self) -> Router:
        return Router(self._loop.time, self.limits)

    def _new_session(self, peername: str) -> ServerSession:
        return ServerSession(self, peername)

    def _new_link(self, lease: Lease | None) -> ServerSession:
        return ServerSession(self, "in-process link", lease)

    def flush_soon(self) -> None:
        """Send the waiting output in the next turn of the loop, in one write per client."""
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._unflushed = 0
        senders, self._senders = self._senders, {}
        congestion = self.router.flush()
        if congestion:
            # A fuller queue needs a longer stall: one read of a fast sender can be megabytes.
            for sender in senders:
                sender.stall(self.limits.stall * congestion**2)
