"""Makes registrations, and takes them back.

The wire has no message to take something back. Where the server has the action `/meta/unregister`,
it is asked to; where it has not, a node that was given up stays with this client until the
connection ends: it is unknown and answers nothing, and whoever registers it with this client again
has it at once.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from eshet import codec, messages
from eshet.client.callbacks import Callback, Tasks
from eshet.client.connection_manager import ConnectionManager
from eshet.client.registrations import Registration, RegistrationTable, Subscription, Topic
from eshet.client.session import Accept, describe
from eshet.exceptions import Disconnected, ErrorValue, EshetError, PathTaken
from eshet.scope import current_scope

__all__ = ["Registrar"]

_UNREGISTER: Final = b"/meta/unregister"


class Registrar:
    """Makes and takes back the registrations of one client.

    Requests raise the errors of `ConnectionManager.ask` and its future, but without a connection
    they wait, or are made as soon as it is there.

    Args:
        keeper: of the connection.
        registrations: of the client.
        tasks: of the client.
    """

    def __init__(
        self, keeper: ConnectionManager, registrations: RegistrationTable, tasks: Tasks
    ) -> None:
        self._keeper = keeper
        self._registrations = registrations
        self._tasks = tasks

    # --- what the client owns -----------------------------------------------------------------

    async def register(self, owned: Registration) -> None:
        """Register a node, until it is withdrawn or the scope of this context ends."""
        if await self._is_left_on_server(owned):
            self._registrations.owned[owned.path] = owned
        else:
            await self._ask_for(owned)
        scope = current_scope()
        if scope is not None:
            scope.own(lambda: self.withdraw(owned))

    async def _is_left_on_server(self, owned: Registration) -> bool:
        """Whether such a node was given up, and the server could not be told to forget it."""
        older = self._registrations.owned.get(owned.path)
        if older is None or older.leaving is None:
            return False
        await asyncio.wait([older.leaving])
        older = self._registrations.owned.get(owned.path)
        return older is not None and older.withdrawn and older.code == owned.code

    async def _ask_for(self, owned: Registration) -> None:
        """Have the server register a node, now or as soon as there is a connection."""

        def accept(_: Any) -> None:
            self._registrations.owned[owned.path] = owned

        reply: asyncio.Future[Any] | None = None
        while True:
            try:
                reply = self._keeper.ask(owned.code, owned.path, accept=accept)
                await asyncio.shield(reply)
            except asyncio.CancelledError:
                accept(None)  # as far as anybody knows
                owned.leaving = self._tasks.start(self._leave(owned, reply))
                raise
            except Disconnected:
                if self._keeper.closed:
                    raise
                if self._keeper.connected:  # again, since it was asked
                    continue
                self._register_later(owned)
            return

    def _register_later(self, owned: Registration) -> None:
        """Leave a node to be registered when the connection is restored.

        Raises:
            PathTaken: this client has another node there, as the server would answer.
        """
        older = self._registrations.owned.get(owned.path)
        if older is not None and not older.withdrawn:
            raise PathTaken(describe(owned.code, owned.path), owned.path.decode())
        owned.on_server = False
        self._registrations.owned[owned.path] = owned

    def withdraw(self, owned: Registration) -> None:
        """Give up a node: nothing here answers for it any more. A second call does nothing."""
        if self._registrations.owned.get(owned.path) is not owned or owned.withdrawn:
            return
        owned.callback = owned.getter = None
        if owned.on_server:
            owned.leaving = self._tasks.start(self._leave(owned))
        else:
            del self._registrations.owned[owned.path]

    async def unregister(self, path: bytes) -> None:
        """Give up a node and wait until the server has taken note; nothing, if it is not owned."""
        owned = self._registrations.owned.get(path)
        if owned is not None:
            self.withdraw(owned)
            if owned.leaving is not None:
                await asyncio.wait([owned.leaving])

    async def _leave(
        self, owned: Registration, registered: asyncio.Future[Any] | None = None
    ) -> None:
        """Have the server forget a node that was given up, or at least its value.

        Args:
            owned: the node.
            registered: its registration, if that may still be under way.
        """
        with contextlib.suppress(EshetError):  # all is forgotten with the connection
            if registered is not None and not await _succeeds(registered):
                del self._registrations.owned[owned.path]
            elif not await self._forget(owned.path) and owned.value is not None:
                owned.value = None
                await self._keeper.ask(messages.StateUnknown.code, owned.path)

    # --- what the client hears of -------------------------------------------------------------

    async def subscribe(
        self, code: int, path: bytes, callback: Callback
    ) -> tuple[Subscription, Any]:
        """Ask to hear of an event or a state.

        Args:
            code: of the message that asks for it.
            path: of the node.
            callback: called with each payload or value.

        Returns:
            What ends it, which the scope of this context does too, and the present value.
        """
        table = self._registrations.topic(code)
        topic = table.get(path)
        if topic is None:
            topic = table[path] = Topic(path, code)
            if (observer := self._registrations.observer) is not None:
                topic.seen = observer.first_visible(topic.kind, path)

        subscription = Subscription(topic, callback, self._drop_if_unheard, self._check_loop)

        def accept(value: Any) -> None:
            topic.value = value
            subscription.begin()

        topic.asking += 1
        try:
            await self._ask_to_hear(topic, subscription, accept)
        except BaseException as error:
            subscription.dispose()
            if isinstance(error, ErrorValue):
                topic.on_server = bool(topic.subscriptions)
            raise
        finally:
            topic.asking -= 1
            self._drop_if_unheard(topic)
        return subscription, topic.value

    async def _ask_to_hear(self, topic: Topic, subscription: Subscription, accept: Accept) -> None:
        """Have the server tell of a node, now or as soon as there is a connection.

        An event needs no answer, so that is not waited for.
        """
        while True:
            try:
                reply = self._keeper.ask(topic.code, topic.path, accept=accept)
                topic.on_server = True
                await reply
            except Disconnected:
                if self._keeper.closed:
                    raise
                if topic.code == messages.EventListen.code and not self._keeper.connected:
                    subscription.begin()
                    return
                await self._keeper.wait()
            else:
                return

    async def unsubscribe(
        self, code: int, path: bytes, function: Callable[[Any], Any] | None = None
    ) -> None:
        """End all hearings of a path, or those of one function, and wait until the server knows."""
        topic = self._registrations.topic(code).get(path)
        if topic is None:
            return
        topic.asking += 1  # so that the server is told here, once
        for subscription in topic.subscriptions.copy():
            if function is None or subscription.callback.function == function:
                subscription.dispose()
        topic.asking -= 1
        dropping = self._drop_if_unheard(topic)
        if dropping is not None:
            await asyncio.wait([dropping])

    def _drop_if_unheard(self, topic: Topic) -> asyncio.Task[None] | None:
        """Drop what nobody hears of, here and, in the task that is returned, on the server."""
        table = self._registrations.topic(topic.code)
        if topic.asking or topic.subscriptions or table.get(topic.path) is not topic:
            return None
        del table[topic.path]
        return self._tasks.start(self._stop_hearing(topic.path)) if topic.on_server else None

    async def _stop_hearing(self, path: bytes) -> None:
        with contextlib.suppress(EshetError):  # all is forgotten with the connection
            await self._forget(path)

    def _check_loop(self) -> None:
        if not self._keeper.closed:
            self._keeper.check_loop()

    # --- the server ---------------------------------------------------------------------------

    async def _forget(self, path: bytes) -> bool:
        """Ask the server to drop all that this client is to a node; return whether it has."""
        if self._is_needed(path):
            return False
        try:
            arguments = codec.pack([path.decode()])
            await self._keeper.ask(messages.ActionCall.code, _UNREGISTER, arguments)
        except ErrorValue as error:
            if error.value == "path_not_found":  # the server has no such action
                return False
        owned = self._registrations.owned.get(path)
        if owned is not None and owned.withdrawn:
            del self._registrations.owned[path]
        return True

    def _is_needed(self, path: bytes) -> bool:
        """Whether this client is something to a node that it has not given up."""
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
