"""The asyncio client: one connection to a server, which comes back by itself."""

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType
from typing import Any, Final, Self

from eshet import codec, paths
from eshet.address import Address
from eshet.cause import current
from eshet.client.callbacks import Callback, Tasks
from eshet.client.connection_manager import ConnectionManager
from eshet.client.dispatch import Dispatcher
from eshet.client.event_iteration import EventIteration
from eshet.client.observer import ClientObserver
from eshet.client.registrar import Registrar
from eshet.client.registrations import Registration, RegistrationTable, Subscription
from eshet.client.session import describe
from eshet.connection import Connector
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong, UnsupportedValue
from eshet.messages import (
    MAX_CLIENT_ID,
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    EventRegister,
    Get,
    PropRegister,
    Set,
    StateChanged,
    StateObserve,
    StateRegister,
    StateUnknown,
)
from eshet.protocol import TimeoutConfig
from eshet.protocol.framing import frame_with_id
from eshet.unknown import Unknown

__all__ = ["Client", "StateWrapper"]


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
    by itself when the connection ends: at once, then after ever longer delays of up to 5 s. All
    registrations, the values of its states and its observations are restored before `connected`
    is true again. Use it with `async with`, or `close` it.

    Errors raised by all requests: `WrongLoop` if it is used in another thread or event loop than
    the one in which it was first used, before anything is sent; `Disconnected` if there is no
    connection or it ends before the answer comes, except that what is to last (registering,
    listening, observing) is done when there is one; `ErrorValue` if the server, or the owner of the
    node, answers with an error; `InvalidPath`, `UnsupportedValue` and `MessageTooLong` if the
    request can't be made. Cancelling
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
        self._logger = logger
        self._registrations: Final = RegistrationTable()
        self._tasks: Final = Tasks()
        self._keeper: Final = ConnectionManager(
            _connector(server),
            None if client_id is None else _pack_client_id(client_id),
            timeout_cfg,
            self._registrations,
            Dispatcher(self._registrations).handlers,
            logger,
        )
        self._registrar = Registrar(self._keeper, self._registrations, self._tasks)
        self._iterations: Final[dict[EventIteration, None]] = {}  # of all views, in order
        if asyncio._get_running_loop() is not None:
            self._keeper.start()

    async def __aenter__(self) -> Self:
        try:
            await self.wait_for_connection()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        keeper = self._keeper
        return f"<Client of {keeper.server}: {'connected' if self.connected else keeper.why_not}>"

    # --- the connection -----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Are we currently connected?"""
        return self._keeper.connected

    @property
    def closed(self) -> bool:
        """Whether this client connects no more."""
        return self._keeper.closed

    @property
    def reconnected_at(self) -> float | None:
        """The loop's time when a connection was made after one that was lost; None if never."""
        return self._keeper.reconnected_at

    @property
    def waiting_events(self) -> int:
        """How many events wait for iterations of `event_listen` that are busy."""
        return sum(map(len, self._iterations))

    def attach(self, observer: ClientObserver) -> None:
        """Notify an observer of every input and output; called before the client is used.

        From then on causes are tracked, see `eshet.client.observer`.
        """
        self._registrations.observer = observer

    def notify_skipped(self, code: int, path: str, value: Any, why: str) -> None:
        """Notify the observer, if one is attached, of an output that is not sent.

        The arguments are those of `ClientObserver.on_skipped`.
        """
        if self._registrations.observer is not None:
            self._registrations.observer.on_skipped(code, path, value, why)

    def wait_for_connection(self) -> Awaitable[None]:
        """Wait until the connection has been established.

        Raises:
            Disconnected: this client is closed.
        """
        self._keeper.check_loop()
        self._keeper.start()
        return self._keeper.wait()

    async def close(self) -> None:
        """End the connection and the tasks of callbacks, for good. A second call does nothing.

        The server drops everything that the client owned, heard and observed, and iterators of
        events end.
        """
        self._keeper.check_loop()
        await self._keeper.close()
        for iteration in self._iterations:
            iteration.end()
        await self._tasks.cancel()

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
        wire = self._wire(path)
        answer = self._callback(callback, "action", wire)
        await self._registrar.register(Registration(wire, ActionRegister.code, answer))

    async def action_call(self, path: str, *args: Any) -> Any:
        """Call an action and return its result.

        Args:
            path: of the action.
            *args: its arguments.
        """
        wire = self._wire(path)
        arguments = _pack(list(args), ActionCall.code, wire)
        return await self._ask(ActionCall.code, wire, arguments)

    # --- properties and states ----------------------------------------------------------------

    async def prop_register(
        self,
        path: str,
        get_callback: Callable[[], Any],
        set_callback: Callable[[Any], Any] | None = None,
    ) -> None:
        """Register a property, whose value is asked for whenever somebody wants it.

        Args:
            path: of the property.
            get_callback: called to get the value. If it returns something awaitable, that will be
                awaited in a task. What it raises is the answer, as for an action.
            set_callback: called with the value when somebody sets the property, in the same way.
                Without one, setting is answered with `not_implemented`.
        """
        wire = self._wire(path)
        getter = self._callback(get_callback, "getter", wire)
        setter = None if set_callback is None else self._callback(set_callback, "setter", wire)
        await self._registrar.register(Registration(wire, PropRegister.code, setter, getter))

    async def get(self, path: str) -> Any:
        """Get the value of a state or property; an unknown state is an `ErrorValue`."""
        wire = self._wire(path)
        value = await self._ask(Get.code, wire)
        self._notify_input("get", wire, value)
        return value

    async def set(self, path: str, value: Any) -> None:
        """Set a state or property: its owner is asked to give it this value."""
        wire = self._wire(path)
        await self._say(Set.code, wire, _pack(value, Set.code, wire))

    # --- events -------------------------------------------------------------------------------

    async def event_register(self, path: str) -> Callable[[Any], Awaitable[None]]:
        """Register an event; returns an async callable which emits an event given a payload."""
        wire = self._wire(path)
        await self._registrar.register(Registration(wire, EventRegister.code))
        return functools.partial(self.event_emit, wire.decode())

    async def event_emit(self, path: str, payload: Any) -> None:
        """Emit an event, which may be somebody else's."""
        wire = self._wire(path)
        await self._say(EventEmit.code, wire, _pack(payload, EventEmit.code, wire))

    async def event_listen_cb(self, path: str, callback: Callable[[Any], Any]) -> Subscription:
        """Listen for events.

        Args:
            path: of the event, which does not have to be registered yet.
            callback: called with the payload; if it returns a coroutine, it will be ran in a task.

        Returns:
            What ends it, by its `dispose`.
        """
        wire = self._wire(path)
        listener = self._callback(callback, "listener", wire)
        subscription, _ = await self._registrar.subscribe(EventListen.code, wire, listener)
        return subscription

    async def event_listen(self, path: str) -> AsyncGenerator[Any, None]:
        """Listen for events; returns an async iterator of the payloads.

        What comes while the iteration is busy waits, in order; from 10,000 events on that is logged
        each time that it has doubled, and `waiting_events` counts it.

        It listens from the first step of the iteration to the end of it, over reconnections too,
        and ends when the client is closed. Each step goes on with the cause of its payload.

            async for payload in client.event_listen("/hall/motion"):
                ...
        """
        iteration = EventIteration(self, self.resolve(path), self._logger)
        subscription = await self.event_listen_cb(path, iteration.put)
        self._iterations[iteration] = None
        before = current.get()
        try:
            while (received := await iteration.get()) is not None:
                payload, cause = received
                current.set(cause)  # of the caller: a generator has no context of its own
                yield payload
        finally:
            current.set(before)
            self._iterations.pop(iteration, None)
            subscription.dispose()

    async def unlisten(self, path: str, callback: Callable[[Any], Any] | None = None) -> None:
        """Stop listening; returns when the server has taken note.

        Args:
            path: of the event.
            callback: which was given to `event_listen_cb`; all of that path if it is left out.
        """
        await self._registrar.unsubscribe(EventListen.code, self._wire(path), callback)

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
        wire = self._wire(path)
        setter = None if set_callback is None else self._callback(set_callback, "setter", wire)
        await self._registrar.register(Registration(wire, StateRegister.code, setter))
        return StateWrapper(self, wire.decode())

    async def state_changed(self, path: str, value: Any) -> None:
        """Update the value of a registered state.

        While the connection is away, the value is kept and published when it is back.

        Args:
            path: of the state.
            value: if it is `eshet.Unknown`, the state is marked as unknown.
        """
        wire = self._wire(path)
        if value is Unknown:
            await self._change(StateUnknown.code, wire)
        else:
            await self._change(StateChanged.code, wire, _pack(value, StateChanged.code, wire))

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
        wire = self._wire(path)
        observer = self._callback(callback, "observer", wire)
        _, value = await self._registrar.subscribe(StateObserve.code, wire, observer)
        self._notify_input("state", wire, value)
        return value

    async def unobserve(self, path: str, callback: Callable[[Any], Any] | None = None) -> None:
        """Stop observing; returns when the server has taken note.

        Args:
            path: of the state.
            callback: which was given to `state_observe`; all of that path if it is left out.
        """
        await self._registrar.unsubscribe(StateObserve.code, self._wire(path), callback)

    async def _say(self, code: int, path: bytes, value: bytes) -> None:
        await self._ask(code, path, value)

    async def _ask(self, code: int, path: bytes, value: bytes = b"") -> Any:
        observer = self._registrations.observer
        if observer is None:
            return await self._keeper.ask(code, path, value)
        with observer.on_sending(code, path, value) as said:
            said.result = await self._keeper.ask(code, path, value)
        return said.result

    async def _change(self, code: int, path: bytes, value: bytes = b"") -> None:
        observer = self._registrations.observer
        if observer is None:
            await self._publish(code, path, value)
        else:
            with observer.on_sending(code, path, value) as said:
                said.result = await self._publish(code, path, value)

    async def _publish(self, code: int, path: bytes, value: bytes) -> bool:
        """Publish a value, or keep it until the connection is back; return whether it arrived."""
        owned = self._registrations.owned.get(path)
        if owned is None:
            await self._keeper.ask(code, path, value)
            return True
        if owned.withdrawn:
            raise ErrorValue("not_owner", describe(code, path))
        reply = self._keeper.ask_early(code, path, value) if owned.on_server else None
        if reply is None:
            _check_length(code, path, value)
        owned.value = value or None
        if reply is None:
            return False
        try:
            await reply
        except Disconnected:
            return False
        return True

    # --- what is registered -------------------------------------------------------------------

    async def unregister(self, path: str) -> None:
        """Take back an action, property, event or state; returns when the server has taken note.

        Nothing happens if it is not registered by this client. A server that has no action
        `/meta/unregister` keeps it until the connection ends: the state is unknown then, and calls
        are answered with `not_implemented`.
        """
        await self._registrar.unregister(self._wire(path))

    def _wire(self, path: str) -> bytes:
        """Return a path as it stands in a message, for a caller that may send one."""
        keeper = self._keeper
        # As `check_loop` finds out, but without the system call that asking for the loop takes.
        if get_ident() != keeper.thread or not keeper.loop_is_running():
            keeper.check_loop()
        return _wire_path(self._base, path)

    def _callback(self, function: Callable[..., Any], role: str, path: bytes) -> Callback:
        return Callback(function, role, path.decode(), self._tasks, self._registrations.observer)

    def _notify_input(self, kind: str, path: bytes, value: Any) -> None:
        """Tell the witness, if there is one, of what was answered to a question."""
        if self._registrations.observer is not None:
            self._registrations.observer.on_input(kind, path.decode(), value)


@functools.lru_cache(maxsize=4096)
def _wire_path(base: str, path: str) -> bytes:
    """Return an absolute path as it stands in a message; most are used over and over."""
    return paths.resolve(base, path).encode()


def _connector(server: str | Connector | None) -> Connector:
    if server is None:
        return Address.default()
    return Address.parse(server) if isinstance(server, str) else server


def _pack_client_id(client_id: Any) -> bytes:
    packed = codec.pack(client_id)
    if len(packed) > MAX_CLIENT_ID:
        raise UnsupportedValue(
            f"a client id of {len(packed)} bytes; write one of at most {MAX_CLIENT_ID}"
        )
    return packed


def _pack(value: Any, code: int, path: bytes) -> bytes:
    try:
        return codec.pack(value)
    except UnsupportedValue as error:
        raise UnsupportedValue(error.problem, describe(code, path)) from None


def _check_length(code: int, path: bytes, value: bytes) -> None:
    """Raise MessageTooLong now, for a message that is sent later."""
    try:
        frame_with_id(code, 0, path + b"\0" + value)
    except MessageTooLong as error:
        raise MessageTooLong(error.length, error.limit, describe(code, path)) from None


# A part of the API is that this class has it, which its own methods could not say of it by name.
Client.StateWrapper = StateWrapper  # type: ignore[attr-defined]
