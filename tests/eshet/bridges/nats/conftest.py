from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.conftest import Advance
from tests.support.joined_by_bridge import JoinedByBridge, joined_by_bridge
from tests.support.nats import NatsServer, nats_server

Join = Callable[..., AbstractAsyncContextManager[JoinedByBridge]]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server that runs as long as the tests of a module."""
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def join(nats: NatsServer, advance: Advance) -> Join:
    """Join a new server with a new tree; see `joined_by_bridge`."""

    def join(**options: Any) -> AbstractAsyncContextManager[JoinedByBridge]:
        return joined_by_bridge(nats.url, advance, **options)

    return join


@pytest.fixture
async def both(join: Join) -> AsyncIterator[JoinedByBridge]:
    """A server and a tree that a bridge joins."""
    async with join() as both:
        yield both
