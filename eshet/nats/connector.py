"""Connects one client to a tree that is shared through NATS, by a server in this process."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Self

from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer

__all__ = ["NatsConnector"]

_MAX_PAYLOAD: Final = (1 << 20) - 4096
"""The default of a NATS server, until the server is known."""


class NatsConnector:
    """Starts a `JoinedServer` when the client first connects; see `eshet.connection.Connector`.

    Args:
        address: of NATS, with the name of the tree.
        logger: for the connection to NATS.
    """

    @classmethod
    def parse(cls, text: str, logger: logging.Logger) -> Self:
        """Return the connector for an address of NATS; see `NatsAddress.parse`.

        Raises:
            ValueError: it is not such an address.
        """
        return cls(NatsAddress.parse(text), logger)

    is_in_process: Final = True
    """See `eshet.connection.Connector`."""

    def __init__(self, address: NatsAddress, logger: logging.Logger) -> None:
        self.address: Final = address
        """The address of NATS."""
        self._log = logger
        self._server: JoinedServer | None = None

    @property
    def max_payload(self) -> int:
        """See `eshet.connection.Connector`."""
        return _MAX_PAYLOAD if self._server is None else self._server.max_payload

    def __str__(self) -> str:
        return str(self.address)

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect to the server, and start it before the first time.

        Raises:
            OSError: NATS can't be used.
        """
        if self._server is None:
            server = JoinedServer(self.address, logger=self._log)
            await server.open()
            self._server = server
        return await self._server.connect(protocol_factory)

    async def close(self) -> None:
        """Close the server, after the client."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()
