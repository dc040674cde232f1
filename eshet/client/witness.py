"""Who sees what clients hear and say: it starts causes, and links those that lead to each other.

A program that wants to know why things happen gives its clients one `Witness`, of which it makes a
subclass to be told of each input and output. Without one, nobody keeps track of causes, and nothing
is spent on that.

Where what comes in is the echo of what one of these clients has sent, the second cause names the
first as its parent; see `eshet.client.echoes`.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Protocol

from eshet import messages
from eshet.cause import Cause, current
from eshet.client.echoes import Echo, Echoes
from eshet.user_errors import is_error

__all__ = ["Endpoint", "Said", "Witness"]

_MOST_SENT: Final = 1024
_LONGEST_WAY: Final = 10.0
"""Seconds from an output to its echo; what comes later may be anybody's."""

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
        echo: by which it is known again; None if it has no cause.
    """

    __slots__ = ("code", "echo", "path", "result", "value", "witness")

    def __init__(
        self, witness: "Witness", code: int, path: bytes, value: bytes, echo: Echo | None
    ) -> None:
        self.echo = echo
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
        if self.echo is not None and error is not None and is_error(error, Exception):
            self.echo.void()
        self.witness.sent(self, error)


class Witness:
    """Starts a cause for each input, and tells which output it is the echo of; in one event loop.

    This base keeps no account of either: a subclass overrides `hears`, `sent`, `skips`, `connected`
    and `disconnected`, which do nothing here; in the context, and for the cause, of what they tell.
    """

    said_of: type[Said] = Said
    """What makes the object that an output is within."""

    def __init__(self) -> None:
        self._echoes = Echoes(_MOST_SENT, _LONGEST_WAY)
        self.loop_time: Final = asyncio.get_running_loop().time
        """Tells the time of the loop."""

    # --- what clients hear ----------------------------------------------------------------------

    def comes_in(self, kind: str, path: bytes, value: bytes, endpoint: Endpoint) -> Cause:
        """Return the cause that an input starts.

        Args:
            kind: what it is; see `Cause`.
            path: where it comes in.
            value: packed; empty if there is none.
            endpoint: what hears it.
        """
        place, now = (kind, path), self.loop_time()
        parent, endpoint.seen = self._echoes.find(place, value, endpoint.seen, now)
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
        echo = None
        if cause is not None:
            echo = self._echoes.add((_ECHO_OF[code], path), value, cause, self.loop_time())
        return self.said_of(self, code, path, value, echo)

    def sent(self, said: Said, error: BaseException | None) -> None:
        """Be told how an output ended: with `said.result`, or with an error.

        The result of publishing a state is whether it arrived; else it will, when the connection is
        back.
        """

    def skips(self, code: int, path: str, value: Any, why: str) -> None:
        """Be told of an output that was not sent, and why.

        Args:
            code: of the message.
            path: where it would have gone.
            value: which would have been sent.
            why: `"unknown"` or `"unchanged"`, or what a strategy says; see
                `eshet.tasks.Ending.why`.
        """

    # --- the connection -------------------------------------------------------------------------

    def connected(self, server: str, again: bool) -> None:
        """Be told that a client is connected, and whether it has been before."""

    def disconnected(self, server: str, reason: str) -> None:
        """Be told that the connection of a client has ended, or could not be made.

        It is told once, and then not before there has been a connection again.
        """

    def closed(self, server: str) -> None:
        """Be told that a client is closed, in the context in which it connected."""
