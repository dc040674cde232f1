"""Connects either side of the protocol to asyncio: one transport or link, one protocol, one timer.

Frames sent within one turn of the event loop leave in one write.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast, runtime_checkable

from eshet.exceptions import ProtocolError
from eshet.protocol import ProtocolSide

__all__ = ["CLOSED_BY_PEER", "ClosableConnector", "Connection", "Connector"]

CLOSED_BY_PEER: Final = "the peer closed it"
"""The reason of a connection's end when the other side has closed it."""


class Connector(Protocol):
    """A target to connect to: the address of a server, a server in this process, or NATS.

    One with `is_in_process` set is not pinged, as nothing is lost without notice. One
    with an attribute `max_payload` accepts messages of up to so many bytes, instead of 64 KiB.
    """

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect a protocol made by the factory; raise OSError if that fails."""
        ...


@runtime_checkable
class ClosableConnector(Connector, Protocol):
    """A connector that holds something to be closed after its last connection."""

    async def close(self) -> None:
        """Close it."""
        ...


class Connection(asyncio.Protocol):
    """Drives one side of the protocol over one transport.

    Args:
        endpoint: the protocol.
        on_payload: called with each payload to process; raises only ProtocolError, which ends the
            connection.
        on_lost: called once, with the reason, when the connection has ended.
        on_resumed: called when `paused` is false again, after the queued data was sent.
        on_read: called before the payloads of each read.
        peername: the address of the other end, as text.
    """

    __slots__ = (
        "_flushing",
        "_loop",
        "_on_lost",
        "_on_payload",
        "_on_read",
        "_on_resumed",
        "_timer",
        "_transport",
        "endpoint",
        "paused",
        "peername",
    )

    def __init__(
        self,
        endpoint: ProtocolSide,
        on_payload: Callable[[bytes], object],
        on_lost: Callable[[str], None],
        on_resumed: Callable[[], None] | None = None,
        on_read: Callable[[], None] | None = None,
        *,
        peername: str = "",
    ) -> None:
        self.endpoint: ProtocolSide = endpoint
        self.peername: str = peername
        """The address of the other end, as text."""
        self.paused: bool = False
        """Whether the peer reads too slowly; then frames wait in the endpoint."""
        self._on_payload = on_payload
        self._on_lost = on_lost
        self._on_resumed = on_resumed
        self._on_read = on_read
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Handle | None = None

    def send(self, frame: bytes) -> None:
        """Send a frame; does nothing if the connection has ended."""
        self.endpoint.send(frame)
        if self._flushing is None and self._transport is not None:
            self._flushing = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write queued data, and close the transport if the endpoint is closing."""
        self._flushing = None
        if self._transport is None or self.paused or self._transport.is_closing():
            return
        data = self.endpoint.data_to_send(self._loop.time())
        if data:
            self._transport.write(data)
        if self.endpoint.closing is not None:
            self._transport.close()
        else:
            self._arm()

    def close(self, reason: str) -> None:
        """Send queued data and end the connection; `on_lost` is called in a later turn.

        A peer that reads too slowly receives only the data that the transport already has.
        """
        self.endpoint.close(reason)
        if self.paused and self._transport is not None:
            self.endpoint.out.clear()
            self._transport.close()
        else:
            self.flush()

    def abort(self) -> None:
        """End the connection without sending queued data."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport when the connection is made."""
        self._transport = cast(asyncio.Transport, transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Called by the transport with received bytes."""
        now = self._loop.time()
        if self._on_read is not None:
            self._on_read()
        try:
            for payload in self.endpoint.receive(data, now):
                self._on_payload(payload)
        except ProtocolError as error:
            self.endpoint.reject(error)
        self.flush()

    def pause_writing(self) -> None:
        """Called by the transport when its buffer is full."""
        self.paused = True

    def resume_writing(self) -> None:
        """Called by the transport when its buffer has space again."""
        self.paused = False
        self.flush()
        if self._on_resumed is not None and not self.paused:
            self._on_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport, once, when the connection has ended."""
        self.endpoint.close(f"the connection broke: {exc}" if exc else CLOSED_BY_PEER)
        for handle in (self._timer, self._flushing):
            if handle is not None:
                handle.cancel()
        on_lost = self._on_lost
        # Break reference cycles, so that the memory is freed at once.
        if self._transport is not None:
            _break_cycles(self._transport)
        self._on_payload = self._on_lost = _ignore
        self._on_resumed = self._on_read = self._transport = None
        on_lost(self.endpoint.closing or "")

    # --- the timer ----------------------------------------------------------------------------

    def _arm(self) -> None:
        """Make sure that the timer fires no later than the next deadline.

        A timer that fires too early costs less than a new timer for each message.
        """
        deadline = self.endpoint.next_deadline()
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.endpoint.handle_deadline(self._loop.time())
        self.flush()


def _break_cycles(transport: asyncio.Transport) -> None:
    """Drop the bound methods that an asyncio transport stores in itself.

    From Python 3.12 on asyncio does so when it closes a transport, but not when it resets or aborts
    it. An idle server makes too few objects for the garbage collector to run.
    """
    attributes = getattr(transport, "__dict__", {})  # uvloop's transports have none
    for name in ("_read_ready_cb", "_write_ready"):
        if name in attributes:
            setattr(transport, name, None)


def _ignore(_: object) -> None:
    """Replaces the callbacks of a connection that has ended."""
