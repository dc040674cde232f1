"""Those whom the server talks to: a client, and whoever else can own nodes."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from eshet.exceptions import MessageTooLong
from eshet.messages import NIL, Reply, ReplyError
from eshet.protocol.framing import forward, frame_with_id
from eshet.protocol.requests import Requests

__all__ = ["Asked", "Line", "Owner", "Peer", "TookLong", "Traffic"]

_REPLY: Final = Reply.code
_ERROR: Final = ReplyError.code


Asked = tuple["Peer", int]
"""Who waits for the answer to a request that was passed on, and the id of their request."""


class TookLong(Exception):
    """A message was handled that took long: others have their turn before the next one."""


class Owner(Protocol):
    """Whoever can own nodes: a client, or the server itself."""

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """Pass a request on to the owner, whose answer goes to whoever asked; now or later.

        Args:
            asked: who waits for the answer.
            code: of the message to the owner.
            rest: what follows the id in that message.

        Raises:
            TooManyRequests: the owner has too much to answer.
            TookLong: the owner is the server itself, which has answered, and that took long.
        """
        ...


class Traffic(NamedTuple):
    """How much went through a connection, and waits for it, in bytes."""

    received: int
    sent: int
    queue: int


class Line(Protocol):
    """The connection of a client."""

    peername: str
    """The address of its other end, for people."""

    @property
    def congestion(self) -> float:
        """How many times what may wait for it does wait; 0 as long as it is no more."""
        ...

    def flush(self) -> None:
        """Send what waits."""
        ...

    def close(self, reason: str) -> None:
        """End it."""
        ...

    @property
    def traffic(self) -> "Traffic":
        """How much went through it."""
        ...

    def describe(self) -> dict[str, Any]:
        """Tell of it, for `/meta/clients`."""
        ...


class Peer:
    """A client that has said hello.

    What it is to be sent is put into `out`; whoever does so sees to it that its line is flushed.

    Args:
        client_id: packed, in its canonical form.
        out: the frames that wait to be sent to it.
        line: its connection.
    """

    __slots__ = ("asked", "client_id", "hear", "line", "out", "registrations")

    def __init__(self, client_id: bytes, out: list[bytes], line: Line) -> None:
        self.client_id = client_id
        self.out = out
        self.hear: Callable[[bytes], None] = out.append
        self.line = line
        self.registrations = 0
        """How many nodes it has registered, listened to and observed, in all."""
        self.asked: Requests[Asked] = Requests()
        """What it was asked, and by whom."""

    def reply(self, request_id: int, value: bytes = NIL) -> None:
        """Answer one of its requests."""
        self.answer(_REPLY, request_id, value)

    def fail(self, request_id: int, value: bytes) -> None:
        """Answer one of its requests with an error."""
        self.answer(_ERROR, request_id, value)

    def answer(self, code: int, request_id: int, rest: bytes) -> None:
        """Answer one of its requests, by any kind of reply."""
        try:
            self.out.append(frame_with_id(code, request_id, rest))
        except MessageTooLong:
            self.out.append(frame_with_id(_ERROR, request_id, _REPLY_TOO_LONG))

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `Owner.ask`."""
        self.out.append(forward(code, self.asked.open(asked), rest))


_REPLY_TOO_LONG: Final = b"\xaereply_too_long"
