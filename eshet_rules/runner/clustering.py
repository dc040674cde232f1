"""Joins the cluster of a runner. Imported only by a runner of a cluster."""

import contextlib
from collections.abc import AsyncIterator

from structlog.typing import FilteringBoundLogger

from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from eshet.server_address import ServerAddress
from eshet_rules.cluster.cluster import Cluster
from eshet_rules.config import ClusterSettings
from eshet_rules.exceptions import NoNatsServer
from eshet_rules.runner.server import join_servers

__all__ = ["joined_cluster"]


@contextlib.asynccontextmanager
async def joined_cluster(
    name: str,
    settings: ClusterSettings,
    server: ServerAddress | Connector | None,
    log: FilteringBoundLogger,
) -> AsyncIterator[Cluster]:
    """Join a cluster, for the duration of an `async with` statement.

    It waits until NATS can be used.

    Args:
        name: the name of the cluster.
        settings: see `ClusterSettings`.
        server: the server of the rules: the address of NATS if the settings have none, or a server
            of this process that has joined others.
        log: see `Cluster`.

    Raises:
        NoNatsServer: no NATS servers are named.
    """
    if isinstance(server, JoinedServer):
        yield Cluster(name, settings, server, log)
        return
    address = settings.server
    if address is None:
        if not isinstance(server, NatsAddress):
            raise NoNatsServer(name)
        address = server
    async with join_servers(
        address, log, listen=settings.listen, name=settings.runner or ""
    ) as joined:
        yield Cluster(name, settings, joined, log)
