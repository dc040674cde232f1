"""Hooks for every input and output of a client; they create causes and link them.

A program that needs to know why things happen attaches one `ClientObserver`, a subclass with hooks
of its own, to all of its clients. Without one, causes are not tracked, at no cost.

Where an input is the effect of an output of one of these clients, its cause names the cause of the
output as its parent; see `eshet.client.correlation`.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Protocol

from eshet import messages
from eshet.cause import Cause, current
from eshet.client.correlation import Correlator, Echo
from eshet.user_errors import is_error

__all__ = ["ClientObserver", "InputTarget", "OutputSpan"]

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


class InputTarget(Protocol):
    """What hears at a path: an owner's callback, or all listeners or observers of one client.

    `seen` is kept by the witness: what was sent to the path before that number is not its parent.
    """

    seen: int


class OutputSpan:
    """One output on its way, in a `with` statement that ends with the answer.

    Args:
        witness: who is told how it ended.
        code: of the message.
        path: where it goes.
        value: packed; empty if there is none.
        echo: by which it is known again; None if it has no cause.
    """

    __slots__ = ("code", "echo", "observer", "path", "result", "value")

    def __init__(
        self, observer: "ClientObserver", code: int, path: bytes, value: bytes, echo: Echo | None
    ) -> None:
        self.echo = echo
        self.observer = observer
        self.code = code
        self.path = path
        self.value = value
        self.result: Any = None

    def __enter__(self) -> "OutputSpan":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.echo is not None and error is not None and is_error(error, Exception):
            self.echo.void()
        self.observer.sent(self, error)


class ClientObserver:
    """Starts a cause for each input, and finds the output that led to it; in one event loop.

    A subclass overrides `on_input`, `sent`, `on_skipped`, `connected` and `disconnected`, which do
    nothing here. They are called in the context, and with the cause, of the input or output.
    """

    span_type: type[OutputSpan] = OutputSpan
    """What makes the object that an output is within."""

    def __init__(self) -> None:
        self._echoes = Correlator(_MOST_SENT, _LONGEST_WAY)
        self.loop_time: Final = asyncio.get_running_loop().time
        """Tells the time of the loop."""

    # --- what clients hear ----------------------------------------------------------------------

    def cause_of_input(self, kind: str, path: bytes, value: bytes, endpoint: InputTarget) -> Cause:
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

    def first_visible(self, kind: str, path: bytes) -> int:
        """Return the `seen` of an endpoint that is new: nothing that was sent is its parent."""
        return self._echoes.end((kind, path))

    def on_input(self, kind: str, path: str, value: Any) -> None:
        """Be told of an input, in the context of the callback that is to hear it, and its cause."""

    # --- what clients say -----------------------------------------------------------------------

    def on_sending(self, code: int, path: bytes, value: bytes = b"") -> OutputSpan:
        """Return what an output is within, from before it is sent until it is answered."""
        cause = current.get()
        echo = None
        if cause is not None:
            echo = self._echoes.add((_ECHO_OF[code], path), value, cause, self.loop_time())
        return self.span_type(self, code, path, value, echo)

    def sent(self, said: OutputSpan, error: BaseException | None) -> None:
        """Be told how an output ended: with `said.result`, or with an error.

        The result of publishing a state is whether it arrived; else it will, when the connection is
        back.
        """

    def on_skipped(self, code: int, path: str, value: Any, why: str) -> None:
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
