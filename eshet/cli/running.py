"""How a command does its work: connected to a server, with errors for people."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from eshet.client import Client
from eshet.client.address import Address
from eshet.exceptions import Disconnected, EshetError

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


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Client]:
    """Connect once: a command does not wait for a server that is not there."""
    refused: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

    class Once:
        async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
            try:
                return await address.connect(factory)
            except OSError as error:
                if not refused.done():
                    refused.set_result(error)
                raise

    quiet = logging.Logger("eshet.cli", logging.CRITICAL)
    client = Client(server=Once(), logger=quiet)
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
        yield client
    finally:
        await client.close()
        await asyncio.gather(connected, return_exceptions=True)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of a command; exit with what its errors or an interruption mean.

    With uvloop, if that is installed.
    """
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            runner.run(work)
    except (EshetError, ValueError) as error:
        click.echo(f"eshet: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read this has enough; nothing must be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ask(ctx: click.Context, request: Callable[[Client], Awaitable[Any]]) -> None:
    """Make one request, and print its result if it has one to print."""

    async def work() -> None:
        async with _connected(ctx.obj) as client:
            await request(client)

    run(work())
