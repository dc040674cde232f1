"""The clients and other owners of nodes, as the router and the tree see them."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from eshet.exceptions import MessageTooLong
from eshet.messages import NIL, Reply, ReplyError
from eshet.protocol.framing import MAX_PAYLOAD, forward, frame_with_id
from eshet.protocol.requests import Requests

__all__ = ["Asked", "Lease", "Line", "Owner", "Peer", "TookLong", "Traffic"]

_REPLY: Final = Reply.code
_ERROR: Final = ReplyError.code


Asked = tuple["Peer", int]
"""The client that waits for the answer to a forwarded request, and the id of its request."""


class TookLong(Exception):
    """Raised after handling a slow message: others have their turn before the next one."""


class Owner(Protocol):
    """An owner of nodes: a client of this server or of another one, or the server itself."""

    @property
    def client_id(self) -> bytes:
        """Its id in `/meta/tree`, packed."""
        ...

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """Forward a request to the owner; its answer goes to the asking client, now or later.

        Args:
            asked: the asking client, and the id of its request.
            code: of the message to the owner.
            rest: the part of that message after the id.

        Raises:
            TooManyRequests: too many requests to the owner are pending.
            TookLong: the owner is the server itself; it has answered, and that took long.
        """
        ...


class Traffic(NamedTuple):
    """The traffic of a connection, and the output that waits, in bytes."""

    received: int
    sent: int
    queue: int


class Line(Protocol):
    """The connection of a client."""

    peername: str
    """The address of its other end, as text."""

    @property
    def congestion(self) -> float:
        """The ratio of waiting output to the soft limit; 0 while it is within the limit."""
        ...

    def flush(self) -> None:
        """Send the waiting output."""
        ...

    def close(self, reason: str) -> None:
        """End the connection."""
        ...

    @property
    def traffic(self) -> "Traffic":
        """The traffic of the connection."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return a description for `/meta/clients`."""
        ...


class Lease(Protocol):
    """The right of a client to act in a role, of which others can take over when it ends."""

    @property
    def role(self) -> str:
        """The role: of all clients in one role, only that with the highest token acts."""
        ...

    @property
    def token(self) -> int:
        """The fencing token: higher than that of all earlier leases of the role."""
        ...

    @property
    def is_valid(self) -> bool:
        """Whether it has not ended."""
        ...

    @property
    def predecessor(self) -> str | None:
        """The id of the server of the last holder, if that has just given the role up."""
        ...


class Peer:
    """A client after its hello.

    Frames for it are appended to `out`; the sender then makes sure that its line is flushed.

    Args:
        client_id: packed, in its canonical form.
        out: the frames that wait to be sent to it.
        line: its connection.
        lease: the right to act; None for a client that needs none.
        max_payload: the longest message that it accepts, in bytes.
    """

    __slots__ = (
        "asked",
        "client_id",
        "lease",
        "line",
        "max_payload",
        "out",
        "registrations",
        "send",
    )

    def __init__(
        self,
        client_id: bytes,
        out: list[bytes],
        line: Line,
        lease: Lease | None = None,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self.client_id: bytes = client_id
        self.out: list[bytes] = out
        self.send: Callable[[bytes], None] = out.append
        self.line: Line = line
        self.lease: Lease | None = lease
        self.max_payload: int = max_payload
        self.registrations: int = 0
        """How many registrations, listens and observations it has made so far."""
        self.asked: Requests[Asked] = Requests()
        """The pending requests to it, with the clients that wait for the answers."""

    def reply(self, request_id: int, value: bytes = NIL) -> None:
        """Answer one of its requests."""
        self.answer(_REPLY, request_id, value)

    def fail(self, request_id: int, value: bytes) -> None:
        """Answer one of its requests with an error."""
        self.answer(_ERROR, request_id, value)

    def answer(self, code: int, request_id: int, rest: bytes) -> None:
        """Answer one of its requests with any kind of reply."""
        try:
            self.out.append(frame_with_id(code, request_id, rest, self.max_payload))
        except MessageTooLong:
            self.out.append(frame_with_id(_ERROR, request_id, _REPLY_TOO_LONG))

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `Owner.ask`."""
        self.out.append(forward(code, self.asked.open(asked), rest))


_REPLY_TOO_LONG: Final = b"\xaereply_too_long"
