"""A request of the client that waits for its reply."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final

from eshet import messages
from eshet.exceptions import Disconnected, ErrorValue, PathTaken

__all__ = ["Accept", "Request", "answered_with", "describe"]

Accept = Callable[[Any], None]
"""Takes the value of a good reply, before anything that the server sent after it."""

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
    """Say what a request asks for, as `"get /hall/lux"`."""
    return f"{_VERBS[code]} {path.decode()}"


def answered_with(error: Any, code: int, path: bytes) -> ErrorValue:
    """Return what to raise of a request that was answered with this error."""
    request = describe(code, path)
    if code in _REGISTERING and error == "path_already_exists":
        return PathTaken(request, path.decode())
    return ErrorValue(error, request)


class Request:
    """A request that waits for its reply, or for its turn to be sent.

    Each of `succeed`, `fail` and `lose` ends it, and changes nothing once whoever asked has given
    up.

    Args:
        code: of its message.
        path: of the node.
        value: of its message, packed; empty if it has none.
        future: of the value in the reply.
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
        self.code = code
        self.path = path
        self.value = value
        self.future = future
        self.accept = accept

    def outlive_asker(self) -> asyncio.Future[Any]:
        """Return a future of the same reply, which whoever asked can't cancel."""
        asked, self.future = self.future, self.future.get_loop().create_future()
        self.future.add_done_callback(functools.partial(_pass_on, to=asked))
        return self.future

    def succeed(self, value: Any) -> None:
        """The server did what was asked."""
        if not self.future.done():
            if self.accept is not None:
                self.accept(value)
            self.future.set_result(value)

    def fail(self, error: Any) -> None:
        """The server, or whom it asked, answered with this error."""
        if not self.future.done():
            self.future.set_exception(answered_with(error, self.code, self.path))

    def lose(self, reason: str) -> None:
        """The connection ended before the reply came."""
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
