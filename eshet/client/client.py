"""The asyncio client: one connection to a server, which comes back by itself."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from eshet import codec, messages, paths
from eshet.client.address import Address
from eshet.client.callbacks import Callback, Tasks
from eshet.client.dispatch import Dispatcher
from eshet.client.reconnect import Backoff
from eshet.client.registrations import Owned, Registrations
from eshet.client.session import Accept, Session, describe
from eshet.connection import Connector
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong, UnsupportedValue
from eshet.messages import Message, Reply, WithId, WithPath
from eshet.protocol import TimeoutConfig
from eshet.protocol.framing import frame
from eshet.scope import current_scope
from eshet.unknown import Unknown

__all__ = ["Client", "StateWrapper"]

_RESTORED_AT_ONCE: Final = 10_000
"""How many registrations wait for their replies at once when a connection comes back."""


@dataclass(frozen=True)
class StateWrapper:
    """A registered state, which just stores a client and a path."""

    client: "Client"
    path: str

    async def changed(self, value: Any) -> None:
        """Update the value of the state; equivalent to `Client.state_changed`."""
        await self.client.state_changed(self.path, value)

    async def unknown(self) -> None:
        """Update the value of the state; equivalent to `Client.state_unknown`."""
        await self.client.state_unknown(self.path)


class Client:
    """A client of an ESHET server.

    It connects in the background as soon as it is used within a running event loop, and comes back
    by itself when the connection ends: at once, then after ever longer delays of up to 30 s. All
    registrations, the values of its states and its observations are restored before `connected`
    is true again. Use it with `async with`, or `close` it.

    Errors raised by all requests: `Disconnected` if there is no connection or it ends before the
    answer comes; `ErrorValue` if the server, or the owner of the node, answers with an error;
    `InvalidPath`, `UnsupportedValue` and `MessageTooLong` if the request can't be made. Cancelling
    a request loses its answer; what was asked may still be done.

    Callbacks run in the context in which they were registered. What they raise is reported to the
    scope of that context (see `eshet.scope`), and changes nothing else; a listener or observer
    that was added within a scope ends with it.

    Args:
        base: base path for this client: relative paths passed to other functions will be relative
            to this.
        server: ESHET server to connect to; defaults to the ESHET_SERVER environment variable, or
            localhost. This may also include the port number (in the form host:port), which
            defaults to 11236. A server in this process can be given as it is.
        client_id: msgpack-serialisable ID for this client; will be allocated by the server if not
            provided.
        timeout_cfg: configuration for protocol-level timeouts.
        logger: logger for connection messages.

    Raises:
        InvalidPath: the base is no path.
        ValueError: the server is no address.
        UnsupportedValue: the client id is no value of the wire.
    """

    def __init__(
        self,
        base: str = "/",
        server: str | Connector | None = None,
        client_id: Any = None,
        timeout_cfg: TimeoutConfig = TimeoutConfig(),  # noqa: B008 - frozen
        logger: logging.Logger = logging.getLogger("eshet.client"),  # noqa: B008 - the one of that name
    ) -> None:
        self._base = paths.check_base(base)
        self._server: Connector = _connector(server)
        self._client_id = None if client_id is None else codec.pack(client_id)
        self._timeouts = timeout_cfg
        self._log = logger
        self._registrations: Final = Registrations()
        self._dispatch: Final = Dispatcher(self._registrations)
        self._tasks: Final = Tasks()
        self._session: Session | None = None
        self._runner: asyncio.Task[None] | None = None
        self._why_not = "not connected to the server yet"
        self._closed = False
        self._awake = asyncio.Event()  # while connected, and when closed: nobody waits for ever
        if asyncio._get_running_loop() is not None:
            self._start()

    async def __aenter__(self) -> Self:
        await self.wait_for_connection()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._server}: {'connected' if self.connected else self._why_not}>"

    # --- the connection -----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Are we currently connected?"""
        return self._session is not None and self._session.ready

    def wait_for_connection(self) -> Awaitable[None]:
        """Wait until the connection has been established.

        Raises:
            Disconnected: this client is closed.
        """
        self._start()
        return self._wait_for_connection()

    async def _wait_for_connection(self) -> None:
        await self._awake.wait()
        if self._closed:
            raise Disconnected("connect", self._why_not)

    async def close(self) -> None:
        """End the connection and the tasks of callbacks, for good. A second call does nothing.

        The server drops everything that the client owned, heard and observed.
        """
        if self._closed:
            return
        self._closed = True
        self._why_not = "this client is closed"
        self._awake.set()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        if self._session is not None:
            self._session.connection.close(self._why_not)
            await asyncio.shield(self._session.lost)
        await self._tasks.cancel()

    def _start(self) -> None:
        if self._runner is None and not self._closed:
            self._runner = asyncio.get_running_loop().create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        tries = Backoff()
        while True:
            await asyncio.sleep(tries.next_delay())
            session = Session(self._client_id, self._timeouts, self._dispatch, self._on_lost)
            try:
                await self._server.connect(lambda: session.connection)  # noqa: B023 - called now
            except OSError as error:
                self._log.warning("can't connect to %s: %s", self._server, error)
                continue
            self._session = session
            since = loop.time()
            with contextlib.suppress(Disconnected):
                await self._restore(session)
            reason = await asyncio.shield(session.lost)
            self._session = None
            tries.lasted(loop.time() - since)
            self._log.warning("connection to %s ended: %s", self._server, reason)

    async def _restore(self, session: Session) -> None:
        """Say hello and register everything again.

        Raises:
            Disconnected: the connection ended before that was done.
        """
        await asyncio.shield(session.greeted)
        self._client_id = session.client_id
        todo = self._registrations.to_restore()
        while replies := [
            session.ask(restore.make, *restore.fields, accept=restore.accept)
            for restore in itertools.islice(todo, _RESTORED_AT_ONCE)
        ]:
            for outcome in await asyncio.gather(*replies, return_exceptions=True):
                if isinstance(outcome, ErrorValue):
                    self._log.error("not restored after a reconnection: %s", outcome)
                elif isinstance(outcome, BaseException):
                    raise outcome
        session.ready = True
        self._awake.set()
        self._log.info("connected to %s", self._server)

    def _on_lost(self, session: Session, reason: str) -> None:
        if self._closed:
            return
        self._why_not = f"the connection to the server ended: {reason}"
        self._awake.clear()
        self._registrations.disconnected()

    async def _ask(
        self, make: Callable[..., WithId], path: str, *fields: Any, accept: Accept | None = None
    ) -> Message:
        """Send a request to the server, and return its reply."""
        session = self._session
        if session is None or not session.ready:
            self._start()
            raise Disconnected(describe(make, path), self._why_not)
        return await session.ask(make, path, *fields, accept=accept)

    def resolve(self, path: str) -> str:
        """Return the absolute path of a path relative to this client's base.

        Raises:
            InvalidPath: it is none.
        """
        return paths.resolve(self._base, path)

    # --- actions ------------------------------------------------------------------------------

    async def action_register(self, path: str, callback: Callable[..., Any]) -> None:
        """Register an action.

        Args:
            path: of the action.
            callback: called with the action arguments to get the return value. If the return is
                awaitable, it will be awaited in a task. What it raises is the caller's answer, as
                `str(exception)`, and is reported here.
        """
        path = self.resolve(path)
        await self._register(
            messages.ActionRegister, path, self._callback(callback, "action", path)
        )

    async def action_call(self, path: str, *args: Any) -> Any:
        """Call an action and return its result.

        Args:
            path: of the action.
            *args: its arguments.
        """
        path = self.resolve(path)
        reply = await self._ask(
            messages.ActionCall, path, _pack(list(args), messages.ActionCall, path)
        )
        return _value(reply)

    # --- properties and states ----------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """Get the value of a state or property; an unknown state is an `ErrorValue`."""
        return _value(await self._ask(messages.Get, self.resolve(path)))

    async def set(self, path: str, value: Any) -> None:
        """Set a state or property: its owner is asked to give it this value."""
        path = self.resolve(path)
        await self._ask(messages.Set, path, _pack(value, messages.Set, path))

    # --- events -------------------------------------------------------------------------------

    async def event_register(self, path: str) -> Callable[[Any], Awaitable[None]]:
        """Register an event; returns an async callable which emits an event given a payload."""
        path = self.resolve(path)
        await self._register(messages.EventRegister, path)

        async def emit(payload: Any) -> None:
            await self.event_emit(path, payload)

        return emit

    async def event_emit(self, path: str, payload: Any) -> None:
        """Emit an event, which may be somebody else's."""
        path = self.resolve(path)
        await self._ask(messages.EventEmit, path, _pack(payload, messages.EventEmit, path))

    async def event_listen_cb(self, path: str, callback: Callable[[Any], Any]) -> None:
        """Listen for events.

        Args:
            path: of the event, which does not have to be registered yet.
            callback: called with the payload; if it returns a coroutine, it will be ran in a task.
        """
        path = self.resolve(path)
        await self._listen(path, self._callback(callback, "listener", path))

    async def event_listen(self, path: str) -> AsyncIterator[Any]:
        """Listen for events; returns an async iterator of the payloads.

        It listens from the first step of the iteration to the end of it, over reconnections too.

            async for payload in client.event_listen("/hall/motion"):
                ...
        """
        path = self.resolve(path)
        payloads: asyncio.Queue[Any] = asyncio.Queue()
        callback = self._callback(payloads.put_nowait, "listener", path)
        stop = await self._listen(path, callback)
        try:
            while True:
                yield await payloads.get()
        finally:
            stop()

    async def _listen(self, path: str, callback: Callback) -> Callable[[], None]:
        """Listen until the returned function is called, or the scope of this context ends."""
        stop = _until_scope_ends(lambda: self._registrations.unlisten(path, callback))
        try:
            await self._ask(
                messages.EventListen,
                path,
                accept=lambda _: self._registrations.listen(path, callback),
            )
        except BaseException:
            stop()
            raise
        return stop

    # --- states -------------------------------------------------------------------------------

    async def state_register(
        self, path: str, set_callback: Callable[[Any], Any] | None = None
    ) -> StateWrapper:
        """Register a state, which is unknown until it is changed.

        Args:
            path: of the state.
            set_callback: called with the value when somebody sets the state; if it returns
                something awaitable, that is awaited in a task. It changes the state itself, if it
                wants to. Without one, setting is answered with `not_implemented`.
        """
        path = self.resolve(path)
        callback = None if set_callback is None else self._callback(set_callback, "setter", path)
        await self._register(messages.StateRegister, path, callback)
        return StateWrapper(self, path)

    async def state_changed(self, path: str, value: Any) -> None:
        """Update the value of a registered state.

        While the connection is away, the value is kept and published when it is back.

        Args:
            path: of the state.
            value: if it is `eshet.Unknown`, the state is marked as unknown.
        """
        path = self.resolve(path)
        if value is Unknown:
            await self._change(path, None, messages.StateUnknown)
        else:
            packed = _pack(value, messages.StateChanged, path)
            await self._change(path, packed, messages.StateChanged, packed)

    async def state_unknown(self, path: str) -> None:
        """Clear the value of a registered state."""
        await self.state_changed(path, Unknown)

    async def state_observe(self, path: str, callback: Callable[[Any], Any]) -> Any:
        """Observe a state.

        Args:
            path: of the state, which does not have to be registered yet.
            callback: called with subsequent values, and with `Unknown` whenever the state is
                unknown or the connection is lost; if it returns a coroutine, it will be ran in a
                task.

        Returns:
            The current value or Unknown.
        """
        path = self.resolve(path)
        observer = self._callback(callback, "observer", path)
        stop = _until_scope_ends(lambda: self._registrations.unobserve(path, observer))
        try:
            await self._ask(
                messages.StateObserve,
                path,
                accept=lambda reply: self._registrations.observe(path, observer, reply),
            )
        except BaseException:
            stop()
            raise
        observed = self._registrations.observed.get(path)
        return Unknown if observed is None else observed.value

    async def _change(
        self, path: str, value: bytes | None, make: Callable[..., WithPath], *fields: Any
    ) -> None:
        owned = self._registrations.owned.get(path)
        if owned is None:
            await self._ask(make, path, *fields)
            return
        if not owned.on_server or self._session is None:
            _check_length(make, path, *fields)
            owned.value = value
            return
        reply = self._session.ask(make, path, *fields)
        owned.value = value
        with contextlib.suppress(Disconnected):  # it is published when the connection is back
            await reply

    # --- what is registered -------------------------------------------------------------------

    async def _register(
        self, make: type[WithPath], path: str, callback: Callback | None = None
    ) -> None:
        """Register a node as this client's, until the scope of this context ends."""
        owned = self._registrations.owned.get(path)
        if owned is not None and owned.withdrawn and owned.make is make:
            owned.callback, owned.withdrawn = callback, False
        else:
            owned = Owned(path, make, callback)
            await self._ask(make, path, accept=lambda _: self._registrations.own(owned))
        _until_scope_ends(lambda: self._withdraw(owned))

    def _withdraw(self, owned: Owned) -> None:
        """Give up a node that the server can't be told to forget.

        It is registered again by whoever wants it next, and gone for good with the connection.
        """
        owned.withdrawn, owned.callback = True, None
        had_value, owned.value = owned.value is not None, None
        if not owned.on_server:
            self._registrations.owned.pop(owned.path, None)
        elif had_value and self._session is not None:
            gone = self._session.ask(messages.StateUnknown, owned.path)
            gone.add_done_callback(lambda reply: reply.cancelled() or reply.exception())

    def _callback(self, function: Callable[..., Any], role: str, path: str) -> Callback:
        return Callback(function, f"{role} of {path}", self._tasks)


def _connector(server: str | Connector | None) -> Connector:
    if server is None:
        return Address.default()
    return Address.parse(server) if isinstance(server, str) else server


def _until_scope_ends(undo: Callable[[], None]) -> Callable[[], None]:
    """Leave `undo` with the scope of this context; returns what undoes it before that."""
    scope = current_scope()
    return undo if scope is None else scope.own(undo).undo


def _pack(value: Any, make: object, path: str) -> bytes:
    try:
        return codec.pack(value)
    except UnsupportedValue as error:
        raise UnsupportedValue(error.problem, describe(make, path)) from None


def _check_length(make: Callable[..., WithPath], path: str, *fields: Any) -> None:
    """Raise MessageTooLong now, for a message that is sent later."""
    try:
        frame(messages.pack(make(0, path, *fields)))
    except MessageTooLong as error:
        raise MessageTooLong(error.length, error.limit, describe(make, path)) from None


def _value(reply: Message) -> Any:
    return codec.unpack(reply.value) if isinstance(reply, Reply) else None
