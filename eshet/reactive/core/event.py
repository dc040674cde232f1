"""`Event`: something that happens, with a payload, and leaves no value behind."""

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
    """The node of an Event that is made by hand."""

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
    """Something that happens, with a payload, and leaves no value behind.

    Let it happen with `event.emit(payload)`. All that follows from that has happened when `emit`
    returns; within a callback, it happens right after the present change.

    Args:
        inputs: what this Event follows. It is kept in order with them: after all of them changed,
            `on_inputs_done` is called once.
        on_inputs_done: called whenever inputs have changed, with a function that emits and may be
            called any number of times, until it returns. Callbacks that this scope gave the inputs
            before are called first, so they can collect for it.
        name: what people are told that this is; else they are told where it was made.
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
        """Let it happen, with `value` as the payload."""
        node = self._node
        node.transactions.change(node, value)  # as node.change() does, with one call less

    def set_instantaneous_value(self, value: T) -> None:
        """Let it happen, as an instantaneous value does in plain yarp."""
        self.emit(value)

    def on_event(self, callback: C) -> C:
        """Call `callback` as `subscribe` does, and return it: this can be a decorator."""
        subscribe(self._node, callback)
        return callback

    @property
    def value(self) -> Any:
        """`NoValue`: an Event holds nothing."""
        return NoValue

    @value.setter
    def value(self, value: Never) -> None:
        raise ReactiveTypeError("an Event holds no value: write `event.emit(value)`")

    if not TYPE_CHECKING:  # a type checker finds a misspelt name by itself

        def __getattr__(self, name: str) -> NoReturn:
            near = difflib.get_close_matches(name, [n for n in dir(Event) if n[0] != "_"], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise AttributeError(
                f"an Event has no attribute {name!r}: {hint}"
                f"For that attribute of each payload write `yarp.getattr(event, {name!r})`",
                name=name,
                obj=self,
            )

    def __repr__(self) -> str:
        return self._told("Event()")


def event_of(node: EventNode) -> Event[Any]:
    """Return a new handle of a node."""
    event: Event[Any] = Event.__new__(Event)
    event._node = node
    node.uses += 1
    return event
