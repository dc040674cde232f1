"""The parts of a client that its views share: the connection, and everything registered over it."""

import logging
from typing import Final

from eshet.client.callbacks import Tasks
from eshet.client.connection_manager import ConnectionManager
from eshet.client.dispatch import Dispatcher
from eshet.client.event_iteration import EventIteration
from eshet.client.registrations import RegistrationTable
from eshet.connection import Connector
from eshet.protocol import TimeoutConfig

__all__ = ["SharedConnection"]


class SharedConnection:
    """A connection, with the registrations, tasks and iterations of all clients that use it.

    Args:
        base: the base path of relative paths.
        connector: connects to the server.
        client_id: packed; None to keep the id that the server assigns.
        timeouts: timeouts of the protocol.
        logger: logger for connection messages.
        max_waiting_bytes: see `eshet.client.receiver.Receiver`.
        owns_connector: whether to close the connector with the connection, if it can be closed.
    """

    def __init__(
        self,
        base: str,
        connector: Connector,
        client_id: bytes | None,
        timeouts: TimeoutConfig,
        logger: logging.Logger,
        max_waiting_bytes: int,
        *,
        owns_connector: bool = False,
    ) -> None:
        self.base: Final = base
        self.logger: Final = logger
        self.registrations: Final = RegistrationTable()
        self.tasks: Final = Tasks()
        self.iterations: Final[dict[EventIteration, None]] = {}  # in the order of their beginning
        self.manager: Final = ConnectionManager(
            connector,
            client_id,
            timeouts,
            self.registrations,
            Dispatcher(self.registrations).handlers,
            logger,
            max_waiting_bytes,
            owns_server=owns_connector,
        )
