"""Aggregates over a window of values. Absent values are left out."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import value_to_event
from eshet.reactive.core.apply import apply
from eshet.reactive.core.event import Event
from eshet.reactive.core.handle import (
    AnyReactive,
    Held,
    Members,
    ReadableEvent,
    ReadableValue,
)
from eshet.reactive.core.markers import NoValue, is_absent
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value
from eshet.reactive.fn import fn
from eshet.reactive.time.nodes import length_of
from eshet.reactive.time.operators import time_window
from eshet.unknown import Unknown, UnknownType

__all__ = ["average", "maximum", "minimum", "rate"]

T = TypeVar("T")


def _known(summarize: Callable[[list[Any]], object], window: Sequence[object]) -> object:
    if is_absent(window):
        return window
    known = [value for value in window if not is_absent(value)]
    if known:
        return summarize(known)
    return Unknown if any(value is Unknown for value in window) else NoValue


@overload
def average(window: ReadableValue[Sequence[float]]) -> Value[float]: ...
@overload
def average(window: ReadableEvent[Sequence[float]]) -> Event[float]: ...
@overload
def average(window: ReadableValue[Sequence[float | UnknownType]]) -> Value[float | UnknownType]: ...
@overload
def average(window: ReadableEvent[Sequence[float | UnknownType]]) -> Event[float | UnknownType]: ...
@overload
def average(window: Members) -> AnyReactive: ...
def average(window: object) -> object:
    """Return the mean of the values in a window: `yarp.average(yarp.time_window(lux, 600))`.

    Each value counts once, however long it was current. `NoValue` and `Unknown` are left out; if
    nothing else is in the window, the result is absent as well.

    Args:
        window: a Value of a list, such as the result of `yarp.window` or `yarp.time_window`.
    """
    return apply(Lifted(_average), [window])


def _average(window: Any) -> object:
    return _known(lambda known: sum(known) / len(known), window)


@overload
def minimum(window: ReadableValue[Sequence[T]]) -> Value[T]: ...
@overload
def minimum(window: ReadableEvent[Sequence[T]]) -> Event[T]: ...
@overload
def minimum(window: Members) -> AnyReactive: ...
def minimum(window: object) -> object:
    """Return the least of the values in a window; absent values are treated as in `average`."""
    return apply(Lifted(_minimum), [window])


def _minimum(window: Any) -> object:
    return _known(min, window)


@overload
def maximum(window: ReadableValue[Sequence[T]]) -> Value[T]: ...
@overload
def maximum(window: ReadableEvent[Sequence[T]]) -> Event[T]: ...
@overload
def maximum(window: Members) -> AnyReactive: ...
def maximum(window: object) -> object:
    """Return the greatest of the values in a window; absent values are treated as in `average`."""
    return apply(Lifted(_maximum), [window])


def _maximum(window: Any) -> object:
    return _known(max, window)


_average.__name__, _minimum.__name__, _maximum.__name__ = "average", "minimum", "maximum"


def rate(source: object, seconds: Held[float]) -> Value[float]:
    """Return a Value of how often a source changed, or emitted, per second, in the last seconds.

    `NoValue` and `Unknown` are not counted.

    Args:
        source: the Value or Event.
        seconds: the length of the window, more than 0; may be a Value.

    Raises:
        ReactiveTypeError: `seconds` is not a length of time, or is 0.
        RuntimeError: no loop is running.
    """
    length = length_of(seconds)
    _check_above_0(length.value)
    return fn(_rate)(time_window(value_to_event(ensure_reactive(source)), length), length)


def _check_above_0(seconds: float) -> None:
    if seconds == 0:
        raise ReactiveTypeError("a rate is over a number of seconds above 0")


def _rate(window: list[object], seconds: float) -> float:
    _check_above_0(seconds)
    return sum(not is_absent(each) for each in window) / seconds


_rate.__name__ = "rate"
