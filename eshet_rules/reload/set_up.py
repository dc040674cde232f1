"""Waits until the rules of a version are set up, even if the connection is lost for a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from eshet.client import Client
from eshet.tasks.starting import retrieve_error

__all__ = ["Turns", "wait_for_set_up"]

_LOOK: Final = 0.1
"""Seconds between two checks of the connection, while rules are set up."""


_AT_ONCE: Final = 50
"""Number of set-ups that run at the same time."""

_LONG: Final = 0.05
"""Seconds after which a set-up does not count any more: it waits for something else."""


class Turns:
    """Lets a limited number of set-ups run at once; the others begin in order, as these end.

    Thousands of set-ups at once would need 10 KiB of memory each, which the process would keep.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, and keep it within an `async with` statement, but not for long."""
        await self._free.acquire()
        kept = [self._free.release]

        def end() -> None:
            if kept:
                kept.pop()()

        timer = asyncio.get_running_loop().call_later(_LONG, end)
        try:
            yield
        finally:
            timer.cancel()
            end()


async def wait_for_set_up(
    attempts: Iterable[asyncio.Future[bool]], seconds: float, connection: Client | None
) -> None:
    """Wait until rules are set up, with a timeout.

    Args:
        attempts: the attempts to set up rules.
        seconds: the timeout.
        connection: time in which this client has no connection does not count; None to count it.
            Pass it if the version restores a snapshot: nodes that are created after the hand-over
            would not be restored.
    """
    pending = {attempt for attempt in attempts if not attempt.done()}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds) as limit:
            while pending:
                # A rule may have closed its client permanently.
                if connection is None or connection.connected or connection.closed:
                    _, pending = await asyncio.wait(pending, timeout=_LOOK)
                else:
                    await _wait_for_connection(connection, pending, limit)
                    pending = {attempt for attempt in pending if not attempt.done()}


async def _wait_for_connection(
    connection: Client, attempts: Iterable[asyncio.Future[bool]], limit: asyncio.Timeout
) -> None:
    """Wait until there is a connection, or an attempt has ended; the timeout is suspended."""
    loop = asyncio.get_running_loop()
    left = (limit.when() or loop.time()) - loop.time()
    limit.reschedule(None)
    connected = asyncio.ensure_future(connection.wait_for_connection())
    connected.add_done_callback(retrieve_error)
    ends: set[asyncio.Future[Any]] = {connected, *attempts}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        connected.cancel()
    limit.reschedule(loop.time() + left)
