"""The options of `eshet serve` for its gateway, and the gateway itself."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from eshet.address import Address
from eshet.cli.values import AddressType
from eshet.client import Client
from eshet.exceptions import EshetError
from eshet.gateway.limits import DEFAULT_HTTP_PORT
from eshet.gateway.tokens import TokenFile
from eshet.server import Server

__all__ = ["GatewayOptions", "gateway_options", "running_gateway"]

_F = TypeVar("_F", bound=Callable[..., Any])
_CLIENT_ID: Final = "eshet gateway"


@dataclass(frozen=True)
class GatewayOptions:
    """The options of a gateway.

    Args:
        address: where it listens.
        tokens: the file of tokens; None for none.
        hosts: further names by which it is addressed.
        origins: further origins from which pages may use it.

    Raises:
        click.UsageError: an option is given without `--http`; from `of`.
    """

    address: Address
    tokens: Path | None
    hosts: tuple[str, ...]
    origins: tuple[str, ...]

    @classmethod
    def of(
        cls,
        http: Address | None,
        http_tokens: Path | None,
        http_hosts: tuple[str, ...],
        http_origins: tuple[str, ...],
    ) -> "GatewayOptions | None":
        """Return the options as they were given; None for no gateway."""
        if http is not None:
            return cls(http, http_tokens, http_hosts, http_origins)
        if http_tokens is not None or http_hosts or http_origins:
            raise click.UsageError("--http-tokens, --http-host and --http-origin go with --http")
        return None


def gateway_options(command: _F) -> _F:
    """Add the options of a gateway to a command."""
    options = [
        click.option(
            "--http",
            type=AddressType(lowest_port=0, default_port=DEFAULT_HTTP_PORT),
            help=f"Also serve HTTP and WebSockets there, such as localhost:{DEFAULT_HTTP_PORT}.",
        ),
        click.option(
            "--http-tokens",
            type=click.Path(dir_okay=False, path_type=Path),
            help="A file of tokens, made by `eshet token`: whoever has one with --act may set, "
            "call, emit and provide nodes.",
        ),
        click.option(
            "--http-host",
            "http_hosts",
            metavar="NAME",
            multiple=True,
            help="Another name by which HTTP clients address this machine; may be repeated.",
        ),
        click.option(
            "--http-origin",
            "http_origins",
            metavar="ORIGIN",
            multiple=True,
            help="Another site whose pages may use the gateway, such as https://house.example; "
            "may be repeated.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@asynccontextmanager
async def running_gateway(
    options: GatewayOptions, server: Server, tls: ssl.SSLContext | None, *, insecure: bool
) -> AsyncIterator[str]:
    """Run a gateway within an `async with` statement, and yield its URL.

    Args:
        options: of the gateway.
        server: the server in front of which it is.
        tls: the encryption; None for none.
        insecure: whether other machines may connect without TLS, or without tokens.

    Raises:
        EshetError: aiohttp is not installed.
        ListenError: it can't listen on the address; see `eshet.gateway.listening.serve`.
        TokenFileError: the file of tokens can't be used.
        ValueError: a host or an origin is not valid.
    """
    try:
        from eshet.gateway.access import Access
        from eshet.gateway.gateway import Gateway
        from eshet.gateway.listening import serve
    except ModuleNotFoundError as error:
        raise EshetError(
            f"the gateway needs the library {error.name}: pip install 'eshet-rules[web]'"
        ) from None
    tokens = None if options.tokens is None else TokenFile(options.tokens)
    if tokens is not None and not tokens.list():
        command = f"eshet token {options.tokens} --act --name NAME"
        click.echo(f"there are no tokens yet; make one with `{command}`", err=True)
    access = Access(tokens, options.hosts, options.origins)
    async with (
        Client(server=server, client_id=_CLIENT_ID) as client,
        serve(
            Gateway(client, access).routes(),
            options.address,
            access=access,
            tls=tls,
            insecure=insecure,
        ) as url,
    ):
        yield url
