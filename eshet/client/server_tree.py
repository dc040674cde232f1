"""Reads the tree of a server: all of its nodes."""

from collections.abc import AsyncIterator
from typing import Any

from eshet.client.client import Client

__all__ = ["list_nodes"]


async def list_nodes(client: Client) -> AsyncIterator[tuple[str, str, Any]]:
    """Yield the path, the kind and the owner of each node of the server; None for no owner.

    Raises:
        Disconnected: the client is not connected.
        ErrorValue: the server does not have the action `/meta/tree`.
    """
    after: list[object] = []
    while True:
        page = await client.action_call("/meta/tree", *after)
        for path, kind, owner, *_ in page["nodes"]:
            yield path, kind, owner
        if page["next"] is None:
            return
        after = [page["next"]]
