# ruff: noqa: D102 - an override does what its base class documents
"""Conversions from Values to Events and back, and functions that treat both alike."""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar, overload

from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import AnyEvent, Event, event_of
from eshet.reactive.core.graph import EventNode, Node, RestoreContext, StateData, ValueNode
from eshet.reactive.core.handle import Members, Reactive, node_of
from eshet.reactive.core.markers import NoValue, PlainValue
from eshet.reactive.core.subscription import subscribe
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.value import AnyValue, Value, value_of

__all__ = [
    "COPY",
    "ChangesNode",
    "LatestNode",
    "emissions_of",
    "emit_fn",
    "event_to_value",
    "feed",
    "make_instantaneous",
    "make_persistent",
    "make_same_type",
    "on_value",
    "value_to_event",
]

C = TypeVar("C", bound=Callable[[Any], object])
T = TypeVar("T")
S = TypeVar("S")


class _Copy(enum.Enum):
    COPY = "COPY"


COPY: Final = _Copy.COPY


class ChangesNode(EventNode):
    """Emits each new value of a Value."""

    __slots__ = ("source",)

    def __init__(self, source: ValueNode) -> None:
        super().__init__((source,))
        self.source: Final = source

    def settle(self, transactions: Transactions) -> bool:
        source = self.source
        if transactions.known and transactions.repeats_known_value(source):
            return False
        return self.emit((source.value,), transactions)

    def present(self) -> object:
        return self.source.value

    def repeats_known_value(self) -> bool:
        return self.transactions.handover_number == self.transactions.number

    def is_of(self, node: Node) -> bool:
        return self.source is node

    def label(self) -> str:
        return f"changes of {self.source.describe()}"


class LatestNode(ValueNode):
    """Holds the last emission of an Event."""

    __slots__ = ("_source",)

    def __init__(self, source: EventNode, initial: object) -> None:
        super().__init__(initial, (source,))
        self._source = source

    def settle(self, transactions: Transactions) -> bool:
        emissions = self._source.emissions
        if not emissions:
            return False
        self.value: Any = emissions[-1]
        return True

    def label(self) -> str:
        return f"latest of {self._source.describe()}"

    def start_from_inputs(self, context: RestoreContext) -> None:
        present = self._source.present()
        if present is not NoValue:
            self.change_to(present)

    def snapshot(self, epoch: float) -> object:
        return [self.value]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        [value] = data
        self.change_to(value)
        return ()


def emissions_of(node: ValueNode | EventNode) -> EventNode:
    """Return a node that emits the emissions of a node, or its changes."""
    return node if isinstance(node, EventNode) else ChangesNode(node)


@overload
def value_to_event(v: Reactive[T]) -> Event[T]: ...
@overload
def value_to_event(v: Members) -> AnyEvent: ...
def value_to_event(v: object) -> AnyEvent:
    """Return an Event that emits each new value of a Value, but not the current one."""
    reactive = ensure_reactive(v)
    return event_of(emissions_of(node_of(reactive)))


def event_to_value(e: Reactive[T], initial_value: T = NoValue) -> Value[T]:
    """Return a Value of the last emission of an Event; a repeated emission is a change too."""
    return value_of(LatestNode(emissions_of(node_of(e)), initial_value))


@overload
def make_instantaneous(v: Reactive[T]) -> Event[T]: ...
@overload
def make_instantaneous(v: Members) -> AnyEvent: ...
def make_instantaneous(v: object) -> AnyEvent:
    """Return an Event that emits each new value of a Value: `value_to_event` in plain yarp."""
    return event_of(emissions_of(node_of(ensure_reactive(v))))


def make_persistent(v: Reactive[T], initial_value: T = NoValue) -> Value[T]:
    """Return a Value of the last emission of an Event: `event_to_value` in plain yarp."""
    return event_to_value(v, initial_value)


@overload
def on_value(source: object, cb: None = None, current: bool = True) -> Callable[[C], C]: ...
@overload
def on_value(source: object, cb: C, current: bool = True) -> C: ...
def on_value(source: object, cb: C | None = None, current: bool = True) -> C | Callable[[C], C]:
    """Call `cb` with the value of a Value and with each new one, or with each emission of an Event.

    Like `subscribe`, but it starts with the current value. Without `cb` it is a decorator.

    Args:
        source: the Value or Event.
        cb: the callback.
        current: whether to start with the current value.

    Returns:
        `cb`, or the decorator.
    """

    def decorate(callback: C) -> C:
        reactive = ensure_reactive(source)  # keeps the node alive until it has a callback
        node = node_of(reactive)
        subscribe(node, callback, current=current and isinstance(node, ValueNode))
        return callback

    return decorate if cb is None else decorate(cb)


def feed(source: object, callback: Callable[[Any], object], *, current: bool = True) -> None:
    """Call a sink like `on_value` does, also while its version is being prepared or takes over.

    A sink decides by itself which values to send.

    Args:
        source: the Value or Event.
        callback: the sink.
        current: see `on_value`.
    """
    reactive = ensure_reactive(source)
    node = node_of(reactive)
    subscribe(node, callback, current=current and isinstance(node, ValueNode), is_sink=True)


def emit_fn(r: Value[T] | Event[T]) -> Callable[[T], None]:
    """Return a function that sets a Value, or emits an Event."""

    def emit(value: T) -> None:
        if isinstance(r, Event):
            r.emit(value)
        else:
            r.value = value

    return emit


@overload
def make_same_type(
    r: Value[T], inputs: Iterable[PlainValue] = (), initial_value: T | Literal[_Copy.COPY] = COPY
) -> Value[T]: ...
@overload
def make_same_type(
    r: Value[T], inputs: Iterable[PlainValue] = (), initial_value: S = ...
) -> Value[T | S]: ...
@overload
def make_same_type(
    r: Event[T], inputs: Iterable[PlainValue] = (), initial_value: object = COPY
) -> Event[T]: ...
def make_same_type(
    r: AnyValue | AnyEvent, inputs: Iterable[PlainValue] = (), initial_value: object = COPY
) -> AnyValue | AnyEvent:
    """Return a new Value with the value of `r` if that is a Value, or a new Event if it is one.

    Args:
        r: the Value or Event to imitate.
        inputs: the inputs of the new one, after which it settles.
        initial_value: the first value of a new Value, instead of that of `r`.
    """
    if isinstance(r, Event):
        return Event(inputs)
    return Value(r.value if initial_value is COPY else initial_value, inputs)
