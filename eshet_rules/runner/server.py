"""Finds the ESHET server of the rules, or starts one.

The runner uses the named server; else one that already listens on the default port; else it starts
an embedded server, in this process, which listens there for other clients as well. If the server
that it found stops permanently, because another runner exits for example, an embedded one replaces
it. If the named server is a tree on NATS, one server in this process joins that for all clients.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from eshet.address import Address
from eshet.client import Client
from eshet.connection import Connector
from eshet.exceptions import ListenError
from eshet.nats.address import NatsAddress
from eshet.protocol import DEFAULT_PORT
from eshet.server import Server, raise_descriptor_limit
from eshet.server_address import ServerAddress, connector_to, no_nats_library
from eshet_rules.audit.records.runner import (
    EmbeddedServerStarted,
    NamedServerUsed,
    NatsUnreachable,
    NotListening,
    RunningServerUsed,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.exceptions import NotAnEshetServer, ServerUnreachable

if TYPE_CHECKING:
    from eshet.nats.joined import JoinedServer

__all__ = ["check_server", "find_or_start_server", "join_servers"]

_HOST: Final = "127.0.0.1"
_CONNECT_TIME: Final = 5.0  # timeout for a TCP connection to a server, in seconds
_HELLO_TIME: Final = 2.0  # timeout for the handshake of a server, in seconds
_PORT_IN_USE: Final = (
    "commands without --server ask the program that uses the port: stop that, or choose another "
    "address with `listen` below [cluster]"
)

_GONE: Final = 15.0  # a server that is unreachable for so many seconds counts as stopped
_INTERVAL: Final = 1.0  # seconds between two checks of it


@contextlib.asynccontextmanager
async def find_or_start_server(
    named: ServerAddress | Connector | None,
    log: FilteringBoundLogger,
    *,
    port: int = DEFAULT_PORT,
    waits: bool = True,
) -> AsyncIterator[Connector]:
    """Find or start the server, for the duration of an `async with` statement.

    Args:
        named: the server, by its address or as an object of this process; None to find or start
            one.
        log: receives the address of the server.
        port: the port of a server on this machine.
        waits: whether to wait until a named NATS can be used.

    Yields:
        The `server` argument for a `Client`.

    Raises:
        NotAnEshetServer: another program listens on the port.
        ListenError: the embedded server can't listen there.
        EshetError: the library for NATS is not installed.
    """
    here = Address(_HOST, port)
    if isinstance(named, NatsAddress) and waits:
        async with join_servers(named, log, listen=str(here)) as joined:
            yield joined
        return
    if isinstance(named, NatsAddress):
        async with connector_to(named) as connector:
            emit(log, NamedServerUsed(address=str(named)))
            yield connector
        return
    if named is not None:
        emit(log, NamedServerUsed(address=str(named)))
        yield named
        return
    if await _answers(here):
        emit(log, RunningServerUsed(address=str(here)))
        replacing = asyncio.create_task(_replace_when_gone(port, log))
        try:
            yield here
        finally:
            replacing.cancel()
            await asyncio.wait([replacing])
        return
    raise_descriptor_limit()
    async with Server() as server:
        await server.listen(_HOST, port)
        emit(log, EmbeddedServerStarted(address=str(here)))
        yield server


@contextlib.asynccontextmanager
async def join_servers(
    address: NatsAddress, log: FilteringBoundLogger, *, listen: str, name: str = ""
) -> "AsyncIterator[JoinedServer]":
    """Start a server that shares its tree with others, for the duration of an `async with`.

    It waits until NATS can be used. Other clients can connect to the server, unless its port is in
    use.

    Args:
        address: of NATS.
        log: receives why NATS can't be used, and the address of the server.
        listen: where the server listens, as `HOST:PORT`.
        name: the name of the runner, for others.

    Raises:
        EshetError: the library for NATS is not installed.
    """
    server = await _join(address, log, name)
    try:
        emit(log, NamedServerUsed(address=str(address)))
        raise_descriptor_limit()
        try:
            here = Address.parse(listen, lowest_port=0)
            await server.listen(here.host, here.port)
        except ListenError as error:
            emit(log, NotListening(address=listen, error=str(error), advice=_PORT_IN_USE))
        else:
            emit(log, EmbeddedServerStarted(address=str(Address(*server.addresses[0]))))
        yield server
    finally:
        await server.close()


async def _join(address: NatsAddress, log: FilteringBoundLogger, name: str) -> "JoinedServer":
    from eshet.nats.exceptions import NatsError

    try:
        from eshet.nats.joined import JoinedServer
    except ModuleNotFoundError:
        raise no_nats_library(address) from None
    details = {"host": socket.gethostname(), "runner": name}
    logged = ""
    while True:
        server = JoinedServer(address, details=details)
        try:
            await server.open()
        except (NatsError, OSError) as error:
            if str(error) != logged:
                logged = str(error)
                emit(log, NatsUnreachable(address=str(address), error=logged))
            await asyncio.sleep(_INTERVAL)
        else:
            return server


async def _replace_when_gone(port: int, log: FilteringBoundLogger) -> None:
    """Start an embedded server when the one on a port has stopped; runs until cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        client = _silent_client(Address(_HOST, port))
        stack.push_async_callback(client.close)
        server = await stack.enter_async_context(Server())
        while not server.addresses:
            await _wait_until_gone(client)
            # Another runner may start one first: then clients use that one.
            with contextlib.suppress(ListenError):
                await server.listen(_HOST, port)
        raise_descriptor_limit()
        emit(log, EmbeddedServerStarted(address=f"{_HOST}:{port}"))
        await asyncio.Event().wait()


async def _wait_until_gone(client: Client) -> None:
    """Wait until the server of a client has been unreachable for `_GONE` seconds."""
    loop = asyncio.get_running_loop()
    last_seen = loop.time()
    while loop.time() - last_seen < _GONE:
        if client.connected:
            last_seen = loop.time()
        await asyncio.sleep(_INTERVAL)


def _silent_client(address: Address) -> Client:
    return Client(server=address, logger=logging.Logger("silent", logging.CRITICAL))


async def check_server(server: Connector) -> None:
    """Check that the server is reachable.

    Raises:
        ServerUnreachable: nothing listens at its address, or it refuses connections.
        NotAnEshetServer: another program listens there.
    """
    if isinstance(server, Address):
        if not await _answers(server):
            raise ServerUnreachable(str(server))
        return
    try:
        connection = await server.connect(asyncio.Protocol)
    except OSError as error:
        raise ServerUnreachable(str(server), str(error)) from None
    connection.close()


async def _answers(address: Address) -> bool:
    """Whether an ESHET server listens at an address.

    Raises:
        NotAnEshetServer: another program does.
    """
    try:
        async with asyncio.timeout(_CONNECT_TIME):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    try:
        async with asyncio.timeout(_HELLO_TIME), _silent_client(address):
            return True
    except TimeoutError:
        raise NotAnEshetServer(str(address)) from None
