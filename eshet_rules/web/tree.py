"""The nodes of the server, as the page shows them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import EshetError
from eshet.unknown import Unknown

__all__ = ["ANSWER_WITHIN", "Node", "Tree"]

_FRESH: Final = 1.0
"""Seconds for which the nodes are not requested again."""

ANSWER_WITHIN: Final = 5.0
"""How long the server, or the owner of a node, may take to answer, in seconds."""

_LONG: Final = "long"


@dataclass(frozen=True)
class Node:
    """A node.

    Args:
        path: its path.
        kind: `"action"`, `"event"`, `"property"` or `"state"`.
        owner: the id of the client that provides it, as text; None if none does.
        value: of a state; Unknown, too, for another kind and for a very long value.
        size: the size of a value that is too long for the list, in bytes; else 0.
    """

    path: str
    kind: str
    owner: str | None
    value: Any = Unknown
    size: int = 0

    @property
    def is_known(self) -> bool:
        """Whether it is a state with a known value."""
        return self.size > 0 or self.value is not Unknown


class Tree:
    """The nodes of a server, requested at most once a second.

    Args:
        client: a client of the server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._nodes: Mapping[str, Node] = {}
        self._until = -1.0
        self._reading: asyncio.Future[Mapping[str, Node]] | None = None

    async def nodes(self) -> Mapping[str, Node]:
        """Return all nodes by path, in the order of the server.

        They are the last known ones without a connection or an answer, and none if the server can't
        list them.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            return self._nodes
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> Mapping[str, Node]:
        nodes: dict[str, Node] = {}
        after: list[object] = []
        try:
            while True:
                async with asyncio.timeout(ANSWER_WITHIN):
                    page = await self._client.action_call("/meta/tree", *after)
                for entry in page["nodes"]:
                    node = _node(*entry)
                    nodes[node.path] = node
                if page["next"] is None:
                    break
                after = [page["next"]]
        except (
            EshetError,
            TimeoutError,
            TypeError,
            LookupError,
            ValueError,
        ):  # a server of another kind
            return self._nodes
        self._nodes = nodes
        self._until = asyncio.get_running_loop().time() + _FRESH
        return nodes


def _node(path: str, kind: str, owner: Any, value: Any = None, *_: Any) -> Node:
    kind = "property" if kind == "prop" else kind
    known: Any = Unknown
    size = 0
    if isinstance(value, list) and len(value) == 2:
        if value[0] == _LONG:
            size = value[1]
        else:
            known = value[1]
    return Node(path, kind, owner_text(owner), known, size)


def owner_text(owner: Any) -> str | None:
    """Return the id of a client as text; that of the server itself is `"the server"`."""
    if owner is None:
        return None
    return "the server" if owner == ["meta"] else str(owner)
