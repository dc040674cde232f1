"""Keeps a bridge connected to an MQTT broker, across outages of the broker and the network.

    connection = MqttConnection(PahoBroker(Address("localhost", 1883), client_id="eshet-home"))
    connection.subscribe("zigbee2mqtt/+", on_state)
    connection.subscribe("zigbee2mqtt/+/action", on_action, events=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(connection.run())
        await connection.publish("zigbee2mqtt/lamp/set", b'{"state": "ON"}')

After an outage all filters are subscribed again, and the broker sends unacknowledged messages again
if it has kept the session. A command is never sent late: it fails after `COMMAND_TIMEOUT` seconds.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    Broker,
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    NotConnected,
)
from eshet.bridges.mqtt.filters import check_filter, check_topic
from eshet.bridges.mqtt.inbox import MAX_EVENTS
from eshet.bridges.mqtt.outbox import COMMAND_TIMEOUT, Outbox
from eshet.bridges.mqtt.receiver import (
    MAX_PAYLOAD,
    MAX_WAITING_BYTES,
    Handler,
    Receiver,
    Subscription,
)
from eshet.callables import not_callable
from eshet.client.connection_manager import Backoff, backoff
from eshet.text import safe_str

__all__ = ["MqttConnection"]

_F = TypeVar("_F", bound=Callable[..., Any])

_SOON: Final = 2.0
"""A connection that is lost within this time, in seconds, was probably ended by a duplicate id.

Mosquitto 2.0 ends it without a reason; most clients reconnect after at most a second.
"""

_SOON_NAMED: Final = 2
"""After this number of such connections in a row, the duplicate id is logged."""

_SOON_AVOIDED: Final = 3
"""After this number of them in a row, the delays become long."""

_REPLY_TIMEOUT: Final = 30.0
"""Seconds within which the broker must confirm subscriptions."""

_END_TIMEOUT: Final = 1.0
"""Maximum time to publish the will at the end, in seconds."""

_FILTERS_AT_ONCE: Final = 100
_FILTER_BYTES: Final = 32 * 1024
"""Maximum number of filters in one packet, and about of their bytes; brokers limit packets."""


class _Delays:
    """The delays between connections.

    They are those of an ESHET client, unless another client uses the same id: then each ends the
    connection of the other. So the delays become much longer, and the other client stays connected
    for most of the time.
    """

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._long = _long_delays()
        self._soon = 0
        self._is_conflict = False

    def next_delay(self) -> float:
        """Return the time to wait before the next attempt, in seconds."""
        delay = self._backoff.next_delay()
        if not self._is_conflict:
            return delay
        self._is_conflict = False
        return next(self._long)

    def lost(self, loss: Loss, lasted: float) -> bool:
        """Record the end of a connection.

        Args:
            loss: why it has ended.
            lasted: its length in seconds.

        Returns:
            Whether another client seems to use the same id.
        """
        self._backoff.lasted(lasted)
        if lasted > _SOON:
            self._soon = 0
            if not loss.is_taken_over:
                self._long = _long_delays()
        else:
            self._soon += 1
        self._is_conflict = loss.is_taken_over or self._soon >= _SOON_AVOIDED
        return loss.is_taken_over or self._soon >= _SOON_NAMED


def _long_delays() -> Iterator[float]:
    delays = backoff(start=30.0, end=600.0)
    next(delays)  # 0
    return delays


class MqttConnection:
    """A connection to an MQTT broker that is made again when it is lost.

    All methods must be called in the event loop in which `run` runs.

    Args:
        broker: to connect to; used by this object only.
        will: published when the connection is lost, by the broker, and when `run` ends.
        logger: for outages, refused subscriptions, dropped messages and errors of handlers.
        max_events: the maximum number of waiting messages of a subscription with `events`.
        max_waiting_bytes: the maximum size of all waiting messages.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        will: Message | None = None,
        logger: logging.Logger = logging.getLogger("eshet.bridges.mqtt"),  # noqa: B008 - a singleton
        max_events: int = MAX_EVENTS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._broker = broker
        self._will = will
        self._log = logger
        self._max_events = max_events
        self._receiver = Receiver(
            str(broker),
            broker.acknowledge,
            lambda: broker.max_unacknowledged,
            logger,
            max_waiting_bytes,
        )
        self._filters: dict[str, list[Subscription]] = {}
        self._to_subscribe: dict[str, None] = {}
        self._to_unsubscribe: dict[str, None] = {}
        self._at_broker: set[str] = set()
        self._refused: set[str] = set()  # filters with a logged refusal
        self._updating: asyncio.Task[None] | None = None
        self._has_session = False  # there was a connection, so the broker may have a session
        self._is_connected = False
        self._problem = "not connected yet"
        self._outage_reported = False
        self._refusal_reported = False
        self._is_conflict = False  # the last connection was ended by a client with the same id
        self._on_connected: dict[object, Callable[[], object]] = {}
        self._on_lost: dict[object, Callable[[str], object]] = {}
        self._outbox = Outbox(broker, lambda: self._problem)
        self._reconnects = 0

    def __str__(self) -> str:
        return str(self._broker)

    @property
    def client_id(self) -> str:
        """The id by which the broker identifies this client."""
        return self._broker.client_id

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and all filters are subscribed."""
        return self._is_connected

    @property
    def problem(self) -> str:
        """Why the connection is missing; empty while connected."""
        return "" if self.connected else self._problem

    @property
    def received(self) -> int:
        """The number of received messages."""
        return self._receiver.received

    @property
    def dropped(self) -> int:
        """The number of received messages that were dropped: too many, too large, or not valid."""
        return self._receiver.dropped

    @property
    def failed(self) -> int:
        """The number of failed calls of handlers."""
        return self._receiver.failed

    @property
    def acknowledged_early(self) -> int:
        """The number of messages that were acknowledged before they were handled.

        That happens when more messages wait than the broker allows to be unacknowledged.
        """
        return self._receiver.acknowledged_early

    @property
    def reconnects(self) -> int:
        """The number of connections after the first one."""
        return self._reconnects

    def on_connected(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call a function after each connection, when all filters are subscribed.

        Returns:
            A function that undoes this.
        """
        return _add(self._on_connected, callback)

    def on_lost(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call a function with the reason when a connection ends, also by the end of `run`.

        Returns:
            A function that undoes this.
        """
        return _add(self._on_lost, callback)

    def subscribe(
        self,
        pattern: str,
        handle: Handler,
        *,
        events: bool = False,
        max_payload: int = MAX_PAYLOAD,
    ) -> Subscription:
        """Handle the messages with topics that match a filter, now or from the next connection on.

        The broker sends the retained messages first. A handler is called for one message at a time;
        if it returns an awaitable, that is awaited before the next one. Of messages that wait in
        the meantime, only the last one of each topic is handled, unless `events` is set.

        Args:
            pattern: a filter of topics, such as `zigbee2mqtt/+`.
            handle: called with each message, in the context of this call. Its errors are logged.
            events: whether each message is handled, in order. At most `max_events` wait; beyond
                that the oldest is dropped.
            max_payload: larger payloads are dropped; in bytes.

        Raises:
            TypeError: the handler can't be called.
            ValueError: the filter is not valid.
        """
        check_filter(pattern)
        if not callable(handle):
            raise not_callable(handle, f"the handler of {pattern}", TypeError)
        subscription = Subscription(
            pattern,
            handle,
            events=events,
            max_events=self._max_events,
            max_payload=max_payload,
            on_cancel=self._on_cancel,
        )
        self._receiver.add(subscription)
        self._filters.setdefault(pattern, []).append(subscription)
        self._to_unsubscribe.pop(pattern, None)
        self._to_subscribe[pattern] = None
        self._update_soon()
        return subscription

    def publish(
        self, topic: str, payload: bytes, *, retained: bool = False, qos: int = AT_LEAST_ONCE
    ) -> Awaitable[None]:
        """Publish a message; the result is done when the broker has acknowledged it.

        Without a connection this waits for the next one. The message is sent when all filters that
        were subscribed before are in effect. With QoS 0, the result is done when the operating
        system has accepted the message.

        Args:
            topic: without wildcards.
            payload: the content.
            retained: whether the broker stores it for later subscribers. Commands must not be
                retained: a device would execute them again whenever it connects.
            qos: `AT_LEAST_ONCE` or `AT_MOST_ONCE`.

        Raises:
            BrokerRefused: the broker refused the message.
            CommandExpired: the message was not acknowledged within `COMMAND_TIMEOUT` seconds.
            ConnectionLost: the connection was lost before that; the broker may have received it.
            ValueError: the topic is not valid.
        """
        check_topic(topic)
        expires = 0 if retained else int(COMMAND_TIMEOUT)
        message = Message(topic, payload, retained, qos, expires=expires)
        return self._outbox.put(message)

    async def run(self) -> None:
        """Stay connected until this is cancelled, and disconnect then; to be called once."""
        delays = _Delays()
        try:
            while True:
                await asyncio.sleep(delays.next_delay())
                await self._connect_once(delays)
        finally:
            await self._end()

    async def _connect_once(self, delays: _Delays) -> None:
        """Connect, and return when the connection was lost or could not be made."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[Loss] = loop.create_future()

        def on_lost(loss: Loss) -> None:
            self._set_lost(f"the connection was lost: {loss.reason}")
            if not lost.done():
                lost.set_result(loss)

        try:
            resumed = await self._broker.connect(
                self._on_message, on_lost, self._will, resume=self._has_session
            )
        except BrokerError as error:
            self._problem = f"can't connect: {safe_str(error)}"
            self._log_outage(self._problem, is_refused=isinstance(error, BrokerRefused))
            return
        since = loop.time()
        self._outbox.heard()
        self._reconnects += self._has_session
        self._has_session = True
        self._prepare(resumed=resumed)
        if await self._update():
            self._set_connected()
        loss = await asyncio.shield(lost)
        is_conflict = delays.lost(loss, loop.time() - since)
        if not (is_conflict and self._is_conflict):
            self._outage_reported = self._refusal_reported = False
        self._is_conflict = is_conflict
        if is_conflict:
            certainty = "" if loss.is_taken_over else "probably "
            self._log_outage(
                f"another client {certainty}uses the id {self._broker.client_id!r}: {loss.reason}"
            )
        else:
            self._log_outage(f"the connection was lost: {loss.reason}")

    def _prepare(self, *, resumed: bool) -> None:
        """Queue the filters to subscribe after a connection was made."""
        if resumed:
            self._to_unsubscribe = dict.fromkeys(self._at_broker - self._filters.keys())
        else:
            self._receiver.not_resumed()
            self._at_broker.clear()
            self._to_unsubscribe.clear()
        # Also those that the broker has kept: it sends retained messages only when a filter is
        # subscribed.
        self._to_subscribe = dict.fromkeys(self._filters)

    def _update_soon(self) -> None:
        if self.connected and self._updating is None:
            self._outbox.pause()  # the reply to a request must find its subscription
            self._updating = asyncio.create_task(self._update_later())

    async def _update_later(self) -> None:
        try:
            await self._update()
        finally:
            self._updating = None
            if self.connected:
                self._outbox.open()

    async def _update(self) -> bool:
        """Subscribe and unsubscribe pending filters; return False if the connection was lost."""
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT):
                while self._to_unsubscribe or self._to_subscribe:
                    await self._update_some()
        except TimeoutError:
            self._broker.abort(f"no answer to subscriptions within {_REPLY_TIMEOUT:g} s")
            return False
        except (ConnectionLost, NotConnected):
            return False
        return True

    async def _update_some(self) -> None:
        if self._to_unsubscribe:
            filters = _take(self._to_unsubscribe, _FILTERS_AT_ONCE)
            self._at_broker.difference_update(filters)
            await self._broker.unsubscribe(filters)
            return
        filters = _take(self._to_subscribe, _FILTERS_AT_ONCE)
        self._at_broker.update(filters)
        refused = await self._broker.subscribe(filters)
        for pattern, reason in refused.items():
            if pattern not in self._refused:
                self._refused.add(pattern)
                text = "%s: the broker refused the subscription of %s: %s"
                self._log.error(text, self._broker, pattern, reason)

    def _on_cancel(self, subscription: Subscription) -> None:
        self._receiver.remove(subscription)
        pattern = subscription.filter
        self._filters[pattern].remove(subscription)
        if self._filters[pattern]:
            return
        del self._filters[pattern]
        self._to_subscribe.pop(pattern, None)
        if pattern in self._at_broker:
            self._to_unsubscribe[pattern] = None
            self._update_soon()

    def _on_message(self, message: Message) -> None:
        self._outbox.heard()
        self._receiver.receive(message)

    def _set_connected(self) -> None:
        self._is_connected = True
        self._outbox.open()
        self._log.log(
            logging.DEBUG if self._is_conflict else logging.INFO, "connected to %s", self._broker
        )
        for callback in list(self._on_connected.values()):
            self._call(callback)

    def _set_lost(self, problem: str) -> None:
        """Change to the state without a connection, in the step in which it was lost."""
        self._receiver.disconnected()
        self._outbox.pause()
        self._problem = problem
        if self._updating is not None:
            self._updating.cancel()
        if not self.connected:
            return
        self._is_connected = False
        for callback in list(self._on_lost.values()):
            self._call(callback, problem)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except Exception as error:
            self._log.error(
                "%s: a callback failed: %s", self._broker, safe_str(error), exc_info=error
            )

    def _log_outage(self, problem: str, *, is_refused: bool = False) -> None:
        """Log an outage: its first problem as a warning, later ones at debug level.

        A refusal by the broker is logged as a warning even if the outage was logged before.
        """
        was_reported = self._refusal_reported if is_refused else self._outage_reported
        self._outage_reported = True
        self._refusal_reported |= is_refused
        level = logging.DEBUG if was_reported else logging.WARNING
        self._log.log(level, "%s: %s", self._broker, problem)

    async def _end(self) -> None:
        was_connected = self.connected
        self._set_lost("this connection was closed")
        self._outbox.drop_waiting()
        if was_connected and self._will is not None:
            # The broker does not publish the will after a clean end.
            self._outbox.open()
            with contextlib.suppress(BrokerError, TimeoutError):
                async with asyncio.timeout(_END_TIMEOUT):
                    await self._outbox.put(self._will)
        self._outbox.close()
        await self._broker.close()
        await self._receiver.close()


def _add(callbacks: dict[object, _F], callback: _F) -> Callable[[], None]:
    """Add a callback, and return a function that removes it; a second call of it does nothing."""
    key = object()
    callbacks[key] = callback

    def remove() -> None:
        callbacks.pop(key, None)

    return remove


def _take(pending: dict[str, None], most: int) -> list[str]:
    """Remove and return the first of the pending filters."""
    taken: list[str] = []
    size = 0
    for each in itertools.islice(pending, most):
        size += len(each.encode())
        if taken and size > _FILTER_BYTES:
            break
        taken.append(each)
    for each in taken:
        del pending[each]
    return taken
