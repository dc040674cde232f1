"""Waits until the rules of a version are set up, even if the connection is lost for a time."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Final

from eshet.client import Client
from eshet.tasks.starting import retrieve_error

__all__ = ["wait_for_set_up"]

_LOOK: Final = 0.1
"""Seconds between two checks of the connection, while rules are set up."""


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
