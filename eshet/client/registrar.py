"""Registers nodes and subscriptions, and undoes that.

The protocol has no message for unregistering. If the server has the action `/meta/unregister`,
that is called. Otherwise a withdrawn node stays registered for this client until the connection
ends: its state is unknown, it answers nothing, and if this client registers it again that takes
effect at once.
"""

import asyncio
import contextlib
from typing import Any, Final

from eshet import codec, messages
from eshet.client.callbacks import Callback, Tasks
from eshet.client.connection_manager import ConnectionManager
from eshet.client.registrations import Registration, RegistrationTable, Subscription, Topic
from eshet.client.session import Accept, describe
from eshet.exceptions import Disconnected, ErrorValue, EshetError, PathTaken
from eshet.scope import current_scope
from eshet.types import ValueCallback

__all__ = ["Registrar"]

_UNREGISTER: Final = b"/meta/unregister"


class Registrar:
    """Makes and undoes the registrations of one client.

    Requests raise the errors of `ConnectionManager.ask` and its future; but without a connection
    they wait for one.

    Args:
        manager: the connection manager of the client.
        registrations: of the client.
        tasks: of the client.
    """

    def __init__(
        self, manager: ConnectionManager, registrations: RegistrationTable, tasks: Tasks
    ) -> None:
        self.is_ending: bool = False
        """Whether the connection is about to end, which withdraws everything on the server."""
        self._manager = manager
        self._registrations = registrations
        self._tasks = tasks

    # --- owned nodes --------------------------------------------------------------------------

    async def register(self, owned: Registration) -> None:
        """Register a node, until it is withdrawn or the scope of this context ends."""
        if await self._is_left_on_server(owned):
            self._registrations.owned[owned.path] = owned
        else:
            await self._register_on_server(owned)
        scope = current_scope()
        if scope is not None:
            scope.own(lambda: self.withdraw(owned))

    async def _is_left_on_server(self, owned: Registration) -> bool:
        """Whether such a node was withdrawn, and the server could not forget it."""
        older = self._registrations.owned.get(owned.path)
        if older is None or older.leaving is None:
            return False
        await asyncio.wait([older.leaving])
        older = self._registrations.owned.get(owned.path)
        return older is not None and older.withdrawn and older.code == owned.code

    async def _register_on_server(self, owned: Registration) -> None:
        """Register a node on the server, now or as soon as there is a connection."""

        def accept(_: object) -> None:
            self._registrations.owned[owned.path] = owned

        reply: asyncio.Future[Any] | None = None
        while True:
            try:
                reply = self._manager.ask(owned.code, owned.path, accept=accept)
                await asyncio.shield(reply)
            except asyncio.CancelledError:
                accept(None)  # as the request may have succeeded
                owned.leaving = self._tasks.start(self._release(owned, reply))
                raise
            except Disconnected:
                if self._manager.closed:
                    raise
                if self._manager.connected:  # reconnected meanwhile: ask again
                    continue
                self._register_later(owned)
            return

    def _register_later(self, owned: Registration) -> None:
        """Leave a node to be registered when registrations are restored.

        Raises:
            PathTaken: this client has another node there; the server would answer the same.
        """
        older = self._registrations.owned.get(owned.path)
        if older is not None and not older.withdrawn:
            raise PathTaken(describe(owned.code, owned.path), owned.path.decode())
        owned.on_server = False
        self._registrations.owned[owned.path] = owned

    def withdraw(self, owned: Registration) -> None:
        """Withdraw a node, and stop calling its callbacks. A second call does nothing."""
        if self._registrations.owned.get(owned.path) is not owned or owned.withdrawn:
            return
        owned.callback = owned.getter = None
        if owned.on_server and not self.is_ending:
            owned.leaving = self._tasks.start(self._release(owned))
        else:
            del self._registrations.owned[owned.path]

    async def unregister(self, path: bytes) -> None:
        """Withdraw a node and wait for the server; does nothing if it is not owned."""
        owned = self._registrations.owned.get(path)
        if owned is not None:
            self.withdraw(owned)
            if owned.leaving is not None:
                await asyncio.wait([owned.leaving])

    async def _release(
        self, owned: Registration, registered: asyncio.Future[Any] | None = None
    ) -> None:
        """Have the server forget a withdrawn node, or at least its value.

        Args:
            owned: the node.
            registered: its registration request, if that may still be pending.
        """
        with contextlib.suppress(EshetError):  # without a connection, the server has forgotten it
            if registered is not None and not await _succeeds(registered):
                del self._registrations.owned[owned.path]
            elif not await self._forget(owned.path) and owned.value is not None:
                owned.value = None
                await self._manager.ask(messages.StateUnknown.code, owned.path)

    # --- subscriptions ------------------------------------------------------------------------

    async def subscribe(
        self, code: int, path: bytes, callback: Callback
    ) -> tuple[Subscription, Any]:
        """Subscribe to an event or a state.

        Args:
            code: of the request.
            path: of the node.
            callback: called with each payload or value.

        Returns:
            The subscription, which also ends with the scope of this context, and the current value.
        """
        table = self._registrations.topic(code)
        topic = table.get(path)
        if topic is None:
            topic = table[path] = Topic(path, code)
            if (observer := self._registrations.observer) is not None:
                topic.seen = observer.first_visible()

        subscription = Subscription(topic, callback, self._drop_if_unused, self._check_loop)

        def accept(value: object) -> None:
            topic.value = value
            subscription.begin()

        topic.pending_requests += 1
        try:
            await self._subscribe_on_server(topic, subscription, accept)
        except BaseException as error:
            subscription.dispose()
            if isinstance(error, ErrorValue):
                topic.on_server = bool(topic.subscriptions)
            raise
        finally:
            topic.pending_requests -= 1
            self._drop_if_unused(topic)
        return subscription, topic.value

    async def _subscribe_on_server(
        self, topic: Topic, subscription: Subscription, accept: Accept
    ) -> None:
        """Subscribe on the server, now or as soon as there is a connection.

        Listening needs no answer, so without a connection this returns at once.
        """
        while True:
            try:
                reply = self._manager.ask(topic.code, topic.path, accept=accept)
                topic.on_server = True
                await reply
            except Disconnected:
                if self._manager.closed:
                    raise
                if topic.code == messages.EventListen.code and not self._manager.connected:
                    subscription.begin()
                    return
                await self._manager.wait()
            else:
                return

    async def unsubscribe(
        self, code: int, path: bytes, function: ValueCallback | None = None
    ) -> None:
        """End all subscriptions of a path, or those of one function, and wait for the server."""
        topic = self._registrations.topic(code).get(path)
        if topic is None:
            return
        topic.pending_requests += 1  # so that the topic is dropped once, below
        for subscription in topic.subscriptions.copy():
            if function is None or subscription.callback.function == function:
                subscription.dispose()
        topic.pending_requests -= 1
        dropping = self._drop_if_unused(topic)
        if dropping is not None:
            await asyncio.wait([dropping])

    def _drop_if_unused(self, topic: Topic) -> asyncio.Task[None] | None:
        """Drop an unused topic here and, in the returned task, on the server."""
        table = self._registrations.topic(topic.code)
        if topic.pending_requests or topic.subscriptions or table.get(topic.path) is not topic:
            return None
        del table[topic.path]
        if not topic.on_server or self.is_ending:
            return None
        return self._tasks.start(self._unsubscribe_on_server(topic.path))

    async def _unsubscribe_on_server(self, path: bytes) -> None:
        with contextlib.suppress(EshetError):  # without a connection, the server has forgotten it
            await self._forget(path)

    def _check_loop(self) -> None:
        if not self._manager.closed:
            self._manager.check_loop()

    # --- the server ---------------------------------------------------------------------------

    async def _forget(self, path: bytes) -> bool:
        """Have the server drop the client's registrations of a node; return whether it did."""
        if self._is_needed(path):
            return False
        try:
            arguments = codec.pack([path.decode()])
            await self._manager.ask(messages.ActionCall.code, _UNREGISTER, arguments)
        except ErrorValue as error:
            if error.value == "path_not_found":  # the server has no such action
                return False
        owned = self._registrations.owned.get(path)
        if owned is not None and owned.withdrawn:
            del self._registrations.owned[path]
        return True

    def _is_needed(self, path: bytes) -> bool:
        """Whether this client still uses a node in any way."""
        owned = self._registrations.owned.get(path)
        return (
            (owned is not None and not owned.withdrawn)
            or path in self._registrations.listened
            or path in self._registrations.observed
        )


async def _succeeds(future: asyncio.Future[Any]) -> bool:
    try:
        await future
    except ErrorValue:
        return False
    return True
