"""A server and a tree on NATS that a bridge joins, with a client of each, in real time."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from eshet import Client, Unknown
from eshet.bridges.nats.bridge import NatsBridge
from eshet.bridges.nats.selection import Selection
from eshet.bridges.nats.side import Side
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.nats.connector import NatsConnector
from eshet.nats.joined import JoinedServer
from eshet.server import Server
from tests.conftest import Advance
from tests.support.nats import at_real_pace
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

__all__ = ["JoinedByBridge", "joined_by_bridge", "nodes_of"]

_LEFT_OUT = ("/meta/", "/nats/")


class JoinedByBridge:
    """Both sides, and the bridge.

    Args:
        server: the server, which listens on a socket.
        proxy: between the bridge and that.
        tree: a server that is in the tree.
        house: a client of the server.
        flat: a client of the tree.
        bridge: the bridge.
        running: its task.
    """

    def __init__(
        self,
        server: Server,
        proxy: Proxy,
        tree: JoinedServer,
        house: Client,
        flat: Client,
        bridge: NatsBridge,
        running: "asyncio.Task[None]",
    ) -> None:
        self.server = server
        self.proxy = proxy
        self.tree = tree
        self.house = house
        self.flat = flat
        self.bridge = bridge
        self.running = running

    async def shown(self, client: Client, path: str) -> None:
        """Wait until a node is there for a client."""
        await eventually(lambda: nodes_of(client), lambda nodes: path in nodes)

    async def gone(self, client: Client, path: str) -> None:
        """Wait until a node is not there for a client."""
        await eventually(lambda: nodes_of(client), lambda nodes: path not in nodes)

    async def kind(self, client: Client, path: str, kind: str) -> None:
        """Wait until a client sees a node of a kind."""
        await eventually(
            lambda: nodes_of(client), lambda nodes: path in nodes and nodes[path][0] == kind
        )

    async def value(self, client: Client, path: str, value: Any) -> None:
        """Wait until a client sees a value of a state."""
        state = "state", value
        await eventually(lambda: nodes_of(client), lambda nodes: nodes.get(path) == state)


async def nodes_of(client: Client) -> dict[str, tuple[str, Any]]:
    """Return kinds and values of the nodes with an owner, by path; not those of the server."""
    found: dict[str, tuple[str, Any]] = {}
    after: list[str] = []
    while True:
        page = await client.action_call("/meta/tree", *after)
        for path, kind, owner, value, _ in page["nodes"]:
            if owner is not None and not path.startswith(_LEFT_OUT):
                known = value[1] if isinstance(value, list) else Unknown
                found[path] = kind, known if kind == "state" else None
        if page["next"] is None:
            return found
        after = [page["next"]]


@contextlib.asynccontextmanager
async def joined_by_bridge(
    nats_url: str,
    advance: Advance,
    *,
    paths: tuple[str, ...] = (),
    selection: Selection | None = None,
    prepare: Callable[[Server], object] = lambda _: None,
    before: Callable[[Client, Client], Awaitable[object]] | None = None,
    connector: Callable[[Connector], Connector] = lambda each: each,
) -> AsyncIterator[JoinedByBridge]:
    """Join a new server with a new tree.

    Args:
        nats_url: of a nats-server.
        advance: lets time pass.
        paths: see `Side`.
        selection: see `NatsBridge`.
        prepare: called with the server before it is used.
        before: called with the clients of the server and of the tree before the bridge starts.
        connector: returns how the bridge connects to the tree, given how it would by itself.
    """
    over = asyncio.Event()
    pace = asyncio.create_task(at_real_pace(over.wait(), advance))
    address = NatsAddress.parse(f"{nats_url}/{secrets.token_hex(8)}")
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server())
        prepare(server)
        await server.listen(port=0)
        proxy = await stack.enter_async_context(Proxy(server.addresses[0]))
        tree = await stack.enter_async_context(JoinedServer(address))
        house = await stack.enter_async_context(Client(server=server, client_id="house"))
        flat = await stack.enter_async_context(Client(server=tree, client_id="flat"))
        if before is not None:
            await before(house, flat)
        own = NatsConnector(address, logger=tree._log)
        stack.push_async_callback(own.close)
        to_server = await stack.enter_async_context(
            Client(server=proxy.address, client_id="bridge on the server")
        )
        to_tree = await stack.enter_async_context(
            Client(server=connector(own), client_id="bridge on the tree")
        )
        bridge = NatsBridge(
            "flat",
            Side(to_server, "the server", paths),
            Side(to_tree, "the tree"),
            selection or Selection(),
        )
        running = asyncio.create_task(bridge.run())
        try:
            await bridge.ready.wait()
            yield JoinedByBridge(server, proxy, tree, house, flat, bridge, running)
        finally:
            running.cancel()
            await asyncio.wait([running])
    over.set()
    await pace
