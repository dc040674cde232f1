"""The client that the wrappers use when they are given none.

There is one for each event loop, and one for each context that asked for one of its own: the runner
gives every rule module its client so, without any module seeing another's.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from eshet.client import Client
from eshet.scope import current_scope

__all__ = ["DefaultClient", "get_default_eshet_client", "set_default_eshet_client", "using_client"]


class DefaultClient:
    """The default client of a scope, of a context or of a loop, once it has one."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, DefaultClient]] = WeakKeyDictionary()
_of_context: Final[ContextVar[DefaultClient | None]] = ContextVar(
    "eshet.default_client", default=None
)


async def get_default_eshet_client() -> Client:
    """Get the default client used by the yarp wrapper functions, when it is connected.

    If there is none yet, because neither this nor a wrapper has been called and
    `set_default_eshet_client` has not either, a new `Client` with default settings is made. Use
    this to mix yarp functions with plain `Client` use.

    Raises:
        Disconnected: the client was closed.
    """
    place = _place()
    if place.client is None:
        place.client = Client()
    client = place.client
    await client.wait_for_connection()
    return client


def set_default_eshet_client(client: Client) -> None:
    """Set the default client used by the yarp wrapper functions."""
    _place().client = client


@contextlib.contextmanager
def using_client(client: Client) -> Iterator[None]:
    """Give this context a default client of its own within a `with` statement.

    Tasks that are started there keep it for all their life.
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
