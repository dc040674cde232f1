"""The NATS servers of a cluster, which a command asks without a runner."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from eshet.server_address import ServerAddress

if TYPE_CHECKING:
    from eshet.nats.address import NatsAddress
    from eshet.nats.connection import NatsConnection
    from eshet_rules.config import Configuration

__all__ = ["connected_to_nats", "nats_address"]


def nats_address(configuration: "Configuration", server: ServerAddress | None) -> "NatsAddress":
    """Return the NATS servers of a cluster.

    Args:
        configuration: that of the rules folder.
        server: the value of `--server`.

    Raises:
        click.UsageError: none are named, or `--server` names another one.
    """
    from eshet.nats.address import NatsAddress

    if server is not None and not isinstance(server, NatsAddress):
        raise click.UsageError(
            f"a cluster needs NATS servers: name them with --server nats://HOST, not {server}"
        )
    for address in (server, configuration.cluster.server, configuration.server.address):
        if isinstance(address, NatsAddress):
            return address
    raise click.UsageError(
        "a cluster needs NATS servers: name them with --server nats://HOST, or with "
        "`server` below [cluster] of the configuration"
    )


@contextlib.asynccontextmanager
async def connected_to_nats(address: "NatsAddress", name: str) -> "AsyncIterator[NatsConnection]":
    """Connect to NATS servers, for the duration of an `async with` statement.

    Args:
        address: of the servers.
        name: of this client, as the monitoring of the servers shows it.

    Raises:
        NoNatsLibrary: the library for NATS is not installed.
        ServerUnreachable: none of the servers answers.
    """
    from eshet_rules.exceptions import NoNatsLibrary, ServerUnreachable

    try:
        from eshet.nats.connection import NatsConnection
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "nats":
            raise
        raise NoNatsLibrary from None
    connection = NatsConnection(address, name=name)
    try:
        await connection.open()
    except OSError as error:
        raise ServerUnreachable(str(address), str(error)) from None
    try:
        yield connection
    finally:
        await connection.close()
