"""`Event`: something that happens, with a payload, and has no value."""

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Never, NoReturn, TypeVar

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.callbacks_first import callbacks_first
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.handle import C, Reactive, node_of
from eshet.reactive.core.markers import NoValue, PlainValue
from eshet.reactive.core.subscription import subscribe
from eshet.reactive.core.transaction import Transactions

__all__ = ["Event", "event_of"]

T = TypeVar("T")


class _EventSource(EventNode):
    """The node of an Event that the user creates."""

    __slots__ = ("_on_inputs_done",)

    def __init__(
        self, inputs: list[Node], on_inputs_done: Callable[[Callable[[Any], None]], object] | None
    ) -> None:
        super().__init__(inputs)
        self._on_inputs_done = on_inputs_done

    def settle(self, transactions: Transactions) -> bool:
        if self._on_inputs_done is None:
            return False
        emissions: list[Any] = []
        self._on_inputs_done(emissions.append)
        return self.emit(emissions, transactions)


class Event(Reactive[T]):
    """Something that happens, with a payload, and has no value.

    `event.emit(payload)` makes it happen. All of its effects have happened when `emit` returns;
    within a callback, they happen right after the current change.

    Args:
        inputs: the Values and Events that this Event follows: after they changed,
            `on_inputs_done` is called once.
        on_inputs_done: called whenever inputs have changed, with a function that emits. It may
            call that function any number of times, until it returns. Callbacks that this scope
            registered on the inputs earlier are called first, so they can collect data for it.
        name: how messages name this Event; without one, they name the line where it was made.
    """

    __slots__ = ()

    def __init__(
        self,
        inputs: Iterable[PlainValue] = (),
        on_inputs_done: Callable[[Callable[[T], None]], object] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        nodes: list[Node] = [node_of(reactive) for reactive in inputs]
        if on_inputs_done is not None:
            nodes = callbacks_first(nodes)
        self._node = _EventSource(nodes, on_inputs_done)
        self._node.uses = 1
        if name is not None:
            self._node.origin = name

    def emit(self, value: T) -> None:
        """Emit the Event, with `value` as the payload."""
        node = self._node
        node.transactions.change(node, value)  # like node.change(), with one call less

    def set_instantaneous_value(self, value: T) -> None:
        """Emit the Event, like an instantaneous value in plain yarp."""
        self.emit(value)

    def on_event(self, callback: C) -> C:
        """Call `callback` as `subscribe` does, and return it, for use as a decorator."""
        subscribe(self._node, callback)
        return callback

    @property
    def value(self) -> Any:
        """`NoValue`: an Event holds nothing."""
        return NoValue

    @value.setter
    def value(self, value: Never) -> None:
        raise ReactiveTypeError("an Event holds no value: write `event.emit(value)`")

    if not TYPE_CHECKING:  # a type checker reports misspelt names itself

        def __getattr__(self, name: str) -> NoReturn:
            near = difflib.get_close_matches(name, [n for n in dir(Event) if n[0] != "_"], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            # Without `name`, as Python 3.12 and later would add a suggestion of its own.
            raise AttributeError(
                f"an Event has no attribute {name!r}: {hint}"
                f"For that attribute of each payload write `yarp.getattr(event, {name!r})`",
                obj=self,
            )

    def __repr__(self) -> str:
        return self._repr("Event()")


def event_of(node: EventNode) -> Event[Any]:
    """Return a new handle of a node."""
    event: Event[Any] = Event.__new__(Event)
    event._node = node
    node.uses += 1
    return event
