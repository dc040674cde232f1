"""What the client hears of, and what a user gets back for a callback that does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eshet import messages
from eshet.client.callbacks import Callback
from eshet.scope import Owned as InScope
from eshet.scope import current_scope
from eshet.unknown import Unknown

__all__ = ["Heard", "Hearing"]


class Hearing:
    """A callback that hears of an event or a state, until `dispose` is called.

    It belongs to the scope in which it was made, and ends with it.
    """

    __slots__ = ("_check_loop", "_drop", "_heard", "_in_scope", "callback", "disposed")

    def __init__(
        self,
        heard: "Heard",
        callback: Callback,
        drop_if_unheard: "Callable[[Heard], object]",
        check_loop: Callable[[], None],
    ) -> None:
        self.callback = callback
        self.disposed = False
        self._heard = heard
        self._drop = drop_if_unheard
        self._check_loop = check_loop
        self._in_scope: InScope | None = None
        scope = current_scope()
        if scope is not None:
            self._in_scope = scope.own(self.dispose)

    def begin(self) -> None:
        """Hear from now on, if it has not been disposed meanwhile."""
        if not self.disposed:
            self._heard.hearings.append(self)

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
        if self in self._heard.hearings:
            self._heard.hearings.remove(self)
        self._drop(self._heard)


@dataclass(slots=True, eq=False)
class Heard:
    """An event that the client listens to, or a state that it observes.

    Args:
        path: where it is.
        code: of the message that asks for it.
        asking: how many requests for it are under way.
        hearings: who is told of it.
        value: of a state: the last.
        on_server: whether the server knows of it, over the present connection.
        seen: see `eshet.client.witness.Endpoint`.
    """

    path: bytes
    code: int
    asking: int = 0
    hearings: list[Hearing] = field(default_factory=list)
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
        for hearing in self.hearings.copy():
            hearing.callback(value)

    def restored(self, value: Any) -> None:
        """Take what the server answered when it was asked again."""
        if self.code == messages.StateObserve.code and value is not Unknown:
            self.tell(value)
