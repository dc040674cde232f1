"""Operators that wait until something has lasted, or has been quiet, for long enough.

All of them need a running event loop and use its time. Each documents its treatment of absent
inputs: by default, nothing is held on because a sensor is silent.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.graph import EventNode, ValueNode
from eshet.reactive.core.handle import AnyReactive, Held, Members, Reactive, node_of
from eshet.reactive.core.markers import is_absent
from eshet.reactive.core.value import AnyValue, Value, value_of
from eshet.reactive.handover.handover import named
from eshet.reactive.time.duration_state import Debounce, Fold, ForDuration, Hold, Stale, Throttle
from eshet.reactive.time.nodes import TimedEvent, TimedValue, checked_seconds, length_of
from eshet.reactive.time.operators import rate_limit
from eshet.unknown import UnknownType

__all__ = ["debounce", "fold_state", "for_duration", "hold", "stale", "throttle"]

T = TypeVar("T")
S = TypeVar("S")


@overload
def debounce(source: Value[T], seconds: Held[float], *, name: str | None = None) -> Value[T]: ...
@overload
def debounce(source: Event[T], seconds: Held[float], *, name: str | None = None) -> Event[T]: ...
@overload
def debounce(source: Members, seconds: Held[float], *, name: str | None = None) -> AnyReactive: ...
def debounce(source: object, seconds: Held[float], *, name: str | None = None) -> object:
    """Return a Value or Event that follows its source once that has been quiet for a while.

    A Value starts with the current value of its source. `NoValue` and `Unknown` pass at once, and
    the waiting value is dropped.

    Args:
        source: the Value or Event.
        seconds: how long the source has to be quiet; may be a Value.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    reactive, length = ensure_reactive(source), length_of(seconds)
    node, state = node_of(reactive), Debounce(length.value)
    if isinstance(node, EventNode):
        return named(event_of(TimedEvent(state, node, node_of(length))), name)
    return named(value_of(TimedValue(state, emissions_of(node), node_of(length), node.value)), name)


@overload
def throttle(source: Value[T], seconds: Held[float], *, name: str | None = None) -> Value[T]: ...
@overload
def throttle(source: Event[T], seconds: Held[float], *, name: str | None = None) -> Event[T]: ...
@overload
def throttle(source: Members, seconds: Held[float], *, name: str | None = None) -> AnyReactive: ...
def throttle(source: object, seconds: Held[float], *, name: str | None = None) -> object:
    """Return an Event of the emissions of another, without those that follow another too soon.

    The latter are dropped. A Value would then be wrong, so for a Value this is `rate_limit`, which
    lets the last value pass at the end.

    Args:
        source: the Event, or Value.
        seconds: how long to drop emissions after one that passed; may be a Value.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    reactive = ensure_reactive(source)
    node = node_of(reactive)
    if isinstance(node, ValueNode):
        return rate_limit(reactive, seconds, name=name)
    length = length_of(seconds)
    return named(event_of(TimedEvent(Throttle(length.value), node, node_of(length))), name)


def for_duration(source: object, seconds: Held[float], *, name: str | None = None) -> Value[bool]:
    """Return a Value that is True when another has been true for some time without a break.

    `NoValue` and `Unknown` are not true: they make it False at once.

    Args:
        source: the Value.
        seconds: how long; may be a Value.
        name: identifies it across reloads, unique in its module.

    Raises:
        ReactiveTypeError: the source is an Event, which has no duration.
        RuntimeError: no loop is running.
    """
    reactive, length = ensure_reactive(source), length_of(seconds)
    node = node_of(reactive)
    if isinstance(node, EventNode):
        raise ReactiveTypeError("an Event has no duration: hold it first, with `yarp.hold`")
    state = ForDuration(length.value)
    state.on_input(node.value, asyncio.get_running_loop().time())
    return named(value_of(TimedValue(state, emissions_of(node), node_of(length), state.on)), name)


def stale(source: object, after: Held[float], *, name: str | None = None) -> Value[bool]:
    """Return a Value that is True when a source has not reported anything for some time.

    Each emission of an Event is a report, and each value that a Value is set to, also an equal one.
    `NoValue` and `Unknown` are not reports: they make it True at once. The current value of a
    Value, and for an Event this call, count as the first report.

    Args:
        source: the Value or Event.
        after: how many seconds after the last report; may be a Value.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    reactive, length = ensure_reactive(source), length_of(after)
    node, now = node_of(reactive), asyncio.get_running_loop().time()
    is_known = isinstance(node, EventNode) or not is_absent(node.value)
    state = Stale(length.value, now if is_known else None)
    return named(value_of(TimedValue(state, emissions_of(node), node_of(length), state.on)), name)


def hold(
    source: object,
    at_least: Held[float] = 0,
    *,
    at_most: float | None = None,
    name: str | None = None,
) -> Value[bool]:
    """Return a Value that is True while another is, for at least or at most some time.

    Each emission of an Event makes it True, for `at_least` from then on. `NoValue` and `Unknown`
    are not true, so nothing is held on for longer than `at_least` because a sensor is silent.

    Args:
        source: the Value or Event.
        at_least: minimum number of seconds from when it became true; may be a Value.
        at_most: the number of seconds after which it is False even if the source is still true.
            The source has to become false and true again to make it True again. None for no limit.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    reactive, length = ensure_reactive(source), length_of(at_least)
    if at_most is not None:
        checked_seconds(at_most)
    node = node_of(reactive)
    state = Hold(length.value, at_most, pulses=isinstance(node, EventNode))
    if isinstance(node, ValueNode):
        state.on_input(node.value, asyncio.get_running_loop().time())
    return named(value_of(TimedValue(state, emissions_of(node), node_of(length), state.on)), name)


@overload
def fold_state(
    source: Reactive[T | UnknownType],
    step: Callable[[S, T], S],
    initial: S,
    *,
    timeouts: Mapping[S, tuple[float, S]] | None = None,
    name: str | None = None,
) -> Value[S]: ...
@overload
def fold_state(
    source: Members,
    step: Callable[[S, Any], S],
    initial: S,
    *,
    timeouts: Mapping[S, tuple[float, S]] | None = None,
    name: str | None = None,
) -> Value[S]: ...
def fold_state(
    source: object,
    step: Callable[[Any, Any], object],
    initial: object,
    *,
    timeouts: Mapping[Any, tuple[float, object]] | None = None,
    name: str | None = None,
) -> AnyValue:
    """Return a Value of the state of a machine that a source and time drive.

    The first value of a Value is not a step. `NoValue` and `Unknown` are not steps either, but
    timeouts continue: a timeout that switches something off still does.

    Args:
        source: the Value or Event.
        step: called with the state and the input; returns the next state. Returning the same state
            restarts its timeout; returning `NoChange` does not.
        initial: the first state.
        timeouts: for a state, the number of seconds after which another state follows, and which.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    for seconds, _ in (timeouts or {}).values():
        checked_seconds(seconds)
    reactive = ensure_reactive(source)
    state = Fold(step, initial, timeouts or {}, now)
    return named(value_of(TimedValue(state, emissions_of(node_of(reactive)), None, initial)), name)
