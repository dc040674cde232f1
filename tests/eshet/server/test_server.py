"""The server around the protocol: where it listens, and how it ends."""

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eshet import Client
from eshet.address import Address
from eshet.exceptions import ListenError
from eshet.messages import EventListen
from eshet.server import Limits, Server
from tests.conformance.script import hello, ok
from tests.conftest import Advance
from tests.support.connectors import UnixAddress
from tests.support.waiting import passing_time, until


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


async def test_it_listens_on_loopback_and_says_where(server: Server) -> None:
    await server.listen(port=0)
    await server.listen(port=0)
    (host, first), (_, second) = server.addresses
    assert host == "127.0.0.1"
    assert first != second
    assert f"127.0.0.1:{first}" in repr(server)
    async with Client(server=f"{host}:{first}") as one, Client(server=f"{host}:{second}") as two:
        await (await one.state_register("/s")).changed(1)
        assert await two.get("/s") == 1


async def test_clients_of_this_process_and_of_sockets_share_one_tree(server: Server) -> None:
    await server.listen(port=0)
    address = Address(*server.addresses[0])
    async with Client(server=server) as here, Client(server=address) as there:
        await here.action_register("/add", lambda x, y: x + y)
        assert await there.action_call("/add", 1, 2) == 3


async def test_a_port_in_use_is_an_error_that_says_so(server: Server) -> None:
    await server.listen(port=0)
    _, port = server.addresses[0]
    with pytest.raises(ListenError, match=f"127.0.0.1:{port}: another program listens there"):
        await server.listen(port=port)
    assert len(server.addresses) == 1


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("192.0.2.1", 0, "this machine does not have that address"),
        ("127.0.0.1", 70_000, "a port is a number from 0 to 65535"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_says_why(
    server: Server, host: str, port: int, says: str
) -> None:
    with pytest.raises(ListenError, match=says):
        await server.listen(host, port, insecure=True)


async def test_after_close_nobody_is_connected_and_nobody_listens(server: Server) -> None:
    await server.listen(port=0)
    address = Address(*server.addresses[0])
    peers = [await hello(address, "socket"), await hello(server, "link")]
    await server.close()
    for peer in peers:
        assert await peer.closed() == []
    with pytest.raises(OSError, match="Connection refused"):
        await address.connect(asyncio.Protocol)


async def test_a_client_that_does_not_read_does_not_keep_the_server_from_closing(
    advance: Advance,
) -> None:
    endless = 1 << 30
    server = Server(limits=Limits(soft_queue=endless, hard_queue=endless))
    await server.listen(port=0)
    deaf = await hello(Address(*server.addresses[0]), "deaf")
    deaf.send(EventListen(1, "/e"))
    assert await deaf.receive() == ok(1)
    deaf.transport.pause_reading()
    async with Client(server=server) as client:
        for _ in range(200):
            await client.event_emit("/e", "x" * 60_000)
    await passing_time(server.close(), advance)
    deaf.transport.abort()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::"])  # noqa: S104 - that is the point
async def test_an_address_that_others_can_reach_needs_tls_or_the_word_insecure(
    server: Server, host: str
) -> None:
    with pytest.raises(ListenError, match="other machines can reach it"):
        await server.listen(host, 0)
    assert server.addresses == []


async def test_a_unix_socket_is_for_its_owner_only(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "eshet"
    await server.listen_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with Client(server=UnixAddress(path)) as client:
        await (await client.state_register("/s")).changed(1)
        assert await client.get("/s") == 1


async def test_a_unix_socket_in_use_is_an_error_and_a_dead_one_is_replaced(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "eshet"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await server.listen_unix(path)
    async with Server() as second:
        with pytest.raises(ListenError, match="a server listens there"):
            await second.listen_unix(path)
        with pytest.raises(ListenError, match="there is no such folder"):
            await second.listen_unix(tmp_path / "nowhere" / "eshet")
        (tmp_path / "file").write_text("precious")
        with pytest.raises(ListenError, match="there is a file that is not a socket"):
            await second.listen_unix(tmp_path / "file")
        with pytest.raises(ListenError, match="too many for the path of a socket; choose one of"):
            await second.listen_unix(tmp_path / ("x" * 120))
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_host_that_is_no_name_is_an_error_that_says_so(server: Server) -> None:
    with pytest.raises(ListenError, match="can't listen on "):
        await server.listen("a" * 64, 0, insecure=True)


async def test_clients_of_each_kind_are_logged_with_their_address(
    server: Server, tmp_path: Path, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "eshet.server")
    await server.listen(port=0)
    await server.listen("::1", 0)
    await server.listen_unix(tmp_path / "eshet")
    (_, port), (_, port6) = server.addresses
    for address, says in (
        (Address("127.0.0.1", port), "connection of 127.0.0.1:"),
        (Address("::1", port6), "connection of [::1]:"),
        (UnixAddress(tmp_path / "eshet"), f"connection of Unix socket, process {os.getpid()} "),
        (server, "connection of in-process link "),
    ):
        caplog.clear()
        peer = await hello(address, "x")
        peer.send(b"garbage")
        await peer.closed()
        await until(lambda: bool(caplog.messages), advance)
        assert caplog.messages[0].startswith(says)


async def test_a_client_that_reset_its_connection_is_logged_with_its_address(
    server: Server, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "eshet.server")
    await server.listen(port=0)
    with socket.socket() as hasty:
        hasty.connect(server.addresses[0])
        host, port = hasty.getsockname()
        hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: bool(caplog.messages), advance)
    assert caplog.messages[0].startswith(f"connection of {host}:{port} ended: ")


async def test_a_server_that_closes_while_connections_are_accepted_leaves_none(
    server: Server,
) -> None:
    await server.listen(port=0)
    with socket.create_connection(server.addresses[0]) as early:
        server._listeners[0]._accept()
        await server.close()
        early.settimeout(5)
        assert early.recv(1) == b""


async def test_small_messages_are_sent_at_once(server: Server) -> None:
    await server.listen(port=0)
    peer = await hello(Address(*server.addresses[0]), "x")
    [session] = server._sessions
    assert session._transport is not None
    accepted = session._transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    peer.transport.close()
    await peer.closed()
