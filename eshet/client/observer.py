"""Hooks for every input and output of a client; they create causes and link them.

A program that tracks causes attaches one `ClientObserver`, a subclass with hooks of its own, to all
of its clients. Without an observer, causes are not tracked, at no cost.

Where an input is the effect of an output of one of these clients, its cause names the cause of the
output as its parent; see `eshet.client.correlation`. A state that shows the value to which it was
set is such an effect, too: its owner may be a device.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Protocol

from eshet import messages
from eshet.cause import Cause, current
from eshet.client.correlation import Correlator, Echo
from eshet.user_errors import is_error

__all__ = ["ClientObserver", "InputTarget", "OutputSpan"]

_MAX_OUTPUTS: Final = 1024
_MAX_AGE: Final = 10.0
"""Seconds from an output to its echo; after that an equal input may have any other source."""

_INPUT_KINDS: Final = {
    messages.ActionCall.code: "call",
    messages.Set.code: "set",
    messages.Get.code: "get",
    messages.EventEmit.code: "event",
    messages.StateChanged.code: "state",
    messages.StateUnknown.code: "state",
}
"""The kind of input that each message becomes at its receiver."""


class InputTarget(Protocol):
    """The receiver of inputs at a path: an owner's callback, or all subscriptions of one client.

    The observer sets `seen`: outputs to the path with a lower number are not parents of its inputs.
    """

    seen: int


class OutputSpan:
    """One output, from before it is sent until it is answered: a `with` statement, or `end`.

    Args:
        observer: notified when the output ends.
        code: of the message.
        path: of the output.
        value: packed; empty if there is none.
        began: the loop's time of sending.
        echo: the record for correlation; None if the output has no cause.
    """

    __slots__ = ("began", "code", "echo", "inputs", "observer", "path", "result", "value")

    def __init__(
        self,
        observer: "ClientObserver",
        code: int,
        path: bytes,
        value: bytes,
        began: float,
        echo: Echo | None,
    ) -> None:
        self.began: float = began
        self.echo: Echo | None = echo
        self.observer: ClientObserver = observer
        self.code: int = code
        self.path: bytes = path
        self.value: bytes = value
        self.result: object = None
        self.inputs: dict[str, Any] | None = None
        """The values from which the value came, by their names; None if they are not known."""

    def __enter__(self) -> "OutputSpan":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Note that the output was answered, with `result`, or has failed with an error."""
        if self.echo is not None and error is not None and is_error(error, Exception):
            self.echo.void()
        self.observer.sent(self, error)


class ClientObserver:
    """Starts a cause for each input, and finds the output that led to it; in one event loop.

    A subclass overrides `on_input`, `sent`, `on_skipped`, `on_acted`, `on_act_skipped`, `connected`
    and `disconnected`, which do nothing here, and `wants_inputs`. They are called in the context,
    and with the cause, of the input or output.

    Args:
        shared: another observer: each of the two finds the outputs of the other as well. None to
            find only those of the clients of this observer.
    """

    def __init__(self, shared: "ClientObserver | None" = None) -> None:
        self._echoes: Final[Correlator] = (
            Correlator(_MAX_OUTPUTS, _MAX_AGE) if shared is None else shared._echoes
        )
        self.loop_time: Final = asyncio.get_running_loop().time
        """Returns the time of the loop."""

    # --- inputs ---------------------------------------------------------------------------------

    def cause_of_input(
        self, kind: str, path: bytes, value: bytes, target: InputTarget
    ) -> Cause | None:
        """Return the cause that an input starts; a subclass may return None for no cause.

        Args:
            kind: the kind of input; see `Cause`.
            path: where it arrived.
            value: packed; empty if there is none.
            target: its receiver.
        """
        now = self.loop_time()
        return Cause(kind, path.decode(), self._cause_of_echo(kind, path, value, target, now), now)

    def cause_of_output(
        self, kind: str, path: bytes, value: bytes, target: InputTarget
    ) -> Cause | None:
        """Return the cause of the output of which an input is the effect; None if there is none.

        The output is not found again for this receiver. The arguments are those of
        `cause_of_input`.
        """
        return self._cause_of_echo(kind, path, value, target, self.loop_time())

    def _cause_of_echo(
        self, kind: str, path: bytes, value: bytes, target: InputTarget, now: float
    ) -> Cause | None:
        echo = self._echoes.find((kind, path), value, target.seen, now)
        if echo is None and kind == "state":
            echo = self._echoes.find(("set", path), value, target.seen, now)
        if echo is None:
            return None
        target.seen = echo.number + 1
        return echo.cause

    def first_visible(self) -> int:
        """Return the `seen` of a new receiver: no earlier output is a parent of its inputs."""
        return self._echoes.next_number

    @property
    def wants_inputs(self) -> bool:
        """Whether `OutputSpan.inputs` is used; if it is not, it may be None."""
        return False

    def on_input(self, kind: str, path: str, value: object) -> None:
        """Handle an input, with its cause and in the context of the callback that receives it."""

    # --- outputs --------------------------------------------------------------------------------

    def on_sending(self, code: int, path: bytes, value: bytes = b"") -> OutputSpan:
        """Return the span of an output, from before it is sent until it is answered."""
        cause, now = current.get(), self.loop_time()
        echo = None
        if cause is not None:
            echo = self._echoes.add((_INPUT_KINDS[code], path), value, cause, now)
        return OutputSpan(self, code, path, value, now, echo)

    def sent(self, span: OutputSpan, error: BaseException | None) -> None:
        """Handle the end of an output, with `span.result` or with an error.

        The result of publishing a state is whether it was published; otherwise it will be, after
        the next reconnection.
        """

    def on_skipped(self, code: int, path: str, value: object, why: str) -> None:
        """Handle an output that was not sent.

        Args:
            code: of the message.
            path: of the output.
            value: the value that was not sent.
            why: `"unknown"` or `"unchanged"`, or the reason of a strategy; see
                `eshet.tasks.Ending.why`.
        """

    # --- calls of functions -----------------------------------------------------------------------

    def on_acted(
        self, function: str, arguments: list[Any], seconds: float, error: BaseException | None
    ) -> None:
        """Handle the end of a call of a function of a rule, which is an output without a path.

        Args:
            function: its name.
            arguments: of the call.
            seconds: how long it took.
            error: which it has raised; None if it has succeeded.
        """

    def on_act_skipped(self, function: str, arguments: list[Any], why: str) -> None:
        """Handle a call of a function that was not made.

        Args:
            function: its name.
            arguments: of the call.
            why: `"pretended"`, or as in `on_skipped`.
        """

    # --- the connection -------------------------------------------------------------------------

    def connected(self, server: str, again: bool) -> None:
        """Handle a new connection of a client; `again` if it is not its first."""

    def disconnected(self, server: str, reason: str) -> None:
        """Handle the end of a client's connection, or a failed attempt.

        Called once per outage.
        """

    def dropped(self, count: int) -> None:
        """Handle the loss of events: more of them waited for their callbacks than may wait."""

    def closed(self, server: str) -> None:
        """Handle the closing of a client, in the context in which it connected."""
