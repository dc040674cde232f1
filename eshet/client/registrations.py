"""What a client has registered, and what it does again when the connection comes back.

Invariants: `on_server` is true from the moment the registration is sent over the present
connection; what is heard by nobody is here only as long as it is being asked for; an owned node
that is `withdrawn` has nothing any more that answers for it, and is here only as long as the server
has not forgotten it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from eshet import messages
from eshet.cause import Cause, use_cause
from eshet.client.callbacks import Callback
from eshet.client.observer import ClientObserver
from eshet.client.session import Accept
from eshet.scope import Ownership as InScope
from eshet.scope import current_scope
from eshet.unknown import Unknown

__all__ = ["Registration", "RegistrationTable", "Restore", "Subscription", "Topic"]


class Subscription:
    """A callback that hears of an event or a state, until `dispose` is called.

    It belongs to the scope in which it was made, and ends with it.
    """

    __slots__ = ("_check_loop", "_drop", "_heard", "_in_scope", "callback", "disposed")

    def __init__(
        self,
        topic: "Topic",
        callback: Callback,
        drop_if_unheard: "Callable[[Topic], object]",
        check_loop: Callable[[], None],
    ) -> None:
        self.callback = callback
        self.disposed = False
        self._heard = topic
        self._drop = drop_if_unheard
        self._check_loop = check_loop
        self._in_scope: InScope | None = None
        scope = current_scope()
        if scope is not None:
            self._in_scope = scope.own(self.dispose)

    def begin(self) -> None:
        """Hear from now on, if it has not been disposed meanwhile."""
        if not self.disposed:
            self._heard.subscriptions.append(self)

    def dispose(self) -> None:
        """Stop hearing, at once. A second call does nothing.

        The server is told, if nobody else hears of the same path by the same client.

        Raises:
            WrongLoop: it is called in another thread or event loop than the client's.
        """
        if self.disposed:
            return
        self._check_loop()
        self.disposed = True
        if self._in_scope is not None:
            self._in_scope.forget()
        if self in self._heard.subscriptions:
            self._heard.subscriptions.remove(self)
        self._drop(self._heard)


@dataclass(slots=True, eq=False)
class Topic:
    """An event that the client listens to, or a state that it observes.

    Args:
        path: where it is.
        code: of the message that asks for it.
        asking: how many requests for it are under way.
        hearings: who is told of it.
        value: of a state: the last.
        on_server: whether the server knows of it, over the present connection.
        seen: see `eshet.client.observer.Endpoint`.
    """

    path: bytes
    code: int
    asking: int = 0
    subscriptions: list[Subscription] = field(default_factory=list)
    value: Any = Unknown
    on_server: bool = False
    seen: int = 0

    @property
    def kind(self) -> str:
        """Which kind of cause it is when something comes in here."""
        return "event" if self.code == messages.EventListen.code else "state"

    def tell(self, value: Any) -> None:
        """Tell all of what happened; a state has this value now."""
        self.value = value
        for subscription in self.subscriptions.copy():
            subscription.callback(value)

    def restored(self, value: Any) -> None:
        """Take what the server answered when it was asked again."""
        if self.code == messages.StateObserve.code and value is not Unknown:
            self.tell(value)


@dataclass(slots=True, eq=False)
class Registration:
    """A node that the client owns.

    Args:
        path: where it is.
        code: of the message that registers it.
        callback: answers calls of an action, and sets; None if there is none.
        getter: answers gets of a property.
        value: of a state, packed; None while it is unknown.
        on_server: whether the server knows of it, over the present connection.
        leaving: the task that takes it back from the server, once it was given up here.
    """

    path: bytes
    code: int
    callback: Callback | None = None
    getter: Callback | None = None
    value: bytes | None = None
    on_server: bool = True
    leaving: asyncio.Task[None] | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether it was given up here."""
        return self.leaving is not None


class Restore(NamedTuple):
    """One request that makes a registration again."""

    code: int
    path: bytes
    value: bytes = b""
    accept: Accept | None = None


class RegistrationTable:
    """All registrations of one client, by path, and who sees what is heard and said there."""

    def __init__(self) -> None:
        self.observer: ClientObserver | None = None
        self.owned: Final[dict[bytes, Registration]] = {}
        self.listened: Final[dict[bytes, Topic]] = {}
        self.observed: Final[dict[bytes, Topic]] = {}

    def topic(self, code: int) -> dict[bytes, Topic]:
        """Return what is heard of by this kind of message."""
        return self.listened if code == messages.EventListen.code else self.observed

    def disconnected(self) -> None:
        """Take note that the server has dropped everything, and tell observers."""
        if self.observer is None:
            self._disconnected()
        else:
            with use_cause(Cause("disconnected", "")):
                self._disconnected()

    def _disconnected(self) -> None:
        for path, owned in list(self.owned.items()):
            owned.on_server = False
            if owned.withdrawn:
                del self.owned[path]
        for listened in self.listened.values():
            listened.on_server = False
        for observed in list(self.observed.values()):
            observed.on_server = False
            if observed.value is not Unknown:
                observed.tell(Unknown)

    def to_restore(self) -> Iterator[Restore]:
        """Yield what to ask of the server that it does not know of, in order.

        A node is taken to be on the server when its request is yielded, so that what changes after
        that is sent after it. What is registered in the meantime comes last.
        """
        is_complete = False
        while not is_complete:
            is_complete = True
            for restore in self._not_on_server():
                is_complete = False
                yield restore

    def _not_on_server(self) -> Iterator[Restore]:
        for owned in [each for each in self.owned.values() if not each.on_server]:
            owned.on_server = True
            yield Restore(owned.code, owned.path)
            if owned.value is not None:
                yield Restore(messages.StateChanged.code, owned.path, owned.value)
        for topic in [*self.listened.values(), *self.observed.values()]:
            if topic.subscriptions and not topic.on_server:
                topic.on_server = True
                yield Restore(topic.code, topic.path, accept=self._telling(topic))

    def _telling(self, topic: Topic) -> Accept:
        def tell(value: Any) -> None:
            if self.observer is None:
                topic.restored(value)
            else:
                with use_cause(Cause("state", topic.path.decode())):
                    topic.restored(value)

        return tell
