"""Shell completion of paths, from the server."""

import asyncio
from collections.abc import Collection
from typing import Final

from eshet.cli.running import connected
from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.server_address import ServerAddress

__all__ = ["paths_below", "paths_of"]

_TIMEOUT: Final = 1.0  # seconds: the user waits for the completion


def paths_of(server: ServerAddress, start: str, kinds: Collection[str]) -> list[str]:
    """Return the paths on a server that begin with a text; none if the server does not answer.

    Args:
        server: its address.
        start: the text.
        kinds: see `paths_below`.
    """

    async def request() -> list[str]:
        async with asyncio.timeout(_TIMEOUT), connected(server, stays=False) as client:
            return await paths_below(client, start, kinds)

    try:
        return asyncio.run(request())
    except Exception:  # a completion can't report errors
        return []


async def paths_below(client: Client, start: str, kinds: Collection[str]) -> list[str]:
    """Return the paths on a server that begin with a text, in order.

    Args:
        client: a client of the server.
        start: the text.
        kinds: of the nodes: `"action"`, `"prop"`, `"event"` or `"state"`; `"dir"` for directories.

    Raises:
        EshetError: the connection was lost, or the server does not have the action `/meta/tree`.
    """
    found: set[str] = set()
    async for path, kind, _ in list_nodes(client):
        if kind in kinds:
            found.add(path)
        if "dir" in kinds:
            steps = path.split("/")
            found.update("/".join(steps[:count]) for count in range(2, len(steps)))
    return sorted(path for path in found if path.startswith(start))
