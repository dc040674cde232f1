"""Servers to run the suite against.

Ours over TCP, over a Unix socket and over a link in this process; or with `--server HOST:PORT` any
other, over TCP.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from eshet import Client
from eshet.address import Address
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.server import Server
from tests.support.connectors import UnixAddress
from tests.support.nats import nats_server
from tests.support.shared_tree import Apart

OURS = ("tcp", "unix", "link")
SHARED = ("nats", "nats apart")
"""A server that shares its tree through NATS; and one for each client."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "connector" in metafunc.fixturenames:
        named = metafunc.config.getoption("--server")
        is_one = metafunc.definition.get_closest_marker("one_server") is not None
        ours = OURS if is_one else (*OURS, *SHARED)
        metafunc.parametrize("connector", [named] if named else ours, indirect=True)


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


@pytest.fixture
async def connector(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connector]:
    """Where to connect to a server that has no nodes of its own but those under /meta."""
    if request.param in SHARED:
        url = request.getfixturevalue("nats_url")
        address = NatsAddress.parse(f"{url}/{secrets.token_hex(8)}")
        async with contextlib.AsyncExitStack() as stack:
            apart = Apart(address, stack)
            yield apart if request.param == "nats apart" else await apart.server()
        return
    if request.param not in OURS:
        if "advance" in request.fixturenames:
            pytest.skip("the clock of that server is not ours")
        named = Recorder(Address.parse(request.param))
        yield named
        await named.close_all()
        return
    async with Server() as server:
        match request.param:
            case "link":
                yield server
            case "unix":
                path = tmp_path / "eshet"
                await server.listen_unix(path)
                yield UnixAddress(path)
            case _:
                await server.listen(port=0)
                yield Address(*server.addresses[0])


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
