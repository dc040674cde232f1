"""One of both sides of a bridge: its client, and the nodes that it has."""

import logging
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from eshet.bridges.nats.selection import is_below
from eshet.client import Client
from eshet.client.server_tree import list_directory, list_nodes
from eshet.exceptions import ErrorValue

__all__ = ["Node", "Side"]

_log: Final = logging.getLogger("eshet.bridges")


class Node(NamedTuple):
    """A node with an owner.

    Args:
        kind: `"action"`, `"prop"`, `"event"` or `"state"`.
        is_copy: whether the bridge owns it.
        owner: the id of its client; None if it is not known.
    """

    kind: str
    is_copy: bool
    owner: object = None


class Side:
    """A server or tree.

    Args:
        client: of this bridge only.
        name: for logs.
        paths: nodes and directories that belong to this side. They are needed if the server can't
            list its nodes with their owners.
    """

    def __init__(self, client: Client, name: str, paths: tuple[str, ...] = ()) -> None:
        self.client: Final = client
        self.name: Final = name
        self._paths: Final = paths
        self._can_list = True

    def __str__(self) -> str:
        return self.name

    async def nodes(self) -> dict[str, Node]:
        """Return the nodes with an owner, by path.

        Raises:
            Disconnected: the client is not connected.
            ErrorValue: the server can't list a directory.
        """
        try:
            found = {
                path: Node(kind, owner == self.client.client_id, owner)
                async for path, kind, owner in list_nodes(self.client)
                if owner is not None
            }
        except ErrorValue:
            self._note_can_list(False)
            return {path: Node(kind, is_copy=False) async for path, kind in self._named()}
        self._note_can_list(True)
        return found

    def reserves(self, path: str) -> bool:
        """Whether the user has assigned a path to this side, even without a node there."""
        return not self._can_list and is_below(path, self._paths)

    def _note_can_list(self, can_list: bool) -> None:
        if self._can_list and not can_list:
            _log.warning(
                "%s can't list its nodes with their owners, so it shares only those that were "
                "named for the bridge: %s",
                self,
                ", ".join(self._paths) or "none",
            )
        self._can_list = can_list

    async def _named(self) -> AsyncIterator[tuple[str, str]]:
        for path in self._paths:
            async for node in self._walk(path.rstrip("/")):
                yield node

    async def _walk(self, path: str) -> AsyncIterator[tuple[str, str]]:
        """Yield the path and kind of a node, or of all nodes of a directory."""
        try:
            kind, *entries = await list_directory(self.client, path or "/")
        except ErrorValue as error:
            if error.value in _NO_NODE:
                return
            raise
        if kind != "dir":
            yield path, kind
        for name, _ in entries:
            async for node in self._walk(f"{path}/{name}"):
                yield node


_NO_NODE: Final = ("path_not_found", "no_such_node", "not_a_directory")
"""The errors of a server for a path that does not exist."""
