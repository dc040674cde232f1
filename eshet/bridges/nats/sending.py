"""Passes values on in their order, a limited number at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ["Sending"]

_MOST: Final = 1000
"""How many values may be under way at once: a fast source must not fill the memory."""


class Sending:
    """Sends values, each in a task; beyond a limit only the last one, when there is space again.

    Args:
        send: sends a value; its first step puts it into the order.
        on_skipped: called with each value that is not sent, as a later one has replaced it.
    """

    def __init__(
        self, send: Callable[[Any], Awaitable[object]], on_skipped: Callable[[Any], object]
    ) -> None:
        self._send = send
        self._on_skipped = on_skipped
        self._tasks: set[asyncio.Future[Any]] = set()
        self._waiting: list[Any] = []

    def put(self, value: Any) -> None:
        """Send a value after all earlier ones."""
        if len(self._tasks) < _MOST:
            self._start(value)
            return
        if self._waiting:
            self._on_skipped(self._waiting.pop())
        self._waiting.append(value)

    def cancel(self) -> None:
        """Stop all that is under way."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def _start(self, value: Any) -> None:
        task = asyncio.ensure_future(self._send(value))
        self._tasks.add(task)
        task.add_done_callback(self._on_sent)

    def _on_sent(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if self._waiting:
            self._start(self._waiting.pop())
        if not task.cancelled():
            task.result()
