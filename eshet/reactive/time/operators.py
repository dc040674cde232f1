"""Operators that depend on time: values and emissions that come later, or go away.

All of them need a running event loop and use its time. A timer ends with its node, and so with the
scope in which the node was made.
"""

import asyncio
import enum
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, Final, Literal, TypeVar, overload

from eshet.clock import wall_now
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.event import AnyEvent, Event, event_of
from eshet.reactive.core.graph import EventNode, RestoreContext, StateData, ValueNode
from eshet.reactive.core.handle import AnyReactive, Held, Members, Reactive, ReadableValue, node_of
from eshet.reactive.core.markers import NoValue, PlainValue
from eshet.reactive.core.value import Value, value_of
from eshet.reactive.handover.handover import named
from eshet.reactive.time.nodes import (
    LaterEvent,
    LaterValue,
    TimedEvent,
    TimedValue,
    length_of,
)
from eshet.reactive.time.state import (
    At,
    Clock,
    Delay,
    RateLimit,
    TimeWindow,
    loop_time,
)
from eshet.time_zones import zone_of
from eshet.unknown import UnknownType

__all__ = [
    "NOTHING",
    "delay",
    "emit_at",
    "now",
    "rate_limit",
    "time_window",
]

T = TypeVar("T")


class _ClockValue(LaterValue):
    """A date and time that a clock shows. Its snapshot is a number, which is plain data."""

    __slots__ = ()

    def snapshot(self, epoch: float) -> object:
        state, shown, last_input = super().snapshot(epoch)
        return [state, shown.timestamp(), last_input]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        state, shown, last_input = data
        value = datetime.fromtimestamp(loop_time(shown, 0.0), self.value.tzinfo)
        return super().restore([state, value, last_input], context)


class _Nothing(enum.Enum):
    NOTHING = "NOTHING"


NOTHING: Final = _Nothing.NOTHING
"""The default of a parameter that accepts any value."""


Missed = Literal["drop", "emit"]
"""How to treat an emission that was due while no process was running."""


def emits(missed: Missed) -> bool:
    """Whether such an emission is emitted late."""
    if missed not in ("drop", "emit"):
        raise ReactiveTypeError(f'missed={missed!r} is not valid: write "drop" or "emit"')
    return missed == "emit"


@overload
def emit_at(
    time: Held[float | None] | ReadableValue[float | UnknownType | None],
    *,
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[None]: ...
@overload
def emit_at(
    time: Held[tuple[float, T]] | ReadableValue[tuple[float, T] | UnknownType | None],
    *,
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[T]: ...
@overload
def emit_at(time: object, *, name: str | None = None, missed: Missed = "drop") -> AnyEvent: ...
def emit_at(time: object, *, name: str | None = None, missed: Missed = "drop") -> AnyEvent:
    """Return an Event that emits at a time of the running loop, as of `loop.time()`.

    A time in the past emits in the next turn of the loop, never at once. Another time replaces the
    pending one, `None` or an unknown time cancels it, and the same time leaves it unchanged. After
    the emission, setting the same time again emits again.

    Args:
        time: None, a number, a pair of a number and a value to emit (the default is None), or a
            Value of these. Callbacks of the Event may set it.
        name: identifies it across reloads, unique in its module.
        missed: how to treat an emission that was due while the runner was down: `"drop"` it, or
            `"emit"` it as soon as the runner is back.

    Raises:
        ReactiveTypeError: the time is of another type.
        RuntimeError: no loop is running.
    """
    loop = asyncio.get_running_loop()
    node = node_of(time) if isinstance(time, PlainValue) else ValueNode(time)
    state = At(emits_missed=emits(missed))
    state.on_input(node.value, loop.time())
    return named(event_of(LaterEvent(state, node, None)), name)


@overload
def delay(
    source: Value[T],
    delay_seconds: Held[float],
    *,
    name: str | None = None,
    missed: Missed = "drop",
) -> Value[T]: ...
@overload
def delay(
    source: Event[T],
    delay_seconds: Held[float],
    *,
    name: str | None = None,
    missed: Missed = "drop",
) -> Event[T]: ...
@overload
def delay(
    source: Members, delay_seconds: Held[float], *, name: str | None = None, missed: Missed = "drop"
) -> AnyReactive: ...
def delay(
    source: object, delay_seconds: Held[float], *, name: str | None = None, missed: Missed = "drop"
) -> object:
    """Return a Value or Event that follows its source with a delay.

    A Value starts with the current value of its source. Changes come in order, one by one.

    Args:
        source: the Value or Event.
        delay_seconds: the delay; may be a Value. When it rises, pending changes come later too;
            when it falls, overdue changes come at once. 0 means the next turn of the loop.
        name: identifies it across reloads, unique in its module.
        missed: how to treat an emission that was due while the runner was down: `"drop"` it, or
            `"emit"` it as soon as the runner is back. A Value is up to date at once.

    Raises:
        RuntimeError: no loop is running.
    """
    asyncio.get_running_loop()
    reactive, seconds = ensure_reactive(source), length_of(delay_seconds)
    node = node_of(reactive)
    state = Delay(seconds.value, emits_missed=isinstance(node, EventNode) and emits(missed))
    if isinstance(node, EventNode):
        return named(event_of(LaterEvent(state, node, node_of(seconds))), name)
    return named(value_of(LaterValue(state, node, node_of(seconds), node.value)), name)


@overload
def time_window(
    source: Reactive[T],
    duration_seconds: Held[float],
    initial_value: T | Literal[_Nothing.NOTHING] = NOTHING,
    *,
    name: str | None = None,
) -> Value[list[T]]: ...
@overload
def time_window(
    source: Members,
    duration_seconds: Held[float],
    initial_value: object = NOTHING,
    *,
    name: str | None = None,
) -> Value[list[object]]: ...
def time_window(
    source: object,
    duration_seconds: Held[float],
    initial_value: object = NOTHING,
    *,
    name: str | None = None,
) -> Value[list[Any]]:
    """Return a Value of the list of the values or emissions of the last seconds, newest last.

    An emission of an Event stays for that time. A value of a Value stays while it is current, and
    for that time after it was replaced: a constant never leaves. Each leaving value is a change of
    its own, at its time.

    Args:
        source: the Value or Event.
        duration_seconds: how long; may be a Value. When it falls, all entries that are too old
            leave in one change.
        initial_value: one more entry, as if it had just been emitted, or replaced.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    reactive, seconds = ensure_reactive(source), length_of(duration_seconds)
    node = node_of(reactive)
    state = TimeWindow(seconds.value, stays=isinstance(node, ValueNode))
    if initial_value is not NOTHING:
        state.add_aging(initial_value, now)
    if isinstance(node, ValueNode):
        state.on_input(node.value, now)
    window = TimedValue(state, emissions_of(node), node_of(seconds), state.values)
    return named(value_of(window), name)


@overload
def rate_limit(
    source: Value[T], min_interval: Held[float] = 0.1, *, name: str | None = None
) -> Value[T]: ...
@overload
def rate_limit(
    source: Event[T], min_interval: Held[float] = 0.1, *, name: str | None = None
) -> Event[T]: ...
@overload
def rate_limit(
    source: Members, min_interval: Held[float] = 0.1, *, name: str | None = None
) -> AnyReactive: ...
def rate_limit(
    source: object, min_interval: Held[float] = 0.1, *, name: str | None = None
) -> object:
    """Return a Value or Event that changes at most once per interval.

    The first change passes at once. Of the changes within the interval after it, the last passes at
    the end, and the next interval begins. The first value of a Value counts as its first change.

    Args:
        source: the Value or Event.
        min_interval: in seconds; may be a Value. When it rises, the current interval becomes longer
            as well; when it falls, and the interval is over by that, it ends in the next turn of
            the loop.
        name: identifies it across reloads, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    reactive, seconds = ensure_reactive(source), length_of(min_interval)
    node, state = node_of(reactive), RateLimit(seconds.value)
    if isinstance(node, EventNode):
        return named(event_of(TimedEvent(state, node, node_of(seconds))), name)
    if node.value is not NoValue:
        state.on_input(node.value, now)
    limited = TimedValue(state, emissions_of(node), node_of(seconds), node.value)
    return named(value_of(limited), name)


def now(interval: Held[float] = 1.0, tz: str | tzinfo | None = None) -> Value[datetime]:
    """Return a Value of the date and time of the wall clock, read repeatedly while it is in use.

    Args:
        interval: how often, in seconds, more than 0; may be a Value. After a change, the next
            reading is one interval later.
        tz: the time zone, such as `"Europe/Berlin"`; without it, the local time as a naive
            datetime.

    Raises:
        ReactiveTypeError: the zone does not exist, or the interval is not a length of time.
        RuntimeError: no loop is running.
    """
    time = asyncio.get_running_loop().time()
    seconds = length_of(interval)
    zone = None if tz is None else zone_of(tz)
    state = Clock(seconds.value, zone, time)
    return value_of(_ClockValue(state, None, node_of(seconds), wall_now(zone)))
