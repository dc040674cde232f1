"""Finds out whether another runner is gone, without waiting until it was silent for too long."""

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from typing import Final, Protocol

from eshet.nats.connection import NatsConnection, NatsMessage
from eshet.nats.exceptions import NatsError, NoAnswer
from eshet_rules.cluster.entries import probe_subject
from eshet_rules.cluster.roster import KnownRunner

__all__ = ["Probe", "Server"]

_TIMEOUT: Final = 0.5
"""Seconds to wait for an answer."""


class Server(Protocol):
    """The ESHET server of this runner."""

    @property
    def is_joined(self) -> bool:
        """Whether it shares its tree with the servers of other runners now."""
        ...

    @property
    def members(self) -> Collection[str]:
        """The ids of the servers that share the tree."""
        ...


class Probe:
    """Asks other runners whether they are there, and answers for this one.

    The server of a runner that was killed is gone soon. But a server may also seem to be gone while
    its runner acts, for example after this process was stopped for a time. So the runner is asked:
    NATS itself answers at once that nobody listens, if the process has ended.

    Args:
        connection: to NATS.
        prefix: the name of the tree.
        cluster: the name of the cluster.
        server: of this runner.
    """

    def __init__(
        self, connection: NatsConnection, prefix: str, cluster: str, server: Server
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        self._cluster = cluster
        self._server = server
        self._loop = asyncio.get_running_loop()

    @contextlib.contextmanager
    def answering(self, presence: int) -> Iterator[None]:
        """Answer that this runner is there, within a `with` statement.

        Args:
            presence: the number of its presence.
        """
        subscription = self._connection.subscribe(self._subject(presence), self._answer)
        try:
            yield
        finally:
            subscription.unsubscribe()

    async def is_gone(self, known: KnownRunner) -> bool:
        """Whether a runner is gone."""
        now = self._loop.time()
        if known.is_silent(now):
            return True
        if not self._server.is_joined or not known.is_serverless(self._server.members, now):
            return False
        try:
            subject = self._subject(known.number)
            answer = await self._connection.request(subject, b"", timeout=_TIMEOUT)
        except NoAnswer:  # it listens; if it hangs, it will be silent
            is_gone = False
        except NatsError:
            return False
        else:
            is_gone = answer.is_no_responders
        if not is_gone:
            known.forget_server()
        return is_gone

    def _answer(self, message: NatsMessage) -> None:
        self._connection.publish(message.reply, b"")

    def _subject(self, presence: int) -> str:
        return probe_subject(self._prefix, self._cluster, presence)
