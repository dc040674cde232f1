"""What takes time: values and emissions that come later, or go away.

Everything here needs a running event loop, whose time it is. A timer ends with what it is for, and
so with the scope that that was made in.
"""

import asyncio
import enum
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, Final, Literal

from eshet.clock import wall_now
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.graph import EventNode, RestoreContext, ValueNode
from eshet.reactive.core.handle import node_of
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

__all__ = [
    "NOTHING",
    "delay",
    "emit_at",
    "now",
    "rate_limit",
    "time_window",
]


class _ClockValue(LaterValue):
    """What a clock shows, a date and time. It is handed over as a number, which is plain data."""

    __slots__ = ()

    def snapshot(self, epoch: float) -> Any:
        memory, shown, heard = super().snapshot(epoch)
        return [memory, shown.timestamp(), heard]

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        memory, shown, heard = data
        value = datetime.fromtimestamp(loop_time(shown, 0.0), self.value.tzinfo)
        return super().restore([memory, value, heard], context)


class _Nothing(enum.Enum):
    NOTHING = "NOTHING"


NOTHING: Final = _Nothing.NOTHING
"""Stands for a value that was not given, where any value can be."""


Missed = Literal["drop", "emit"]
"""What becomes of an emission that was due while nobody was there."""


def emits(missed: Missed) -> bool:
    """Whether that is to be emitted late."""
    if missed not in ("drop", "emit"):
        raise ReactiveTypeError(f'missed={missed!r} has no meaning: write "drop" or "emit"')
    return missed == "emit"


def emit_at(time: Any, *, name: str | None = None, missed: Missed = "drop") -> Event[Any]:
    """Return an Event that emits at a time of the running loop, as `loop.time()` tells it.

    A time that is past already is the next turn of the loop, never at once. Another time replaces
    the one that is pending, `None` and what is unknown cancel it, and the same one leaves it alone;
    once it has emitted, the same time set again emits again.

    Args:
        time: None, a number, a pair of a number and what to emit then (else it is None), or a Value
            of these. Callbacks of the Event may set it.
        name: by which it is known again after a reload, unique in its module.
        missed: what becomes of an emission that was due while the runner was down: `"drop"`, or
            `"emit"` as soon as it is back.

    Raises:
        ReactiveTypeError: it is nothing of these.
        RuntimeError: no loop is running.
    """
    loop = asyncio.get_running_loop()
    node = node_of(time) if isinstance(time, PlainValue) else ValueNode(time)
    memory = At(emits_missed=emits(missed))
    memory.on_input(node.value, loop.time())
    return named(event_of(LaterEvent(memory, node, None)), name)


def delay(
    source: Any, delay_seconds: Any, *, name: str | None = None, missed: Missed = "drop"
) -> Any:
    """Return a Value or Event whose changes come later.

    A Value has the present value of its source at once. Changes come in order, each on its own.

    Args:
        source: the Value or Event.
        delay_seconds: how much later; may be a Value. When that rises, what is on its way comes
            later, too; when it falls, what is overdue comes at once. 0 is the loop's next turn.
        name: by which it is known again after a reload, unique in its module.
        missed: what becomes of an emission that was due while the runner was down: `"drop"`, or
            `"emit"` as soon as it is back. A Value is what it should be at once.

    Raises:
        RuntimeError: no loop is running.
    """
    asyncio.get_running_loop()
    source, seconds = ensure_reactive(source), length_of(delay_seconds)
    node = node_of(source)
    memory = Delay(seconds.value, emits_missed=isinstance(node, EventNode) and emits(missed))
    if isinstance(node, EventNode):
        return named(event_of(LaterEvent(memory, node, node_of(seconds))), name)
    return named(value_of(LaterValue(memory, node, node_of(seconds), node.value)), name)


def time_window(
    source: Any, duration_seconds: Any, initial_value: Any = NOTHING, *, name: str | None = None
) -> Value[Any]:
    """Return a Value of the list of what was there within a time, the newest last.

    An emission of an Event is there for that long. A value of a Value is there as long as it is
    present, and for that long after it was replaced: a constant never leaves. Each that leaves is a
    change of its own, at its time.

    Args:
        source: the Value or Event.
        duration_seconds: how long; may be a Value. When that falls, all that is too old leaves in
            one change.
        initial_value: one more entry, as if it had just been emitted, or replaced.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    source, seconds = ensure_reactive(source), length_of(duration_seconds)
    node = node_of(source)
    memory = TimeWindow(seconds.value, stays=isinstance(node, ValueNode))
    if initial_value is not NOTHING:
        memory.hear_aging(initial_value, now)
    if isinstance(node, ValueNode):
        memory.on_input(node.value, now)
    window = TimedValue(memory, emissions_of(node), node_of(seconds), memory.values)
    return named(value_of(window), name)


def rate_limit(source: Any, min_interval: Any = 0.1, *, name: str | None = None) -> Any:
    """Return a Value or Event that does not change more often than once in an interval.

    The first change passes at once. Of what comes within the interval after it, the last passes at
    its end, and the next interval begins. A Value that is set at first has passed its first change.

    Args:
        source: the Value or Event.
        min_interval: in seconds; may be a Value. When that rises, the present interval is longer,
            too; when it falls, and has ended by that, it ends in the next turn of the loop.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    source, seconds = ensure_reactive(source), length_of(min_interval)
    node, memory = node_of(source), RateLimit(seconds.value)
    if isinstance(node, EventNode):
        return named(event_of(TimedEvent(memory, node, node_of(seconds))), name)
    if node.value is not NoValue:
        memory.on_input(node.value, now)
    limited = TimedValue(memory, emissions_of(node), node_of(seconds), node.value)
    return named(value_of(limited), name)


def now(interval: Any = 1.0, tz: str | tzinfo | None = None) -> Value[datetime]:
    """Return a Value of what the clock on the wall shows, read again and again while it is used.

    Args:
        interval: how often, in seconds, more than 0; may be a Value. Setting that begins anew: the
            clock is read next one interval later.
        tz: the zone to show it in, as `"Europe/Berlin"`; the local one, without a zone in the
            result, if not given.

    Raises:
        ReactiveTypeError: there is no such zone, or the interval is no length of time.
        RuntimeError: no loop is running.
    """
    time = asyncio.get_running_loop().time()
    seconds = length_of(interval)
    zone = None if tz is None else zone_of(tz)
    memory = Clock(seconds.value, zone, time)
    return value_of(_ClockValue(memory, None, node_of(seconds), wall_now(zone)))
