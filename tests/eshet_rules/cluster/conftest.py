"""A nats-server for the tests of a module, and connections to it."""

import itertools

import pytest

from eshet.nats.address import NatsAddress
from eshet.nats.bucket import Bucket
from eshet.nats.connection import NatsConnection
from tests.support.nats import nats_server

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def nats(tmp_path_factory):
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def connection(nats):
    connection = NatsConnection(NatsAddress.parse(nats.url), name="test")
    await connection.open()
    yield connection
    await connection.close()


@pytest.fixture
async def bucket(connection):
    """An empty bucket."""
    bucket = Bucket(connection, f"test_{next(NUMBERS)}")
    await bucket.open()
    return bucket
