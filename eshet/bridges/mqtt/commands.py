"""The published messages that the broker has not acknowledged yet, and their deadlines."""

import asyncio
from collections.abc import Callable
from typing import Final

from eshet.bridges.mqtt.broker import BrokerError

__all__ = ["COMMAND_TIMEOUT", "CommandExpired", "SentCommands"]

COMMAND_TIMEOUT: Final = 5.0
"""Seconds after which a command without an acknowledgement fails."""

_MAX_UNANSWERED: Final = 3
"""After this number of commands in a row without an answer, the connection is ended."""


class CommandExpired(BrokerError):
    """The broker has not acknowledged a message in time; the message will not be sent later.

    Args:
        topic: of the message.
        problem: why there was no acknowledgement.
        was_sent: whether the message was sent, so that the command may have been carried out.
    """

    def __init__(self, topic: str, problem: str, *, was_sent: bool) -> None:
        self.topic = topic
        self.problem = problem
        self.was_sent = was_sent
        super().__init__(f"publish {topic}: {problem}")


class SentCommands:
    """Fails each command that is not acknowledged in time; one timer serves all of them.

    Args:
        abort: ends the connection to the broker, for a reason.
    """

    def __init__(self, abort: Callable[[str], object]) -> None:
        self._abort = abort
        self._waiting: dict[asyncio.Future[None], tuple[str, float]] = {}  # topic and time sent
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0  # when the broker last sent a message or an acknowledgement
        self._unanswered = 0  # commands in a row without an answer

    def add(self, topic: str, sent: asyncio.Future[None]) -> None:
        """Note that a command was sent.

        Args:
            topic: of its message.
            sent: done when the broker has acknowledged the message; after `COMMAND_TIMEOUT` seconds
                it gets the error `CommandExpired`.
        """
        loop = sent.get_loop()
        self._waiting[sent] = topic, loop.time()
        sent.add_done_callback(self._on_done)
        if self._timer is None:
            self._timer = loop.call_later(COMMAND_TIMEOUT, self._check)

    def heard(self) -> None:
        """Note that the broker has sent a message."""
        self._heard_at = asyncio.get_running_loop().time()

    def acknowledged(self) -> None:
        """Note that the broker has acknowledged a command."""
        self.heard()
        self._unanswered = 0

    def expired(self, topic: str, since: float) -> CommandExpired:
        """Return the error of a command that was not acknowledged in time.

        If the broker seems to be dead, this ends the connection.

        Args:
            topic: of its message.
            since: the time when the command was sent, by the clock of the loop.
        """
        self._on_unanswered(since)
        return _unacknowledged(topic)

    def _on_unanswered(self, since: float) -> None:
        self._unanswered += 1
        if self._heard_at <= since or self._unanswered >= _MAX_UNANSWERED:
            # The end of the connection drops unsent data: a broker that recovers later must not
            # receive this command. And each unanswered command counts against the limit of
            # unacknowledged messages.
            self._unanswered = 0
            self._abort(f"no acknowledgement of a message within {COMMAND_TIMEOUT:g} s")

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_done(self, sent: asyncio.Future[None]) -> None:
        self._waiting.pop(sent, None)
        if not sent.cancelled() and sent.exception() is None:
            self.acknowledged()

    def _check(self) -> None:
        """Fail the commands that have waited too long; the oldest are the first."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting:
            sent, (topic, since) = next(iter(self._waiting.items()))
            left = since + COMMAND_TIMEOUT - now
            if left > 0 and not sent.done():
                self._timer = sent.get_loop().call_later(left, self._check)
                return
            del self._waiting[sent]
            if not sent.done():
                sent.set_exception(_unacknowledged(topic))
                self._on_unanswered(since)


def _unacknowledged(topic: str) -> CommandExpired:
    return CommandExpired(
        topic,
        f"the broker did not acknowledge the message within {COMMAND_TIMEOUT:g} s: the command "
        "may have been carried out",
        was_sent=True,
    )
