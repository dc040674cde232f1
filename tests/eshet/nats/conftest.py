"""Real nats-servers, and connections to them that leave nothing behind."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from eshet.nats.address import NatsAddress
from eshet.nats.connection import NatsConnection
from tests.support.nats import PROGRAMS, NatsServer, nats_program, nats_server

Connect = Callable[[str], Awaitable["Peer"]]


class Peer:
    """A connection, and what it reports."""

    def __init__(self, url: str, name: str = "peer") -> None:
        self.connection = NatsConnection(NatsAddress.parse(url), name=name)
        self.losses: asyncio.Queue[str] = asyncio.Queue()
        self.restorations: asyncio.Queue[None] = asyncio.Queue()
        self.connection.on_lost = self.losses.put_nowait
        self.connection.on_restored = lambda: self.restorations.put_nowait(None)


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """The executable of each nats-server to test with."""
    return nats_program(request.param)


@pytest.fixture(scope="module")
def shared_server(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that runs as long as the tests of a module."""
    with nats_server(tmp_path_factory.mktemp("nats"), program) as server:
        yield server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open a connection; in the end all are closed, and no task is left."""
    peers: list[Peer] = []

    async def open_connection(url: str) -> Peer:
        peer = Peer(url)
        await peer.connection.open()
        peers.append(peer)
        return peer

    yield open_connection
    for peer in peers:
        await peer.connection.close()
    assert tasks_of_nats() == []


def tasks_of_nats() -> list[str]:
    """Return the names of the coroutines of nats-py, and of this project, that still run."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return [
        coroutine.__qualname__
        for coroutine in coroutines
        if inspect.iscoroutine(coroutine)
        and coroutine.cr_frame is not None
        and coroutine.cr_frame.f_globals["__name__"].split(".")[0] in ("nats", "eshet")
    ]
