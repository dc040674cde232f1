"""Servers to run the suite against.

Ours over TCP, over a Unix socket, over a link in this process, and with a tree that is shared
through NATS; or with `--server HOST:PORT` any other, over TCP.
"""

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from eshet import Client
from eshet.address import Address
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.server import Server
from tests.conftest import Advance
from tests.support.connectors import UnixAddress
from tests.support.nats import nats_cluster, nats_program, nats_server
from tests.support.shared_tree import SharedTree

ALONE = ("tcp", "unix", "link")
NATS = {
    "nats": nats_server,
    "old nats": lambda folder: nats_server(folder, nats_program("debian")),
    "three nats": nats_cluster,
}
APART = {f"{name} apart": name for name in NATS}
SHARED = [way for apart, together in APART.items() for way in (together, apart)]
"""With each NATS: a server that shares its tree through it, and one for each client."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "way" in metafunc.fixturenames:
        named = metafunc.config.getoption("--server")
        is_one = metafunc.definition.get_closest_marker("one_server") is not None
        ours = ALONE if is_one else (*ALONE, *SHARED)
        # The scope groups the tests by it, so that few workers need three NATS servers.
        metafunc.parametrize("way", [named] if named else ours, indirect=True, scope="session")


@pytest.fixture(scope="session")
def way(request: pytest.FixtureRequest) -> str:
    """One of the ways to a server that are named above, or the argument of `--server`."""
    return str(request.param)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], NatsAddress]]:
    """Return the address of the tree in one of the `NATS`, which then runs until the end.

    All tests use the same tree, as three NATS servers are slow to make a new one. So a server that
    joins it also finds what its predecessors have left in NATS.
    """
    with contextlib.ExitStack() as stack:

        @functools.cache
        def run(name: str) -> NatsAddress:
            nats = stack.enter_context(NATS[name](tmp_path_factory.mktemp("nats")))
            return NatsAddress.parse(nats.url)

        yield run


@pytest.fixture
async def servers(
    way: str, tree: Callable[[str], NatsAddress], request: pytest.FixtureRequest
) -> AsyncIterator[SharedTree | None]:
    """The servers that share a tree; None on another way."""
    if way in SHARED:
        address = tree(APART.get(way, way))
        if "advance" in inspect.signature(request.function).parameters:
            # A server that is cut off while time passes would remain a member for the next test.
            address = dataclasses.replace(address, prefix=secrets.token_hex(8))
        async with SharedTree(address) as servers:
            yield servers
    else:
        yield None


@pytest.fixture
async def connector(
    way: str, servers: SharedTree | None, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Connector]:
    """Where to connect to a server that has no nodes of its own but those under /meta."""
    if servers is not None:
        yield servers if way in APART else await servers.join()
        return
    if way not in ALONE:
        if "advance" in request.fixturenames:
            pytest.skip("the clock of that server is not ours")
        named = Recorder(Address.parse(way))
        yield named
        await named.close_all()
        return
    async with Server() as server:
        match way:
            case "link":
                yield server
            case "unix":
                path = tmp_path / "eshet"
                await server.listen_unix(path)
                yield UnixAddress(path)
            case _:
                await server.listen(port=0)
                yield Address(*server.addresses[0])


@pytest.fixture
def advance(request: pytest.FixtureRequest, advance: Advance) -> Advance:
    """Let time pass, also for servers that share a tree."""
    if "servers" in request.fixturenames:
        servers: SharedTree | None = request.getfixturevalue("servers")
        if servers is not None:
            return servers.advance
    return advance


class Recorder:
    """Connects, and remembers what it has connected."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._transports: list[asyncio.BaseTransport] = []

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        transport = await self._address.connect(factory)
        self._transports.append(transport)
        return transport

    async def close_all(self) -> None:
        """Close all connections, and wait until the server has dropped what they had."""
        for transport in self._transports:
            transport.close()
        async with Client(server=self._address) as client:
            while len((await client.action_call("/meta/ls", "/"))[1]) > 1:
                pass
