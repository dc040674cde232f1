"""Keeps a client connected: one session after the other, restoring all registrations in each.

A server may end the connection because of one request, such as a value beyond its limits. So if a
connection ends while registrations are being restored, the next one restores them one by one. A
value that was being sent when two connections ended is not sent again: otherwise the client would
connect and lose the connection forever.
"""

import asyncio
import contextlib
import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from eshet import codec, messages
from eshet.client.receiver import MAX_WAITING_BYTES, Receiver
from eshet.client.registrations import RegistrationTable, Restore
from eshet.client.session import (
    REPLIES,
    Accept,
    ClientSession,
    Handler,
    Request,
    describe,
)
from eshet.connection import CLOSED_BY_PEER, ClosableConnector, Connector
from eshet.exceptions import Disconnected, ErrorValue, EshetError, PathTaken, WrongLoop
from eshet.interpreter import running_loop
from eshet.protocol import MAX_PAYLOAD, TimeoutConfig
from eshet.scope import use_scope
from eshet.text import safe_str

__all__ = ["Backoff", "ConnectionManager", "Restorer", "backoff"]

_SOON: Final = 1.0
"""A connection that ends within this time, in seconds, counts as a failed attempt."""


class Backoff:
    """The delays between the connection attempts of one client.

    They start again from 0 after a connection that lasted. A connection that ends soon after it is
    made, as when two clients with the same id replace each other, counts as a failed attempt.
    """

    def __init__(self) -> None:
        self._delays = backoff()
        self._last = 0.0

    def next_delay(self) -> float:
        """Return the time to wait before the next attempt, in seconds."""
        self._last = next(self._delays)
        return self._last

    def lasted(self, seconds: float) -> None:
        """Record how long the last connection lasted."""
        if seconds > _SOON + 2 * self._last:
            self._delays = backoff()


def backoff(
    start: float = 0.25, end: float = 5.0, multiplier: float = 2.0, jitter: float = 0.2
) -> Iterator[float]:
    """Yield the delays before successive attempts, without end: first 0, then increasing delays.

    Args:
        start: the first non-zero delay, in seconds.
        end: the longest delay, in seconds.
        multiplier: factor from one delay to the next.
        jitter: the fraction by which each delay is varied at random, so that clients that lost the
            same server do not reconnect all at once.
    """
    yield 0.0
    delay = start
    while True:
        yield delay * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - not a secret
        delay = min(delay * multiplier, end)


_CLIENTS: Final = b"/meta/clients"
_EMPTY_PAGE: Final = codec.pack([0x7FFF_FFFF])  # skips all clients: only `gone` is needed


class Restorer:
    """Restores the registrations of one client.

    Args:
        registrations: of the client.
        log: for registrations that can't be restored.
    """

    def __init__(self, registrations: RegistrationTable, log: logging.Logger) -> None:
        self._registrations = registrations
        self._log = log
        self._one_by_one = False
        self._suspect: Restore | None = None

    async def restore(self, session: ClientSession) -> None:
        """Restore all registrations, or as many as possible until the connection ends."""
        if self._one_by_one:
            await self._restore_one_by_one(session)
        else:
            # Repeated, since more may be registered in the meantime.
            while await self._restore_at_once(session) and not session.lost.done():
                pass
        self._one_by_one = session.lost.done()

    async def retry_taken(self, session: ClientSession) -> None:
        """Register paths that other clients have taken, as soon as they are free."""
        # With its jitter, the longest pause is a minute.
        for pause in itertools.islice(backoff(start=1.0, end=50.0), 1, None):
            taken = [each for each in self._registrations.owned.values() if each.taken]
            if not taken:
                return
            await asyncio.sleep(pause)
            for each in taken:
                each.taken = False
            await self._restore_at_once(session, log_taken=False)

    async def _restore_at_once(self, session: ClientSession, *, log_taken: bool = True) -> bool:
        """Send all requests that are missing, and return whether there were any."""
        requests = list(self._registrations.to_restore())
        replies = [session.ask(*each) for each in requests]
        outcomes = await asyncio.gather(*replies, return_exceptions=True)
        for request, outcome in zip(requests, outcomes, strict=True):
            self._check(request, outcome, log_taken=log_taken)
        return bool(requests)

    async def _restore_one_by_one(self, session: ClientSession) -> None:
        for restore in self._registrations.to_restore():
            outcomes = await asyncio.gather(session.ask(*restore), return_exceptions=True)
            self._check(restore, outcomes[0])
            if session.lost.done():
                self._on_end(restore)
                return
        self._suspect = None

    def _check(self, request: Restore, outcome: object, *, log_taken: bool = True) -> None:
        owned = self._registrations.owned.get(request.path)
        is_taken = owned is not None and owned.taken  # then this is the value of the state
        if isinstance(outcome, PathTaken) and owned is not None and not owned.withdrawn:
            owned.on_server, owned.taken = False, True
            if log_taken:
                self._log.error(
                    "another client has taken %s during the outage: it is registered again when "
                    "the path is free",
                    request.path.decode(),
                )
        elif isinstance(outcome, ErrorValue) and not is_taken:
            self._log.error("not restored after a reconnection: %s", safe_str(outcome))

    def _on_end(self, restore: Restore) -> None:
        """Drop the value of a state if this is the second connection that ended because of it."""
        first, self._suspect = self._suspect, restore
        if restore.code != messages.StateChanged.code or first is None:
            return
        owned = self._registrations.owned.get(restore.path)
        if owned is not None and first[:3] == restore[:3] and owned.value == restore.value:
            owned.value = None
            self._log.error(
                "the state %s is unknown until it changes: the server ended the connection twice "
                "when it was sent the value, of %d bytes",
                restore.path.decode(),
                len(restore.value),
            )

    async def explain(self, session: ClientSession) -> None:
        """Log why the server ended the last connection of this client, if the server knows."""
        with contextlib.suppress(EshetError):
            answer = await session.ask(messages.ActionCall.code, _CLIENTS, _EMPTY_PAGE)
            reason = _reason(answer, session.client_id)
            if reason is not None:
                self._log.warning("why the server ended the last connection: %s", reason)


def _reason(answer: object, client_id: bytes | None) -> str | None:
    """Return why the last connection of a client ended, from the answer of `/meta/clients`."""
    match answer:
        case {"gone": list(gone)}:
            for entry in gone:
                match entry:
                    case [who, str(reason), _] if codec.pack(who) == client_id:
                        return safe_str(reason, 200)
    return None


class ConnectionManager:
    """Connects, sends the hello, restores all registrations, and reconnects when that ends.

    Args:
        server: the server to connect to.
        client_id: packed; None to use the one that the server allocates.
        timeouts: how long each side waits for the other.
        registrations: the registrations to restore.
        handlers: handlers of messages that are not replies, by code.
        log: for events of the connection.
        max_waiting_bytes: see `eshet.client.receiver.Receiver`.
        owns_server: whether to close `server` at the end, if it can be closed.
    """

    def __init__(
        self,
        server: Connector,
        client_id: bytes | None,
        timeouts: TimeoutConfig,
        registrations: RegistrationTable,
        handlers: Mapping[int, Handler],
        log: logging.Logger,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        *,
        owns_server: bool = False,
    ) -> None:
        self.server: Final = server
        self._owned = server if owns_server and isinstance(server, ClosableConnector) else None
        self.disconnect_reason: str = "not connected to the server yet"
        """Why the client is not connected, while it is not."""
        self.client_id = client_id
        self._has_own_id = client_id is not None
        self._timeouts = timeouts
        self._registrations = registrations
        self._handlers = {**REPLIES, **handlers}
        self.receiver: Final = Receiver(REPLIES.keys(), max_waiting_bytes, self._log_dropped)
        """Passes the messages of all connections to their handlers."""
        self._log = log
        self._session: ClientSession | None = None
        self._runner: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the one in which it was started
        self.thread: int | None = None
        """The thread of that loop, as of the last check; None if not started."""
        self.loop_is_running: Callable[[], bool] = _is_not_started
        """Whether that loop is running, in any thread."""
        self.reconnected_at: float | None = None
        """The loop's time of the last reconnection; None if there was none."""
        self._closed = False
        self._was_connected = False
        self._closed_by_server = False
        self._restorer = Restorer(registrations, log)
        self._explaining: asyncio.Task[None] | None = None  # ends with its connection
        self._retrying: asyncio.Task[None] | None = None
        self._outage_reported = False  # whether the present outage was reported
        self._awake = asyncio.Event()  # set while connected, and when closed, to end all waits

    @property
    def connected(self) -> bool:
        """Whether there is a connection, with all registrations restored."""
        return self._session is not None and self._session.ready

    @property
    def closed(self) -> bool:
        """Whether it will not connect again."""
        return self._closed

    @property
    def max_payload(self) -> int:
        """The longest message that the server accepts, in bytes."""
        return getattr(self.server, "max_payload", MAX_PAYLOAD)

    def ask(
        self, code: int, path: bytes, value: bytes = b"", accept: Accept | None = None
    ) -> asyncio.Future[Any]:
        """Send a request to the server; see `ClientSession.ask`.

        Raises:
            Disconnected: the client is not connected.
        """
        session = self._session
        if session is None or not session.ready:
            self.start()
            raise Disconnected(describe(code, path), self.disconnect_reason)
        return session.ask(code, path, value, accept)

    def ask_early(self, code: int, path: bytes, value: bytes) -> asyncio.Future[Any] | None:
        """Send a request even while other registrations are still being restored.

        Returns:
            None without a connection.
        """
        return None if self._session is None else self._session.ask(code, path, value)

    @property
    def in_flight(self) -> list[Request]:
        """The requests of the current connection that wait for their replies."""
        return [] if self._session is None else self._session.in_flight

    def start(self) -> None:
        """Start connecting, within the running loop. A second call does nothing."""
        if self._runner is None and not self._closed:
            self._loop = asyncio.get_running_loop()
            self.loop_is_running = self._loop.is_running
            self.thread = threading.get_ident()
            self._runner = self._loop.create_task(self._stay_connected())

    def check_loop(self) -> None:
        """Check that the caller runs in the event loop in which this was started, if it was.

        Raises:
            WrongLoop: it runs in another loop, or in none.
        """
        if self._loop is not None and running_loop() is not self._loop:
            raise WrongLoop
        if self._loop is not None:
            self.thread = threading.get_ident()

    async def wait(self) -> None:
        """Wait until there is a connection.

        Raises:
            Disconnected: this is closed.
        """
        await self._awake.wait()
        if self._closed:
            raise Disconnected("connect", self.disconnect_reason)

    async def reconnect(self, reason: str) -> None:
        """End the connection, and wait for the next one, or until this is closed."""
        if self._session is not None:
            self.disconnect_reason = reason
            self._awake.clear()
            self._session.connection.close(reason)
            await self._awake.wait()

    async def close(self) -> None:
        """End the connection permanently. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.disconnect_reason = "this client is closed"
        self.receiver.close()
        self._awake.set()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        session = self._session
        if session is not None:
            session.connection.close(self.disconnect_reason)
            await asyncio.shield(session.lost)
        if self._owned is not None:
            await self._owned.close()

    async def _stay_connected(self) -> None:
        try:
            await self._connect_repeatedly()
        finally:
            if (observer := self._registrations.observer) is not None:
                observer.closed(str(self.server))

    async def _connect_repeatedly(self) -> None:
        loop = asyncio.get_running_loop()
        tries = Backoff()
        while True:
            await asyncio.sleep(tries.next_delay())
            timeouts = None if getattr(self.server, "is_in_process", False) else self._timeouts
            session = ClientSession(
                self.client_id,
                timeouts,
                self._handlers,
                self.receiver,
                self._on_lost,
                self.max_payload,
            )
            try:
                await self.server.connect(lambda: session.connection)  # noqa: B023 - called now
            except WrongLoop as error:
                self._give_up(str(error))
                return
            except OSError as error:
                self._log_disconnected("can't connect", str(error))
                continue
            except Exception as error:  # the connector may be user code
                self._log_disconnected(
                    "can't connect", f"{type(error).__name__}: {safe_str(error)}"
                )
                continue
            since = loop.time()
            if not session.lost.done():
                self._session = session
                await self._restore(session)
            self.retry_taken()
            reason = await asyncio.shield(session.lost)
            tries.lasted(loop.time() - since)
            self._log_disconnected("connection ended", reason)

    def retry_taken(self) -> None:
        """Register paths that other clients have taken, as soon as they are free."""
        if self._session is not None and (self._retrying is None or self._retrying.done()):
            with use_scope(None):  # it outlives the rule that calls this
                self._retrying = asyncio.create_task(self._restorer.retry_taken(self._session))

    def _give_up(self, reason: str) -> None:
        """Stop connecting, as no attempt can succeed."""
        self._log_disconnected("can't connect", reason)
        self._closed = True
        self.disconnect_reason = reason
        self._awake.set()

    def _log_disconnected(self, what: str, reason: str) -> None:
        """Log that the client is not connected: once per outage, then at debug level."""
        was_reported, self._outage_reported = self._outage_reported, True
        observer = self._registrations.observer
        if observer is None:
            level = logging.DEBUG if was_reported else logging.WARNING
            self._log.log(level, "%s: %s: %s", self.server, what, reason)
        elif not was_reported:
            observer.disconnected(str(self.server), f"{what}: {reason}")

    async def _restore(self, session: ClientSession) -> None:
        """Wait for the hello, then restore all registrations, unless the connection ends."""
        await asyncio.shield(session.greeted)
        if session.lost.done():
            return
        self.client_id = session.client_id
        await self._restorer.restore(session)
        if not session.lost.done():
            session.ready = True
            self._outage_reported = False
            self._awake.set()
            if (observer := self._registrations.observer) is not None:
                observer.connected(str(self.server), again=self._was_connected)
            else:
                self._log.info("connected to %s", self.server)
            if self._was_connected and self._has_own_id and self._closed_by_server:
                self._explaining = asyncio.create_task(self._restorer.explain(session))
            if self._was_connected:
                self.reconnected_at = asyncio.get_running_loop().time()
            self._was_connected = True

    def _log_dropped(self, count: int) -> None:
        if (observer := self._registrations.observer) is not None:
            observer.dropped(count)
        else:
            text = "%d events were dropped, the oldest that waited: callbacks are too slow for them"
            self._log.error(text, count)

    def _on_lost(self, reason: str) -> None:
        self._session = None
        if self._retrying is not None:  # at once: it would mark registrations as on the server
            self._retrying.cancel()
        self._closed_by_server = reason == CLOSED_BY_PEER
        if not self._closed:
            self.disconnect_reason = f"the connection to the server ended: {reason}"
            self._awake.clear()
            self._registrations.disconnected()


def _is_not_started() -> bool:
    return False
