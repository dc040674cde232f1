"""Accepts connections on one socket, as long as there are file descriptors for them.

asyncio's own servers log thousands of tracebacks a second, and do nothing else, when the process
runs out of descriptors.
"""

import asyncio
import functools
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

from eshet.server.descriptors import descriptor_limit, is_spare

__all__ = ["Listener"]

_BATCH: Final = 64
"""How many connections are accepted before other tasks run."""
_PAUSE: Final = 1.0
"""Seconds until accepting is attempted again."""
_LOG_INTERVAL: Final = 60.0
"""Seconds between two log lines about a pause."""
_CREDENTIALS: Final = struct.Struct("3i")  # process, user and group of the other end


class Listener:
    """Accepts connections until it is closed.

    Args:
        sock: a listening socket.
        make_protocol: returns the protocol of a connection, given the address of the other end.
        log: for failed handshakes, and pauses.
        tls: the encryption, and which clients to accept.
        handshake_timeout: how long a TLS handshake may take, in seconds.
    """

    def __init__(
        self,
        sock: socket.socket,
        make_protocol: Callable[[str], asyncio.Protocol],
        log: logging.Logger,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_timeout: float | None = None,
    ) -> None:
        self.name: Final = sock.getsockname()
        """The address of the socket: host and port, or the path of a Unix socket."""
        self._socket = sock
        self._make_protocol = make_protocol
        self._log = log
        self._tls = tls
        self._handshake_timeout = None if tls is None else handshake_timeout
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._log_next = self._loop.time()
        self._turned_away = 0  # since the last log line about it
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept)

    async def close(self) -> None:
        """Stop accepting, and cancel pending handshakes."""
        if self._resuming is None:
            self._loop.remove_reader(self._socket)
        else:
            self._resuming.cancel()
        self._socket.close()
        starting = list(self._starting)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error.strerror or str(error))
                return
            if is_spare(accepted.fileno()):
                accepted.close()
                self._turned_away += 1
                self._pause("too many open files")
                return
            accepted.setblocking(False)
            if isinstance(address, tuple):
                # asyncio does so only for sockets created with the protocol number of TCP.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            starting = self._start(accepted, _describe(accepted, address))
            task = self._loop.create_task(starting)
            self._starting.add(task)
            task.add_done_callback(functools.partial(self._started, accepted))

    def _started(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        if task.cancelled():
            accepted.close()

    async def _start(self, accepted: socket.socket, peername: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make_protocol(peername),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_timeout,
            )
        except OSError as error:  # includes all TLS errors
            reason = error.strerror or str(error) or type(error).__name__
            what = "connection" if self._tls is None else "TLS handshake"
            self._log.info("%s with %s failed: %s", what, peername, reason)
            accepted.close()

    def _pause(self, reason: str) -> None:
        """Stop accepting for a while; this is logged once a minute."""
        self._loop.remove_reader(self._socket)
        self._resuming = self._loop.call_later(_PAUSE, self._resume)
        now = self._loop.time()
        if now >= self._log_next:
            self._log_next = now + _LOG_INTERVAL
            self._log.warning(
                "no connections are accepted for now: %s (%d turned away); the limit is %d open "
                "files: raise it with ulimit -n, or LimitNOFILE= of systemd",
                reason,
                self._turned_away,
                descriptor_limit(),
            )
            self._turned_away = 0

    def _resume(self) -> None:
        self._resuming = None
        self._loop.add_reader(self._socket, self._accept)
        self._accept()


def _describe(accepted: socket.socket, address: object) -> str:
    """Return the address of the other end as text, also if that is gone already."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        packed = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return "Unix socket"
    return f"Unix socket, process {_CREDENTIALS.unpack(packed)[0]}"
