"""The asyncio client: one connection to a server, with automatic reconnection."""

import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType
from typing import Any, Self

from eshet import codec, paths
from eshet.address import default_server
from eshet.cause import current
from eshet.client.callbacks import Callback
from eshet.client.event_iteration import EventIteration
from eshet.client.observer import ClientObserver
from eshet.client.pending_request import PendingRequest, PendingStateChange
from eshet.client.receiver import MAX_WAITING_BYTES
from eshet.client.registrar import Registrar
from eshet.client.registrations import Registration, Subscription
from eshet.client.session import describe
from eshet.client.shared import SharedConnection
from eshet.connection import Connector
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong, UnsupportedValue
from eshet.interpreter import running_loop
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
from eshet.server_address import ServerAddress, make_connector, parse_server_address
from eshet.types import ValueCallback
from eshet.unknown import Unknown

__all__ = ["Client", "StateWrapper"]


@dataclass(frozen=True)
class StateWrapper:
    """A registered state: a client and a path."""

    client: "Client"
    path: str

    async def changed(self, value: object) -> None:
        """Update the value of the state; equivalent to `Client.state_changed`."""
        await self.client.state_changed(self.path, value)

    async def unknown(self) -> None:
        """Update the value of the state; equivalent to `Client.state_unknown`."""
        await self.client.state_unknown(self.path)


class Client:
    """A client of an ESHET server.

    It connects in the background as soon as it is used within a running event loop, and reconnects
    when the connection ends: at once, then after increasing delays of up to 5 s. All registrations,
    the values of its states and its observations are restored before `connected` is true again.
    Use it with `async with`, or `close` it.

    All requests raise these errors:

    - `WrongLoop`, before sending anything, if the client was first used in another thread or event
      loop;
    - `Disconnected` if the client is not connected, or if the connection ends before the answer
      arrives. Requests with a lasting effect (registering, listening, observing) wait for a
      connection instead;
    - `ErrorValue` if the server, or the owner of the node, answers with an error;
    - `InvalidPath`, `UnsupportedValue` and `MessageTooLong` if the request can't be made.

    Cancelling a request drops its answer; the request may still take effect.

    Callbacks run in the context in which they were registered. Their errors are reported to the
    scope of that context (see `eshet.scope`), and have no other effect; a listener or observer
    that was added within a scope ends with that scope.

    Args:
        base: base path for this client: relative paths passed to other functions will be relative
            to this.
        server: ESHET server to connect to; defaults to the ESHET_SERVER environment variable, or
            localhost. This may also include the port number (in the form host:port), which
            defaults to 11236; or be the address of NATS servers, such as `nats://host`, through
            which servers share a tree (see `eshet.nats`). An `eshet.server_address.ServerAddress`,
            or a server in this process, can be passed directly.
        client_id: msgpack-serialisable ID for this client; will be allocated by the server if not
            provided.
        timeout_cfg: configuration for protocol-level timeouts.
        logger: logger for connection messages.
        max_waiting_bytes: how many bytes of received messages may wait for slow callbacks; beyond
            that, the oldest events are dropped, and the log says how many.

    Raises:
        InvalidPath: the base is not a valid path.
        ValueError: the server is not a valid address, or `max_waiting_bytes` is not positive.
        UnsupportedValue: the client id can't be packed.
        EshetError: the server is a tree on NATS, and the library for that is not installed.
    """

    def __init__(
        self,
        base: str = "/",
        server: str | ServerAddress | Connector | None = None,
        client_id: object = None,
        timeout_cfg: TimeoutConfig = TimeoutConfig(),  # noqa: B008 - frozen
        logger: logging.Logger = logging.getLogger("eshet.client"),  # noqa: B008 - a singleton
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        if server is None:
            server = default_server()
        if isinstance(server, str):
            server = parse_server_address(server)
        connector = make_connector(server, logger) if isinstance(server, ServerAddress) else server
        connection = SharedConnection(
            paths.check_base(base),
            connector,
            None if client_id is None else _pack_client_id(client_id),
            timeout_cfg,
            logger,
            max_waiting_bytes,
            owns_connector=connector is not server,
        )
        self._use(connection)
        self._registrar = Registrar(self._manager, self._registrations, self._tasks)
        if running_loop() is not None:
            self._manager.start()

    def _use(self, connection: SharedConnection) -> None:
        """Use a connection, which other clients may use as well."""
        self._connection = connection
        # Bound once, as they are used for each input and output.
        self._base, self._logger = connection.base, connection.logger
        self._registrations, self._tasks = connection.registrations, connection.tasks
        self._manager, self._iterations = connection.manager, connection.iterations

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
        state = "connected" if self.connected else self._manager.disconnect_reason
        return f"<Client of {self._manager.server}: {state}>"

    # --- the connection -----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the client is connected, with all registrations restored."""
        return self._manager.connected

    @property
    def closed(self) -> bool:
        """Whether this client is closed and will not connect again."""
        return self._manager.closed

    @property
    def server(self) -> object:
        """The server: its `eshet.address.Address`, or the object passed to the constructor."""
        return self._manager.server

    @property
    def client_id(self) -> Any:
        """The id of this client on the server; None until the server has allocated one."""
        packed = self._manager.client_id
        return None if packed is None else codec.unpack(packed)

    @property
    def max_payload(self) -> int:
        """The longest message that the server accepts, in bytes: 65,535, or more on NATS."""
        return self._manager.max_payload

    @property
    def reconnected_at(self) -> float | None:
        """The loop's time of the last reconnection; None if there was none."""
        return self._manager.reconnected_at

    @property
    def waiting_events(self) -> int:
        """The number of events that wait for busy iterations of `event_listen`."""
        return sum(map(len, self._iterations))

    @property
    def waiting_inputs(self) -> tuple[int, float]:
        """The number of received messages that wait to be handled, and the age of the oldest in s.

        They wait while their callbacks take longer than their share of the event loop.
        """
        return self._manager.receiver.waiting

    def attach(self, observer: ClientObserver) -> None:
        """Notify an observer of every input and output; call this before the client is used.

        From then on causes are tracked, see `eshet.client.observer`.
        """
        self._registrations.observer = observer

    @property
    def observer(self) -> ClientObserver | None:
        """The observer that is attached; None if there is none."""
        return self._registrations.observer

    def notify_skipped(self, code: int, path: str, value: object, why: str) -> None:
        """Notify the observer, if one is attached, of an output that is not sent.

        The arguments are those of `ClientObserver.on_skipped`.
        """
        if self._registrations.observer is not None:
            self._registrations.observer.on_skipped(code, path, value, why)

    def wait_for_connection(self) -> Awaitable[None]:
        """Wait until the client is connected.

        Raises:
            Disconnected: this client is closed.
        """
        self._manager.check_loop()
        self._manager.start()
        return self._manager.wait()

    async def close(self) -> None:
        """End the connection and the tasks of callbacks permanently. A second call does nothing.

        The server drops all registrations of the client, and iterators of events end.
        """
        self._manager.check_loop()
        await self._manager.close()
        for iteration in self._iterations:
            iteration.end()
        await self._tasks.cancel()

    def resolve(self, path: str) -> str:
        """Return the absolute path of a path relative to this client's base.

        Raises:
            InvalidPath: it is not a valid path.
        """
        return paths.resolve(self._base, path)

    # --- actions ------------------------------------------------------------------------------

    async def action_register(self, path: str, callback: Callable[..., object]) -> None:
        """Register an action.

        Args:
            path: of the action.
            callback: called with the action's arguments; returns the result. An awaitable result is
                awaited in a task. If it raises, the caller receives `str(exception)` as the error,
                and the error is reported here.
        """
        wire = self._wire(path)
        answer = self._callback(callback, "action", wire)
        await self._registrar.register(Registration(wire, ActionRegister.code, answer))

    async def action_call(self, path: str, *args: object) -> Any:
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
        get_callback: Callable[[], object],
        set_callback: ValueCallback | None = None,
    ) -> None:
        """Register a property; each get of it requests the value from its owner.

        Args:
            path: of the property.
            get_callback: called to get the value. An awaitable result is awaited in a task. If it
                raises, the caller receives the error, as for an action.
            set_callback: called with the new value when a client sets the property, in the same
                way. Without it, sets are answered with `not_implemented`.
        """
        wire = self._wire(path)
        getter = self._callback(get_callback, "getter", wire)
        setter = None if set_callback is None else self._callback(set_callback, "setter", wire)
        await self._registrar.register(Registration(wire, PropRegister.code, setter, getter))

    async def get(self, path: str) -> Any:
        """Get the value of a state or property; an unknown state raises an `ErrorValue`."""
        wire = self._wire(path)
        value = await self._ask(Get.code, wire)
        self._notify_input("get", wire, value)
        return value

    async def set(self, path: str, value: object) -> None:
        """Set a state or property, by sending the value to its owner."""
        wire = self._wire(path)
        await self._send(Set.code, wire, _pack(value, Set.code, wire))

    # --- events -------------------------------------------------------------------------------

    async def event_register(self, path: str) -> Callable[[Any], Awaitable[None]]:
        """Register an event; return an async function that emits it with a payload."""
        wire = self._wire(path)
        await self._registrar.register(Registration(wire, EventRegister.code))
        return functools.partial(self.event_emit, wire.decode())

    async def event_emit(self, path: str, payload: object) -> None:
        """Emit an event, which may belong to another client."""
        wire = self._wire(path)
        await self._send(EventEmit.code, wire, _pack(payload, EventEmit.code, wire))

    async def event_listen_cb(self, path: str, callback: ValueCallback) -> Subscription:
        """Listen for events.

        Args:
            path: of the event, which does not have to be registered yet.
            callback: called with the payload; a coroutine is run in a task.

        Returns:
            The subscription; its `dispose` ends it.
        """
        wire = self._wire(path)
        listener = self._callback(callback, "listener", wire)
        subscription, _ = await self._registrar.subscribe(EventListen.code, wire, listener)
        return subscription

    async def event_listen(self, path: str) -> AsyncGenerator[Any, None]:
        """Listen for events; return an async iterator of the payloads.

        Events that arrive while the iteration is busy are queued in order, and `waiting_events`
        counts them. A warning is logged at 10,000 queued events, and each time the number doubles.

        It listens from the first step of the iteration to its end, across reconnections, and ends
        when the client is closed. Each step runs with the cause of its payload.

            async for payload in client.event_listen("/hall/motion"):
                ...
        """
        iteration = EventIteration(self, self.resolve(path), self._logger)
        subscription = await self.event_listen_cb(path, iteration.put)
        self._iterations[iteration] = None
        before = current.get()
        try:
            while (item := await iteration.get()) is not None:
                payload, cause = item
                current.set(cause)  # in the context of the caller: a generator has none
                yield payload
        finally:
            current.set(before)
            self._iterations.pop(iteration, None)
            subscription.dispose()

    async def unlisten(self, path: str, callback: ValueCallback | None = None) -> None:
        """Stop listening; returns when the server has confirmed it.

        Args:
            path: of the event.
            callback: the callback passed to `event_listen_cb`; without it, all of that path.
        """
        await self._registrar.unsubscribe(EventListen.code, self._wire(path), callback)

    # --- states -------------------------------------------------------------------------------

    async def state_register(
        self, path: str, set_callback: ValueCallback | None = None
    ) -> StateWrapper:
        """Register a state, which is unknown until it is changed.

        Args:
            path: of the state.
            set_callback: called with the new value when a client sets the state; an awaitable
                result is awaited in a task. It has to change the state itself, if that is wanted.
                Without it, sets are answered with `not_implemented`.
        """
        wire = self._wire(path)
        setter = None if set_callback is None else self._callback(set_callback, "setter", wire)
        await self._registrar.register(Registration(wire, StateRegister.code, setter))
        return StateWrapper(self, wire.decode())

    async def state_changed(self, path: str, value: object) -> None:
        """Update the value of a registered state.

        Without a connection, the value is kept, and published after the reconnection.

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

    async def state_observe(self, path: str, callback: ValueCallback) -> Any:
        """Observe a state.

        Args:
            path: of the state, which does not have to be registered yet.
            callback: called with later values, and with `Unknown` whenever the state becomes
                unknown or the connection is lost; a coroutine is run in a task.

        Returns:
            The current value or Unknown.
        """
        wire = self._wire(path)
        observer = self._callback(callback, "observer", wire)
        _, value = await self._registrar.subscribe(StateObserve.code, wire, observer)
        self._notify_input("state", wire, value)
        return value

    async def unobserve(self, path: str, callback: ValueCallback | None = None) -> None:
        """Stop observing; returns when the server has confirmed it.

        Args:
            path: of the state.
            callback: the callback passed to `state_observe`; without it, all of that path.
        """
        await self._registrar.unsubscribe(StateObserve.code, self._wire(path), callback)

    # --- without a task -----------------------------------------------------------------------

    def send_now(self, code: int, path: str, value: Any) -> PendingRequest | None:
        """Send a request in this step, without a task that waits for the reply.

        For sinks, which send thousands of values. The errors are those of the request's method.

        Args:
            code: of the message: `ActionCall`, `Set`, `EventEmit` or `StateChanged`.
            path: of the node.
            value: the value to send; for an action, the list of its arguments.

        Returns:
            The request; None if it can't be sent in this step: then use its method.
        """
        wire = self._wire(path)
        if not self._manager.connected:
            return None
        if code == StateChanged.code:
            if value is Unknown:
                return self._change_now(StateUnknown.code, wire, b"")
            return self._change_now(code, wire, _pack(value, code, wire))
        return self._ask_now(code, wire, _pack(value, code, wire))

    def _ask_now(self, code: int, path: bytes, value: bytes) -> PendingRequest | None:
        return PendingRequest(self._registrations.observer, code, path, value, self._manager.ask)

    def _change_now(self, code: int, path: bytes, value: bytes) -> PendingRequest | None:
        owned = self._registrations.owned.get(path)
        if owned is None or owned.withdrawn or owned.taken or not owned.on_server:
            return None
        sent = PendingStateChange(
            self._registrations.observer, code, path, value, self._manager.ask
        )
        owned.value = value or None
        return sent

    # --- sending ------------------------------------------------------------------------------

    async def _send(self, code: int, path: bytes, value: bytes) -> None:
        await self._ask(code, path, value)

    async def _ask(self, code: int, path: bytes, value: bytes = b"") -> object:
        observer = self._registrations.observer
        if observer is None:
            return await self._manager.ask(code, path, value)
        with observer.on_sending(code, path, value) as span:
            span.result = await self._manager.ask(code, path, value)
        return span.result

    async def _change(self, code: int, path: bytes, value: bytes = b"") -> None:
        observer = self._registrations.observer
        if observer is None:
            await self._publish(code, path, value)
        else:
            with observer.on_sending(code, path, value) as span:
                span.result = await self._publish(code, path, value)

    async def _publish(self, code: int, path: bytes, value: bytes) -> bool:
        """Publish a value, or keep it for the next connection; return whether it was published."""
        owned = self._registrations.owned.get(path)
        if owned is None:
            await self._manager.ask(code, path, value)
            return True
        if owned.withdrawn:
            raise ErrorValue("not_owner", describe(code, path))
        reply = self._manager.ask_early(code, path, value) if owned.on_server else None
        if reply is None:
            _check_length(code, path, value, self._manager.max_payload)
        owned.value = value or None
        if owned.taken:
            raise ErrorValue("not_owner", describe(code, path))
        if reply is None:
            return False
        try:
            await reply
        except Disconnected:
            return False
        return True

    # --- all registrations --------------------------------------------------------------------

    async def unregister(self, path: str) -> None:
        """Unregister an action, property, event or state; returns when the server has confirmed it.

        Nothing happens if this client has not registered it. A server without the action
        `/meta/unregister` keeps the node until the connection ends: then the state is unknown, and
        calls are answered with `not_implemented`.
        """
        await self._registrar.unregister(self._wire(path))

    def _wire(self, path: str) -> bytes:
        """Return a path as in a message, after checking that the caller may send one."""
        manager = self._manager
        # The same check as `check_loop`, without the system call for getting the running loop.
        if get_ident() != manager.thread or not manager.loop_is_running():
            manager.check_loop()
        return _wire_path(self._base, path)

    def _callback(self, function: Callable[..., object], role: str, path: bytes) -> Callback:
        return Callback(function, role, path.decode(), self._tasks, self._registrations.observer)

    def _notify_input(self, kind: str, path: bytes, value: object) -> None:
        """Notify the client's observer, if it has one, of the answer to a get or observe."""
        if self._registrations.observer is not None:
            self._registrations.observer.on_input(kind, path.decode(), value)


@functools.lru_cache(maxsize=4096)
def _wire_path(base: str, path: str) -> bytes:
    """Return an absolute path as in a message; cached, as most paths are used again and again."""
    return paths.resolve(base, path).encode()


def _pack_client_id(client_id: object) -> bytes:
    packed = codec.pack(client_id)
    if len(packed) > MAX_CLIENT_ID:
        raise UnsupportedValue(
            f"a client id of {len(packed)} bytes; write one of at most {MAX_CLIENT_ID}"
        )
    return packed


def _pack(value: object, code: int, path: bytes) -> bytes:
    try:
        return codec.pack(value)
    except UnsupportedValue as error:
        raise UnsupportedValue(error.problem, describe(code, path)) from None


def _check_length(code: int, path: bytes, value: bytes, limit: int) -> None:
    """Raise MessageTooLong immediately for a message that will be sent later."""
    try:
        frame_with_id(code, 0, path + b"\0" + value, limit)
    except MessageTooLong as error:
        raise MessageTooLong(error.length, error.limit, describe(code, path)) from None


# `Client.StateWrapper` is part of the API. Assigned in the class body, it would shadow the name to
# which the annotations of methods refer.
Client.StateWrapper = StateWrapper  # type: ignore[attr-defined]
