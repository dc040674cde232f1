"""Follows the nodes of both sides, and shows each node on the side that does not have it."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Collection, Mapping
from typing import Final

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.nats.direction import Direction, list_paths
from eshet.bridges.nats.selection import Selection
from eshet.bridges.nats.side import Node, Side
from eshet.bridges.scope import bridge_scope
from eshet.bridges.server_connection import claim_name, connections
from eshet.exceptions import Disconnected, EshetError

__all__ = ["NatsBridge"]

_LOOK_AFTER: Final = 0.25
"""Seconds from a change of nodes until they are listed again: many changes come together."""

_LOOK_EVERY: Final = 10.0
"""Seconds between two lists without a known change.

A node that the bridge listens to stays when its owner goes, and the server notifies no client.
"""

_ONLINE_EVERY: Final = 1.0
"""Seconds between two looks at the connection to the tree."""

_log: Final = logging.getLogger("eshet.bridges")


class NatsBridge:
    """Joins a server with a tree.

    A path that has an owner on both sides is a conflict: it is logged, and left alone.

    Args:
        name: of the bridge, under which it shows `/nats/NAME/online` on the server.
        server: the server.
        tree: the tree.
        selection: the paths that take part.
    """

    def __init__(self, name: str, server: Side, tree: Side, selection: Selection) -> None:
        self.ready: Final = asyncio.Event()
        """Set when the nodes that were known at the first connection are shown."""
        self._name = name
        self._online = f"/nats/{name}/online"
        self._server = server
        self._tree = tree
        self._selection = selection
        self._outdated = asyncio.Event()
        self._to_tree = Direction(server, tree, self._outdated.set)
        self._to_server = Direction(tree, server, self._outdated.set)
        self._conflicts: set[str] = set()
        self._problem = ""

    async def run(self) -> None:
        """Show the nodes until this is cancelled; it goes on after outages of either side.

        Raises:
            BridgeError: another bridge of this name is on the server, or the server is in the tree.
            Disconnected: a client was closed.
        """
        with bridge_scope(self._name).active():
            client = self._server.client
            register = functools.partial(client.state_register, self._online)
            await claim_name(self._name, client, register)
            background = [
                asyncio.create_task(self._show_online()),
                *(asyncio.create_task(self._follow(each)) for each in (self._server, self._tree)),
            ]
            try:
                await self._follow_nodes()
            finally:
                for task in background:
                    task.cancel()

    async def _show_online(self) -> None:
        """Show whether the tree is connected."""
        shown: bool | None = None
        while True:
            if self._tree.client.connected is not shown:
                shown = self._tree.client.connected
                with contextlib.suppress(EshetError):
                    await self._server.client.state_changed(self._online, shown)
            await asyncio.sleep(_ONLINE_EVERY)

    async def _follow(self, side: Side) -> None:
        """Note when the nodes of a side have changed, or it is connected again."""
        await side.client.event_listen_cb("/meta/changed", lambda _: self._outdated.set())
        async for _ in connections(side.client):
            self._outdated.set()

    async def _follow_nodes(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._outdated.wait()
            self._outdated.clear()
            try:
                await self._look()
            except Disconnected:
                continue  # the next connection makes it outdated again
            except BridgeError:
                raise
            except EshetError as error:
                self._log_problem(str(error))
            else:
                self._problem = ""
                self.ready.set()
            await asyncio.sleep(_LOOK_AFTER)

    async def _look(self) -> None:
        """List the nodes of both sides, and add and remove copies.

        Raises:
            BridgeError: both are one.
        """
        server, tree = await self._server.nodes(), await self._tree.nodes()
        online = tree.get(self._online)
        if online is not None and online.owner == self._server.client.client_id:
            raise BridgeError(
                f"{self._server} is in the tree {self._tree} already, so there is nothing to join: "
                "name a server outside of it with `eshet --server ADDRESS bridge nats`"
            )
        of_server, of_tree = self._owned(server), self._owned(tree)
        self._log_conflicts(of_server.keys() & of_tree.keys())
        to_tree = _without(of_server, of_tree, self._tree)
        to_server = _without(of_tree, of_server, self._server)
        await self._to_tree.remove(to_tree)
        await self._to_server.remove(to_server)
        await self._to_tree.add(to_tree)
        await self._to_server.add(to_server)

    def _owned(self, nodes: Mapping[str, Node]) -> dict[str, str]:
        """Return the kinds of the nodes that take part and are not copies, by path."""
        return {
            path: node.kind
            for path, node in nodes.items()
            if not node.is_copy and self._selection.includes(path)
        }

    def _log_conflicts(self, conflicts: set[str]) -> None:
        new = conflicts - self._conflicts
        self._conflicts = conflicts
        if new:
            text = "%s: both %s and %s have an owner for it, so neither is shown on the other side"
            _log.warning(text, list_paths(list(new)), self._server, self._tree)

    def _log_problem(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("the nodes can't be followed: %s", problem)
        self._problem = problem


def _without(nodes: Mapping[str, str], taken: Collection[str], other: Side) -> dict[str, str]:
    """Return the nodes of one side at paths without an owner on the other one."""
    return {
        path: kind for path, kind in nodes.items() if path not in taken and not other.reserves(path)
    }
