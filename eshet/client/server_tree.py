"""Reads the tree of a server: all of its nodes, or one directory."""

from collections.abc import AsyncIterator
from typing import Any

from eshet.client.client import Client
from eshet.exceptions import ErrorValue

__all__ = ["list_directory", "list_nodes"]


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


async def list_directory(client: Client, path: str) -> list[Any]:
    """Return the kind of a node; for a directory, followed by the name and kind of each entry.

    Returns:
        `["dir", [name, kind], …]`, sorted by name, or such as `["state"]`.

    Raises:
        Disconnected: the client is not connected.
        ErrorValue: the path does not exist.
    """
    try:
        found = await client.action_call("/meta/ls", path)
    except ErrorValue as error:
        if error.value != "reply_too_long":
            raise ErrorValue(error.value, f"ls {path}") from None
        found = ["dir", [entry async for entry in _pages(client, path)]]
    match found:
        case ["dir", list(entries)]:
            return ["dir", *sorted(entries)]
        case kind:
            return [kind]


async def _pages(client: Client, path: str) -> AsyncIterator[object]:
    """Iterate over the entries of a directory that is too long for one message."""
    after: str | None = ""
    while after is not None:
        _, entries, after = await client.action_call("/meta/ls", path, after)
        for entry in entries:
            yield entry
