"""A house of one server and two clients: the default one, under test, and another that looks on."""

from collections.abc import AsyncIterator

import pytest

from eshet import Client
from eshet.server import Server
from eshet.yarp import using_client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server=server) as client:
        yield client


@pytest.fixture
async def other(server: Server) -> AsyncIterator[Client]:
    async with Client(server=server) as client:
        yield client


@pytest.fixture(autouse=True)
def default_client(client: Client) -> object:
    with using_client(client):
        yield
