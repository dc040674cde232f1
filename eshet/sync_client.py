"""A blocking client, for scripts and threads without an event loop.

    from eshet.sync_client import SyncClient

    with SyncClient() as client:
        print(client.get("/hall/lux"))

It has the methods of `eshet.Client`; each of them blocks until it is done. In addition, it returns
queues of values and of events. Any thread may call the methods, also several threads at the same
time.
"""

import asyncio
import contextlib
import functools
import logging
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from eshet.callables import not_callable
from eshet.client import Client, Subscription
from eshet.client.receiver import MAX_WAITING_BYTES
from eshet.connection import Connector
from eshet.exceptions import Disconnected
from eshet.protocol import TimeoutConfig
from eshet.server_address import ServerAddress
from eshet.types import ActionCallback, GetCallback, ValueCallback
from eshet.unknown import Unknown

__all__ = ["ObservedState", "SyncClient", "SyncHearing", "SyncStateWrapper"]

T = TypeVar("T")

_END: Final = object()


@dataclass(frozen=True)
class SyncStateWrapper:
    """A registered state: a client and a path."""

    client: "SyncClient"
    path: str

    def changed(self, value: object) -> None:
        """Update the value of the state; equivalent to `SyncClient.state_changed`."""
        self.client.state_changed(self.path, value)

    def unknown(self) -> None:
        """Update the value of the state; equivalent to `SyncClient.state_unknown`."""
        self.client.state_unknown(self.path)


class SyncHearing:
    """A callback for an event, until `dispose` is called."""

    def __init__(self, client: "SyncClient", subscription: Subscription) -> None:
        self._client = client
        self._subscription = subscription

    def dispose(self) -> None:
        """Stop the callback. Does nothing on a second call, or after the client is closed."""

        async def dispose() -> None:
            self._subscription.dispose()

        if not self._client.closed:
            self._client._run(dispose())


class ObservedState:
    """An observed state.

    Attributes:
        changed: if set, called with each new value, in the thread for callbacks.
    """

    def __init__(self) -> None:
        self.changed: Callable[[Any], object] | None = None
        self._value: object = Unknown

    def get_value(self) -> Any:
        """Return the current value of the state, or `Unknown`."""
        return self._value

    def _on_change(self, value: object) -> None:
        self._value = value
        if self.changed is not None:
            self.changed(value)


@dataclass(frozen=True)
class _InThread:
    """Calls a function in the thread for callbacks; equal for equal functions."""

    function: Callable[..., object]
    thread: Executor

    def __call__(self, *args: object) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self.thread, self.function, *args)


class SyncClient:
    """A blocking client of an ESHET server; see `eshet.Client` for details.

    It connects in the background, from an event loop in a thread of its own. Callbacks run in
    another thread, one after the other: they may block, and may call methods of the client; but an
    action that calls an action of the same client would wait for itself.

    Use it with `with`, or `close` it.

    Args:
        base: base path for this client.
        server: ESHET server to connect to, as `Client` takes it; defaults to ESHET_SERVER, or
            localhost.
        client_id: msgpack-serialisable id for this client.
        timeout_cfg: configuration for protocol-level timeouts.
        logger: logger for connection messages.

    Raises:
        InvalidPath, ValueError, UnsupportedValue, EshetError: see `Client`.
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
        self.closed: bool = False
        """Whether `close` was called."""
        self._lock = threading.Lock()  # nothing may be submitted to the loop after its end
        self._callbacks = ThreadPoolExecutor(1, "eshet callbacks")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="eshet", daemon=True)
        self._thread.start()

        async def make() -> Client:  # in its own loop, since the caller may run in another one
            return Client(
                base, server, client_id, timeout_cfg, logger, max_waiting_bytes=max_waiting_bytes
            )

        try:
            self._client = asyncio.run_coroutine_threadsafe(make(), self._loop).result()
        except BaseException:
            self._end_threads()
            raise

    def __enter__(self) -> Self:
        self.wait_for_connection()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sync{repr(self._client)[1:]}"

    # --- the connection -----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the client is connected, with all registrations restored."""
        return self._client.connected

    @property
    def waiting_events(self) -> int:
        """The number of events that wait for busy iterations of `event_listen`."""
        return self._client.waiting_events

    def wait_for_connection(self) -> None:
        """Wait until the client is connected."""
        self._run(self._connect())

    def close(self) -> None:
        """End the connection and the threads permanently. A second call does nothing.

        Pending calls in other threads raise `Disconnected`. This does not wait for a running
        callback.
        """
        with self._lock:
            if self.closed:
                return
            self.closed = True
            ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        ended.result()
        self._end_threads()

    def _end_threads(self) -> None:
        self._callbacks.shutdown(wait=False, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        await self._client.wait_for_connection()

    async def _end(self) -> None:
        """Close the client, and wait until all pending calls have ended."""
        await self._client.close()
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    # --- actions, properties and states -------------------------------------------------------

    def action_register(self, path: str, callback: ActionCallback) -> None:
        """See `Client.action_register`."""
        self._run(self._client.action_register(path, self._in_thread(callback)))

    def action_call(self, path: str, *args: object) -> Any:
        """See `Client.action_call`."""
        return self._run(self._client.action_call(path, *args))

    def prop_register(
        self, path: str, get_callback: GetCallback, set_callback: ValueCallback | None = None
    ) -> None:
        """See `Client.prop_register`."""
        getter = self._in_thread(get_callback)
        setter = None if set_callback is None else self._in_thread(set_callback)
        self._run(self._client.prop_register(path, getter, setter))

    def get(self, path: str) -> Any:
        """See `Client.get`."""
        return self._run(self._client.get(path))

    def set(self, path: str, value: object) -> None:
        """See `Client.set`."""
        self._run(self._client.set(path, value))

    # --- events -------------------------------------------------------------------------------

    def event_register(self, path: str) -> Callable[[Any], None]:
        """See `Client.event_register`."""
        self._run(self._client.event_register(path))
        return functools.partial(self.event_emit, path)

    def event_emit(self, path: str, payload: object) -> None:
        """See `Client.event_emit`."""
        self._run(self._client.event_emit(path, payload))

    def event_listen_cb(self, path: str, callback: ValueCallback) -> SyncHearing:
        """See `Client.event_listen_cb`."""
        listening = self._client.event_listen_cb(path, self._in_thread(callback))
        return SyncHearing(self, self._run(listening))

    def event_listen(self, path: str) -> Iterator[Any]:
        """See `Client.event_listen`; also ends when another thread closes the client."""
        payloads = self._client.event_listen(path)

        async def step() -> Any:
            return await anext(payloads, _END)

        async def stop() -> None:  # unlike aclose(), this does nothing if it is never run
            await payloads.aclose()

        try:
            payload = self._run(step())
            while payload is not _END:
                yield payload
                try:
                    payload = self._run(step())
                except Disconnected:  # closed between two steps
                    return
        finally:
            with contextlib.suppress(Disconnected):
                self._run(stop())

    def event_listen_queue(self, path: str) -> "queue.SimpleQueue[Any]":
        """Listen for events; return a queue of their payloads."""
        payloads: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._run(self._client.event_listen_cb(path, payloads.put))
        return payloads

    def unlisten(self, path: str, callback: ValueCallback | None = None) -> None:
        """See `Client.unlisten`."""
        function = None if callback is None else self._in_thread(callback)
        self._run(self._client.unlisten(path, function))

    # --- states -------------------------------------------------------------------------------

    def state_register(
        self, path: str, set_callback: ValueCallback | None = None
    ) -> SyncStateWrapper:
        """See `Client.state_register`."""
        setter = None if set_callback is None else self._in_thread(set_callback)
        self._run(self._client.state_register(path, setter))
        return SyncStateWrapper(self, self._client.resolve(path))

    def state_changed(self, path: str, value: object) -> None:
        """See `Client.state_changed`."""
        self._run(self._client.state_changed(path, value))

    def state_unknown(self, path: str) -> None:
        """See `Client.state_unknown`."""
        self._run(self._client.state_unknown(path))

    def state_observe(self, path: str, callback: ValueCallback) -> Any:
        """See `Client.state_observe`."""
        return self._run(self._client.state_observe(path, self._in_thread(callback)))

    def state_observe_queue(self, path: str) -> "queue.SimpleQueue[Any]":
        """Observe a state; return a queue of its values, starting with the current one."""
        values: queue.SimpleQueue[Any] = queue.SimpleQueue()

        async def observe() -> None:
            later: list[Any] = []  # values that arrive before the current one is in the queue
            receivers = [later.append]
            values.put(await self._client.state_observe(path, lambda value: receivers[0](value)))
            for value in later:
                values.put(value)
            receivers[0] = values.put

        self._run(observe())
        return values

    def state_observe_wrapper(self, path: str) -> "ObservedState":
        """Observe a state; return an object with its value."""
        state = ObservedState()
        state._value = self.state_observe(path, state._on_change)
        return state

    def unobserve(self, path: str, callback: ValueCallback | None = None) -> None:
        """See `Client.unobserve`."""
        function = None if callback is None else self._in_thread(callback)
        self._run(self._client.unobserve(path, function))

    # --- all registrations --------------------------------------------------------------------

    def unregister(self, path: str) -> None:
        """See `Client.unregister`."""
        self._run(self._client.unregister(path))

    def resolve(self, path: str) -> str:
        """See `Client.resolve`."""
        return self._client.resolve(path)

    # --- the threads --------------------------------------------------------------------------

    def _in_thread(self, function: Callable[..., object]) -> _InThread:
        if not callable(function):
            raise not_callable(function, "a callback of a client", TypeError)
        return _InThread(function, self._callbacks)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, and wait for its result; interrupting this cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "a method of SyncClient would wait for its own event loop here; "
                "pass plain functions as callbacks, not coroutine functions"
            )
        future = self._submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            if self.closed:
                coroutine.close()
                raise Disconnected(reason="this client is closed")
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
