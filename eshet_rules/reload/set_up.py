"""Waiting for the rules of a version to be set up, also while there is no connection."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Final

from eshet.client import Client
from eshet.tasks.starting import retrieve_error

__all__ = ["wait_for_set_up"]

_LOOK: Final = 0.1
"""Seconds from one look at the connection to the next, while rules are set up."""


async def wait_for_set_up(
    attempts: Iterable[asyncio.Future[bool]], seconds: float, connection: Client | None
) -> None:
    """Wait until rules are set up, but no longer than so many seconds.

    Args:
        attempts: to set up a rule, each.
        seconds: how long.
        connection: whose time without a server does not count. It is given if the version goes on
            with what another has left: what is made after it has taken over would not get that.
    """
    pending = {attempt for attempt in attempts if not attempt.done()}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds) as limit:
            while pending:
                # A rule may have closed it, for good.
                if connection is None or connection.connected or connection.closed:
                    _, pending = await asyncio.wait(pending, timeout=_LOOK)
                else:
                    await _wait_for_connection(connection, pending, limit)
                    pending = {attempt for attempt in pending if not attempt.done()}


async def _wait_for_connection(
    connection: Client, attempts: Iterable[asyncio.Future[bool]], limit: asyncio.Timeout
) -> None:
    """Wait until there is a connection, or an attempt has ended; the limit stands still."""
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
