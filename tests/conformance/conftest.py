"""Servers to run the suite against.

Ours over TCP, over a Unix socket and over a link in this process; or with `--server HOST:PORT` any
other, over TCP.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eshet.client.address import Address
from eshet.connection import Connector
from eshet.server import Server
from tests.support.connectors import UnixAddress


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "connector" in metafunc.fixturenames:
        named = metafunc.config.getoption("--server")
        ways = [named] if named else ["tcp", "unix", "link"]
        metafunc.parametrize("connector", ways, indirect=True)


@pytest.fixture
async def connector(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connector]:
    """Where to connect to a fresh server."""
    if request.param not in ("tcp", "unix", "link"):
        yield Address.parse(request.param)
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
