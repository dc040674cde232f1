"""What both sides of a connection do: the round, request ids, replies.

Invariants: an id is open from the request that took it until its reply; once `closing` is set, no
message comes out of `receive` any more and none is queued.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from eshet import messages
from eshet.exceptions import MessageTooLong, ProtocolError, TooManyRequests
from eshet.messages import Message, Reply, ReplyError, WithId
from eshet.protocol.framing import FrameReader, frame

_IDS: Final = 0x10000
_REPLIES: Final = (
    Reply,
    ReplyError,
    messages.ReplyKnown,
    messages.ReplyUnknown,
    messages.ReplyKnownT,
    messages.ReplyUnknownT,
)


class RequestIds:
    """Which request ids are waiting for a reply."""

    __slots__ = ("_next", "_open")

    def __init__(self) -> None:
        self._next = 0
        self._open: set[int] = set()

    def take(self) -> int:
        """Return an id that is free, and open it.

        Raises:
            TooManyRequests: none is free.
        """
        if len(self._open) == _IDS:
            raise TooManyRequests(_IDS)
        while self._next in self._open:
            self._next = (self._next + 1) % _IDS
        taken = self._next
        self._open.add(taken)
        self._next = (taken + 1) % _IDS
        return taken

    def release(self, request_id: int) -> None:
        """Free an id again.

        Raises:
            ProtocolError: it was not open.
        """
        try:
            self._open.remove(request_id)
        except KeyError:
            raise ProtocolError(f"a reply to request {request_id}, which nobody made") from None


class Endpoint:
    """One side of one connection.

    Args:
        table: what the peer may send.
        now: the time.
    """

    def __init__(self, table: messages.Table, now: float) -> None:
        self.closing: str | None = None
        """Why the transport must be closed; None as long as it must not."""
        self.last_received = now
        self.last_sent = now
        self._table = table
        self._frames = FrameReader()
        self._ids = RequestIds()
        self._out: list[bytes] = []

    def receive(self, data: bytes, now: float) -> Iterator[Message]:
        """Take what was received, and yield the messages for the caller to act on, in order.

        A peer that breaks the protocol is no error here: `closing` says what it did, after all
        that it sent before has been yielded.
        """
        self.last_received = now
        try:
            for payload in self._frames.feed(data):
                if self.closing is not None:
                    return
                message = messages.unpack(payload, self._table)
                if isinstance(message, _REPLIES):
                    self._ids.release(message.id)
                if self.accept(message):
                    yield message
        except ProtocolError as error:
            self.close(f"the peer broke the protocol: it sent {error}")

    def accept(self, message: Message) -> bool:
        """Take note of a message; whether the caller has to act on it.

        Raises:
            ProtocolError: the peer can't send this now.
        """
        raise NotImplementedError

    def send(self, message: Message) -> None:
        """Queue a message; `data_to_send` returns its bytes. Ignored after the end.

        Raises:
            MessageTooLong: no frame can hold it. Nothing was queued.
        """
        if self.closing is None:
            self._out.append(frame(messages.pack(message)))

    def request(self, make: Callable[..., WithId], *fields: Any) -> int:
        """Queue a request and return its id, which is open until the reply comes.

        Args:
            make: the class of the message.
            *fields: its fields after the id.

        Raises:
            MessageTooLong: no frame can hold it.
            TooManyRequests: all ids are open.
        """
        request_id = self._ids.take()
        try:
            self.send(make(request_id, *fields))
        except MessageTooLong:
            self._ids.release(request_id)
            raise
        return request_id

    def data_to_send(self, now: float) -> bytes:
        """Return what has been queued since the last call, to be sent now."""
        if not self._out:
            return b""
        self.last_sent = now
        data = b"".join(self._out)
        self._out.clear()
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
