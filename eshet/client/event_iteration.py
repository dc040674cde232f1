"""Events that wait for an `async for`."""

import asyncio
import logging
from typing import Final

from eshet.cause import Cause, current
from eshet.scope import current_scope

__all__ = ["EventIteration"]

_WARN_WAITING: Final = 10_000
"""The number of waiting payloads at which a warning is logged, and again at each doubling."""


class EventIteration:
    """The payloads that wait for one iteration of `Client.event_listen`, with their causes.

    Args:
        client: the client, or view, that iterates.
        path: of the event.
        logger: for the warning that the iteration is slower than the events.
    """

    def __init__(self, client: object, path: str, logger: logging.Logger) -> None:
        self.client: Final = client
        self.path: Final = path
        self.scope: Final = current_scope()
        """The scope that is current when the iteration starts."""
        self._logger = logger
        self._waiting: asyncio.Queue[tuple[object, Cause | None] | None] = asyncio.Queue()
        self._warn_at = _WARN_WAITING

    def __len__(self) -> int:
        return self._waiting.qsize()

    def put(self, payload: object) -> None:
        """Add a payload, with the current cause."""
        self._waiting.put_nowait((payload, current.get()))
        if len(self) >= self._warn_at:
            self._warn_at *= 2
            self._logger.warning(
                "%d events of %s are waiting: the `async for` is slower than they arrive",
                len(self),
                self.path,
            )

    async def get(self) -> tuple[object, Cause | None] | None:
        """Wait for the next payload, and return it with its cause; None at the end."""
        return await self._waiting.get()

    def end(self) -> None:
        """End the iteration after the waiting payloads."""
        self._waiting.put_nowait(None)

    def take_over(self, old: "EventIteration") -> None:
        """Move the waiting payloads of another iteration to this one."""
        while len(old):
            self._waiting.put_nowait(old._waiting.get_nowait())
