"""A connection to a cluster of NATS servers, which is made again when it is lost."""

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as RawSubscription
from nats.nuid import NUID

from eshet.address import Address
from eshet.exceptions import Interrupted
from eshet.nats.address import NatsAddress
from eshet.nats.exceptions import NoAnswer, NotConnected
from eshet.nats.session import Session, Target, error_text

__all__ = ["NatsConnection", "NatsMessage", "OnMessage", "Subscription"]

RETRY_DELAY: Final = 0.25
"""The longest pause, in seconds, after all servers were tried."""

REQUEST_TIMEOUT: Final = 2.0
"""The longest wait for an answer, in seconds, unless the caller passes another."""

_CLOSE_TIMEOUT: Final = 1.0

_SHORT: Final = 1.0
"""A connection that lasts less than this many seconds counts as a failed attempt."""

_NO_RESPONDERS: Final = "503"

_log: Final = logging.getLogger("eshet.nats")


class NatsMessage(NamedTuple):
    """A received message.

    Args:
        subject: to which it was published.
        payload: its content.
        reply: the subject of the answer; empty if none is expected.
        headers: by name. A status of the server is in `Status` and `Description`.
    """

    subject: str
    payload: bytes
    reply: str
    headers: Mapping[str, str]

    @property
    def is_no_responders(self) -> bool:
        """Whether this is the server's answer to a request that nobody has received."""
        return not self.payload and self.headers.get("Status") == _NO_RESPONDERS


OnMessage = Callable[[NatsMessage], object]
"""Processes a message."""


class Subscription:
    """Receives the messages of a subject until `unsubscribe`, across reconnections."""

    __slots__ = ("_connection", "_log", "_on_message", "_raw", "subject")

    def __init__(self, connection: "NatsConnection", subject: str, on_message: OnMessage) -> None:
        self.subject: Final = subject
        self._connection = connection
        self._log = connection.log
        self._on_message: OnMessage | None = on_message
        self._raw: RawSubscription | None = None

    def unsubscribe(self) -> None:
        """Receive no more messages, not even those that have arrived; may be called again."""
        if self._on_message is not None:
            self._on_message = None
            self._connection._remove(self, self._raw)

    def _start(self, session: Session) -> None:
        self._raw = session.subscribe(self.subject, self._receive)

    def _receive(self, message: Msg) -> None:
        if self._on_message is None:
            return
        try:
            self._on_message(
                NatsMessage(message.subject, message.data, message.reply, message.headers or {})
            )
        except (Exception, Interrupted):
            self._log.exception("a message to %s could not be processed", self.subject)


class NatsConnection:
    """A connection to one server of a cluster, and to another one when that is lost.

    Args:
        address: of the cluster.
        name: of this client, as the monitoring of the servers shows it.
        log: for the events of the connection.
    """

    def __init__(self, address: NatsAddress, *, name: str, log: logging.Logger = _log) -> None:
        self.address: Final = address
        self.log: Final = log
        self.on_lost: Callable[[str], object] = _ignore
        """Called with the reason when the connection was lost; requests have failed already."""
        self.on_restored: Callable[[], object] = _ignore
        """Called when there is a connection again; subscriptions are in force."""
        self._name: Final = name
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self.connected_since: float = 0.0
        """The loop's time at which the present, or the last, connection was made."""
        self.is_closed: bool = False
        """Whether `close` was called; it can't be opened again."""
        self._subscriptions: Final[dict[Subscription, None]] = {}
        self._restored: Final[dict[Callable[[], object], None]] = {}
        self._inbox: Final = f"_INBOX.{NUID().next().decode()}"
        self._numbers: Final = itertools.count()
        self._answers: Final[dict[str, asyncio.Future[NatsMessage]]] = {}
        self._logged: Final[set[str]] = set()

    # --- opening and closing ------------------------------------------------------------------

    async def open(self) -> None:
        """Connect to one of the servers of the address, and stay connected until `close`.

        Raises:
            OSError: that is not possible; each server was tried once.
        """
        session, reasons = await self._connect_any(map(Target, self.address.servers))
        if session is None:
            raise OSError(_joined(reasons))
        self._session = session
        self.connected_since = asyncio.get_running_loop().time()
        self.subscribe(f"{self._inbox}.answer.*", self._on_answer)
        self._task = asyncio.create_task(self._stay_connected(session), name="NATS connection")

    async def close(self) -> None:
        """Send what was published, and end the connection; may be called again."""
        task, self._task = self._task, None
        if task is None:
            return
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.flush()
        self.is_closed = True
        task.cancel()
        await asyncio.wait([task])
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._fail_requests("the connection to NATS was closed")
        self._subscriptions.clear()
        self._restored.clear()

    @property
    def is_connected(self) -> bool:
        """Whether messages can be published now."""
        return self._session is not None and self._session.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes of a message, with its headers; as the connected server says.

        Raises:
            NotConnected: there is no connection.
        """
        return self._connected().max_payload

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The version of nats-server of the connected server.

        Raises:
            NotConnected: there is no connection.
        """
        return self._connected().server_version

    def log_once(self, level: int, text: str) -> None:
        """Log a text, unless this connection has logged it already."""
        if text not in self._logged:
            self._logged.add(text)
            self.log.log(level, "%s: %s", self.address, text)

    def notify_restored(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call the callback, before `on_restored`, when there is a connection again.

        Returns:
            A function that ends this.
        """
        self._restored[callback] = None

        def end() -> None:
            self._restored.pop(callback, None)

        return end

    # --- messages -----------------------------------------------------------------------------

    def publish(
        self,
        subject: str,
        payload: bytes,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Publish a message: it is sent at once, or when the connection breaks, never.

        Args:
            subject: without wildcards.
            payload: content.
            reply: the subject of the answer.
            headers: by name.

        Raises:
            NotConnected: there is no connection, or the server does not read: nothing was sent.
            MessageTooLong: the server accepts no message of this length.
        """
        self._connected().publish(subject, payload, reply, headers)

    def subscribe(self, subject: str, on_message: OnMessage) -> Subscription:
        """Receive the messages of a subject, except those published by this connection.

        While there is no connection, messages are lost.

        Args:
            subject: may contain the wildcards `*` and `>`.
            on_message: called in the event loop with each message, in the order of arrival, also
                among subscriptions. Its errors are logged.
        """
        subscription = Subscription(self, subject, on_message)
        self._subscriptions[subscription] = None
        if self._session is not None and self._session.is_connected:
            subscription._start(self._session)
        return subscription

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109 - cheaper than asyncio.timeout
    ) -> NatsMessage:
        """Publish a request, and return the answer, which may be that there are no responders.

        Args:
            subject: without wildcards.
            payload: content.
            headers: by name.
            timeout: the longest wait for the answer, in seconds.

        Raises:
            NotConnected: there is no connection, or it was lost before the answer arrived.
            NoAnswer: there was no answer in time.
            MessageTooLong: the server accepts no message of this length.
        """
        inbox = f"{self._inbox}.answer.{next(self._numbers)}"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[NatsMessage] = loop.create_future()
        self._answers[inbox] = answer
        timer = loop.call_later(timeout, _expire, answer, subject, timeout)
        try:
            self.publish(subject, payload, inbox, headers)
            return await answer
        finally:
            timer.cancel()
            del self._answers[inbox]

    def new_inbox(self) -> str:
        """Return a subject that no other client uses."""
        return f"{self._inbox}.{next(self._numbers)}"

    async def flush(self) -> None:
        """Return when the server has received everything that was published or subscribed to.

        Raises:
            NotConnected: there is no connection, or it was lost.
            NoAnswer: the server does not answer.
        """
        # The server answers at once that nobody has subscribed to this. A flush of nats-py that is
        # cancelled ends its reader when the answer arrives.
        await self.request(self._inbox, b"")

    def _connected(self) -> Session:
        session = self._session
        if session is None or not session.is_connected:
            raise NotConnected
        return session

    def _remove(self, subscription: Subscription, raw: RawSubscription | None) -> None:
        self._subscriptions.pop(subscription, None)
        if raw is not None and self._session is not None and self._session.is_connected:
            self._session.unsubscribe(raw)

    def _on_answer(self, message: NatsMessage) -> None:
        answer = self._answers.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _fail_requests(self, reason: str) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NotConnected(reason))

    # --- staying connected --------------------------------------------------------------------

    async def _stay_connected(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connected_at = loop.time()
            reason = await session.wait_lost()
            self._session = None
            self._fail_requests(f"the connection to NATS was lost: {reason}")
            self.log.warning("%s: the connection was lost: %s", self.address, reason)
            self._call(self.on_lost, reason)
            if loop.time() - connected_at < _SHORT:
                await asyncio.sleep(_retry_delay())
            self._session = session = await self._reconnect(session)
            if self.is_closed:
                return
            self.connected_since = loop.time()
            for subscription in self._subscriptions:
                subscription._start(session)
            self.log.info("%s: connected again, to %s", self.address, session.target.server)
            for callback in list(self._restored):
                self._call(callback)
            self._call(self.on_restored)

    async def _reconnect(self, lost: Session) -> Session:
        """Connect to any server, in the end."""
        logged: set[str] = set()
        targets = {target.server: target for target in lost.discovered}
        targets |= {server: Target(server) for server in self.address.servers}
        while True:
            shuffled = random.sample(list(targets.values()), len(targets))
            shuffled.sort(key=lambda target: target.server == lost.target.server)
            session, reasons = await self._connect_any(shuffled)
            if session is not None:
                return session
            text = _joined(reasons)
            if text not in logged:
                logged.add(text)
                self.log.warning("%s: can't connect: %s", self.address, text)
            await asyncio.sleep(_retry_delay())

    async def _connect_any(
        self, targets: Iterable[Target]
    ) -> tuple[Session | None, dict[Address, str]]:
        """Connect to the first server that accepts the connection.

        Returns:
            The connection, or None and why no server accepted it.
        """
        reasons = {}
        for target in targets:
            try:
                session = await Session.connect(target, self.address, self._name, self._on_error)
            except Exception as error:
                reasons[target.server] = error_text(error)
            else:
                return session, {}
            # asyncio.wait_for of Python 3.11, in nats-py, may drop a cancellation.
            if self.is_closed:
                raise asyncio.CancelledError
        return None, reasons

    def _on_error(self, text: str) -> None:
        self.log_once(logging.ERROR, text)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except (Exception, Interrupted):
            self.log.exception("%s: a callback failed", self.address)


def _joined(reasons: Mapping[Address, str]) -> str:
    if len(reasons) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{server}: {reason}" for server, reason in reasons.items())


def _retry_delay() -> float:
    """Return a delay in seconds, different for each client of a server that was restarted."""
    return random.uniform(RETRY_DELAY / 2, RETRY_DELAY)  # noqa: S311 - not cryptographic


def _expire(answer: "asyncio.Future[NatsMessage]", subject: str, timeout: float) -> None:
    if not answer.done():
        answer.set_exception(NoAnswer(subject, f"no answer within {timeout:g} s"))


def _ignore(*_: object) -> None:
    """Does nothing, where the owner sets no callback."""
