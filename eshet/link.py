"""A connection without a socket: two ends in one process, which carry the same bytes.

Written data is received by the other end in the next turn of the event loop, so that no protocol is
called back during one of its own calls.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

__all__ = ["LinkTransport", "link"]


class LinkTransport(asyncio.Transport):
    """One end of a link."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        context: Context | None = None,
    ) -> None:
        super().__init__()
        self._context = context
        self._loop = loop
        self._protocol: asyncio.BaseProtocol = protocol
        self._peer: LinkTransport | None = None
        self._closing = False
        self._is_paused = False
        self._is_held = False
        self._is_lost = False  # while it is held
        self._unread: list[bytes] = []  # data received while reading is paused, or while held

    def join(self, peer: "LinkTransport") -> None:
        """Make `peer` the other end of this one."""
        self._peer = peer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send the bytes to the other end; does nothing once this end is closing."""
        if data and not self._closing and self._peer is not None:
            self._loop.call_soon(self._peer._receive, bytes(data), context=self._peer._context)

    def close(self) -> None:
        """Close both ends, after written data was received."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lose, context=self._context)
            if self._peer is not None:
                self._loop.call_soon(self._peer.close, context=self._peer._context)

    def abort(self) -> None:
        """Close both ends."""
        self.close()

    def can_write_eof(self) -> bool:
        """Return False: one direction can't be closed alone."""
        return False

    def is_closing(self) -> bool:
        """Whether this end was closed, by either side."""
        return self._closing

    def get_extra_info(self, name: str, default: object = None) -> Any:
        """Return the default, since a link has no socket."""
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace the receiving protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the receiving protocol."""
        return self._protocol

    def pause_reading(self) -> None:
        """Buffer received data until `resume_reading`."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Deliver the buffered data, and resume normal delivery."""
        self._is_paused = False
        if not self._closing:
            self._deliver()

    def is_reading(self) -> bool:
        """Whether received data is delivered."""
        return not (self._is_paused or self._closing)

    def hold(self) -> None:
        """Deliver nothing to this end until `release`: neither data nor the end of the link."""
        self._is_held = True

    def release(self) -> None:
        """Deliver the data received since `hold`, and resume normal delivery."""
        self._is_held = False
        self._deliver()
        if self._is_lost:
            self._lose()

    def _receive(self, data: bytes) -> None:
        if self._closing:
            return
        if self._is_paused or self._is_held:
            self._unread.append(data)
        elif isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)

    def _deliver(self) -> None:
        """Deliver the waiting data, unless it has to wait longer."""
        if self._unread and not (self._is_paused or self._is_held):
            data = b"".join(self._unread)
            self._unread.clear()
            if isinstance(self._protocol, asyncio.Protocol):
                self._protocol.data_received(data)

    def _lose(self) -> None:
        if self._is_held:
            self._is_lost = True
        else:
            self._is_lost = False
            self._protocol.connection_lost(None)


def link(
    first: Callable[[], asyncio.Protocol],
    second: Callable[[], asyncio.Protocol],
    context: Context | None = None,
) -> tuple[LinkTransport, LinkTransport]:
    """Connect two protocols, made by the two factories, within the running loop.

    Args:
        first: makes the protocol of the first end.
        second: makes that of the second end.
        context: of the second end: its tasks do not belong to the writer; None if they do.
    """
    loop = asyncio.get_running_loop()
    ends = LinkTransport(loop, first()), LinkTransport(loop, second(), context)
    ends[0].join(ends[1])
    ends[1].join(ends[0])
    for end in ends:
        end.get_protocol().connection_made(end)
    return ends
