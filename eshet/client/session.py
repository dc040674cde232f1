"""One connection to the server, from the hello to its end: requests and their replies.

Requests queue up, in order, while the server does not read or all ids are in use. So the buffer of
the connection stays small, and a ping gets through; and a request that is cancelled while it waits
is never sent.
"""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet import codec, messages
from eshet.client.receiver import Receiver
from eshet.connection import Connection
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong, PathTaken, ProtocolError
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

__all__ = [
    "REPLIES",
    "Accept",
    "ClientSession",
    "Handler",
    "Request",
    "answered_with",
    "describe",
]

Accept = Callable[[Any], None]
"""Receives the value of a successful reply, before any later message is processed."""

_VERBS: Final = {
    messages.ActionRegister.code: "register action",
    messages.ActionCall.code: "call",
    messages.PropRegister.code: "register property",
    messages.Get.code: "get",
    messages.Set.code: "set",
    messages.EventRegister.code: "register event",
    messages.EventEmit.code: "emit",
    messages.EventListen.code: "listen to",
    messages.StateRegister.code: "register state",
    messages.StateChanged.code: "change state",
    messages.StateUnknown.code: "make unknown",
    messages.StateObserve.code: "observe",
}


_REGISTERING: Final = frozenset(
    (
        messages.ActionRegister.code,
        messages.PropRegister.code,
        messages.EventRegister.code,
        messages.StateRegister.code,
    )
)


def describe(code: int, path: bytes) -> str:
    """Return the purpose of a request, such as `"get /hall/lux"`."""
    return f"{_VERBS[code]} {path.decode()}"


def answered_with(error: object, code: int, path: bytes) -> ErrorValue:
    """Return the exception for a request that was answered with this error."""
    request = describe(code, path)
    if code in _REGISTERING and error == "path_already_exists":
        return PathTaken(request, path.decode())
    return ErrorValue(error, request)


class Request:
    """A request that waits for its reply, or to be sent.

    Each of `succeed`, `fail` and `lose` ends it; if its future is done already, they do nothing.

    Args:
        code: of its message.
        path: of the node.
        value: of its message, packed; empty if it has none.
        future: receives the value of the reply.
        accept: see `Accept`.
    """

    __slots__ = ("accept", "code", "future", "path", "value")

    def __init__(
        self,
        code: int,
        path: bytes,
        value: bytes,
        future: asyncio.Future[Any],
        accept: Accept | None,
    ) -> None:
        self.code: int = code
        self.path: bytes = path
        self.value: bytes = value
        self.future: asyncio.Future[Any] = future
        self.accept: Accept | None = accept

    def outlive_caller(self) -> asyncio.Future[Any]:
        """Return a future of the same reply that the original caller can't cancel."""
        original, self.future = self.future, self.future.get_loop().create_future()
        self.future.add_done_callback(functools.partial(_pass_on, to=original))
        return self.future

    def succeed(self, value: object) -> None:
        """End with the value of the reply."""
        if not self.future.done():
            if self.accept is not None:
                self.accept(value)
            self.future.set_result(value)

    def fail(self, error: object) -> None:
        """End with the error that the server, or the owner of the node, answered."""
        if not self.future.done():
            self.future.set_exception(answered_with(error, self.code, self.path))

    def lose(self, reason: str) -> None:
        """End because the connection was lost before the reply arrived."""
        if not self.future.done():
            self.future.set_exception(Disconnected(describe(self.code, self.path), reason))


def _pass_on(future: asyncio.Future[Any], to: asyncio.Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if to.done():
        return
    if error is not None:
        to.set_exception(error)
    elif future.cancelled():
        to.cancel()
    else:
        to.set_result(future.result())


_MAX_REQUESTS: Final = IDS - 1  # the last id is for a ping, in case no other request is answered
_STATE_REPLIES: Final = frozenset(
    (ReplyKnown.code, ReplyUnknown.code, ReplyKnownT.code, ReplyUnknownT.code)
)
_BURST: Final = 1 << 16  # bytes
_ID: Final = 3  # the length of a reply's code and id
_AGE: Final = 7  # and of its age


class ClientSession:
    """One connection of a client.

    Args:
        client_id: packed; None to have the server allocate one.
        timeouts: see `ClientProtocol`.
        handlers: handlers of all messages, by code; `REPLIES` and those of other messages.
        receiver: of the client; passes each message to its handler, now or in a later turn.
        on_lost: called once, with the reason, when the connection has ended.
        max_payload: the longest message that the server accepts, in bytes.
    """

    def __init__(
        self,
        client_id: bytes | None,
        timeouts: TimeoutConfig | None,
        handlers: "Mapping[int, Handler]",
        receiver: Receiver,
        on_lost: Callable[[str], None],
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol: ClientProtocol[Request] = ClientProtocol(
            client_id, timeouts, self._loop.time(), accepts_long=max_payload > MAX_PAYLOAD
        )
        self._max_payload = max_payload
        self._requests = self._protocol.requests
        self._waiting: OrderedDict[Request, bytes] = OrderedDict()
        self._handlers = handlers
        self._unflushed = 0
        self._notify_lost = on_lost
        self._receiver = receiver
        receiver.attach(self._on_payload, self._state_of, self._reject)
        self.connection: Final = Connection(
            self._protocol, receiver.receive, self._on_lost, self._send_waiting, receiver.begin
        )
        self.ready: bool = False
        """Whether all registrations have been restored."""
        self.greeted: Final[asyncio.Future[None]] = self._loop.create_future()
        """Done when the server has answered the hello, or the connection ended before that."""
        self.lost: Final[asyncio.Future[str]] = self._loop.create_future()
        """The reason why the connection ended."""

    @property
    def client_id(self) -> bytes | None:
        """The packed id of the client: its own, or the one that the server allocated."""
        return self._protocol.client_id

    # --- sending ------------------------------------------------------------------------------

    def ask(
        self, code: int, path: bytes, value: bytes = b"", accept: Accept | None = None
    ) -> asyncio.Future[Any]:
        """Send a request, at once or when the earlier ones have been sent.

        Args:
            code: of the message.
            path: of the node.
            value: of the message, packed, if it has one.
            accept: see `Accept`; not called if the future was cancelled.

        Returns:
            A future of the value in the reply, which is `Unknown` for an unknown state; its errors
            are `ErrorValue` and `Disconnected`.

        Raises:
            MessageTooLong: the request does not fit into a frame.
        """
        rest = path + b"\0" + value
        if len(rest) + _ID > self._max_payload:
            raise MessageTooLong(len(rest) + _ID, self._max_payload, describe(code, path))
        request = Request(code, path, value, self._loop.create_future(), accept)
        if self._waiting or not self._can_send():
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
        """Answer a request of the server; does nothing if the connection has ended.

        Raises:
            MessageTooLong: the value does not fit into a frame.
        """
        self._send(code, request_id, value)

    def _can_send(self) -> bool:
        return len(self._requests) < _MAX_REQUESTS and not self.connection.paused

    def _send_waiting(self) -> None:
        """Send as many waiting requests as possible."""
        while self._waiting and self._can_send():
            request, rest = self._waiting.popitem(last=False)
            self._send(request.code, self._requests.open(request), rest)

    def _send(self, code: int, request_id: int, rest: bytes) -> None:
        frame = frame_with_id(code, request_id, rest, self._max_payload)
        self.connection.send(frame)
        self._unflushed += len(frame)
        if self._unflushed > _BURST:  # the connection only pauses for written data
            self._unflushed = 0
            self.connection.flush()

    # --- receiving ----------------------------------------------------------------------------

    def _on_payload(self, payload: bytes) -> None:
        handler = self._handlers.get(payload[0])
        if handler is None:
            raise ProtocolError(f"a message of type {payload[0]:#04x}, which a server can't send")
        handler(self, payload)

    def _state_of(self, payload: bytes) -> bytes | None:
        """Return the path of the observed state that a reply reports, if any."""
        if payload[0] not in _STATE_REPLIES:
            return None
        request = self._requests.get(payload[1] << 8 | payload[2])
        return request.path if request and request.code == messages.StateObserve.code else None

    def _reject(self, error: ProtocolError) -> None:
        self._protocol.reject(error)
        self.connection.flush()

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

    def _answered(self, payload: bytes, value: object) -> None:
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
        self._receiver.disconnected()
        self.ready = False
        waiting = list(self._waiting)
        self._waiting.clear()
        for request in [*self._requests.close_all(), *waiting]:
            if request is not None:
                request.lose(reason)
        if not self.greeted.done():
            self.greeted.set_result(None)
        self.lost.set_result(reason)
        self._notify_lost(reason)


Handler = Callable[[ClientSession, bytes], None]
"""Processes a payload received by a session."""

REPLIES: Final[Mapping[int, Handler]] = {
    Reply.code: ClientSession._on_reply,
    ReplyError.code: ClientSession._on_reply_error,
    ReplyKnown.code: ClientSession._on_reply,
    ReplyUnknown.code: ClientSession._on_reply_unknown,
    ReplyKnownT.code: ClientSession._on_reply_with_age,
    ReplyUnknownT.code: ClientSession._on_reply_unknown_with_age,
    HelloAccepted.code: ClientSession._on_hello,
    HelloAllocated.code: ClientSession._on_hello,
}
"""How a session processes the replies to its requests."""
