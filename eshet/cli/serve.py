"""`eshet serve`."""

import asyncio
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from eshet.address import Address
from eshet.cli.gateway import GatewayOptions, gateway_options, running_gateway
from eshet.cli.running import run
from eshet.cli.values import AddressType, NatsType
from eshet.exceptions import EshetError
from eshet.nats.address import NatsAddress
from eshet.protocol import DEFAULT_PORT
from eshet.server import Limits, Server, raise_descriptor_limit
from eshet.server.tls import server_tls

__all__ = ["serve"]

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class _LimitType(click.ParamType[tuple[str, float]]):
    """A limit of a server: its name and a number."""

    name = "name=number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """See `click.ParamType`."""
        name, _, number = value.partition("=")
        types = {field.name: field.type for field in fields(Limits)}
        if name not in types:
            self.fail(f"there is no limit {name!r}; there are {', '.join(types)}", param, ctx)
        try:
            limit = float(number) if types[name] is float else int(number)
            Limits(**{name: limit})  # type: ignore[arg-type]
        except ValueError:
            self.fail(
                f"{name} is a number above 0, such as {name}={getattr(Limits, name)}", param, ctx
            )
        return name, limit


@click.command()
@click.option(
    "--listen",
    "addresses",
    type=AddressType(lowest_port=0),
    multiple=True,
    help=f"Where to listen; may be repeated. Port 0: any free port. "
    f"[default: 127.0.0.1:{DEFAULT_PORT}, if there is no --unix]",
)
@click.option(
    "--unix",
    "sockets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A Unix socket to listen on, to which only your user can connect.",
)
@click.option("--tls-cert", type=_FILE, help="Certificate for the addresses, with its chain (PEM).")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option(
    "--tls-client-ca", type=_FILE, help="Only clients with a certificate of this CA (PEM)."
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Allow other machines to connect without TLS, and to --http also without tokens.",
)
@click.option(
    "--limit",
    "limits",
    type=_LimitType(),
    multiple=True,
    help="A limit, such as clients=100; see docs/server.md for their names.",
)
@click.option(
    "--nats",
    type=NatsType(),
    help="Share the tree with the other servers at these NATS servers, such as nats://house.",
)
@gateway_options
def serve(
    addresses: tuple[Address, ...],
    sockets: tuple[Path, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    insecure: bool,
    limits: tuple[tuple[str, float], ...],
    nats: NatsAddress | None,
    http: Address | None,
    http_tokens: Path | None,
    http_hosts: tuple[str, ...],
    http_origins: tuple[str, ...],
) -> None:
    """Run a server until interrupted. Every client that can connect has full access.

    With --nats, the servers at the same NATS servers have one tree; while this one can't reach
    NATS, it disconnects its clients. A password is better placed in a file of credentials than in
    the URL, which other users of this machine can see: nats://house?credentials=FILE.

    With --http, programs without a client can use it as well: they can read on this machine, and
    do the rest with a token.
    """
    root = click.get_current_context().find_root()
    if root.get_parameter_source("server") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--server is for the other commands: write --listen HOST:PORT to choose where this "
            "server listens, or --nats nats://HOST to share its tree"
        )
    gateway = GatewayOptions.of(http, http_tokens, http_hosts, http_origins)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # The only client of this process is that of the gateway, which is linked to the server.
    logging.getLogger("eshet.client").setLevel(logging.WARNING)
    tls = _tls(tls_cert, tls_key, tls_client_ca)
    if not addresses and not sockets:
        addresses = (Address("127.0.0.1"),)

    raise_descriptor_limit()

    async def work() -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                _running_server(Limits(**dict(limits)), nats)  # type: ignore[arg-type]
            )
            for address in addresses:
                await server.listen(address.host, address.port, tls=tls, insecure=insecure)
            for path in sockets:
                await server.listen_unix(path)
            for where in [*(Address(*each) for each in server.addresses), *sockets]:
                click.echo(f"listening on {where}")
            if gateway is not None:
                running = running_gateway(gateway, server, tls, insecure=insecure)
                click.echo(f"gateway on {await stack.enter_async_context(running)}")
            await _interrupted()

    run(work())


@asynccontextmanager
async def _running_server(limits: Limits, nats: NatsAddress | None) -> AsyncIterator[Server]:
    """Run a server that does not listen yet.

    Args:
        limits: how much one client may use.
        nats: the tree that it joins; None for one of its own.

    Raises:
        EshetError: NATS can't be used, or its library is not installed.
    """
    if nats is None:
        async with Server(limits=limits) as server:
            yield server
        return
    try:
        from eshet.nats.joined import JoinedServer
    except ModuleNotFoundError:
        text = "--nats needs the library nats-py: pip install 'eshet-rules[nats]'"
        raise EshetError(text) from None
    joined = JoinedServer(nats, details={"host": socket.gethostname()}, limits=limits)
    try:
        await joined.open()
    except OSError as error:
        raise EshetError(f"can't join {nats}: {error}") from None
    try:
        count = len({joined.id, *joined.members})
        click.echo(
            f"joined {nats} as {f'1 of {count} servers' if count > 1 else 'its only server'}"
        )
        yield joined
    finally:
        await joined.close()


def _tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        if key is not None or client_ca is not None:
            raise click.UsageError("--tls-key and --tls-client-ca go with --tls-cert")
        return None
    try:
        return server_tls(cert, key, client_ca)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    await interrupted.wait()
