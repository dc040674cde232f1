"""Requests that were sent without a task that waits for their replies."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from eshet.client.observer import ClientObserver
from eshet.exceptions import Disconnected

__all__ = ["PendingRequest", "PendingStateChange"]


class PendingRequest:
    """A request on its way; `receive` ends it.

    Args:
        observer: the client's observer, if it has one.
        code: of the message.
        path: of the node.
        value: of the message, packed.
        ask: sends the request, and returns a future of its reply.
    """

    __slots__ = ("reply", "span")

    def __init__(
        self,
        observer: ClientObserver | None,
        code: int,
        path: bytes,
        value: bytes,
        ask: Callable[[int, bytes, bytes], asyncio.Future[Any]],
    ) -> None:
        self.span: Final = None if observer is None else observer.on_sending(code, path, value)
        try:
            self.reply: asyncio.Future[Any] = ask(code, path, value)
        except BaseException as error:
            if self.span is not None:
                self.span.end(error)
            raise

    def receive(self) -> None:
        """End the request when its reply has arrived, and notify the observer.

        Raises:
            EshetError: see `eshet.Client`.
            CancelledError: the reply was cancelled.
        """
        span = self.span
        try:
            result = self._result()
        except BaseException as error:
            if span is not None:
                span.end(error)
            raise
        if span is not None:
            span.result = result
            span.end()

    def _result(self) -> Any:
        return self.reply.result()


class PendingStateChange(PendingRequest):
    """A change of a state on its way.

    If the connection ends before the reply arrives, the change is published after the next
    reconnection; the result for the observer is whether it was published.
    """

    __slots__ = ()

    def _result(self) -> bool:
        try:
            self.reply.result()
        except Disconnected:
            return False
        return True
