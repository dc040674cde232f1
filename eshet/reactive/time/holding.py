"""What waits until something has lasted, or has been quiet, for long enough.

Everything here needs a running event loop, whose time it is, and says what it does while what it
follows is absent: by default, nothing is held on because a sensor is silent.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.event import event_of
from eshet.reactive.core.graph import EventNode, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.value import Value, value_of
from eshet.reactive.handover.handover import named
from eshet.reactive.time.duration_state import Debounce, Fold, ForDuration, Hold, Throttle
from eshet.reactive.time.nodes import TimedEvent, TimedValue, checked_seconds, length_of
from eshet.reactive.time.operators import rate_limit

__all__ = ["debounce", "fold_state", "for_duration", "hold", "throttle"]


def debounce(source: Any, seconds: Any, *, name: str | None = None) -> Any:
    """Return a Value or Event whose changes come when nothing else has come for a while.

    A Value has the present value of its source at once. `NoValue` and `Unknown` pass at once, and
    what was waiting is dropped.

    Args:
        source: the Value or Event.
        seconds: how long nothing may come; may be a Value.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    source, length = ensure_reactive(source), length_of(seconds)
    node, memory = node_of(source), Debounce(length.value)
    if isinstance(node, EventNode):
        return named(event_of(TimedEvent(memory, node, node_of(length))), name)
    return named(
        value_of(TimedValue(memory, emissions_of(node), node_of(length), node.value)), name
    )


def throttle(source: Any, seconds: Any, *, name: str | None = None) -> Any:
    """Return an Event of what is emitted, but nothing that comes too soon after another.

    What comes too soon is dropped. For a Value that would leave it wrong: of a Value this is
    `rate_limit`, which lets the last one pass at the end.

    Args:
        source: the Event, or Value.
        seconds: how long to drop what comes after one that passed; may be a Value.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    source = ensure_reactive(source)
    node = node_of(source)
    if isinstance(node, ValueNode):
        return rate_limit(source, seconds, name=name)
    length = length_of(seconds)
    return named(event_of(TimedEvent(Throttle(length.value), node, node_of(length))), name)


def for_duration(source: Any, seconds: Any, *, name: str | None = None) -> Value[bool]:
    """Return a Value that is True when another has been true for so long, without a break.

    `NoValue` and `Unknown` are not true: they make it False at once.

    Args:
        source: the Value.
        seconds: how long; may be a Value.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        ReactiveTypeError: the source is an Event, which lasts no time.
        RuntimeError: no loop is running.
    """
    source, length = ensure_reactive(source), length_of(seconds)
    node = node_of(source)
    if isinstance(node, EventNode):
        raise ReactiveTypeError("an Event lasts no time: hold it first, with `yarp.hold`")
    memory = ForDuration(length.value)
    memory.on_input(node.value, asyncio.get_running_loop().time())
    return named(value_of(TimedValue(memory, emissions_of(node), node_of(length), memory.on)), name)


def hold(
    source: Any, at_least: Any = 0, at_most: float | None = None, *, name: str | None = None
) -> Value[bool]:
    """Return a Value that is True while another is, but for so long at least, or at most.

    Each emission of an Event makes it True, for `at_least` from then on. `NoValue` and `Unknown`
    are not true, so nothing is held on for longer than `at_least` because a sensor is silent.

    Args:
        source: the Value or Event.
        at_least: for how many seconds from when it became true; may be a Value.
        at_most: after how many seconds it is False though the source is still true. The source has
            to become false and true again to make it True again. None for never.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    source, length = ensure_reactive(source), length_of(at_least)
    if at_most is not None:
        checked_seconds(at_most)
    node = node_of(source)
    memory = Hold(length.value, at_most, pulses=isinstance(node, EventNode))
    if isinstance(node, ValueNode):
        memory.on_input(node.value, asyncio.get_running_loop().time())
    return named(value_of(TimedValue(memory, emissions_of(node), node_of(length), memory.on)), name)


def fold_state(
    source: Any,
    step: Callable[[Any, Any], Any],
    initial: Any,
    timeouts: Mapping[Any, tuple[float, Any]] | None = None,
    *,
    name: str | None = None,
) -> Value[Any]:
    """Return a Value of the state of a machine that a source drives, and time.

    What a Value holds at first is not a step. `NoValue` and `Unknown` are none either, but timeouts
    run on: what a timeout is to switch off goes off.

    Args:
        source: the Value or Event.
        step: called with the state and what comes, for the next state. The same state again starts
            its timeout anew; `NoChange` does not.
        initial: the first state.
        timeouts: for a state, after how many seconds it becomes which other one.
        name: by which it is known again after a reload, unique in its module.

    Raises:
        RuntimeError: no loop is running.
    """
    now = asyncio.get_running_loop().time()
    for seconds, _ in (timeouts or {}).values():
        checked_seconds(seconds)
    source = ensure_reactive(source)
    memory = Fold(step, initial, timeouts or {}, now)
    return named(value_of(TimedValue(memory, emissions_of(node_of(source)), None, initial)), name)
