"""Those whom the server talks to: a client, and whoever else can own nodes."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from eshet.exceptions import MessageTooLong
from eshet.messages import NIL, Reply, ReplyError
from eshet.protocol.framing import frame_with_id
from eshet.protocol.requests import Requests

__all__ = ["Asked", "Owner", "Peer"]

_REPLY: Final = Reply.code
_ERROR: Final = ReplyError.code


class Asked(NamedTuple):
    """A request that was passed on to the owner of a node: who waits for its answer."""

    peer: "Peer"
    request_id: int


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
        """
        ...


class Peer:
    """A client that has said hello.

    What it is to be sent is put into `out`; whoever does so sees to it that it is flushed.

    Args:
        client_id: packed, in its canonical form.
        out: the frames that wait to be sent to it.
        flush: sends them.
        close: ends its connection, with a reason.
    """

    __slots__ = ("asked", "client_id", "close", "flush", "hear", "out")

    def __init__(
        self,
        client_id: bytes,
        out: list[bytes],
        flush: Callable[[], None],
        close: Callable[[str], None],
    ) -> None:
        self.client_id = client_id
        self.out = out
        self.hear: Callable[[bytes], None] = out.append
        self.flush = flush
        self.close = close
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
        request_id = self.asked.open(asked)
        self.out.append(frame_with_id(code, request_id, rest))


_REPLY_TOO_LONG: Final = b"\xaereply_too_long"
