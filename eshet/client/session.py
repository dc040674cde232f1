"""One connection to the server, from the hello to its end: requests and their replies."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from eshet import codec, messages
from eshet.connection import Connection
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong
from eshet.messages import (
    FROM_SERVER,
    HelloAccepted,
    HelloAllocated,
    Message,
    ReplyError,
    WithId,
    pack,
    unpack,
)
from eshet.protocol import ClientProtocol, TimeoutConfig
from eshet.protocol.framing import frame

__all__ = ["Accept", "Session", "describe"]

Accept = Callable[[Message], None]
"""Takes a good reply, before anything that the server sent after it."""

_REPLIES: Final = (
    messages.Reply,
    ReplyError,
    messages.ReplyKnown,
    messages.ReplyUnknown,
    messages.ReplyKnownT,
    messages.ReplyUnknownT,
)
_VERBS: Final[dict[object, str]] = {
    messages.ActionRegister: "register action",
    messages.ActionCall: "call",
    messages.Get: "get",
    messages.Set: "set",
    messages.EventRegister: "register event",
    messages.EventEmit: "emit",
    messages.EventListen: "listen to",
    messages.StateRegister: "register state",
    messages.StateChanged: "change state",
    messages.StateUnknown: "make unknown",
    messages.StateObserve: "observe",
}


def describe(make: object, path: str) -> str:
    """Say what a request asks for, as `"get /hall/lux"`."""
    return f"{_VERBS[make]} {path}"


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """A request that waits for its reply."""

    what: tuple[object, str]
    future: asyncio.Future[Message]
    accept: Accept | None

    def answered(self, reply: Message) -> None:
        if self.future.done():
            return  # whoever asked has given up
        if isinstance(reply, ReplyError):
            self.future.set_exception(ErrorValue(codec.unpack(reply.value), describe(*self.what)))
            return
        if self.accept is not None:
            self.accept(reply)
        self.future.set_result(reply)

    def lost(self, reason: str) -> None:
        if not self.future.done():
            self.future.set_exception(Disconnected(describe(*self.what), reason))


class Session:
    """One connection of a client.

    Args:
        client_id: packed; None to be given one by the server.
        timeouts: how long each side waits for the other.
        on_message: called with what is neither a hello nor a reply.
        on_lost: called once, with the reason, when the connection has ended.
    """

    def __init__(
        self,
        client_id: bytes | None,
        timeouts: TimeoutConfig,
        on_message: Callable[["Session", Message], None],
        on_lost: Callable[["Session", str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol: ClientProtocol[_Pending] = ClientProtocol(
            client_id, timeouts, self._loop.time()
        )
        self.connection: Final = Connection(self._protocol, self._on_payload, self._on_lost)
        self.ready = False
        """Whether all registrations have been restored."""
        self.greeted: Final[asyncio.Future[None]] = self._loop.create_future()
        """Done when the server has answered the hello, or with `Disconnected`."""
        self.lost: Final[asyncio.Future[str]] = self._loop.create_future()
        """Why the connection ended."""
        self._pass_on = on_message
        self._tell_lost = on_lost

    @property
    def client_id(self) -> bytes | None:
        """The id of the client, packed: its own, or the one that the server gave it."""
        return self._protocol.client_id

    def ask(
        self, make: Callable[..., WithId], path: str, *fields: Any, accept: Accept | None = None
    ) -> asyncio.Future[Message]:
        """Send a request.

        Args:
            make: the class of the message.
            path: of the node.
            *fields: the fields of the message after the path.
            accept: see `Accept`; not called if the future was cancelled.

        Returns:
            The future of the reply; its errors are `ErrorValue` and `Disconnected`.

        Raises:
            MessageTooLong: no frame can hold the request.
            TooManyRequests: too many wait for their replies.
        """
        future: asyncio.Future[Message] = self._loop.create_future()
        requests = self._protocol.requests
        request_id = requests.open(_Pending((make, path), future, accept))
        try:
            self.send(make(request_id, path, *fields))
        except MessageTooLong as error:
            requests.close(request_id)
            raise MessageTooLong(error.length, error.limit, describe(make, path)) from None
        return future

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            MessageTooLong: no frame can hold it.
        """
        self.connection.send(frame(pack(message)))

    def _on_payload(self, payload: bytes) -> None:
        message = unpack(payload, FROM_SERVER)
        if isinstance(message, _REPLIES):
            pending = self._protocol.requests.close(message.id)
            if pending is None:
                self._protocol.pong()
            else:
                pending.answered(message)
        elif isinstance(message, HelloAccepted | HelloAllocated):
            if not self.greeted.done():
                self.greeted.set_result(None)
        else:
            self._pass_on(self, message)

    def _on_lost(self, reason: str) -> None:
        self.ready = False
        for pending in self._protocol.requests.close_all():
            if pending is not None:
                pending.lost(reason)
        if not self.greeted.done():
            self.greeted.set_exception(Disconnected("hello", reason))
            self.greeted.exception()  # whoever waits for it is told, and nobody has to
        self.lost.set_result(reason)
        self._tell_lost(self, reason)
