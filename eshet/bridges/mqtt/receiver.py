"""Passes received messages to the handlers of their subscriptions, in turns.

A broker may send ten thousand messages at once. They are read at once, as a broker drops messages
for a client that does not read. Then they are handled in turns of two milliseconds, which leave
time for other tasks of the event loop. Handlers never run while a packet is being read.
"""

import asyncio
import contextvars
import inspect
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.broker import AT_MOST_ONCE, Message
from eshet.bridges.mqtt.filters import matches
from eshet.bridges.mqtt.inbox import (
    Acknowledgements,
    Delivery,
    EventQueue,
    StateSlot,
)
from eshet.scope import is_contained
from eshet.tasks.starting import is_failure
from eshet.text import encodable, safe_str, shorten, type_name
from eshet.user_errors import plain_error

__all__ = ["MAX_PAYLOAD", "MAX_WAITING_BYTES", "Handler", "Receiver", "Subscription"]

Handler = Callable[[Message], Awaitable[object] | None]
"""Handles a message; an awaitable result is awaited before the message counts as handled."""

TURN: Final = 0.002
"""Time for messages in one turn of the event loop, in seconds; at least one is handled."""

MAX_PAYLOAD: Final = 256 * 1024
"""Default for the maximum size of a payload, in bytes; larger ones are dropped."""

MAX_WAITING_BYTES: Final = 64 * 2**20
"""Default for the maximum size of all waiting messages; beyond it, the oldest are dropped."""

_MAX_CACHED: Final = 10_000
"""Maximum number of topics with cached matching subscriptions."""

_MAX_KINDS: Final = 1_000
"""Maximum number of kinds of errors that are logged."""


class Subscription:
    """A handler of messages with topics that match a filter; made by `MqttConnection.subscribe`.

    Args:
        pattern: the filter.
        handle: see `Handler`.
        events: whether each message is handled, in order, and not only the last of each topic.
        max_events: the maximum number of waiting messages if `events` is set.
        max_payload: larger payloads are dropped; in bytes.
        on_cancel: called once, when this is cancelled.
    """

    def __init__(
        self,
        pattern: str,
        handle: Handler,
        *,
        events: bool,
        max_events: int,
        max_payload: int = MAX_PAYLOAD,
        on_cancel: "Callable[[Subscription], object]",
    ) -> None:
        self.filter: Final = pattern
        """The filter of topics."""
        self.max_payload: Final = max_payload
        self.cancelled: bool = False
        """Whether `cancel` was called."""
        self._handle = handle
        self._on_cancel = on_cancel
        self._events = EventQueue(max_events) if events else None
        self._states: dict[str, StateSlot] = {}
        # Tasks that the handler starts belong to the scope of the subscriber.
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        return f"<Subscription {self.filter!r}{', cancelled' if self.cancelled else ''}>"

    def cancel(self) -> None:
        """Stop handling messages, including those that wait. A second call does nothing."""
        if not self.cancelled:
            self.cancelled = True
            self._on_cancel(self)

    def queue_of(self, topic: str) -> "EventQueue | StateSlot":
        """Return the queue for messages of this topic."""
        if self._events is not None:
            return self._events
        slot = self._states.get(topic)
        if slot is None:
            slot = self._states[topic] = StateSlot()
        return slot

    def forget(self, topic: str) -> None:
        """Free the memory of a topic without waiting messages."""
        self._states.pop(topic, None)

    def call(self, message: Message) -> Awaitable[object] | None:
        """Call the handler, in the context in which it was subscribed."""
        return self._context.run(self._handle, message)

    def new_context(self) -> contextvars.Context:
        """Return a copy of that context, for a task."""
        return self._context.copy()


class Receiver:
    """Handles the messages of one MQTT connection, also across reconnections.

    Invariants: of each subscription to events, and of each topic of any other, one message is
    handled at a time, in order; a message is acknowledged when all its handlers have ended.

    Args:
        name: of the connection, for the log.
        acknowledge: acknowledges a message to the broker.
        max_unacknowledged: returns `Broker.max_unacknowledged`.
        log: for errors of handlers, and for dropped messages.
        max_waiting_bytes: the maximum size of all waiting messages.
        clock: returns the time in seconds, to limit turns; None for the clock of the loop.
    """

    def __init__(
        self,
        name: str,
        acknowledge: Callable[[Message], object],
        max_unacknowledged: Callable[[], int],
        log: logging.Logger,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.received: int = 0
        """The number of received messages."""
        self.dropped: int = 0
        """The number of messages that were dropped: waiting events, and messages beyond a limit."""
        self.refused: int = 0
        """The number of dropped messages that were too large, or had a topic that is not UTF-8."""
        self.failed: int = 0
        """The number of failed calls of handlers."""
        self._name = name
        self._acknowledgements = Acknowledgements(acknowledge)
        self._max_unacknowledged = max_unacknowledged
        self._log = log
        self._max_waiting_bytes = max_waiting_bytes
        self._clock = clock
        # Discovery subscribes thousands of topics, so only filters with wildcards are tried in
        # turn.
        self._by_topic: dict[str, list[Subscription]] = {}
        self._with_wildcards: list[Subscription] = []
        self._matching: dict[str, tuple[Subscription, ...]] = {}
        self._ready: deque[tuple[Subscription, str, EventQueue | StateSlot]] = deque()
        self._waiting_bytes = 0
        self._scheduled: asyncio.Handle | None = None
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._logged: set[object] = set()

    @property
    def acknowledged_early(self) -> int:
        """The number of messages that were acknowledged before they were handled."""
        return self._acknowledgements.early

    def add(self, subscription: Subscription) -> None:
        """Pass messages to a subscription from now on."""
        self._group_of(subscription).append(subscription)
        self._matching.clear()

    def remove(self, subscription: Subscription) -> None:
        """Stop passing messages to a subscription that was cancelled."""
        group = self._group_of(subscription)
        group.remove(subscription)
        if not group:
            self._by_topic.pop(subscription.filter, None)
        self._matching.clear()

    def _group_of(self, subscription: Subscription) -> list[Subscription]:
        pattern = subscription.filter
        if "+" in pattern or "#" in pattern:
            return self._with_wildcards
        return self._by_topic.setdefault(pattern, [])

    def receive(self, message: Message) -> None:
        """Queue a received message; its handlers run in a later step of the loop."""
        if self._closed:
            return
        if message.qos != AT_MOST_ONCE and (
            (again := self._acknowledgements.take_again(message)) is not None
        ):
            again.message = message
            self._acknowledgements.add(again, self._max_unacknowledged())
            return
        self.received += 1
        matching = self._match(message.topic)
        if len(message.payload) > MAX_PAYLOAD:
            matching = tuple(each for each in matching if len(message.payload) <= each.max_payload)
        if self._is_refused(message, matching):
            matching = ()
        delivery = Delivery(message, len(matching))
        for subscription in matching:
            self._put(subscription, delivery)
        # After the handlers were counted: this may acknowledge a message without handlers.
        self._acknowledgements.add(delivery, self._max_unacknowledged())

    def disconnected(self) -> None:
        """Handle the loss of the connection; waiting messages are still handled."""
        self._acknowledgements.disconnected()

    def not_resumed(self) -> None:
        """Stop expecting unacknowledged messages again: their session has ended."""
        self._acknowledgements.not_resumed()

    async def close(self) -> None:
        """Drop waiting messages, and cancel awaited handlers; to be called once, at the end."""
        self._closed = True
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        self._ready.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _match(self, topic: str) -> tuple[Subscription, ...]:
        matching = self._matching.get(topic)
        if matching is None:
            wildcards = (each for each in self._with_wildcards if matches(each.filter, topic))
            matching = (*self._by_topic.get(topic, ()), *wildcards)
            if len(self._matching) >= _MAX_CACHED:
                self._matching.clear()
            self._matching[topic] = matching
        return matching

    def _is_refused(self, message: Message, matching: tuple[Subscription, ...]) -> bool:
        topic = message.topic
        if len(message.payload) > MAX_PAYLOAD and not matching:
            what, reason = "a payload is too large", f"{len(message.payload):,} bytes"
        elif not topic.isascii() and encodable(topic) != topic:
            what, reason = "a topic is not UTF-8", "its name can't be encoded"
        else:
            return False
        self.refused += 1
        self.dropped += 1
        if self._is_new((what, topic)):
            self._log.warning(
                "%s: %s: messages of %s are dropped: %s",
                self._name,
                what,
                encodable(shorten(topic, 200)),
                reason,
            )
        return True

    def _put(self, subscription: Subscription, delivery: Delivery) -> None:
        topic = delivery.message.topic
        queue = subscription.queue_of(topic)
        self._waiting_bytes += delivery.size
        if (removed := queue.put(delivery)) is not None:
            self._waiting_bytes -= removed.size
            self._acknowledgements.handled(removed)
            if isinstance(queue, EventQueue):
                self._count_dropped(subscription, "too many events wait")
        self._set_ready(subscription, topic, queue)
        while self._waiting_bytes > self._max_waiting_bytes and self._ready:
            self._drop_oldest()

    def _set_ready(
        self, subscription: Subscription, topic: str, queue: EventQueue | StateSlot
    ) -> None:
        if queue and not queue.is_ready and not queue.is_busy:
            queue.is_ready = True
            self._ready.append((subscription, topic, queue))
        self._schedule()

    def _drop_oldest(self) -> None:
        subscription, topic, queue = self._ready.popleft()
        queue.is_ready = False
        removed = queue.pop()
        self._waiting_bytes -= removed.size
        self._acknowledgements.handled(removed)
        self._count_dropped(subscription, "too many bytes wait")
        if queue:
            self._set_ready(subscription, topic, queue)
        else:
            subscription.forget(topic)

    def _count_dropped(self, subscription: Subscription, why: str) -> None:
        self.dropped += 1
        if self._is_new((why, subscription.filter)):
            self._log.error(
                "%s: %s: the oldest messages of %s are dropped, and counted: its handler is too "
                "slow",
                self._name,
                why,
                subscription.filter,
            )

    def _schedule(self) -> None:
        if self._scheduled is None and self._ready and not self._closed:
            loop = asyncio.get_running_loop()
            self._scheduled = loop.call_soon(self._take_turn, context=contextvars.Context())

    def _take_turn(self) -> None:
        time = self._clock or asyncio.get_running_loop().time
        ends = time() + TURN
        try:
            while self._ready:
                self._handle_next(*self._ready.popleft())
                if time() >= ends:
                    break
        finally:
            self._scheduled = None
            self._schedule()

    def _handle_next(
        self, subscription: Subscription, topic: str, queue: EventQueue | StateSlot
    ) -> None:
        queue.is_ready = False
        delivery = queue.pop()
        self._waiting_bytes -= delivery.size
        if subscription.cancelled:
            self._end(subscription, delivery, queue)
            return
        try:
            result = subscription.call(delivery.message)
        except BaseException as error:
            self._end(subscription, delivery, queue)
            if not is_contained(error, None):
                raise
            self._report(error, subscription, delivery.message)
            return
        if result is None or not inspect.isawaitable(result):
            self._end(subscription, delivery, queue)
            return
        queue.is_busy = True
        awaiting = self._await(result, subscription, delivery, queue)
        loop = asyncio.get_running_loop()
        task = loop.create_task(awaiting, context=subscription.new_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _await(
        self,
        result: Awaitable[object],
        subscription: Subscription,
        delivery: Delivery,
        queue: EventQueue | StateSlot,
    ) -> None:
        try:
            await result
        except BaseException as error:
            if not is_failure(error):
                raise
            self._report(error, subscription, delivery.message)
        finally:
            queue.is_busy = False
            self._end(subscription, delivery, queue)

    def _end(
        self, subscription: Subscription, delivery: Delivery, queue: EventQueue | StateSlot
    ) -> None:
        """Complete a delivery when its handler has ended, and make its queue ready again."""
        self._acknowledgements.handled(delivery)
        if queue:
            self._set_ready(subscription, delivery.message.topic, queue)
        else:
            subscription.forget(delivery.message.topic)

    def _report(self, error: BaseException, subscription: Subscription, message: Message) -> None:
        self.failed += 1
        error = plain_error(error)
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        place = (frames[-1].filename, frames[-1].lineno) if frames else None
        if self._is_new((subscription.filter, type(error), place)):
            self._log.error(
                "%s: the handler of %s failed for a message of %s: %s: %s; further errors of this "
                "kind are only counted",
                self._name,
                subscription.filter,
                shorten(message.topic, 200),
                type_name(error),
                safe_str(error, 200),
                # The text of a `BridgeError` describes the message; no code is to be corrected.
                exc_info=None if isinstance(error, BridgeError) else error,
            )

    def _is_new(self, kind: object) -> bool:
        """Whether this kind was not logged yet; from now on it counts as logged."""
        if kind in self._logged or len(self._logged) >= _MAX_KINDS:
            return False
        self._logged.add(kind)
        return True
