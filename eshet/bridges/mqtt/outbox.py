"""The messages of a bridge on their way to the broker: in order, and never late.

A message waits until there is a connection, and while the broker has too many messages that it has
not acknowledged. It fails when the broker has not acknowledged it within `COMMAND_TIMEOUT` seconds
of the call: a lamp that is switched on minutes later is worse than one that stays off.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from typing import Final

from eshet.bridges.mqtt.broker import Broker, BrokerError, Message

__all__ = ["COMMAND_TIMEOUT", "CommandExpired", "Outbox"]

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


class _Outgoing:
    """A message, the future of its acknowledgement, and the time until which it waits for that."""

    __slots__ = ("acknowledged", "deadline", "message")

    def __init__(self, message: Message, loop: asyncio.AbstractEventLoop) -> None:
        self.message: Final = message
        self.acknowledged: Final[asyncio.Future[None]] = loop.create_future()
        self.deadline: Final = loop.time() + COMMAND_TIMEOUT

    def fail(self, error: Exception) -> None:
        """End with an error, unless it has ended already, such as by a cancellation."""
        if not self.acknowledged.done():
            self.acknowledged.set_exception(error)
            self.acknowledged.exception()  # retrieved: its caller may have been cancelled just now


class Outbox:
    """Sends messages when the connection allows it, and fails those that take too long.

    Args:
        broker: to publish to.
        problem: returns why the broker is not connected.
    """

    def __init__(self, broker: Broker, problem: Callable[[], str]) -> None:
        self._broker = broker
        self._problem = problem
        self._waiting: deque[_Outgoing] = deque()
        self._sent: dict[_Outgoing, None] = {}  # the oldest first
        self._is_open = False
        self._sending_soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0  # when the broker last sent a message or an acknowledgement
        self._unanswered = 0  # messages in a row without an acknowledgement

    def put(self, message: Message) -> asyncio.Future[None]:
        """Send a message, now or as soon as possible.

        Returns:
            A future that is done when the broker has acknowledged the message. If it is cancelled
            before the message was sent, the message is not sent. Its errors are those of
            `MqttConnection.publish`.
        """
        loop = asyncio.get_running_loop()
        outgoing = _Outgoing(message, loop)
        if not self._is_open or self._waiting or not self._send(outgoing):
            self._waiting.append(outgoing)
        if self._timer is None:
            self._timer = loop.call_later(COMMAND_TIMEOUT, self._check)
        return outgoing.acknowledged

    def open(self) -> None:
        """Send messages from now on, first those that wait."""
        self._is_open = True
        self._send_waiting()

    def pause(self) -> None:
        """Send no messages until `open` is called."""
        self._is_open = False

    def heard(self) -> None:
        """Note that the broker has sent a message."""
        self._heard_at = asyncio.get_running_loop().time()

    def drop_waiting(self) -> None:
        """Fail the messages that were not sent."""
        while self._waiting:
            self._fail_unsent(self._waiting.popleft(), self._problem())

    def close(self) -> None:
        """Fail all messages, and end all timers."""
        self._is_open = False
        self.drop_waiting()
        for timer in (self._timer, self._sending_soon):
            if timer is not None:
                timer.cancel()
        self._timer = self._sending_soon = None

    def _send_waiting(self) -> None:
        self._sending_soon = None
        while self._is_open and self._waiting:
            # If the future is done, the caller has cancelled the message.
            if not self._waiting[0].acknowledged.done() and not self._send(self._waiting[0]):
                return
            self._waiting.popleft()

    def _send(self, outgoing: _Outgoing) -> bool:
        """Send a message, or return False if it has to wait."""
        self._sent[outgoing] = None
        try:
            is_sent = self._broker.publish(
                outgoing.message, functools.partial(self._on_done, outgoing)
            )
        except Exception as error:
            self._on_done(outgoing, error)
            return True
        if not is_sent:
            del self._sent[outgoing]
        return is_sent

    def _on_done(self, outgoing: _Outgoing, error: Exception | None) -> None:
        self._sent.pop(outgoing, None)
        acknowledged = outgoing.acknowledged
        if error is None:
            self.heard()
            self._unanswered = 0
            if not acknowledged.done():
                acknowledged.set_result(None)
        else:
            outgoing.fail(error)
        if self._waiting and self._sending_soon is None:
            # In a later step, as this one is within the broker.
            self._sending_soon = acknowledged.get_loop().call_soon(self._send_waiting)

    def _check(self) -> None:
        """Fail the messages that have taken too long."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._sent and (outgoing := next(iter(self._sent))).deadline <= now:
            del self._sent[outgoing]
            if not outgoing.acknowledged.done():
                self._fail_sent(outgoing)
        while self._waiting and self._waiting[0].deadline <= now:
            problem = f"there was no connection for {COMMAND_TIMEOUT:g} s ({self._problem()})"
            if self._is_open:
                problem = f"the broker acknowledged no message for {COMMAND_TIMEOUT:g} s"
            self._fail_unsent(self._waiting.popleft(), problem)
        deadlines = [next(iter(each)).deadline for each in (self._sent, self._waiting) if each]
        if deadlines:
            self._timer = loop.call_at(min(deadlines), self._check)

    def _fail_sent(self, outgoing: _Outgoing) -> None:
        problem = (
            f"the broker did not acknowledge the message within {COMMAND_TIMEOUT:g} s: the command "
            "may have been carried out"
        )
        outgoing.fail(CommandExpired(outgoing.message.topic, problem, was_sent=True))
        self._unanswered += 1
        was_silent = self._heard_at <= outgoing.deadline - COMMAND_TIMEOUT
        if was_silent or self._unanswered >= _MAX_UNANSWERED:
            # The end of the connection drops unsent data: a broker that recovers later must not
            # receive this command. And each unanswered command counts against the limit of
            # unacknowledged messages.
            self._unanswered = 0
            self._broker.abort(f"no acknowledgement of a message within {COMMAND_TIMEOUT:g} s")

    def _fail_unsent(self, outgoing: _Outgoing, problem: str) -> None:
        problem = f"{problem}: the message was not sent"
        outgoing.fail(CommandExpired(outgoing.message.topic, problem, was_sent=False))
