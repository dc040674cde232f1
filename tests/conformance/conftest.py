"""Servers to run the suite against."""

from collections.abc import AsyncIterator

import pytest

from eshet.client.address import Address
from eshet.connection import Connector
from eshet.server import Server


@pytest.fixture(params=["tcp", "link"])
async def connector(request: pytest.FixtureRequest) -> AsyncIterator[Connector]:
    """Where to connect to a fresh server: over a real socket, and in this process."""
    async with Server() as server:
        if request.param == "link":
            yield server
        else:
            await server.listen(port=0)
            yield Address(*server.addresses[0])
