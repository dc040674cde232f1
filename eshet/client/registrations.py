"""What a client has registered, and what it does again when the connection comes back.

Invariants: what stands here was accepted by the server once; `on_server` is true from the moment
the registration is sent over the present connection; an owned node without a callback to answer
for it (`withdrawn`) is unknown to everybody but the server, which has no message to forget it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from eshet import codec, messages
from eshet.client.callbacks import Callback
from eshet.messages import Message, WithPath
from eshet.unknown import Unknown

__all__ = ["Observed", "Owned", "Registrations", "Restore"]


@dataclass(slots=True, eq=False)
class Owned:
    """A node that the client owns.

    Args:
        path: where it is.
        make: the message that registers it.
        callback: answers calls of an action and sets of a state; None if there is none.
        value: of a state, packed; None while it is unknown.
        on_server: whether the server knows of it, over the present connection.
        withdrawn: whether it was given up here.
    """

    path: str
    make: type[WithPath]
    callback: Callback | None = None
    value: bytes | None = None
    on_server: bool = True
    withdrawn: bool = False


@dataclass(slots=True, eq=False)
class Observed:
    """A state that the client observes, its last value, and who is told of it."""

    value: Any = Unknown
    callbacks: list[Callback] = field(default_factory=list)

    def change(self, value: Any) -> None:
        """Take a new value, and tell it to all."""
        self.value = value
        for callback in self.callbacks.copy():
            callback(value)


@dataclass(frozen=True, slots=True)
class Restore:
    """One request that makes a registration again."""

    make: Callable[..., messages.WithId]
    fields: tuple[Any, ...]
    accept: Callable[[Message], None] | None = None
    """Called with the reply, if the server agreed."""


class Registrations:
    """All registrations of one client, by absolute path."""

    def __init__(self) -> None:
        self.owned: Final[dict[str, Owned]] = {}
        self.listened: Final[dict[str, list[Callback]]] = {}
        self.observed: Final[dict[str, Observed]] = {}

    def own(self, owned: Owned) -> None:
        """Add a node that the server has given to the client."""
        self.owned[owned.path] = owned

    def listen(self, path: str, callback: Callback) -> None:
        """Add a listener of an event."""
        self.listened.setdefault(path, []).append(callback)

    def unlisten(self, path: str, callback: Callback) -> None:
        """Remove a listener, if it is there."""
        callbacks = self.listened.get(path, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self.listened[path]

    def observe(self, path: str, callback: Callback, reply: Message) -> None:
        """Add an observer of a state, given what the server answered."""
        observed = self.observed.setdefault(path, Observed())
        observed.value = value_of(reply)
        observed.callbacks.append(callback)

    def unobserve(self, path: str, callback: Callback) -> None:
        """Remove an observer, if it is there."""
        observed = self.observed.get(path)
        if observed is not None and callback in observed.callbacks:
            observed.callbacks.remove(callback)
            if not observed.callbacks:
                del self.observed[path]

    def disconnected(self) -> None:
        """Take note that the server has dropped everything, and tell observers."""
        for path, owned in list(self.owned.items()):
            owned.on_server = False
            if owned.withdrawn:
                del self.owned[path]
        for observed in list(self.observed.values()):
            if observed.value is not Unknown:
                observed.change(Unknown)

    def to_restore(self) -> Iterator[Restore]:
        """Yield what to ask of a server that knows of nothing, in order.

        A state is taken to be on the server when its request is yielded, so that what changes
        after that is sent after it.
        """
        for owned in list(self.owned.values()):
            yield Restore(owned.make, (owned.path,))
            owned.on_server = True
            if owned.value is not None:
                yield Restore(messages.StateChanged, (owned.path, owned.value))
        for path in list(self.listened):
            yield Restore(messages.EventListen, (path,))
        for path, observed in list(self.observed.items()):
            yield Restore(messages.StateObserve, (path,), _observed_again(observed))


def value_of(reply: Message) -> Any:
    """Return the value in an answer to an observation: Unknown, or what the state is."""
    if isinstance(reply, messages.ReplyKnown):
        return codec.unpack(reply.value)
    return Unknown


def _observed_again(observed: Observed) -> Callable[[Message], None]:
    def accept(reply: Message) -> None:
        value = value_of(reply)
        if value is not Unknown:
            observed.change(value)

    return accept
