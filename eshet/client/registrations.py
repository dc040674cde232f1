"""The registrations of a client, which are made again after a reconnection.

Invariants: `on_server` is true as soon as the registration is sent over the current connection; a
topic without subscriptions exists only while a request for it is pending; a `withdrawn` node has no
callbacks, and exists only until the server has forgotten it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
    """A callback for an event or a state, until `dispose` is called.

    It belongs to the scope in which it was made, and ends with it.
    """

    __slots__ = ("_check_loop", "_drop", "_in_scope", "_topic", "callback", "disposed")

    def __init__(
        self,
        topic: "Topic",
        callback: Callback,
        drop_if_unused: "Callable[[Topic], object]",
        check_loop: Callable[[], None],
    ) -> None:
        self.callback: Callback = callback
        self.disposed: bool = False
        self._topic = topic
        self._drop = drop_if_unused
        self._check_loop = check_loop
        self._in_scope: InScope | None = None
        scope = current_scope()
        if scope is not None:
            self._in_scope = scope.own(self.dispose)

    def begin(self) -> None:
        """Start calling the callback, unless it has been disposed meanwhile."""
        if not self.disposed:
            self._topic.subscriptions.append(self)

    def dispose(self) -> None:
        """Stop calling the callback at once. A second call does nothing.

        If this was the client's last subscription to the path, the server is notified.

        Raises:
            WrongLoop: called in a thread or event loop other than the client's.
        """
        if self.disposed:
            return
        self._check_loop()
        self.disposed = True
        if self._in_scope is not None:
            self._in_scope.forget()
        if self in self._topic.subscriptions:
            self._topic.subscriptions.remove(self)
        self._drop(self._topic)


@dataclass(slots=True, eq=False)
class Topic:
    """An event that the client listens to, or a state that it observes.

    Args:
        path: of the node.
        code: of the request that subscribes to it.
        pending_requests: the number of pending requests for it.
        subscriptions: the callbacks.
        value: the last value, for a state.
        on_server: whether the server knows of it, over the current connection.
        seen: see `eshet.client.observer.InputTarget`.
    """

    path: bytes
    code: int
    pending_requests: int = 0
    subscriptions: list[Subscription] = field(default_factory=list)
    value: object = Unknown
    on_server: bool = False
    seen: int = 0

    @property
    def kind(self) -> str:
        """The kind of cause of an input here."""
        return "event" if self.code == messages.EventListen.code else "state"

    def notify(self, value: object) -> None:
        """Notify all subscriptions; for a state, also store the value."""
        self.value = value
        for subscription in self.subscriptions.copy():
            subscription.callback(value)

    def restored(self, value: object) -> None:
        """Process the server's answer to a restored subscription."""
        if self.code == messages.StateObserve.code and value is not Unknown:
            self.notify(value)


@dataclass(slots=True, eq=False)
class Registration:
    """A node that the client owns.

    Args:
        path: of the node.
        code: of the request that registers it.
        callback: for calls of an action, and for sets; None if there is none.
        getter: for gets of a property.
        value: the packed value of a state; None while it is unknown.
        on_server: whether the server knows of it, over the current connection.
        taken: whether another client has registered the path while this one was not connected.
        leaving: the task that removes it from the server, once it was withdrawn.
    """

    path: bytes
    code: int
    callback: Callback | None = None
    getter: Callback | None = None
    value: bytes | None = None
    on_server: bool = True
    taken: bool = False
    leaving: asyncio.Task[None] | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether it was given up by this client."""
        return self.leaving is not None


class Restore(NamedTuple):
    """One request that restores a registration."""

    code: int
    path: bytes
    value: bytes = b""
    accept: Accept | None = None


class RegistrationTable:
    """All registrations of one client, by path, and the client's observer."""

    def __init__(self) -> None:
        self.observer: ClientObserver | None = None
        self.owned: Final[dict[bytes, Registration]] = {}
        self.listened: Final[dict[bytes, Topic]] = {}
        self.observed: Final[dict[bytes, Topic]] = {}

    def topic(self, code: int) -> dict[bytes, Topic]:
        """Return the topics that this kind of request subscribes to."""
        return self.listened if code == messages.EventListen.code else self.observed

    def disconnected(self) -> None:
        """Mark everything as not on the server, and make observed states unknown."""
        if self.observer is None:
            self._disconnected()
        else:
            with use_cause(Cause("disconnected", "")):
                self._disconnected()

    def _disconnected(self) -> None:
        for path, owned in list(self.owned.items()):
            owned.on_server = owned.taken = False
            if owned.withdrawn:
                del self.owned[path]
        for listened in self.listened.values():
            listened.on_server = False
        for observed in list(self.observed.values()):
            observed.on_server = False
            if observed.value is not Unknown:
                observed.notify(Unknown)

    def to_restore(self) -> Iterator[Restore]:
        """Yield the requests that restore the missing registrations on the server, in order.

        A node counts as on the server as soon as its request is yielded, so that later changes are
        sent after it. Registrations made in the meantime come last.
        """
        is_complete = False
        while not is_complete:
            is_complete = True
            for restore in self._not_on_server():
                is_complete = False
                yield restore

    def _not_on_server(self) -> Iterator[Restore]:
        for owned in [each for each in self.owned.values() if not (each.on_server or each.taken)]:
            owned.on_server = True
            yield Restore(owned.code, owned.path)
            if owned.value is not None:
                yield Restore(messages.StateChanged.code, owned.path, owned.value)
        for topic in [*self.listened.values(), *self.observed.values()]:
            if topic.subscriptions and not topic.on_server:
                topic.on_server = True
                yield Restore(topic.code, topic.path, accept=self._restored_handler(topic))

    def _restored_handler(self, topic: Topic) -> Accept:
        def accept(value: object) -> None:
            if self.observer is None:
                topic.restored(value)
            else:
                with use_cause(Cause("state", topic.path.decode())):
                    topic.restored(value)

        return accept
