"""The common part of both sides of a connection: receiving, handling and sending.

Invariants: once `closing` is set, `receive` yields nothing and nothing is queued any more; `out` is
the same list for the whole lifetime, so that callers with much output may append to it directly.
"""

from collections.abc import Iterator
from typing import ClassVar

from eshet.exceptions import ProtocolError
from eshet.protocol.framing import FrameReader

__all__ = ["ProtocolSide"]


class ProtocolSide:
    """One side of one connection.

    Args:
        now: the time.
        accepts_long: whether the peer may send long frames; see `eshet.protocol.framing`.
    """

    WATCHED: ClassVar[frozenset[int]]
    """The codes of messages that `accept` has to process after the hello."""

    def __init__(self, now: float, *, accepts_long: bool = False) -> None:
        self.greeted = False
        """Whether the hello is over."""
        self.closing: str | None = None
        """Why the transport must be closed; None if it must not."""
        self.out: list[bytes] = []
        """The frames that wait to be sent."""
        self.last_received: float = now
        self.last_sent: float = now
        self.received: int = 0
        """The number of received bytes."""
        self.sent: int = 0
        """The number of sent bytes."""
        self._frames = FrameReader(accepts_long=accepts_long)

    def receive_all(self, data: bytes, now: float) -> list[bytes]:
        """Return the payloads of received data after the hello, for a caller that checks each one.

        That caller does the work of `accept`, and calls `check_stream` when it has processed the
        payloads.
        """
        self.last_received = now
        self.received += len(data)
        return self._frames.feed(data)

    def check_stream(self) -> None:
        """End the connection if the stream has no valid frame next; call after `receive_all`."""
        if self._frames.broken is not None:
            self.reject(self._frames.broken)

    def receive(self, data: bytes, now: float) -> Iterator[bytes]:
        """Yield the payloads of received data for the caller to process, in order.

        A protocol violation of the peer does not raise: `closing` is set with the reason, after all
        earlier payloads have been yielded.
        """
        self.last_received = now
        self.received += len(data)
        try:
            for payload in self._frames.feed(data):
                if self.closing is not None:
                    return
                if (self.greeted and payload and payload[0] not in self.WATCHED) or self.accept(
                    payload
                ):
                    yield payload
        except ProtocolError as error:
            self.reject(error)
        self.check_stream()

    def accept(self, payload: bytes) -> bool:
        """Process a payload; return whether the caller has to process it.

        Called for the hello, and for `WATCHED` messages.

        Raises:
            ProtocolError: the peer can't send this now.
        """
        raise NotImplementedError

    def reject(self, error: ProtocolError) -> None:
        """End the connection because of a protocol violation."""
        self.close(f"the peer broke the protocol: it sent {error}")

    def send(self, frame: bytes) -> None:
        """Queue a frame, which `data_to_send` returns; does nothing after the end."""
        if self.closing is None:
            self.out.append(frame)

    def data_to_send(self, now: float) -> bytes:
        """Return the queued data, which is to be sent now."""
        if not self.out:
            return b""
        self.last_sent = now
        data = b"".join(self.out)
        self.out.clear()
        self.sent += len(data)
        return data

    def close(self, reason: str) -> None:
        """End the connection after sending the queued data. The first reason is kept."""
        if self.closing is None:
            self.closing = reason

    def next_deadline(self) -> float | None:
        """Return when to call `handle_deadline`, unless data is received or sent before."""
        raise NotImplementedError

    def handle_deadline(self, now: float) -> None:
        """Carry out the actions due at this time, if any."""
        raise NotImplementedError
