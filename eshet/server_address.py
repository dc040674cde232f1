"""Where a user finds a server: at a host and port, or in a tree that is shared through NATS."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from eshet.address import Address
from eshet.connection import ClosableConnector, Connector
from eshet.exceptions import EshetError
from eshet.nats.address import NatsAddress

__all__ = [
    "WHY_ENDED",
    "ServerAddress",
    "connector_to",
    "make_connector",
    "no_nats_library",
    "parse_server_address",
]

ServerAddress: TypeAlias = Address | NatsAddress
"""The address of a server; its text shows no secrets."""

WHY_ENDED: Final = (
    "its log says why; one that shares its tree has no clients while it is cut off from NATS"
)
"""A hint for a user of a server that has ended a connection."""

_log: Final = logging.getLogger("eshet.nats")


def parse_server_address(text: str) -> ServerAddress:
    """Return the address in a text.

    Args:
        text: such as `localhost` or `house:11236`, see `Address.parse`; or the URL of NATS servers,
            such as `nats://house/flat`, see `NatsAddress.parse`.

    Raises:
        ValueError: it is not an address; the message contains no secret.
    """
    is_nats = text.startswith(("nats://", "tls://"))
    try:
        return NatsAddress.parse(text) if is_nats else Address.parse(text)
    except ValueError as error:
        if "nats://" in str(error):
            raise
        raise ValueError(f"{error}; the URL of NATS servers is nats://HOST:PORT/PREFIX") from None


def make_connector(address: ServerAddress, logger: logging.Logger = _log) -> Connector:
    """Return a connector for clients of one event loop.

    Args:
        address: of the server.
        logger: for the connection to NATS.

    Raises:
        EshetError: the library for NATS is not installed.
    """
    if isinstance(address, Address):
        return address
    try:
        from eshet.nats.connector import NatsConnector
    except ModuleNotFoundError:
        raise no_nats_library(address) from None
    return NatsConnector(address, logger)


def no_nats_library(address: NatsAddress) -> EshetError:
    """Return the error for an address that can't be used without nats-py."""
    return EshetError(f"{address} needs the library nats-py: pip install 'eshet-rules[nats]'")


@asynccontextmanager
async def connector_to(
    address: ServerAddress, logger: logging.Logger = _log
) -> AsyncIterator[Connector]:
    """Yield a connector for the duration of an `async with` statement; see `make_connector`."""
    connector = make_connector(address, logger)
    try:
        yield connector
    finally:
        if isinstance(connector, ClosableConnector):
            await connector.close()
