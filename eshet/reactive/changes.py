# mypy: disable-error-code="overload-overlap"
# The first overload that matches decides: Values and Events come before constants.
"""Operators that detect, join and accumulate changes."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of, event_to_value, value_to_event
from eshet.reactive.core.apply import apply
from eshet.reactive.core.event import AnyEvent, Event, event_of
from eshet.reactive.core.graph import EventNode, Node, StateData, ValueNode
from eshet.reactive.core.handle import (
    AnyReactive,
    Held,
    Members,
    Reactive,
    ReadableEvent,
    ReadableValue,
    node_of,
)
from eshet.reactive.core.markers import NoChange, NoValue, is_absent, is_nan
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value
from eshet.unknown import Unknown, UnknownType

__all__ = [
    "changes",
    "count",
    "default",
    "falling",
    "hysteresis",
    "latest",
    "map_to",
    "merge",
    "rising",
    "sample",
    "scan",
    "when",
]

T = TypeVar("T")
S = TypeVar("S")


class _Scan:
    """Accumulates each value that is not absent."""

    __slots__ = ("__name__", "_function", "total")

    def __init__(self, function: Callable[[Any, Any], object], initial: object, name: str) -> None:
        self._function = function
        self.total = initial
        self.__name__ = name

    def __call__(self, value: object) -> object:
        if is_absent(value):
            return NoChange
        total = self._function(self.total, value)
        if total is not NoChange:
            self.total = total
        return total

    def snapshot(self) -> object:
        return [self.total]

    def restore(self, data: StateData) -> None:
        [self.total] = data


class _Edge:
    """Passes a value that makes an edge with the last known one."""

    __slots__ = ("__name__", "_last", "_passes")

    def __init__(self, name: str, passes: Callable[[Any, Any], bool], source: Node) -> None:
        self.__name__ = name
        self._passes = passes
        self._last: object = NoValue
        if isinstance(source, ValueNode):
            self.begin_with(source.value)

    def begin_with(self, value: object) -> None:
        """Compare the next value with this one, which is not an edge itself."""
        if not is_absent(value):
            self._last = value

    def __call__(self, value: object) -> object:
        if is_absent(value):
            return NoChange
        last, self._last = self._last, value
        return value if last is not NoValue and self._passes(last, value) else NoChange

    def snapshot(self) -> object:
        return [] if self._last is NoValue else [self._last]

    def restore(self, data: StateData) -> None:
        [self._last] = data or [NoValue]


class MergedNode(EventNode):
    """Emits the emissions of all of its inputs, in their order."""

    __slots__ = ("merged",)

    def __init__(self, sources: list[EventNode]) -> None:
        super().__init__(sources)
        self.merged: list[EventNode] = sources

    def settle(self, transactions: Transactions) -> bool:
        return self.emit(
            [emission for source in self.merged for emission in source.emissions], transactions
        )

    def label(self) -> str:
        return "merge"


def _edge(name: str, passes: Callable[[Any, Any], bool], source: object) -> object:
    reactive = ensure_reactive(source)
    events = value_to_event(reactive)
    return apply(Lifted(_Edge(name, passes, node_of(reactive))), [events])


@overload
def changes(source: Reactive[T | UnknownType]) -> Event[T]: ...
@overload
def changes(source: Members) -> AnyEvent: ...
def changes(source: object) -> object:
    """Return an Event of each value that differs from the previous one.

    While the source is absent (`NoValue` or `Unknown`) nothing is emitted; the next value is
    compared with the last known one.
    """
    return _edge("changes", lambda last, value: bool(last != value), source)


@overload
def rising(source: Reactive[T | UnknownType]) -> Event[T]: ...
@overload
def rising(source: Members) -> AnyEvent: ...
def rising(source: object) -> object:
    """Return an Event of each value that is true, after one that was not.

    While the source is absent nothing is emitted; the next value is compared with the last known
    one. Without one, for example when a Value is `Unknown` at first, nothing is emitted.
    """
    return _edge("rising", lambda last, value: bool(value) and not last, source)


@overload
def falling(source: Reactive[T | UnknownType]) -> Event[T]: ...
@overload
def falling(source: Members) -> AnyEvent: ...
def falling(source: object) -> object:
    """Return an Event of each value that is not true, after one that was; see `rising`."""
    return _edge("falling", lambda last, value: bool(last) and not value, source)


@overload
def when(source: ReadableEvent[T], condition: object, *, otherwise: object = ...) -> Event[T]: ...
@overload
def when(
    source: ReadableValue[T], condition: object, *, otherwise: Held[T] = NoValue
) -> Value[T]: ...
@overload
def when(source: Members, condition: object, *, otherwise: object = ...) -> AnyReactive: ...
@overload
def when(source: T, condition: object, *, otherwise: Held[T] = NoValue) -> Value[T]: ...
def when(source: object, condition: object, *, otherwise: object = NoValue) -> object:
    """Return a Value or Event that follows another while a condition is true.

    Args:
        source: the Value or Event, or a constant. Emissions of an Event at other times are dropped.
        condition: a Value. An unknown condition counts as not true.
        otherwise: the result for a Value while the condition is not true; may be a Value. Where the
            result drives a device, pass the safe value: a sink does not send `NoValue`.
    """
    reactive, flag = ensure_reactive(source), ensure_reactive(condition)
    if isinstance(flag, Event):
        raise ReactiveTypeError("a condition is a Value, not an Event: hold it with `yarp.latest`")
    if isinstance(reactive, Event):
        return apply(Lifted(_when_emitted), [reactive, flag])
    return apply(Lifted(_when_held), [reactive, flag, otherwise])


def _when_emitted(emission: object, condition: object) -> object:
    return emission if _is_true(condition) else NoChange


def _when_held(value: object, condition: object, otherwise: object) -> object:
    return value if _is_true(condition) else otherwise


def _is_true(condition: object) -> bool:
    return not is_absent(condition) and bool(condition)


_when_emitted.__name__ = _when_held.__name__ = "when"


def merge(*sources: Reactive[T]) -> Event[T]:
    """Return an Event of the emissions of Events, and of the changes of Values.

    In one transaction, emissions come in the order of the sources. `Unknown` is emitted like any
    value.
    """
    reactives = [ensure_reactive(source) for source in sources]
    return event_of(MergedNode([emissions_of(node_of(each)) for each in reactives]))


def latest(*sources: Reactive[T], initial: T = NoValue) -> Value[T]:
    """Return a Value of the last change or emission of any source.

    Args:
        sources: Values and Events.
        initial: the value before any of them changes or emits; by default that of the first source
            that has a value.
    """
    reactives = [ensure_reactive(source) for source in sources]
    held = [each for each in (initial, *(r.value for r in reactives)) if each is not NoValue]
    return event_to_value(merge(*reactives), held[0] if held else NoValue)


@overload
def map_to(source: object, value: ReadableValue[T]) -> Event[T]: ...
@overload
def map_to(source: object, value: T) -> Event[T]: ...
def map_to(source: object, value: object) -> AnyReactive:
    """Return an Event that emits a given value at each emission or change of a source.

    An emission or a value that is `NoValue` or `Unknown` does not count.

    Args:
        source: the Event, or Value.
        value: the payload; of a Value, its current value. `NoValue` is not emitted; `Unknown` is.
    """
    return apply(Lifted(_mapped), [value_to_event(ensure_reactive(source)), value])


def _mapped(emission: object, value: object) -> object:
    return NoChange if is_absent(emission) or value is NoValue else value


_mapped.__name__ = "map_to"


@overload
def default(source: ReadableValue[T | UnknownType], value: Held[T]) -> Value[T]: ...
@overload
def default(source: ReadableEvent[T | UnknownType], value: Held[T]) -> Event[T]: ...
@overload
def default(source: Members, value: object) -> AnyReactive: ...
def default(source: object, value: object) -> object:
    """Return a Value or Event with another value in place of `NoValue` and `Unknown`.

    Use it at the end of a rule that drives a device: `yarp.default(too_cold, False)` leaves no
    heater on because a sensor is silent. Do not use it before an edge:
    `yarp.rising(yarp.default(leak, False))` reports the same leak again when the sensor comes back,
    `yarp.rising(leak)` does not.

    Args:
        source: the Value or Event.
        value: the replacement; may be a Value.
    """
    return apply(Lifted(_default), [source, value])


def _default(source: object, value: object) -> object:
    return value if is_absent(source) else source


_default.__name__ = "default"


@overload
def sample(source: Reactive[T], trigger: object) -> Event[T]: ...
@overload
def sample(source: Members, trigger: object) -> AnyEvent: ...
def sample(source: object, trigger: object) -> object:
    """Return an Event of the value of a source whenever a trigger emits, or changes.

    For an Event, that is its last emission. `NoValue` is not emitted; `Unknown` is.

    Args:
        source: the Value or Event.
        trigger: the Event, or Value.
    """
    held, events = latest(ensure_reactive(source)), value_to_event(ensure_reactive(trigger))
    return apply(Lifted(_sampled), [held, events])


def _sampled(held: object, _: object) -> object:
    return NoChange if held is NoValue else held


_sampled.__name__ = "sample"


@overload
def scan(
    source: Reactive[T | UnknownType], function: Callable[[S, T], S], initial: S
) -> Value[S]: ...
@overload
def scan(source: Members, function: Callable[[S, Any], S], initial: S) -> Value[S]: ...
def scan(source: object, function: Callable[[Any, Any], object], initial: object) -> object:
    """Return a Value that accumulates each change or emission of a source.

    The first value of a Value is included. `NoValue` and `Unknown` are left out.

    Args:
        source: the Value or Event.
        function: called with the accumulated value and the new one; returns the next accumulated
            value, or `NoChange`.
        initial: the accumulated value at the start.
    """
    reactive = ensure_reactive(source)
    step = _Scan(function, initial, "scan")
    if not isinstance(reactive, Event):
        step(reactive.value)
    return event_to_value(apply(Lifted(step), [value_to_event(reactive)]), step.total)


def count(source: object) -> Value[int]:
    """Return a Value of how often a source has changed, or emitted, since this call.

    `NoValue` and `Unknown` are not counted.
    """
    step = _Scan(lambda total, _: total + 1, 0, "count")
    return event_to_value(apply(Lifted(step), [value_to_event(ensure_reactive(source))]), 0)


class _Hysteresis:
    """Whether a value is above the upper bound, or between the bounds and was above before."""

    __slots__ = ("_above",)

    __name__ = "hysteresis"

    def __init__(self) -> None:
        self._above = False

    def __call__(self, value: Any, low: Any, high: Any) -> object:
        for each in (value, low, high):
            if is_absent(each) or is_nan(each):
                self._above = False
                return Unknown if is_nan(each) else each
        if value > high:
            self._above = True
        elif value < low:
            self._above = False
        return self._above

    def snapshot(self) -> object:
        return self._above

    def restore(self, data: StateData) -> None:
        self._above = bool(data)


@overload
def hysteresis(source: ReadableValue[object], low: object, high: object) -> Value[bool]: ...
@overload
def hysteresis(source: ReadableEvent[object], low: object, high: object) -> Event[bool]: ...
@overload
def hysteresis(source: Members, low: object, high: object) -> Reactive[bool]: ...
def hysteresis(source: object, low: object, high: object) -> object:
    """Return a Value that is True from above `high` until below `low`.

    Between them it stays unchanged, and is False at first. While the source or a bound is absent so
    is the result, and the previous result is forgotten; NaN counts as `Unknown`. Decide on the
    meaning of an absent result: end with `yarp.default(…, False)` or True, whichever is safe.

    Args:
        source: a Value, or an Event of numbers.
        low: the lower bound; may be a Value.
        high: the upper bound; may be a Value.
    """
    return apply(Lifted(_Hysteresis()), [source, low, high])
