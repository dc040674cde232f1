"""What a client has registered, and what it does again when the connection comes back.

Invariants: `on_server` is true from the moment the registration is sent over the present
connection; what is heard by nobody is here only as long as it is being asked for; an owned node
that is `withdrawn` has nothing any more that answers for it, and is here only as long as the server
has not forgotten it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from eshet import messages
from eshet.cause import Cause, causing
from eshet.client.callbacks import Callback
from eshet.client.hearing import Heard
from eshet.client.requests import Accept
from eshet.client.witness import Witness
from eshet.unknown import Unknown

__all__ = ["Owned", "Registrations", "Restore"]


@dataclass(slots=True, eq=False)
class Owned:
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


class Registrations:
    """All registrations of one client, by path, and who sees what is heard and said there."""

    def __init__(self) -> None:
        self.witness: Witness | None = None
        self.owned: Final[dict[bytes, Owned]] = {}
        self.listened: Final[dict[bytes, Heard]] = {}
        self.observed: Final[dict[bytes, Heard]] = {}

    def heard(self, code: int) -> dict[bytes, Heard]:
        """Return what is heard of by this kind of message."""
        return self.listened if code == messages.EventListen.code else self.observed

    def disconnected(self) -> None:
        """Take note that the server has dropped everything, and tell observers."""
        if self.witness is None:
            self._disconnected()
        else:
            with causing(Cause("disconnected", "")):
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
        for heard in [*self.listened.values(), *self.observed.values()]:
            if heard.hearings and not heard.on_server:
                heard.on_server = True
                yield Restore(heard.code, heard.path, accept=self._telling(heard))

    def _telling(self, heard: Heard) -> Accept:
        def tell(value: Any) -> None:
            if self.witness is None:
                heard.restored(value)
            else:
                with causing(Cause("state", heard.path.decode())):
                    heard.restored(value)

        return tell
