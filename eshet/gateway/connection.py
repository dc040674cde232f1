"""One HTTP connection: its deadlines, and its answers to requests that are not valid HTTP.

aiohttp reads the requests and writes the answers. It has no limit for the number of connections and
for a header that is sent slowly.
"""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from eshet.gateway.answers import HttpError, error_answer
from eshet.gateway.connections import Connections
from eshet.gateway.headers import SECURITY_HEADERS, add_security_headers
from eshet.gateway.limits import HttpLimits
from eshet.gateway.refusals import RefusalLog
from eshet.text import safe_str, type_name

__all__ = ["Busy", "HttpConnection", "host_of"]

_FLUSH_WITHIN: Final = 1.0
"""How long a client may take to read the rest of its answer at the end, in seconds."""
_SLOW: Final = "the header of the request did not come in time"


def host_of(peername: str) -> str:
    """Return the address of a peer without its port."""
    return peername.rpartition(":")[0].strip("[]") or peername


class HttpConnection(web.RequestHandler):
    """A connection to a client.

    Args:
        manager: aiohttp's server.
        connections: all connections.
        refusals: the log of refused requests.
        limits: of the server.
        peername: the address of the client, as text.
        **options: of aiohttp's handler.
    """

    def __init__(
        self,
        manager: web.Server,
        connections: Connections,
        refusals: RefusalLog,
        limits: HttpLimits,
        peername: str,
        **options: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        # The keep-alive timer of aiohttp is longer than ours, which replaces it.
        super().__init__(manager, loop=loop, keepalive_timeout=2 * limits.idle, **options)
        self.host: Final = host_of(peername)
        """The address of the client, without its port."""
        self.is_streaming: bool = False
        """Whether the present request is answered by a stream, such as a WebSocket."""
        self.request_task: asyncio.Task[Any] | None = None
        """The task that handles the present request; None if there is none."""
        self._connections = connections
        self._refusals = refusals
        self._limits = limits
        self._has_begun = False  # whether a part of the next request has been received
        self._deadline: asyncio.TimerHandle | None = None

    # --- requests -----------------------------------------------------------------------------

    def begin_request(self) -> None:
        """Note that the current task handles a request, until `end_request`."""
        self.request_task = asyncio.current_task()
        self._has_begun = False
        self._cancel_deadline()
        self._connections.set_busy(self)

    def end_request(self) -> None:
        """Note that the request is handled; its answer is not yet sent."""
        self.request_task = None
        self.is_streaming = False
        if self.transport is not None:
            self._connections.set_idle(self)
            self._set_deadline()

    def evict(self) -> None:
        """See `Evictable`."""
        if self.transport is not None:
            self.transport.abort()

    # --- deadlines ----------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        self._cancel_deadline()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._limits.idle, self._on_deadline)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        transport = self.transport
        if transport is None:
            return
        if self._has_begun:
            self._refusals.refused(self.host, _SLOW, "a request")
            transport.write(_raw_answer("408 Request Timeout"))
        self.force_close()
        # The client may not read the rest of the output.
        asyncio.get_running_loop().call_later(_FLUSH_WITHIN, transport.abort)

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport when the connection is made."""
        super().connection_made(transport)
        self._connections.add(self)
        self._set_deadline()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the transport when the connection has ended."""
        self._cancel_deadline()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the transport with received bytes."""
        self._has_begun = self._has_begun or self.request_task is None
        super().data_received(data)

    # --- errors -------------------------------------------------------------------------------

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that is not valid HTTP."""
        what = "a request" if exc is None else type_name(exc)
        self._refusals.refused(self.host, "it is not valid HTTP", what)
        problem = "" if exc is None else safe_str(message or exc, 200)
        answer = error_answer(HttpError(status, "invalid_request", f"not valid HTTP: {problem}"))
        add_security_headers(cast(Any, answer.headers))
        answer.force_close()
        return answer


class Busy(asyncio.Protocol):
    """A connection that is closed at once, as there are too many, with an answer that says so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport when the connection is made."""
        stream = cast(asyncio.Transport, transport)
        stream.write(_raw_answer("503 Service Unavailable", "Retry-After: 10\r\n"))
        stream.close()


def _raw_answer(status: str, headers: str = "") -> bytes:
    """Return an answer without a body, for a request that was not read."""
    lines = [f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items()]
    return (
        f"HTTP/1.1 {status}\r\n{''.join(lines)}Cache-Control: no-store\r\n{headers}"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    ).encode()
