"""Aggregates over a window of values. Absent values are left out."""

from collections.abc import Callable, Sequence
from typing import Any

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.conversions import value_to_event
from eshet.reactive.core.markers import NoValue, is_absent
from eshet.reactive.core.value import Value
from eshet.reactive.fn import fn
from eshet.reactive.time.nodes import length_of
from eshet.reactive.time.operators import time_window
from eshet.unknown import Unknown

__all__ = ["average", "maximum", "minimum", "rate"]


def _known(summarize: Callable[[list[Any]], Any], window: Sequence[Any]) -> Any:
    if is_absent(window):
        return window
    known = [value for value in window if not is_absent(value)]
    if known:
        return summarize(known)
    return Unknown if any(value is Unknown for value in window) else NoValue


@fn
def average(window: Any) -> Any:
    """Return the mean of the values in a window: `yarp.average(yarp.time_window(lux, 600))`.

    Each value counts once, however long it was current. `NoValue` and `Unknown` are left out; if
    nothing else is in the window, the result is absent as well.

    Args:
        window: a Value of a list, such as the result of `yarp.window` or `yarp.time_window`.
    """
    return _known(lambda known: sum(known) / len(known), window)


@fn
def minimum(window: Any) -> Any:
    """Return the least of the values in a window; absent values are treated as in `average`."""
    return _known(min, window)


@fn
def maximum(window: Any) -> Any:
    """Return the greatest of the values in a window; absent values are treated as in `average`."""
    return _known(max, window)


def rate(source: Any, seconds: Any) -> Value[float]:
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
    result: Value[float] = fn(_rate)(time_window(value_to_event(source), length), length)
    return result


def _check_above_0(seconds: float) -> None:
    if seconds == 0:
        raise ReactiveTypeError("a rate is over a number of seconds above 0")


def _rate(window: list[Any], seconds: float) -> float:
    _check_above_0(seconds)
    return sum(not is_absent(each) for each in window) / seconds


_rate.__name__ = "rate"
