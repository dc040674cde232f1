"""What both sides of a connection do: the round.

Invariants: once `closing` is set, nothing comes out of `receive` any more and nothing is queued;
`out` is one list for the life of the endpoint, so that whoever has much to send may append to it.
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
    """

    WATCHED: ClassVar[frozenset[int]]
    """The codes of messages that `accept` has to see, once the hello is over."""

    def __init__(self, now: float) -> None:
        self.greeted = False
        """Whether the hello is over."""
        self.closing: str | None = None
        """Why the transport must be closed; None as long as it must not."""
        self.out: list[bytes] = []
        """The frames that wait to be sent."""
        self.last_received = now
        self.last_sent = now
        self.received = 0
        """How many bytes have come."""
        self.sent = 0
        """How many bytes have gone."""
        self._frames = FrameReader()

    def receive_all(self, data: bytes, now: float) -> list[bytes]:
        """Take what was received after the hello, for a caller that looks at every payload itself.

        What `accept` does is up to the caller then, and so is `check_stream` when the payloads have
        been acted on.
        """
        self.last_received = now
        self.received += len(data)
        return self._frames.feed(data)

    def check_stream(self) -> None:
        """End the connection if no frame stands where one should; after `receive_all`."""
        if self._frames.broken is not None:
            self.reject(self._frames.broken)

    def receive(self, data: bytes, now: float) -> Iterator[bytes]:
        """Take what was received, and yield the payloads for the caller to act on, in order.

        A peer that breaks the protocol is no error here: `closing` says what it did, after all
        that it sent before has been yielded.
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
        """Take note of a payload; whether the caller has to act on it.

        Not called for what is neither `WATCHED` nor part of the hello.

        Raises:
            ProtocolError: the peer can't send this now.
        """
        raise NotImplementedError

    def reject(self, error: ProtocolError) -> None:
        """End the connection, since the peer broke the protocol."""
        self.close(f"the peer broke the protocol: it sent {error}")

    def send(self, frame: bytes) -> None:
        """Queue a frame; `data_to_send` returns it. Ignored after the end."""
        if self.closing is None:
            self.out.append(frame)

    def data_to_send(self, now: float) -> bytes:
        """Return what has been queued since the last call, to be sent now."""
        if not self.out:
            return b""
        self.last_sent = now
        data = b"".join(self.out)
        self.out.clear()
        self.sent += len(data)
        return data

    def close(self, reason: str) -> None:
        """End the connection: what is queued is still sent. The first reason stays."""
        if self.closing is None:
            self.closing = reason

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` has to be called, if nothing happens before."""
        raise NotImplementedError

    def handle_deadline(self, now: float) -> None:
        """Do what is due at this time; harmless if nothing is."""
        raise NotImplementedError
