"""One connection to the server, from the hello to its end: requests and their replies.

Requests wait for their turn, in order, while the server does not read or every id is taken. So
what has been handed to the connection is never much, and a ping gets through; and a request that is
given up while it waits is never sent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet import codec
from eshet.client.requests import Accept, Request, describe
from eshet.connection import Connection
from eshet.exceptions import MessageTooLong, ProtocolError
from eshet.messages import (
    HelloAccepted,
    HelloAllocated,
    Reply,
    ReplyError,
    ReplyKnown,
    ReplyKnownT,
    ReplyUnknown,
    ReplyUnknownT,
)
from eshet.protocol import MAX_PAYLOAD, ClientProtocol, TimeoutConfig
from eshet.protocol.framing import frame_with_id
from eshet.protocol.requests import IDS
from eshet.unknown import Unknown

__all__ = ["REPLIES", "Handler", "Session"]

_MOST_REQUESTS: Final = IDS - 1  # the last id is for a ping, which tells whether all others hang
_BURST: Final = 1 << 16  # bytes
_ID: Final = 3  # where a reply goes on after its code and id
_AGE: Final = 7  # and after its age


class Session:
    """One connection of a client.

    Args:
        client_id: packed; None to be given one by the server.
        timeouts: how long each side waits for the other.
        handlers: what to do with each message, by code; `REPLIES` and what is no reply.
        on_lost: called once, with the reason, when the connection has ended.
    """

    def __init__(
        self,
        client_id: bytes | None,
        timeouts: TimeoutConfig,
        handlers: "Mapping[int, Handler]",
        on_lost: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol: ClientProtocol[Request] = ClientProtocol(
            client_id, timeouts, self._loop.time()
        )
        self._requests = self._protocol.requests
        self._waiting: OrderedDict[Request, bytes] = OrderedDict()
        self._handlers = handlers
        self._unflushed = 0
        self._tell_lost = on_lost
        self.connection: Final = Connection(
            self._protocol, self._on_payload, self._on_lost, self._send_waiting
        )
        self.ready = False
        """Whether all registrations have been restored."""
        self.greeted: Final[asyncio.Future[None]] = self._loop.create_future()
        """Done when the server has answered the hello, or the connection has ended before that."""
        self.lost: Final[asyncio.Future[str]] = self._loop.create_future()
        """Why the connection ended."""

    @property
    def client_id(self) -> bytes | None:
        """The id of the client, packed: its own, or the one that the server gave it."""
        return self._protocol.client_id

    # --- what goes out ------------------------------------------------------------------------

    def ask(
        self, code: int, path: bytes, value: bytes = b"", accept: Accept | None = None
    ) -> asyncio.Future[Any]:
        """Send a request, at once or when it is its turn.

        Args:
            code: of the message.
            path: of the node.
            value: of the message, packed, if it has one.
            accept: see `Accept`; not called if the future was cancelled.

        Returns:
            The future of the value in the reply, which is `Unknown` for an unknown state; its
            errors are `ErrorValue` and `Disconnected`.

        Raises:
            MessageTooLong: no frame can hold the request.
        """
        rest = path + b"\0" + value
        if len(rest) + _ID > MAX_PAYLOAD:
            raise MessageTooLong(len(rest) + _ID, MAX_PAYLOAD, describe(code, path))
        request = Request(code, path, value, self._loop.create_future(), accept)
        if self._waiting or not self._has_room():
            self._waiting[request] = rest
            request.future.add_done_callback(lambda _: self._waiting.pop(request, None))
        else:
            self._send(code, self._requests.open(request), rest)
        return request.future

    @property
    def in_flight(self) -> list[Request]:
        """The requests that were sent and wait for their replies."""
        return [request for request in self._requests if request is not None]

    def answer(self, code: int, request_id: int, value: bytes) -> None:
        """Answer a request of the server; ignored when the connection has ended.

        Raises:
            MessageTooLong: no frame can hold the value.
        """
        self._send(code, request_id, value)

    def _has_room(self) -> bool:
        return len(self._requests) < _MOST_REQUESTS and not self.connection.paused

    def _send_waiting(self) -> None:
        """Send the requests whose turn has come."""
        while self._waiting and self._has_room():
            request, rest = self._waiting.popitem(last=False)
            self._send(request.code, self._requests.open(request), rest)

    def _send(self, code: int, request_id: int, rest: bytes) -> None:
        frame = frame_with_id(code, request_id, rest)
        self.connection.send(frame)
        self._unflushed += len(frame)
        if self._unflushed > _BURST:  # only what is written makes the connection say "enough"
            self._unflushed = 0
            self.connection.flush()

    # --- what comes in ------------------------------------------------------------------------

    def _on_payload(self, payload: bytes) -> None:
        handler = self._handlers.get(payload[0])
        if handler is None:
            raise ProtocolError(f"a message of type {payload[0]:#04x}, which a server can't send")
        handler(self, payload)

    def _on_hello(self, _: bytes) -> None:
        self.greeted.set_result(None)

    def _on_reply(self, payload: bytes) -> None:
        self._answered(payload, codec.unpack(payload[_ID:]))

    def _on_reply_unknown(self, payload: bytes) -> None:
        if len(payload) != _ID:
            raise ProtocolError(f"a reply with an unknown state of {len(payload)} bytes, not {_ID}")
        self._answered(payload, Unknown)

    def _on_reply_with_age(self, payload: bytes) -> None:
        self._answered(payload, codec.unpack(payload[_AGE:]))

    def _on_reply_unknown_with_age(self, payload: bytes) -> None:
        if len(payload) != _AGE:
            raise ProtocolError(
                f"a reply with an unknown state and its age of {len(payload)} bytes, not {_AGE}"
            )
        self._answered(payload, Unknown)

    def _answered(self, payload: bytes, value: Any) -> None:
        request = self._requests.close(payload[1] << 8 | payload[2])
        if request is None:
            self._protocol.pong()
        else:
            request.succeed(value)
        if self._waiting:
            self._send_waiting()

    def _on_reply_error(self, payload: bytes) -> None:
        error = codec.unpack(payload[_ID:])
        request = self._requests.close(payload[1] << 8 | payload[2])
        if request is None:
            self._protocol.pong()
        else:
            request.fail(error)
        if self._waiting:
            self._send_waiting()

    def _on_lost(self, reason: str) -> None:
        self.ready = False
        waiting = list(self._waiting)
        self._waiting.clear()
        for request in [*self._requests.close_all(), *waiting]:
            if request is not None:
                request.lose(reason)
        if not self.greeted.done():
            self.greeted.set_result(None)
        self.lost.set_result(reason)
        self._tell_lost(reason)


Handler = Callable[[Session, bytes], None]
"""Acts on a payload that came by a session."""

REPLIES: Final[Mapping[int, Handler]] = {
    Reply.code: Session._on_reply,
    ReplyError.code: Session._on_reply_error,
    ReplyKnown.code: Session._on_reply,
    ReplyUnknown.code: Session._on_reply_unknown,
    ReplyKnownT.code: Session._on_reply_with_age,
    ReplyUnknownT.code: Session._on_reply_unknown_with_age,
    HelloAccepted.code: Session._on_hello,
    HelloAllocated.code: Session._on_hello,
}
"""What a session does with the answers to what it asked."""
