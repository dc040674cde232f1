"""The server itself: where it listens, and the clients that are connected."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from eshet.connection import CLOSED_BY_PEER
from eshet.exceptions import ListenError, WrongLoop
from eshet.link import link
from eshet.protocol import DEFAULT_PORT
from eshet.server.binding import bind_tcp, bind_unix
from eshet.server.limits import Limits
from eshet.server.listener import Listener
from eshet.server.memory import Trimmer, shrunk
from eshet.server.meta import Gone, Meta
from eshet.server.router import Router
from eshet.server.session import ServerSession

__all__ = ["Server"]

_FLUSH_WITHIN: Final = 1.0
"""How long a client may take to read what was sent to it before the end, in seconds."""
_FLUSH_BEYOND: Final = 256 * 1024
"""How many bytes may be read before what they cause is sent."""
_CLOSING: Final = "the server is closing"
_AS_INTENDED: Final = (CLOSED_BY_PEER, _CLOSING)
"""Why connections end that nobody has to be told of."""
_REMEMBERED: Final = 100
"""Of how many connections that were ended by the server the reason is kept."""

_log: Final = logging.getLogger("eshet.server")


class Server:
    """An ESHET server for the running event loop, with its own tree of nodes.

    It serves whoever connects to an address given to `listen` or `listen_unix`, and clients in
    this process that are made with `Client(server=server)`, without a socket. Use it with
    `async with`, or `close` it.

    Args:
        limits: what one client may take.
        logger: for what clients do wrong.
    """

    def __init__(self, *, limits: Limits | None = None, logger: logging.Logger = _log) -> None:
        self.limits: Final[Limits] = limits or Limits()
        self._loop = asyncio.get_running_loop()
        self._log = logger
        self.router: Final[Router] = Router(self._loop.time, self.limits)
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

    # --- where it listens ---------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket that the server listens on, but for those of Unix."""
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

        The protocol has no login: whoever can connect can do everything. So an address that other
        machines can reach needs TLS, with client certificates if not everybody is to get in.

        Args:
            host: a name or address of this machine.
            port: 0 for any that is free; see `addresses`.
            tls: how to encrypt, and whom to let in.
            insecure: whether to listen without TLS where other machines can reach it.

        Raises:
            ListenError: the address is not this machine's, is in use, or is open to others.
        """
        if tls is None and not insecure and not await self._is_local(host):
            raise ListenError(
                f"{host}:{port}",
                "other machines can reach it, and the protocol has no login; use TLS with client "
                "certificates (--tls-cert, --tls-key, --tls-client-ca), or say that it is meant so "
                "(--insecure)",
            )
        for each in await bind_tcp(host, port):
            self._listen_on(each, tls)

    async def listen_unix(self, path: Path, *, mode: int = 0o600) -> None:
        """Listen on a Unix socket; what is left there by a server that has died is replaced.

        Args:
            path: of the socket.
            mode: of the file: who may connect.

        Raises:
            ListenError: there is something else, or a server that listens.
        """
        self._listen_on(await bind_unix(path, mode))

    def _listen_on(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        timeout = self.limits.hello_timeout
        self._listeners.append(
            Listener(sock, self._new_session, self._log, tls=tls, handshake_timeout=timeout)
        )

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect a client of this event loop, without a socket; see `eshet.connection.Connector`.

        Raises:
            WrongLoop: the client runs in another.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise WrongLoop("server", "give the client its address instead, as HOST:PORT")
        return link(protocol_factory, self._new_session)[0]

    async def _is_local(self, host: str) -> bool:
        """Whether only this machine can reach the host; so is one that there is not."""
        try:
            found = await self._loop.getaddrinfo(host or None, 0, flags=socket.AI_PASSIVE)
        except OSError:
            return True
        return all(ipaddress.ip_address(info[4][0]).is_loopback for info in found)

    # --- sessions, see eshet.server.session.Host ----------------------------------------------

    def started(self, session: ServerSession) -> None:
        """Take note of a connection, which with TLS is only there after the handshake."""
        self._sessions[session] = None
        self._idle.clear()

    def sending(self, session: ServerSession, length: int) -> None:
        """Take note of so many bytes of a client; what they cause for others is sent soon.

        That is in the next turn of the loop, unless it is a lot: a loop may read megabytes from one
        client before the next turn, and nobody would be stalled until then.
        """
        if not self.router.has_to_flush:
            return
        self._senders[session] = None
        self._unflushed += length
        if self._unflushed > _FLUSH_BEYOND:
            self._flush()
        else:
            self._flush_soon()

    def ended(self, session: ServerSession, reason: str) -> None:
        """Drop what a client had whose connection has ended."""
        as_intended = reason in _AS_INTENDED
        level = logging.DEBUG if as_intended else logging.INFO
        self._log.log(level, "connection of %s ended: %s", session.peername, reason)
        self._trimmer.freed(session.footprint)
        if session.peer is not None:
            self.router.leave(session.peer)
            self._flush_soon()
            if not as_intended:
                now_ms = round(self._loop.time() * 1000)
                self._gone.append(Gone(session.peer.client_id, reason, now_ms))
        self._senders.pop(session, None)
        del self._sessions[session]
        self._sessions = shrunk(self._sessions)
        if not self._sessions:
            self._idle.set()

    async def close(self) -> None:
        """Stop listening, end all connections, and wait until they have ended.

        A client that does not read what was sent to it is cut off after a second.
        """
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        for session in list(self._sessions):
            session.close(_CLOSING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_WITHIN):
                await self._idle.wait()
        for session in list(self._sessions):
            session.abort()
        await self._idle.wait()
        self._trimmer.close()

    def _new_session(self, peername: str = "in-process link") -> ServerSession:
        return ServerSession(self, peername)

    def _flush_soon(self) -> None:
        """Send in the next turn of the loop what waits for clients, in one write for each."""
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
            # The fuller the queue, the longer: one read of a fast sender can be megabytes.
            for sender in senders:
                sender.stall(self.limits.stall * congestion**2)
