"""A nats-server for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.support.nats import NatsServer, nats_server


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server
