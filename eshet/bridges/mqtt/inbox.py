"""Queues of received messages for their handlers, and the order of acknowledgements.

For a state, only the last message of each topic counts: it replaces the one that waits. Events are
handled one after the other; at most `MAX_EVENTS` of them wait for each subscription. This module
has no I/O and no time; `receiver.py` decides when a message is handled.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from eshet.bridges.mqtt.broker import AT_MOST_ONCE, Message

__all__ = ["MAX_EVENTS", "Acknowledgements", "Delivery", "EventQueue", "StateSlot"]

MAX_EVENTS: Final = 10_000
"""Default for the maximum number of waiting events of one subscription."""

_MAX_REMEMBERED: Final = 1_000
"""Maximum number of acknowledged messages that are recognized if the broker sends them again."""


class Delivery:
    """A received message, and the number of handlers that have not handled it yet.

    Args:
        message: as received.
        pending: the number of subscriptions that match its topic.
    """

    __slots__ = ("message", "pending")

    def __init__(self, message: Message, pending: int) -> None:
        self.message: Message = message
        self.pending: int = pending

    @property
    def size(self) -> int:
        """The number of bytes of the payload."""
        return len(self.message.payload)


class StateSlot:
    """The last message of one topic that waits for one subscription."""

    __slots__ = ("_waiting", "is_busy", "is_ready")

    def __init__(self) -> None:
        self.is_busy: bool = False
        """Whether a handler is awaited."""
        self.is_ready: bool = False
        """Whether the receiver has noted that something waits here."""
        self._waiting: Delivery | None = None

    def __bool__(self) -> bool:
        return self._waiting is not None

    def put(self, delivery: Delivery) -> Delivery | None:
        """Add a message, and return the waiting one that it replaces, if there was one."""
        replaced, self._waiting = self._waiting, delivery
        return replaced

    def pop(self) -> Delivery:
        """Remove and return the message; there must be one."""
        delivery, self._waiting = self._waiting, None
        if delivery is None:
            raise LookupError("no message waits")
        return delivery


class EventQueue:
    """The messages that wait for one subscription to events, in order.

    Args:
        limit: the maximum number of messages.
    """

    __slots__ = ("_limit", "_waiting", "is_busy", "is_ready")

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self.is_busy: bool = False
        """Whether a handler is awaited."""
        self.is_ready: bool = False
        """Whether the receiver has noted that something waits here."""
        self._limit = limit
        self._waiting: deque[Delivery] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, delivery: Delivery) -> Delivery | None:
        """Add a message, and return the oldest one if it had to be dropped."""
        self._waiting.append(delivery)
        return self._waiting.popleft() if len(self._waiting) > self._limit else None

    def pop(self) -> Delivery:
        """Remove and return the oldest message; there must be one."""
        return self._waiting.popleft()


class Acknowledgements:
    """The received messages that were not acknowledged yet, in the order of their arrival.

    MQTT wants acknowledgements in this order (MQTT 5.0, section 4.6). So a message that was handled
    waits for those before it. When a session is resumed, the broker sends all messages
    again that are unacknowledged to its knowledge, with their numbers. They are recognized, and not
    handled twice.

    Args:
        acknowledge: acknowledges a message to the broker.
    """

    def __init__(self, acknowledge: Callable[[Message], object]) -> None:
        self.early: int = 0
        """The number of messages that were acknowledged before they were handled; see `add`."""
        self._acknowledge = acknowledge
        self._waiting: deque[Delivery] = deque()
        self._before: dict[int, Delivery] = {}  # of the lost connection
        # Acknowledgements can be lost as well.
        self._acknowledged: dict[int, int] = {}  # hashes by number, the oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delivery: Delivery, limit: int) -> None:
        """Add a received message.

        Args:
            delivery: of the message.
            limit: if there are more messages than that, the oldest is acknowledged although it was
                not handled: a broker that waits for too many drops others without notice.
        """
        if delivery.message.qos == AT_MOST_ONCE:
            return
        self._waiting.append(delivery)
        if len(self._waiting) > limit:
            self.early += 1
            self._acknowledge_oldest()
        self._acknowledge_handled()

    def take_again(self, message: Message) -> Delivery | None:
        """Return the delivery of a message that the broker has sent before.

        Returns:
            None for a new message.
        """
        delivery = self._before.pop(message.number, None)
        if delivery is not None and _key(delivery.message) == _key(message):
            return delivery
        if message.is_repeated and self._acknowledged.get(message.number) == hash(_key(message)):
            return Delivery(message, 0)
        return None

    def handled(self, delivery: Delivery) -> None:
        """Count down the pending handlers of a message: one has handled or dropped it."""
        delivery.pending -= 1
        if not delivery.pending:
            self._acknowledge_handled()

    def disconnected(self) -> None:
        """Keep the unacknowledged messages, as the broker may send them again."""
        self._before.update((each.message.number, each) for each in self._waiting)
        self._waiting.clear()

    def not_resumed(self) -> None:
        """Stop expecting the messages of the lost connection: its session has ended."""
        self._before.clear()
        self._acknowledged.clear()

    def _acknowledge_handled(self) -> None:
        while self._waiting and self._waiting[0].pending <= 0:
            self._acknowledge_oldest()

    def _acknowledge_oldest(self) -> None:
        message = self._waiting.popleft().message
        self._acknowledged.pop(message.number, None)  # so that it becomes the last one
        self._acknowledged[message.number] = hash(_key(message))
        if len(self._acknowledged) > _MAX_REMEMBERED:
            del self._acknowledged[next(iter(self._acknowledged))]
        self._acknowledge(message)


def _key(message: Message) -> tuple[str, bytes]:
    return message.topic, message.payload
