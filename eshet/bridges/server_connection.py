"""The name of a bridge on the ESHET server, and its connections to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from eshet.bridges.exceptions import BridgeError
from eshet.client import Client
from eshet.exceptions import Disconnected, PathTaken

__all__ = ["claim_name", "connections"]

_LOOK_EVERY: Final = 1.0
"""Interval of the checks for a reconnection, in seconds: a client has no callback for it."""


async def claim_name(name: str, client: Client, register: Callable[[], Awaitable[object]]) -> None:
    """Register the first node of a bridge, when there is a connection to the server.

    Without a connection, the client would keep all registrations, and each of them would fail later
    if another bridge has this name.

    Args:
        name: of the bridge.
        client: of the bridge.
        register: registers a node that each bridge with this name has.

    Raises:
        BridgeError: another client has the node.
        Disconnected: the client was closed.
    """
    await client.wait_for_connection()
    try:
        await register()
    except PathTaken as error:
        raise BridgeError(
            f"another bridge {name} is on this server, and has registered {error.path}: "
            "rename one of both"
        ) from None


async def connections(client: Client) -> AsyncIterator[None]:
    """Yield once for each connection of a client to the server, when it is made.

    Nodes may appear while the client is disconnected, so list them after each connection. The
    iteration ends when the client is closed.
    """
    seen: float | None = -1.0  # the time of the last reconnection; None for the first connection
    while True:
        try:
            await client.wait_for_connection()
        except Disconnected:
            return
        if client.reconnected_at != seen:
            seen = client.reconnected_at
            yield
        await asyncio.sleep(_LOOK_EVERY)
