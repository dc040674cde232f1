"""Listens on an address, and answers its requests under an access control."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from aiohttp import web

from eshet.address import Address
from eshet.exceptions import ListenError
from eshet.gateway.access import Access, Handler
from eshet.gateway.connection import Busy, HttpConnection, host_of
from eshet.gateway.connections import Connections
from eshet.gateway.login import login_routes
from eshet.server.binding import bind_tcp, is_local
from eshet.server.listener import Listener

__all__ = ["check_address", "serve"]

_HANDSHAKE: Final = 10.0
"""How long a TLS handshake may take, in seconds."""
_GRACE: Final = 1.0
"""How long requests may take that are not answered when the server is closed, in seconds."""

_log: Final = logging.getLogger("eshet.gateway")


@contextlib.asynccontextmanager
async def serve(
    app_or_routes: web.Application | Iterable[web.AbstractRouteDef],
    address: Address,
    *,
    access: Access,
    tls: ssl.SSLContext | None = None,
    insecure: bool = False,
    log: logging.Logger = _log,
) -> AsyncIterator[str]:
    """Answer HTTP requests within an `async with` statement, and yield the URL.

    The routes `/login`, `/logout` and `/access` are added. At the end, streams are closed, and
    other requests have a second to be answered.

    Args:
        app_or_routes: the routes, or an application of aiohttp with them; not yet started.
        address: where to listen; port 0 is any free port.
        access: the access control; not used by another server.
        tls: the encryption, and which clients to accept.
        insecure: whether to listen on an address that other machines can reach without TLS, or
            without tokens.
        log: for refused connections.

    Raises:
        ListenError: the address is not this machine's, is in use, or is open to others.
    """
    access.public |= await check_address(address, access, tls, insecure=insecure)
    app = _application(app_or_routes, access)
    # When the client of a request has gone, its handler is cancelled.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        async with _listening(runner, address, access, tls, log) as port:
            scheme = "http" if tls is None else "https"
            yield f"{scheme}://{Address(address.host, port)}"
    finally:
        await runner.cleanup()


async def check_address(
    address: Address, access: Access, tls: ssl.SSLContext | None, *, insecure: bool
) -> bool:
    """Return whether other machines can reach an address, and check that they may; see `serve`.

    Raises:
        ListenError: they may not.
    """
    if await is_local(address.host):
        return False
    if not insecure and (tls is None or access.tokens is None):
        remedy = access.remedies.public
        raise ListenError(str(address), f"other machines can reach it; {remedy}")
    return True


def _application(
    app_or_routes: web.Application | Iterable[web.AbstractRouteDef], access: Access
) -> web.Application:
    if isinstance(app_or_routes, web.Application):
        app = app_or_routes
    else:
        app = web.Application(client_max_size=access.limits.body)
        app.add_routes(app_or_routes)
    app.add_routes(login_routes())
    app.middlewares.insert(0, access.middleware)
    app.middlewares.insert(0, _track)
    app.on_response_prepare.append(access.on_prepare)
    app.on_response_prepare.append(_note_stream)
    return app


@contextlib.asynccontextmanager
async def _listening(
    runner: web.AppRunner,
    address: Address,
    access: Access,
    tls: ssl.SSLContext | None,
    log: logging.Logger,
) -> AsyncIterator[int]:
    """Listen within an `async with` statement, and yield the port."""
    manager = runner.server
    assert manager is not None  # noqa: S101 - set up by the caller
    connections = Connections(access.limits)
    options: dict[str, Any] = {
        "access_log": None,
        "auto_decompress": False,  # a short body could become a long one
        "lingering_time": _GRACE,
        "logger": log,
        "max_field_size": access.limits.header,
        "max_line_size": access.limits.header,
    }

    def connect(peername: str) -> asyncio.Protocol:
        host = host_of(peername)
        if not connections.admits(host):
            access.refusals.refused(host, "too many connections", "a connection")
            return Busy()
        return HttpConnection(
            manager, connections, access.refusals, access.limits, peername, **options
        )

    # Port 0 is a different port for each address of a host: the first one decides.
    first, *others = await bind_tcp(address.host, address.port)
    port = first.getsockname()[1]
    if address.port == 0:
        for each in others:
            each.close()
        others = []
    listeners = [
        Listener(each, connect, log, tls=tls, handshake_timeout=_HANDSHAKE)
        for each in (first, *others)
    ]
    try:
        yield port
    finally:
        for listener in listeners:
            await listener.close()
        await _finish([each for each in manager.connections if isinstance(each, HttpConnection)])


async def _finish(connections: list[HttpConnection]) -> None:
    """End all streams, and wait a moment for the other requests."""
    tasks = {each.request_task: each for each in connections if each.request_task is not None}
    for task, connection in tasks.items():
        if connection.is_streaming:
            task.cancel()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_GRACE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


@web.middleware
async def _track(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note that a connection is busy while a request is handled."""
    connection = request.protocol
    if not isinstance(connection, HttpConnection):
        return await handler(request)
    connection.begin_request()
    try:
        return await handler(request)
    finally:
        connection.end_request()


async def _note_stream(request: web.Request, answer: web.StreamResponse) -> None:
    """Note that an answer begins while its handler still runs, which is then a stream."""
    connection = request.protocol
    if isinstance(connection, HttpConnection) and connection.request_task is not None:
        connection.is_streaming = True
