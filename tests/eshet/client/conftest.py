"""The ways in which clients reach a tree: over a socket, in this process, or through NATS."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.server import Server
from tests.conftest import Advance
from tests.support.connectors import UnixAddress
from tests.support.nats import nats_server
from tests.support.shared_tree import SharedTree

ALONE = ("socket", "link")
SHARED = "nats"


class TreeOfOneServer:
    """The tree of a server; see `SharedTree`.

    Args:
        connector: to the server.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def connector(self) -> Connector:
        return self._connector


Tree = TreeOfOneServer | SharedTree


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tree" in metafunc.fixturenames:
        is_one = metafunc.definition.get_closest_marker("one_server") is not None
        ways = ALONE if is_one else (*ALONE, SHARED)
        metafunc.parametrize("tree", ways, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run a test over NATS with one set of its parameters: the others vary what the client does."""
    seen: set[str] = set()
    left_out = []
    for item in items:
        if isinstance(item, pytest.Function) and _is_shared(item):
            name = f"{item.parent}{item.originalname}"
            if name in seen:
                left_out.append(item)
            seen.add(name)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _is_shared(item: pytest.Function) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("tree") == SHARED


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


@pytest.fixture
async def tree(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tree]:
    """A tree of nodes; `connector()` returns where to connect a client.

    Over NATS, each client has a server of its own. The socket is a Unix socket, through which what
    is sent arrives at once, so that tests need not wait for it.
    """
    if request.param == SHARED:
        url = request.getfixturevalue("nats_url")
        async with SharedTree(NatsAddress.parse(f"{url}/{secrets.token_hex(8)}")) as shared:
            yield shared
        return
    async with Server() as server:
        if request.param == "link":
            yield TreeOfOneServer(server)
        else:
            path = tmp_path / "eshet"
            await server.listen_unix(path)
            yield TreeOfOneServer(UnixAddress(path))


@pytest.fixture
def advance(request: pytest.FixtureRequest, advance: Advance) -> Advance:
    """Let time pass, also for servers that share a tree."""
    if "tree" in request.fixturenames:
        tree: Tree = request.getfixturevalue("tree")
        if isinstance(tree, SharedTree):
            return tree.advance
    return advance
