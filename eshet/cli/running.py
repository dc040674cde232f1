"""How a command does its work: connected to a server, with errors for people."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from eshet.address import Address
from eshet.client import Client
from eshet.exceptions import Disconnected, EshetError
from eshet.program import drop_output, printable

__all__ = ["ask", "run"]

_ANSWER_WITHIN: Final = 10.0
"""How long a server may take to let a command in, in seconds."""


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _TellsOutages(logging.Handler):
    """Says when the connection is lost, and when it is back."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        click.echo(f"eshet: {printable(record.getMessage())}", err=True)


@asynccontextmanager
async def _connected(address: Address, *, stays: bool) -> AsyncIterator[Client]:
    """Connect once: a command does not wait for a server that is not there.

    Args:
        address: of the server.
        stays: whether the command waits, and says so, when the server goes after that.
    """
    refused: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

    class Once:
        def __str__(self) -> str:
            return str(address)

        async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
            try:
                return await address.connect(factory)
            except OSError as error:
                if not refused.done():
                    refused.set_result(error)
                raise

    log = logging.Logger("eshet.cli", logging.INFO)
    log.addHandler(logging.NullHandler())  # or else logging would print warnings by itself
    client = Client(server=Once(), logger=log)
    connected: asyncio.Future[Any] = asyncio.ensure_future(client.wait_for_connection())
    waited: set[asyncio.Future[Any]] = {connected, refused}
    try:
        await asyncio.wait(waited, timeout=_ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not connected.done():
            why = refused.result() if refused.done() else "it does not answer as an ESHET server"
            raise Disconnected(
                f"can't connect to {address}",
                f"{why}. Start one with `eshet serve`, or name yours with --server or ESHET_SERVER",
            )
        if stays:
            log.addHandler(_TellsOutages())
        yield client
    finally:
        await client.close()
        await asyncio.gather(connected, return_exceptions=True)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of a command; exit with what its errors mean. With uvloop, if it is installed."""
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            runner.run(work)
    except (EshetError, ValueError) as error:
        click.echo(f"eshet: {printable(str(error))}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        drop_output()  # whoever read this has enough


def ask(
    ctx: click.Context, request: Callable[[Client], Awaitable[Any]], *, stays: bool = False
) -> None:
    """Make a request, and print its result if it has one to print.

    Args:
        ctx: of the command.
        request: makes it.
        stays: whether it goes on until it is interrupted, also when the server goes and comes back.
    """

    async def work() -> None:
        async with _connected(ctx.obj, stays=stays) as client:
            await request(client)

    run(work())
