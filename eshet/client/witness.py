"""Who sees what clients hear and say: it starts causes, and links those that lead to each other.

A program that wants to know why things happen gives its clients one `Witness`, of which it makes a
subclass to be told of each input and output. Without one, nobody keeps track of causes, and nothing
is spent on that.

The wire carries no cause. But what comes in at a path right after one of these clients has sent the
same there is the echo of that: its cause is named as the parent.
"""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from eshet import messages
from eshet.cause import Cause, current

if TYPE_CHECKING:
    from eshet.client.client import Client

__all__ = ["Endpoint", "Said", "Witness", "let_see", "tell_skipped"]

_MOST_SENT: Final = 1024

_ECHO_OF: Final = {
    messages.ActionCall.code: "call",
    messages.Set.code: "set",
    messages.Get.code: "get",
    messages.EventEmit.code: "event",
    messages.StateChanged.code: "state",
    messages.StateUnknown.code: "state",
}
"""What is said by each message, as what it is heard elsewhere."""


class Endpoint(Protocol):
    """What hears at a path: an owner's callback, or all listeners or observers of one client.

    `seen` is kept by the witness: what was sent to the path before that number is not its parent.
    """

    seen: int


class Said:
    """One output on its way, in a `with` statement that ends with the answer.

    Args:
        witness: who is told how it ended.
        code: of the message.
        path: where it goes.
        value: packed; empty if there is none.
    """

    __slots__ = ("code", "path", "result", "value", "witness")

    def __init__(self, witness: "Witness", code: int, path: bytes, value: bytes) -> None:
        self.witness = witness
        self.code = code
        self.path = path
        self.value = value
        self.result: Any = None

    def __enter__(self) -> "Said":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.witness.sent(self, error)


class Witness:
    """Starts a cause for each input, and tells which output it is the echo of.

    This base keeps no account of either: a subclass overrides `hears`, `sent`, `skips`, `connected`
    and `disconnected`, which do nothing here; in the context, and for the cause, of what they tell.
    """

    said_of: type[Said] = Said
    """What makes the object that an output is within."""

    def __init__(self) -> None:
        self._echoes = _Echoes(_MOST_SENT)

    # --- what clients hear ----------------------------------------------------------------------

    def comes_in(self, kind: str, path: bytes, value: bytes, endpoint: Endpoint) -> Cause:
        """Return the cause that an input starts.

        Args:
            kind: what it is; see `Cause`.
            path: where it comes in.
            value: packed; empty if there is none.
            endpoint: what hears it.
        """
        parent, endpoint.seen = self._echoes.find((kind, path), value, endpoint.seen)
        return Cause(kind, path.decode(), parent)

    def first_seen(self, kind: str, path: bytes) -> int:
        """Return the `seen` of an endpoint that is new: nothing that was sent is its parent."""
        return self._echoes.end((kind, path))

    def hears(self, kind: str, path: str, value: Any) -> None:
        """Be told of an input, in the context of the callback that is to hear it, and its cause."""

    # --- what clients say -----------------------------------------------------------------------

    def says(self, code: int, path: bytes, value: bytes = b"") -> Said:
        """Return what an output is within, from before it is sent until it is answered."""
        cause = current.get()
        if cause is not None:
            self._echoes.add((_ECHO_OF[code], path), value, cause)
        return self.said_of(self, code, path, value)

    def sent(self, said: Said, error: BaseException | None) -> None:
        """Be told how an output ended: with `said.result`, or with an error."""

    def skips(self, code: int, path: str, value: Any, why: str) -> None:
        """Be told of an output that was not sent, and why.

        Args:
            code: of the message.
            path: where it would have gone.
            value: which would have been sent.
            why: `"unknown"`, `"unchanged"` or `"disabled"`, or what a strategy says, as
                `"superseded"`.
        """

    # --- the connection -------------------------------------------------------------------------

    def connected(self, server: str, again: bool) -> None:
        """Be told that a client is connected, and whether it has been before."""

    def disconnected(self, server: str, reason: str) -> None:
        """Be told that the connection of a client has ended, or could not be made."""


def let_see(client: "Client", witness: Witness) -> None:
    """Let somebody see what a client hears and says; called before the client is used.

    It then keeps track of causes.
    """
    client._registrations.witness = witness


def tell_skipped(client: "Client", code: int, path: str, value: Any, why: str) -> None:
    """Tell who sees what a client says, if anybody does, that it does not say this.

    The arguments are those of `Witness.skips`.
    """
    witness = client._registrations.witness
    if witness is not None:
        witness.skips(code, path, value, why)


_Place = tuple[str, bytes]


class _Sent:
    """What was sent to one place and is still remembered, numbered in order."""

    __slots__ = ("causes", "first", "values")

    def __init__(self, first: int) -> None:
        self.first = first
        self.values: deque[int] = deque()  # their hashes: they may be long
        self.causes: deque[Cause] = deque()


class _Echoes:
    """The causes of what was sent last, by where it went.

    Invariants: it remembers at most `most`; the numbers of one place only grow, also when it was
    forgotten in between.

    Args:
        most: how much is remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: dict[_Place, _Sent] = {}
        self._places: deque[_Place] = deque()
        self._number = 0

    def add(self, place: _Place, value: bytes, cause: Cause) -> None:
        """Remember what is sent; forget what was sent first."""
        sent = self._sent.get(place)
        if sent is None:
            sent = self._sent[place] = _Sent(self._number)
        sent.values.append(hash(value))
        sent.causes.append(cause)
        self._number += 1
        self._places.append(place)
        if len(self._places) > self._most:
            self._forget(self._places.popleft())

    def find(self, place: _Place, value: bytes, after: int) -> tuple[Cause | None, int]:
        """Return the cause of the first that is the same, and the number of the next one.

        Args:
            place: where it came in.
            value: what came.
            after: the number of the first that may be it.
        """
        sent = self._sent.get(place)
        if sent is None:
            return None, after
        wanted = hash(value)
        for index in range(max(0, after - sent.first), len(sent.values)):
            if sent.values[index] == wanted:
                return sent.causes[index], sent.first + index + 1
        return None, after

    def end(self, place: _Place) -> int:
        """Return the number of what will be sent there next."""
        sent = self._sent.get(place)
        return self._number if sent is None else sent.first + len(sent.values)

    def _forget(self, place: _Place) -> None:
        sent = self._sent[place]
        sent.values.popleft()
        sent.causes.popleft()
        sent.first += 1
        if not sent.values:
            del self._sent[place]
