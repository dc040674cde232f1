"""A broker in memory, for tests in virtual time, also for those of users of this project.

    broker = MemoryBroker()
    connection = MqttConnection(broker.client("bridge"))
    ...
    broker.publish("zigbee2mqtt/lamp", b'{"state": "ON"}')
    await asyncio.sleep(0)
    assert broker.retained["eshet/bridge/state"] == b"online"

It has retained messages, wildcards, wills, sessions and acknowledgements. Operations take
no time, and happen in the same order in each run.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    NotConnected,
    OnDone,
    OnLost,
    OnMessage,
)
from eshet.bridges.mqtt.filters import check_filter, check_topic, matches

__all__ = ["MemoryBroker", "MemoryClient"]

SESSION_EXPIRY: Final = 30.0
"""Seconds for which the session of a lost connection is kept."""


@dataclass
class _Session:
    """The session of a client, which continues while the client is not connected.

    Args:
        filters: that the client has subscribed.
        unacknowledged: the messages that were sent to the client, by number.
        waiting: the messages to send when the client reconnects, each with its deadline.
        ends_at: the loop's time at which the session ends; None while the client is connected.
    """

    filters: dict[str, None] = field(default_factory=dict)
    unacknowledged: dict[int, Message] = field(default_factory=dict)
    waiting: deque[tuple[Message, float | None]] = field(default_factory=deque)
    ends_at: float | None = None
    last_number: int = 0
    # Bridges subscribe thousands of topics, so only filters with wildcards are tried in turn.
    wildcards: dict[str, None] = field(default_factory=dict)

    def subscribe(self, filters: Sequence[str]) -> None:
        """Add filters."""
        self.filters.update(dict.fromkeys(filters))
        self.wildcards.update(dict.fromkeys(filter(_has_wildcard, filters)))

    def unsubscribe(self, pattern: str) -> None:
        """Remove a filter, if the client has subscribed it."""
        self.filters.pop(pattern, None)
        self.wildcards.pop(pattern, None)

    def matches(self, topic: str) -> bool:
        """Whether the client has subscribed this topic."""
        return topic in self.filters or any(matches(each, topic) for each in self.wildcards)


def _has_wildcard(pattern: str) -> bool:
    return "+" in pattern or "#" in pattern


class MemoryBroker:
    """A running broker that tests can stop, pause, or make refuse clients."""

    def __init__(self) -> None:
        self.retained: Final[dict[str, bytes]] = {}
        """The retained payloads, by topic."""
        self.published: Final[list[Message]] = []
        """All messages that clients or `publish` have published, in order."""
        self.refusal: str | None = None
        """The reason for refusing connections, such as a wrong password; None to accept them."""
        self.refused_filters: Final[set[str]] = set()
        """The filters that the broker refuses to subscribe."""
        self._sessions: dict[str, _Session] = {}
        self._links: dict[str, _Link] = {}
        self._is_running = True
        self._paused: deque[tuple[_Link | None, Callable[[], None]]] | None = None

    @property
    def clients(self) -> list[str]:
        """The ids of the clients that are connected."""
        return list(self._links)

    def client(self, client_id: str, *, max_unacknowledged: int = 60_000) -> "MemoryClient":
        """Return a client of this broker.

        Args:
            client_id: two clients with the same id disconnect each other.
            max_unacknowledged: see `Broker.max_unacknowledged`.
        """
        return MemoryClient(self, client_id, max_unacknowledged)

    def subscriptions(self, client_id: str) -> list[str]:
        """Return the filters that a client has subscribed."""
        session = self._sessions.get(client_id)
        return [] if session is None else list(session.filters)

    def unacknowledged(self, client_id: str) -> list[Message]:
        """Return the messages that a client has received and not acknowledged."""
        session = self._sessions.get(client_id)
        return [] if session is None else list(session.unacknowledged.values())

    def publish(
        self, topic: str, payload: bytes, *, retained: bool = False, qos: int = AT_LEAST_ONCE
    ) -> None:
        """Publish a message as a client of its own, such as a device.

        Args:
            topic: not checked, so that tests can publish to topics that are not valid.
            payload: the content.
            retained: whether to store the message; an empty payload removes the stored one.
            qos: `AT_LEAST_ONCE` or `AT_MOST_ONCE`.
        """
        message = Message(topic, payload, retained, qos)
        self._do(None, lambda: self._route(message))

    def stop(self, reason: str = "the broker was stopped", *, forget: bool = False) -> None:
        """Stop the broker: all connections are lost, and no new ones can be made.

        Args:
            reason: why connections are lost.
            forget: whether the broker also loses retained messages and sessions, as one without
                persistence does.
        """
        self._is_running = False
        self._paused = None
        for link in list(self._links.values()):
            self._disconnect(link, Loss(reason))
        if forget:
            self.retained.clear()
            self._sessions.clear()

    def start(self) -> None:
        """Start the broker again after `stop`."""
        self._is_running = True

    def pause(self) -> None:
        """Queue all requests until `proceed`, as a busy broker does; connections stay open."""
        if self._paused is None:
            self._paused = deque()

    def proceed(self) -> None:
        """Carry out the requests since `pause`, except those of clients that have disconnected."""
        paused, self._paused = self._paused, None
        for link, action in paused or ():
            if link is None or link.is_open:
                action()

    def cut(self, client_id: str, reason: str = "the connection was cut") -> None:
        """End the connection of one client: its will is published, and its session is kept."""
        self._disconnect(self._links[client_id], Loss(reason), with_will=True)

    def _do(self, link: "_Link | None", action: Callable[[], None]) -> None:
        """Carry out a request of a client, now or after a pause."""
        if self._paused is None:
            action()
        else:
            self._paused.append((link, action))

    def _connect(self, link: "_Link", *, resume: bool) -> bool:
        """Connect a client, and return whether its session is resumed."""
        if not self._is_running:
            raise BrokerError("Connection refused")
        if self.refusal is not None:
            raise BrokerRefused(f"the broker refused the connection: {self.refusal}")
        if (older := self._links.get(link.client_id)) is not None:
            loss = Loss("the broker ended the connection: Session taken over", is_taken_over=True)
            self._disconnect(older, loss, with_will=True)
        session = self._sessions.get(link.client_id)
        is_kept = session is not None and (session.ends_at is None or session.ends_at > _now())
        if session is None or not resume or not is_kept:
            session = self._sessions[link.client_id] = _Session()
        is_resumed = resume and is_kept
        session.ends_at = None
        link.session = session
        self._links[link.client_id] = link
        for number, message in session.unacknowledged.items():
            link.deliver(message._replace(number=number, is_repeated=True))
        while session.waiting:
            message, until = session.waiting.popleft()
            if until is None or until > _now():
                link.send(message)
        return is_resumed

    def _disconnect(
        self, link: "_Link", loss: Loss | None, *, with_will: bool = False, keep: bool = True
    ) -> None:
        if not link.is_open:
            return
        link.is_open = False
        del self._links[link.client_id]
        if keep:
            link.session.ends_at = _now() + SESSION_EXPIRY
        else:
            del self._sessions[link.client_id]
        link.fail()
        if loss is not None:
            link.on_lost(loss)
        if with_will and link.will is not None:
            self._route(link.will)

    def _route(self, message: Message) -> None:
        self.published.append(message)
        if message.retained and message.payload:
            self.retained[message.topic] = message.payload
        elif message.retained:
            self.retained.pop(message.topic, None)
        live = message._replace(retained=False)
        for client_id, session in list(self._sessions.items()):
            if not session.matches(message.topic):
                continue
            if (link := self._links.get(client_id)) is not None:
                link.send(live)
            elif message.qos != AT_MOST_ONCE:
                until = _now() + message.expires if message.expires else None
                session.waiting.append((live, until))

    def _subscribe(self, link: "_Link", filters: Sequence[str]) -> dict[str, str]:
        accepted = [each for each in filters if each not in self.refused_filters]
        link.session.subscribe(accepted)
        for pattern in accepted:
            topics = list(self.retained) if _has_wildcard(pattern) else [pattern]
            for topic in topics:
                if topic in self.retained and matches(pattern, topic):
                    payload = self.retained[topic]
                    link.send(Message(topic, payload, retained=True, qos=AT_LEAST_ONCE))
        return {each: "Not authorized" for each in filters if each in self.refused_filters}


class _Link:
    """One connection of a client.

    Args:
        client_id: of the client.
        on_message: see `OnMessage`.
        on_lost: see `OnLost`.
        will: see `Broker.connect`.
    """

    def __init__(
        self, client_id: str, on_message: OnMessage, on_lost: OnLost, will: Message | None
    ) -> None:
        self.client_id = client_id
        self.on_lost = on_lost
        self.will = will
        self.session = _Session()  # until it is connected
        self.is_open = True
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._replies: set[asyncio.Future[None]] = set()

    def send(self, message: Message) -> None:
        """Send a message to the client for the first time."""
        if message.qos != AT_MOST_ONCE:
            self.session.last_number += 1
            message = message._replace(qos=AT_LEAST_ONCE, number=self.session.last_number)
            self.session.unacknowledged[message.number] = message
        self.deliver(message)

    def deliver(self, message: Message) -> None:
        """Pass a message to the client, in the next step of the loop."""
        self._loop.call_soon(self._deliver, message._replace(expires=0))

    def _deliver(self, message: Message) -> None:
        if self.is_open:
            self._on_message(message)

    def reply(self) -> asyncio.Future[None]:
        """Return a future for the reply of the broker, which fails if the connection is lost."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._replies.add(future)
        future.add_done_callback(self._replies.discard)
        return future

    def reply_soon(self, reply: asyncio.Future[None]) -> None:
        """Complete such a future, after the messages that were sent before."""
        self._loop.call_soon(_complete, reply)

    def fail(self) -> None:
        """Fail all requests that wait for replies."""
        for future in list(self._replies):
            if not future.done():
                future.set_exception(ConnectionLost("the connection ended"))
                future.exception()  # retrieved: its caller may be cancelled in the same step


class MemoryClient:
    """The `Broker` of one client of a broker in memory; made by `MemoryBroker.client`.

    Args:
        broker: to connect to.
        client_id: of the client.
        max_unacknowledged: see `Broker.max_unacknowledged`.
    """

    def __init__(self, broker: MemoryBroker, client_id: str, max_unacknowledged: int) -> None:
        self._broker = broker
        self._client_id = client_id
        self._max_unacknowledged = max_unacknowledged
        self._link: _Link | None = None

    def __str__(self) -> str:
        return "mqtt://memory"

    @property
    def client_id(self) -> str:
        """See `Broker.client_id`."""
        return self._client_id

    @property
    def max_unacknowledged(self) -> int:
        """See `Broker.max_unacknowledged`."""
        return self._max_unacknowledged

    async def connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> bool:
        """See `Broker.connect`."""
        await asyncio.sleep(0)  # as with a real broker, other tasks run meanwhile
        link = _Link(self._client_id, on_message, on_lost, will)
        resumed = self._broker._connect(link, resume=resume)
        self._link = link
        return resumed

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """See `Broker.subscribe`."""
        for each in filters:
            check_filter(each)
        link, refused = self._get(), {}

        def subscribe() -> None:
            refused.update(self._broker._subscribe(link, filters))

        await self._request(subscribe)
        return refused

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Broker.unsubscribe`."""
        link = self._get()

        def unsubscribe() -> None:
            for each in filters:
                link.session.unsubscribe(each)

        await self._request(unsubscribe)

    def publish(self, message: Message, on_done: OnDone) -> bool:
        """See `Broker.publish`."""
        check_topic(message.topic)
        link = self._link
        if link is None or not link.is_open:
            return False
        if message.qos == AT_MOST_ONCE:
            self._broker._do(link, lambda: self._broker._route(message))
            on_done(None)
        else:
            acknowledged = self._ask(link, lambda: self._broker._route(message))
            acknowledged.add_done_callback(lambda done: on_done(_error_of(done)))
        return True

    def acknowledge(self, message: Message) -> None:
        """See `Broker.acknowledge`.

        Raises:
            ValueError: an older message was not acknowledged yet, or this one was already.
        """
        if message.qos == AT_MOST_ONCE or self._link is None or not self._link.is_open:
            return
        waiting = self._link.session.unacknowledged
        if next(iter(waiting), None) != message.number:
            raise ValueError(
                f"message {message.number} was acknowledged out of order: {list(waiting)[:10]} wait"
            )
        del waiting[message.number]

    async def close(self) -> None:
        """See `Broker.close`."""
        link, self._link = self._link, None
        if link is not None:
            self._broker._disconnect(link, None, keep=False)

    def abort(self, reason: str) -> None:
        """See `Broker.abort`."""
        if self._link is not None:
            self._broker._disconnect(self._link, Loss(reason), with_will=True)

    def _get(self) -> _Link:
        if self._link is None or not self._link.is_open:
            raise NotConnected("not connected")
        return self._link

    async def _request(self, action: Callable[[], None]) -> None:
        """Send a request to the broker, and wait for its reply."""
        await self._ask(self._get(), action)

    def _ask(self, link: _Link, action: Callable[[], None]) -> asyncio.Future[None]:
        """Send a request to the broker, and return a future of its reply."""
        reply = link.reply()

        def act() -> None:
            action()
            link.reply_soon(reply)

        self._broker._do(link, act)
        return reply


def _error_of(done: asyncio.Future[None]) -> Exception | None:
    error = done.exception()
    return error if isinstance(error, Exception) else None


def _complete(reply: asyncio.Future[None]) -> None:
    if not reply.done():
        reply.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
