"""Connects clients of this process to a tree that is shared through NATS, by one server in it."""

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Final

from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer

__all__ = ["NatsConnector"]

_MAX_PAYLOAD: Final = (1 << 20) - 4096
"""The default of a NATS server, until the server is known."""


class NatsConnector:
    """Starts a `JoinedServer` when a client first connects; see `eshet.connection.Connector`.

    While it can't join the tree, each attempt of a client to connect is an attempt to join.

    Args:
        address: of NATS, with the name of the tree.
        logger: for the connection to NATS.
    """

    is_in_process: Final = True
    """See `eshet.connection.Connector`."""

    def __init__(self, address: NatsAddress, logger: logging.Logger) -> None:
        self.address: Final = address
        """The address of NATS."""
        self._log = logger
        self._server: JoinedServer | None = None
        self._joining: asyncio.Task[JoinedServer] | None = None

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
        return await (await self.join()).connect(protocol_factory)

    async def join(self) -> JoinedServer:
        """Return the server, which has joined the tree at least once.

        Raises:
            OSError: NATS can't be used.
        """
        if self._server is not None:
            return self._server
        if self._joining is None:  # else another client is connecting
            # It goes on for others if the client that has begun it ends.
            self._joining = asyncio.create_task(self._join(), context=Context())
            self._joining.add_done_callback(_retrieve)
        return await asyncio.shield(self._joining)

    async def close(self) -> None:
        """Close the server, after its clients."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait([self._joining])
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _join(self) -> JoinedServer:
        try:
            server = JoinedServer(self.address, logger=self._log)
            await server.open()
        finally:
            self._joining = None
        self._server = server
        return server


def _retrieve(task: asyncio.Task[JoinedServer]) -> None:
    """Retrieve the error of a task, in case that all who waited for it were cancelled."""
    if not task.cancelled():
        task.exception()
