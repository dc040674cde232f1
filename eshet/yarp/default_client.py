"""The client that the wrappers use by default.

There is one for each event loop, and one for each scope or context that sets its own: this is how
the runner gives each rule module its own client, hidden from other modules.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from eshet.client import Client
from eshet.scope import current_scope

__all__ = [
    "DefaultClient",
    "get_default_eshet_client",
    "known_client",
    "set_default_eshet_client",
    "using_client",
]


class DefaultClient:
    """The default client of a scope, a context or a loop, once it exists."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, DefaultClient]] = WeakKeyDictionary()
_of_context: Final[ContextVar[DefaultClient | None]] = ContextVar(
    "eshet.default_client", default=None
)


async def get_default_eshet_client() -> Client:
    """Return the default client of the yarp wrapper functions, once it is connected.

    If there is none yet, since no wrapper nor `set_default_eshet_client` has been called, a new
    `Client` with default settings is made. Use this to mix yarp functions with plain `Client` use.

    Raises:
        Disconnected: the client was closed.
    """
    place = _place()
    if place.client is None:
        place.client = Client()
    client = place.client
    await client.wait_for_connection()
    return client


def known_client() -> Client | None:
    """Return the default client if there is one already, connected or not; else None."""
    return _place().client


def set_default_eshet_client(client: Client) -> None:
    """Set the default client of the yarp wrapper functions."""
    _place().client = client


@contextlib.contextmanager
def using_client(client: Client) -> Iterator[None]:
    """Give this context its own default client within a `with` statement.

    Tasks that are started there keep that client until they end.
    """
    token = _of_context.set(DefaultClient(client))
    try:
        yield
    finally:
        _of_context.reset(token)


def _place() -> DefaultClient:
    scope = current_scope()
    return (
        _of_context.get()
        or (scope and scope.find(DefaultClient))
        or _of_loops.setdefault(asyncio.get_running_loop(), DefaultClient())
    )
