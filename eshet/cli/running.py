"""Running a command: connection to a server, and readable errors."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from eshet.address import Address
from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.connection import Connector
from eshet.exceptions import Disconnected, ErrorValue, EshetError
from eshet.paths import nearest
from eshet.program import drop_output, printable
from eshet.protocol import MAX_PAYLOAD
from eshet.server_address import WHY_ENDED, ServerAddress, connector_to

__all__ = ["ask", "connected", "run"]

_ANSWER_WITHIN: Final = 10.0
"""How long a server may take to accept the connection, in seconds."""


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _OutageHandler(logging.Handler):
    """Prints when the connection is lost, and when it is back."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        click.echo(f"eshet: {printable(record.getMessage())}", err=True)


class _Attempts:
    """Connects with another connector, and keeps the error of the first attempt that fails."""

    def __init__(self, connector: Connector) -> None:
        self.failed: Final = asyncio.get_running_loop().create_future()
        self.is_in_process: Final = getattr(connector, "is_in_process", False)
        self._connector = connector

    def __str__(self) -> str:
        return str(self._connector)

    @property
    def max_payload(self) -> int:
        """See `Connector`."""
        return getattr(self._connector, "max_payload", MAX_PAYLOAD)

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        """See `Connector`."""
        try:
            return await self._connector.connect(factory)
        except OSError as error:
            if not self.failed.done():
                self.failed.set_result(error)
            raise


@asynccontextmanager
async def connected(address: ServerAddress, *, stays: bool) -> AsyncIterator[Client]:
    """Yield a client that connects once: a command does not wait until a server is available.

    Args:
        address: of the server.
        stays: whether the command keeps waiting, with a message, when the connection is lost later.

    Raises:
        Disconnected: the server can't be reached, or does not answer like one.
        EshetError: the library for NATS is not installed.
    """
    log = _logger()
    async with connector_to(address, _logger()) as connector:
        attempts = _Attempts(connector)
        client = Client(server=attempts, logger=log)
        connected: asyncio.Future[Any] = asyncio.ensure_future(client.wait_for_connection())
        waited: set[asyncio.Future[Any]] = {connected, attempts.failed}
        try:
            await asyncio.wait(waited, timeout=_ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if not connected.done():
                raise _not_connected(address, attempts.failed)
            if stays:
                log.addHandler(_OutageHandler())
            yield client
        finally:
            await client.close()
            await asyncio.gather(connected, return_exceptions=True)


def _logger() -> logging.Logger:
    log = logging.Logger("eshet.cli", logging.INFO)
    log.addHandler(logging.NullHandler())  # without a handler, logging prints warnings itself
    return log


def _not_connected(address: ServerAddress, failed: "asyncio.Future[OSError]") -> Disconnected:
    if isinstance(address, Address):
        silent = "it is no ESHET server, or one that waits as it is cut off from NATS"
        advice = "Start one with `eshet serve`, or name yours with --server or ESHET_SERVER"
    else:
        silent, advice = "it does not answer", "Name yours with --server or ESHET_SERVER"
    why = failed.result() if failed.done() else silent
    return Disconnected(f"can't connect to {address}", f"{why}. {advice}")


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command; exit with a code according to its errors. Uses uvloop if it is installed."""
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            runner.run(work)
    except (EshetError, ValueError) as error:
        click.echo(f"eshet: {printable(str(error))}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        drop_output()  # the reader has closed the pipe


def ask(
    ctx: click.Context, request: Callable[[Client], Awaitable[object]], *, stays: bool = False
) -> None:
    """Connect to the server and make a request.

    Args:
        ctx: of the command.
        request: makes the request, and prints its result.
        stays: whether it runs until it is interrupted, across reconnections.
    """

    async def work() -> None:
        async with connected(ctx.obj, stays=stays) as client:
            try:
                await request(client)
            except ErrorValue as error:
                path = ctx.params.get("path")
                if error.value != "path_not_found" or path is None:
                    raise
                raise await _not_found(client, error.request, path) from None
            except Disconnected as error:
                if stays or not isinstance(ctx.obj, Address):
                    raise
                raise Disconnected(error.request, f"{error.reason}; {WHY_ENDED}") from None

    run(work())


async def _not_found(client: Client, request: str, path: str) -> EshetError:
    """Return an error that names the nearest paths that the server has."""
    try:
        near = nearest(path, [each async for each, _, _ in list_nodes(client)])
    except (EshetError, LookupError, TypeError, ValueError):
        near = []  # another server may have no list of its paths
    hint = f"did you mean {' or '.join(near)}?" if near else "`eshet ls -r` lists all paths"
    return EshetError(f"{request}: path_not_found: nothing provides this path; {hint}")
