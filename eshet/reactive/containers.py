"""Lists, tuples and dicts of Values and Events, or anything else, as one Value or Event."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from eshet.callables import check_awaited
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.apply import apply, dict_with, list_of, record_of
from eshet.reactive.core.event import Event
from eshet.reactive.core.handle import Reactive, ReadableEvent, ReadableValue
from eshet.reactive.core.markers import PlainValue
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import FixedNode, Value, value_of

__all__ = [
    "ensure_reactive",
    "ensure_value",
    "reactive_dict",
    "reactive_list",
    "reactive_tuple",
    "value_dict",
    "value_list",
    "value_tuple",
]

T = TypeVar("T")
K = TypeVar("K")


@overload
def reactive_list(members: Sequence[ReadableValue[T]]) -> Value[list[T]]: ...
@overload
def reactive_list(members: Sequence[ReadableEvent[T]]) -> Event[list[T]]: ...
@overload
def reactive_list(members: Sequence[object]) -> Reactive[list[Any]]: ...
def reactive_list(members: Sequence[object]) -> Reactive[list[Any]]:
    """Return the list of the members' values: an Event if any of them is one, else a Value."""
    return apply(Lifted(list_of), members)


@overload
def reactive_tuple(members: tuple[ReadableValue[T], ...]) -> Value[tuple[T, ...]]: ...
@overload
def reactive_tuple(members: tuple[ReadableEvent[T], ...]) -> Event[tuple[T, ...]]: ...
@overload
def reactive_tuple(members: tuple[object, ...]) -> Reactive[tuple[Any, ...]]: ...
def reactive_tuple(members: tuple[object, ...]) -> Reactive[tuple[Any, ...]]:
    """Return the tuple of the members' values: an Event if any of them is one, else a Value.

    A named tuple stays a named tuple.
    """
    return apply(Lifted(record_of(members)), members)


@overload
def reactive_dict(members: Mapping[K, ReadableValue[T]]) -> Value[dict[K, T]]: ...
@overload
def reactive_dict(members: Mapping[K, ReadableEvent[T]]) -> Event[dict[K, T]]: ...
@overload
def reactive_dict(members: Mapping[K, object]) -> Reactive[dict[K, Any]]: ...
def reactive_dict(members: Mapping[K, object]) -> Reactive[dict[K, Any]]:
    """Return the dict of the members' values: an Event if any of them is one, else a Value."""
    return apply(Lifted(dict_with(members)), list(members.values()))


def value_list(list_of_values: Sequence[ReadableValue[T]]) -> Value[list[T]]:
    """Return a Value of the list of the values of Values. Each change makes a new list."""
    _check_values("list", list_of_values)
    return reactive_list(list_of_values)


def value_tuple(tuple_of_values: tuple[ReadableValue[T], ...]) -> Value[tuple[T, ...]]:
    """Return a Value of the tuple of the values of Values."""
    _check_values("tuple", tuple_of_values)
    return reactive_tuple(tuple_of_values)


def value_dict(dict_of_values: Mapping[K, ReadableValue[T]]) -> Value[dict[K, T]]:
    """Return a Value of the dict of the values of Values. Each change makes a new dict."""
    _check_values("dict", list(dict_of_values.values()))
    return reactive_dict(dict_of_values)


@overload
def ensure_reactive(x: Value[T]) -> Value[T]: ...
@overload
def ensure_reactive(x: Event[T]) -> Event[T]: ...
@overload
def ensure_reactive(x: object) -> Any: ...
def ensure_reactive(x: object) -> PlainValue:
    """Return a reactive object unchanged, and anything else as a Value or an Event.

    Lists, tuples and dicts are searched: the result is an Event if one is in them. Anything else
    becomes a Value that never changes.
    """
    return x if isinstance(x, PlainValue) else _ensure(x, ensure_reactive)


@overload
def ensure_value(x: Value[T]) -> Value[T]: ...
@overload
def ensure_value(x: Event[T]) -> Value[Event[T]]: ...
@overload
def ensure_value(x: object) -> Any: ...
def ensure_value(x: object) -> PlainValue:
    """Return a Value unchanged, and anything else as a Value.

    Like `ensure_reactive`, but an Event becomes a Value that never changes and holds the Event.
    """
    if isinstance(x, PlainValue) and not isinstance(x, Event):
        return x
    return _ensure(x, ensure_value)


def _ensure(x: object, ensure: Callable[[object], PlainValue]) -> Reactive[object]:
    if isinstance(x, list):
        return reactive_list([ensure(member) for member in x])
    if isinstance(x, tuple):
        return apply(Lifted(record_of(x)), [ensure(member) for member in x])
    if isinstance(x, dict):
        return reactive_dict({key: ensure(member) for key, member in x.items()})
    check_awaited(x, ReactiveTypeError)
    return value_of(FixedNode(x))


def _check_values(kind: str, members: Sequence[object]) -> None:
    for member in members:
        if isinstance(member, Event) or not isinstance(member, PlainValue):
            raise ReactiveTypeError(
                f"value_{kind} takes Values only, not {member!r}: "
                f"reactive_{kind} also takes Events and constants"
            )
