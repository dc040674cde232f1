"""Operators that pass some of the changes, and keep the last ones."""

from collections.abc import Sequence
from typing import Any, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.apply import apply
from eshet.reactive.core.event import Event
from eshet.reactive.core.graph import EventNode, RestoreContext, StateData, ValueNode
from eshet.reactive.core.handle import (
    AnyReactive,
    Held,
    Members,
    Reactive,
    ReadableEvent,
    ReadableValue,
    node_of,
)
from eshet.reactive.core.markers import NoChange, NoValue, is_absent, is_nan, is_same
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value, value_of
from eshet.reactive.handover.handover import named
from eshet.unknown import Unknown, UnknownType

__all__ = ["filter", "no_repeat", "replace_novalue", "replace_unknown", "window"]

T = TypeVar("T")


class _NoRepeat:
    """Passes a value that differs from the last one."""

    __slots__ = ("last",)

    __name__ = "no_repeat"

    def __init__(self) -> None:
        self.last: object = NoChange  # differs from every possible value

    def __call__(self, value: object) -> object:
        if self.last is NoChange or value != self.last:
            if is_nan(value) and is_nan(self.last):
                return NoChange
            self.last = value
            return value
        return NoChange

    def snapshot(self) -> object:
        return [] if self.last is NoChange else [self.last]

    def restore(self, data: StateData) -> None:
        [self.last] = data or [NoChange]


class WindowNode(ValueNode):
    """The list of the last emissions; its state is that list and its length."""

    __slots__ = ("_entries", "_last_input", "_length", "_num_values", "_source")

    def __init__(self, source: EventNode, num_values: ValueNode, first: list[object]) -> None:
        self._source = source
        self._num_values = num_values
        self._length = _checked_length(num_values.value)
        self._last_input = source.present()
        # A separate list, as callbacks may modify the list that they receive.
        self._entries = self._cropped(first)
        super().__init__(list(self._entries), (source, num_values))

    def settle(self, transactions: Transactions) -> bool:
        self._adjust()
        emissions = () if self._source.repeats_known_value() else self._source.emissions
        self._last_input = self._source.present()
        entries = self._cropped([*self._entries, *emissions])
        if not emissions and len(entries) == len(self._entries):
            return False
        self._entries = entries
        self.value: Any = list(entries)
        return True

    def label(self) -> str:
        return "window"

    def snapshot(self, epoch: float) -> object:
        return [list(self._entries), self._source.present()]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        entries, self._last_input = data
        self._set_entries(entries)
        return ()

    def start_from_inputs(self, context: RestoreContext) -> None:
        self._set_entries(self._entries)

    def _set_entries(self, entries: list[object]) -> None:
        """Set the entries, and add the current value of the source if it is not among them."""
        last_input, self._last_input = self._last_input, self._source.present()
        new_inputs = [] if is_same(last_input, self._last_input) else [self._last_input]
        self._entries = self._cropped([*entries, *new_inputs])
        self.change_to(list(self._entries))

    def detail(self) -> str:
        return str(self._length)

    def _adjust(self) -> None:
        """Change the length, unless the new one is unknown or not valid."""
        if is_absent(self._num_values.value):
            return
        try:
            self._length = _checked_length(self._num_values.value)
        except ReactiveTypeError as error:
            self.report(error)

    def _cropped(self, entries: list[object]) -> list[object]:
        return entries[max(0, len(entries) - self._length) :]


def _checked_length(length: object) -> int:
    if not isinstance(length, int) or length < 0:
        raise ReactiveTypeError(f"the length of a window is a number from 0 up, not {length!r}")
    return length


@overload
def window(
    source_value: Reactive[T], num_values: Held[int], *, name: str | None = None
) -> Value[list[T]]: ...
@overload
def window(
    source_value: Members, num_values: object, *, name: str | None = None
) -> Value[list[object]]: ...
def window(
    source_value: object, num_values: object, *, name: str | None = None
) -> Value[list[Any]]:
    """Return a Value of the list of the last values, or emissions, the newest last.

    It starts with the current value of a Value, and empty for an Event.

    Args:
        source_value: the Value or Event.
        num_values: the maximum number of entries, from 0; may be a Value. When it falls, the oldest
            entries are dropped in one change; if none is dropped, nothing changes. While it is
            unknown, the last known number counts.
        name: identifies it across reloads, unique in its module.
    """
    reactive, number = ensure_reactive(source_value), ensure_reactive(num_values)
    source, length = node_of(reactive), node_of(number)
    if isinstance(length, EventNode):
        raise ReactiveTypeError("the length of a window is a number or a Value, not an Event")
    first = [source.value] if isinstance(source, ValueNode) else []
    return named(value_of(WindowNode(emissions_of(source), length, first)), name)


@overload
def no_repeat(source: Value[T], *, name: str | None = None) -> Value[T]: ...
@overload
def no_repeat(source: Event[T], *, name: str | None = None) -> Event[T]: ...
@overload
def no_repeat(source: Members, *, name: str | None = None) -> AnyReactive: ...
def no_repeat(source: object, *, name: str | None = None) -> object:
    """Return a Value or Event without repetitions: values that equal (`==`) the previous one.

    1, 1.0 and True are equal. `NoValue` and `Unknown` count as values.

    Args:
        source: the Value or Event.
        name: identifies it across reloads, unique in its module.
    """
    return named(apply(Lifted(_NoRepeat()), [source]), name)


class _Filter:
    """Passes a value that fulfils the rule."""

    __slots__ = ("_unset",)

    __name__ = "filter"

    def __init__(self, source: ValueNode | EventNode) -> None:
        self._unset = isinstance(source, ValueNode) and source.value is NoValue

    def __call__(self, value: object, rule: Any) -> object:
        unset, self._unset = self._unset, False
        if rule is NoValue:
            passes = value is not NoValue
        elif rule is None:
            passes = value is not NoValue and bool(value)
        else:
            # As in plain yarp, the rule is not called while the source has never been set.
            passes = not unset and rule(value)
        return value if passes else NoChange


@overload
def filter(source: Value[T], rule: object = NoValue) -> Value[T]: ...  # noqa: A001
@overload
def filter(source: Event[T], rule: object = NoValue) -> Event[T]: ...  # noqa: A001
@overload
def filter(source: Members, rule: object = NoValue) -> AnyReactive: ...  # noqa: A001
def filter(source: object, rule: object = NoValue) -> object:  # noqa: A001 - as in yarp
    """Return a Value or Event with only the values that pass a rule.

    A Value keeps the last value that passed, and is `NoValue` before there is one.

    Args:
        source: the Value or Event.
        rule: by default everything but `NoValue` passes; with None, everything that is true and not
            `NoValue`; else a function that returns whether a value passes. May be a Value.
    """
    reactive = ensure_reactive(source)
    return apply(Lifted(_Filter(node_of(reactive))), [reactive, rule])


@overload
def replace_novalue(source_value: ReadableValue[T]) -> Value[T | None]: ...
@overload
def replace_novalue(source_value: ReadableEvent[T]) -> Event[T | None]: ...
@overload
def replace_novalue(
    source_value: ReadableValue[T], replacement_if_novalue: Held[T]
) -> Value[T]: ...
@overload
def replace_novalue(
    source_value: ReadableEvent[T], replacement_if_novalue: Held[T]
) -> Event[T]: ...
@overload
def replace_novalue(
    source_value: Members, replacement_if_novalue: object = None
) -> AnyReactive: ...
def replace_novalue(source_value: object, replacement_if_novalue: object = None) -> object:
    """Return a Value or Event with another value in place of `NoValue`.

    Args:
        source_value: the Value or Event.
        replacement_if_novalue: the replacement; may be a Value, which is followed.
    """
    return apply(Lifted(_replace_novalue), [source_value, replacement_if_novalue])


def _replace_novalue(source: object, replacement: object) -> object:
    return replacement if source is NoValue else source


_replace_novalue.__name__ = "replace_novalue"


@overload
def replace_unknown(source: ReadableValue[T | UnknownType]) -> Value[T | None]: ...
@overload
def replace_unknown(source: ReadableEvent[T | UnknownType]) -> Event[T | None]: ...
@overload
def replace_unknown(source: ReadableValue[T | UnknownType], replacement: Held[T]) -> Value[T]: ...
@overload
def replace_unknown(source: ReadableEvent[T | UnknownType], replacement: Held[T]) -> Event[T]: ...
@overload
def replace_unknown(source: Members, replacement: object = None) -> AnyReactive: ...
def replace_unknown(source: object, replacement: object = None) -> object:
    """Return a Value or Event with another value in place of `Unknown`.

    Args:
        source: the Value or Event.
        replacement: the replacement; may be a Value, which is followed.
    """
    return apply(Lifted(_replace_unknown), [source, replacement])


def _replace_unknown(source: object, replacement: object) -> object:
    return replacement if source is Unknown else source


_replace_unknown.__name__ = "replace_unknown"
