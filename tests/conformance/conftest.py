"""Servers to run the suite against.

Ours over TCP, over a Unix socket and over a link in this process; or with `--server HOST:PORT` any
other, over TCP.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eshet import Client
from eshet.address import Address
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from eshet.server import Server
from tests.support.connectors import UnixAddress

OURS = ("tcp", "unix", "link", "nats", "nats apart")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "connector" in metafunc.fixturenames:
        named = metafunc.config.getoption("--server")
        metafunc.parametrize("connector", [named] if named else OURS, indirect=True)


@pytest.fixture
async def connector(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connector]:
    """Where to connect to a server that has no nodes of its own but those under /meta."""
    if request.param not in OURS:
        if "advance" in request.fixturenames:
            pytest.skip("the clock of that server is not ours")
        named = Recorder(Address.parse(request.param))
        yield named
        await named.close_all()
        return
    if request.param == "nats":
        address = NatsAddress.parse(f"nats://127.0.0.1:14222/{secrets.token_hex(4)}")
        async with JoinedServer(address) as joined:
            yield joined
        return
    if request.param == "nats apart":
        address = NatsAddress.parse(f"nats://127.0.0.1:14222/{secrets.token_hex(4)}")
        async with contextlib.AsyncExitStack() as stack:
            yield Apart(address, stack)
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


class Apart:
    """Connects each client to a server of its own; the servers share a tree."""

    def __init__(self, address: NatsAddress, stack: contextlib.AsyncExitStack) -> None:
        self._address = address
        self._stack = stack

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        server = await self._stack.enter_async_context(JoinedServer(self._address))
        return await server.connect(factory)


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
