"""Which server the rules of a house talk to.

The one that was named; else one that listens already where servers do; else one of our own, in this
process, which listens there for everybody else. If the one that listens already goes for good, as
that of another runner does, one of our own takes its place.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.address import Address
from eshet.client import Client
from eshet.connection import Connector
from eshet.exceptions import ListenError
from eshet.protocol import DEFAULT_PORT
from eshet.server import Server, raise_descriptor_limit
from eshet_rules.audit.records import (
    EmbeddedServerStarted,
    NamedServerUsed,
    RunningServerUsed,
    emit,
)
from eshet_rules.exceptions import NotAnEshetServer, ServerUnreachable

__all__ = ["check_server", "house_server"]

_HOST: Final = "127.0.0.1"
_CONNECT_TIME: Final = 5.0  # how long a server may take to be reached, in seconds
_HELLO_TIME: Final = 2.0  # how long a server on this machine may take to answer, in seconds
_GONE: Final = 15.0  # for how many seconds a server is away that does not come back
_LOOK_AGAIN: Final = 1.0  # seconds from one look at it to the next


@contextlib.asynccontextmanager
async def house_server(
    named: str | Connector | None, log: FilteringBoundLogger, *, port: int = DEFAULT_PORT
) -> AsyncIterator[str | Connector]:
    """Find or start the server, for the length of an `async with` statement.

    Args:
        named: the server that was named, as `HOST:PORT`, or one of this process; None if none was.
        log: where it is said which one it is.
        port: where servers listen on this machine.

    Yields:
        What a `Client` takes as its `server`.

    Raises:
        NotAnEshetServer: something else listens on the port.
        ListenError: a server of our own can't listen there.
    """
    here = f"{_HOST}:{port}"
    if named is not None:
        emit(log, NamedServerUsed(address=str(named)))
        yield named
        return
    if await _answers(here):
        emit(log, RunningServerUsed(address=here))
        standing_in = asyncio.create_task(_stand_in(port, log))
        try:
            yield here
        finally:
            standing_in.cancel()
            await asyncio.wait([standing_in])
        return
    raise_descriptor_limit()
    async with Server() as server:
        await server.listen(_HOST, port)
        emit(log, EmbeddedServerStarted(address=here))
        yield server


async def _stand_in(port: int, log: FilteringBoundLogger) -> None:
    """Have a server when the one that listens on a port has gone for good, until cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        client = _silent_client(f"{_HOST}:{port}")
        stack.push_async_callback(client.close)
        server = await stack.enter_async_context(Server())
        while not server.addresses:
            await _leaves(client)
            # Another runner that used it may be faster: then that one's is used.
            with contextlib.suppress(ListenError):
                await server.listen(_HOST, port)
        raise_descriptor_limit()
        emit(log, EmbeddedServerStarted(address=f"{_HOST}:{port}"))
        await asyncio.Event().wait()


async def _leaves(client: Client) -> None:
    """Wait until the server of a client has gone for good."""
    loop = asyncio.get_running_loop()
    last_seen = loop.time()
    while loop.time() - last_seen < _GONE:
        if client.connected:
            last_seen = loop.time()
        await asyncio.sleep(_LOOK_AGAIN)


def _silent_client(address: str) -> Client:
    return Client(server=address, logger=logging.Logger("silent", logging.CRITICAL))


async def check_server(server: str | Connector) -> None:
    """Return if the server is there.

    Raises:
        ServerUnreachable: nothing listens at its address.
        NotAnEshetServer: something else does.
    """
    if isinstance(server, str) and not await _answers(server):
        raise ServerUnreachable(server)


async def _answers(address: str) -> bool:
    """Whether an ESHET server listens there; False if nothing does."""
    parsed = Address.parse(address)
    try:
        async with asyncio.timeout(_CONNECT_TIME):
            _, writer = await asyncio.open_connection(parsed.host, parsed.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    try:
        async with asyncio.timeout(_HELLO_TIME), _silent_client(address):
            return True
    except TimeoutError:
        raise NotAnEshetServer(address) from None
