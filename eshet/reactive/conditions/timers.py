"""The operators that depend on time, and other nodes with a state."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from eshet.clock import wall_time
from eshet.reactive.changes import MergedNode
from eshet.reactive.conditions.condition import (
    Condition,
    Kind,
    all_of,
    any_of,
    dependencies,
    make,
    unclear,
)
from eshet.reactive.conditions.needs import (
    ANY,
    FALSE,
    KNOWN,
    NOT_TRUE,
    TRUE,
    Length,
    Need,
    Relation,
    Simple,
    text_of,
)
from eshet.reactive.conditions.reader import NodeReader, Reader, share_inputs
from eshet.reactive.conversions import ChangesNode, LatestNode
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.markers import is_absent
from eshet.reactive.filters import WindowNode
from eshet.reactive.switching import SwitchNode
from eshet.reactive.time.duration_state import Debounce, Fold, ForDuration, Hold, Stale, Throttle
from eshet.reactive.time.fsm import MachineNode
from eshet.reactive.time.nodes import operator_state_of
from eshet.reactive.time.state import At, Clock, Delay, OperatorState, RateLimit, TimeWindow
from eshet.reactive.time.wall_clock import WallClock
from eshet.unknown import Unknown

__all__ = ["NODES", "span"]

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """Return a length of time as text, such as `10 min`."""
    for length, unit in _UNITS:
        if seconds >= length and not seconds % length:
            return f"{seconds / length:.0f} {unit}"
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes / 60:.1f} h"
    return f"{seconds:.3g} s"


def progress(since: float, seconds: float, now: float) -> str:
    """Return how much of a length of time has passed, as text, such as `4 of 10 min`."""
    passed = min(max(0.0, now - since), seconds)
    if seconds >= 120:
        return f"{passed / 60:.0f} of {seconds / 60:.3g} min"
    return f"{passed:.0f} of {seconds:.3g} s"


# --- nodes without a timer --------------------------------------------------------------------


def _latest(reader: Reader, node: Node, need: Need) -> Condition | None:
    return reader.of(_source(node), need) if isinstance(node, LatestNode) else None


def _merged(reader: Reader, node: Node, need: Need) -> Condition | None:
    if not isinstance(node, MergedNode):
        return None
    ways = [reader.of(each, need) for each in node.merged]
    if share_inputs(node.merged):
        return unclear(node, need, ways, "several may emit at once, and the last one counts")
    return any_of(node, need, ways)


def _switched(reader: Reader, node: Node, need: Need) -> Condition | None:
    if not isinstance(node, SwitchNode):
        return None
    selector = _cell(node.inputs[0])
    ways = [reader.of(_cell(each), need) for each in node.inputs[1:]]
    inputs = dependencies(selector.inputs)
    other = unclear(selector, ANY, inputs, "has to select another Value")
    if not ways:
        return unclear(node, need, [other])
    selected = all_of(node, need, [reader.same(selector), *ways])
    return any_of(node, need, [selected, other])


def _window(reader: Reader, node: Node, need: Need) -> Condition | None:
    length = _length_needed(need)
    if not isinstance(node, WindowNode) or length is None:
        return None
    longest = node.inputs[1].value
    if not isinstance(longest, int):
        return None
    entries: Any = node.value
    for times in range(1, longest - len(entries) + 1):
        if length.is_met(len(entries) + times):
            detail = f"window of {longest}, has {len(entries)}"
            return all_of(node, need, [reader.once(_source(node), ANY, times)], detail)
    return None


def _machine(reader: Reader, node: Node, need: Need) -> Condition | None:
    if not isinstance(node, MachineNode):
        return None
    detail = f"the state is {text_of(node.at_state)}"
    if node.timeout_time is not None:
        detail += f", its timeout runs out in {span(round(node.timeout_time - reader.now))}"
    return unclear(node, need, dependencies(node.machine_inputs), detail)


# --- operators of time ------------------------------------------------------------------------


def _timed(reader: Reader, node: Node, need: Need) -> Condition | None:
    state = operator_state_of(node)
    if state is None:
        return None
    for kind, read in _READERS.items():
        if isinstance(state, kind):
            condition: Condition | None = read(reader, node, need, state)
            return condition
    waiting = reader.coming(node, need, state.coming(reader.now), node.label())
    if waiting is None and isinstance(state, WallClock):
        at = state.first(need.is_met, reader.now)
        waiting = None if at is None else make(Kind.TIME, node, need, until=at, detail=node.label())
    return waiting or unclear(node, need, detail="it depends on the clock")


def _source(node: Node) -> "ValueNode | EventNode":
    """Return the source of an operator; if it follows a Value, the node of its changes."""
    return _cell(node.sources()[0])


def _cell(node: Node) -> "ValueNode | EventNode":
    assert isinstance(node, ValueNode | EventNode)  # noqa: S101 - each node is one of these
    return node


def _since(state: OperatorState) -> Any:
    """Return the loop time with which the data of a state begin; None if there is none."""
    data: Any = state.snapshot(0.0)
    return data[0]


def _time(reader: Reader, node: Node, need: Need, state: OperatorState, detail: str) -> Condition:
    found = reader.coming(node, need, state.coming(reader.now), detail)
    return found or unclear(node, need)


def _for_duration(reader: Reader, node: Node, need: Need, state: ForDuration) -> Condition | None:
    if need.is_met(True):
        since = _since(state)
        if since is not None:
            detail = f"for_duration: {progress(since, state.seconds, reader.now)}"
            return _time(reader, node, need, state, detail)
        detail = f"for_duration: for {span(state.seconds)}"
        return _lasting(reader, node, need, TRUE, state.seconds, detail)
    return reader.of(_source(node), NOT_TRUE) if need.is_met(False) else None


def _lasting(
    reader: Reader, node: Node, need: Need, source_need: Need, wait: float, detail: str
) -> Condition:
    """Return the condition that the source of a node is as needed for some seconds."""
    source = _source(node)
    part = reader.of(source, source_need)
    lasts = source.source if isinstance(source, ChangesNode) else source
    if part.node is not lasts:  # name the node that has to last, not only the one it depends on
        part = make(Kind.ALL, lasts, source_need, parts=(part,))
    if isinstance(source, ChangesNode):
        part = replace(part, is_emission=False)  # the Value has to stay so
    return make(Kind.ALL, node, need, parts=(part,), wait=wait, detail=detail)


def _stale(reader: Reader, node: Node, need: Need, state: Stale) -> Condition | None:
    source = _source(node)
    if not need.is_met(True):
        return reader.of(source, KNOWN) if need.is_met(False) else None
    since = _since(state)
    detail = f"stale: last input {span(round(reader.now - since))} ago, limit {span(state.seconds)}"
    ways = [_time(reader, node, need, state, detail)]
    if isinstance(source, ChangesNode):
        ways.append(reader.of(source, Simple(Relation.IS, Unknown)))
    return any_of(node, need, ways)


def _hold(reader: Reader, node: Node, need: Need, state: Hold) -> Condition | None:
    source = _source(node)
    data: Any = state.snapshot(0.0)
    rose, is_input_on, is_on = data
    if need.is_met(True) and not is_on:
        if is_input_on:
            return reader.turn(source, FALSE, TRUE)
        begins = reader.of(source, KNOWN if state.pulses else TRUE)
        lasts = f"hold: {span(state.seconds)} from then on"
        return all_of(node, need, [begins], lasts) if state.pulses else begins
    if not need.is_met(False):
        return None
    limit = state.seconds if state.at_most is None else min(state.seconds, state.at_most)
    detail = f"hold: {progress(rose, limit, reader.now)}"
    if not is_input_on:
        return _time(reader, node, need, state, detail)
    left = max(0.0, rose + limit - reader.now)
    ends = reader.of(source, NOT_TRUE)
    ways = [_lasting(reader, node, need, NOT_TRUE, left, detail) if left else ends]
    if state.at_most is not None:
        at_most = f"hold: {progress(rose, state.at_most, reader.now)} at most"
        ways.insert(0, _time(reader, node, need, state, at_most))
    return any_of(node, need, ways)


def _debounce(reader: Reader, node: Node, need: Need, state: Debounce) -> Condition | None:
    since = _since(state)
    if since is not None:
        detail = f"debounce: quiet for {progress(since, state.seconds, reader.now)}"
        waiting = reader.coming(node, need, state.coming(reader.now), detail)
        if waiting is not None:
            return waiting
    detail = f"debounce: quiet for {span(state.seconds)}"
    return _lasting(reader, node, need, need, state.seconds, detail)


def _rate_limit(reader: Reader, node: Node, need: Need, state: RateLimit) -> Condition | None:
    wake_at = state.wake_at
    detail = f"rate_limit: one change in {span(state.seconds)}"
    waiting = reader.coming(node, need, state.coming(reader.now), detail)
    if waiting is not None:
        return waiting
    becomes = reader.of(_source(node), need)
    if wake_at is None and not becomes.takes_time:
        return becomes
    # Another input may begin a new interval meanwhile.
    wait = state.seconds if wake_at is None or becomes.takes_time else wake_at - reader.now
    return _lasting(reader, node, need, need, max(0.0, wait), detail)


def _throttle(reader: Reader, node: Node, need: Need, state: Throttle) -> Condition | None:
    since = _since(state)
    emits = reader.once(_source(node), need)
    if since is None or since + state.seconds <= reader.now:
        return emits
    detail = f"throttle: {progress(since, state.seconds, reader.now)}"
    over = make(Kind.TIME, node, need, until=since + state.seconds, detail=detail)
    return make(Kind.ALL, node, need, parts=(over, emits))


def _delay(reader: Reader, node: Node, need: Need, state: Delay) -> Condition | None:
    detail = f"delay: {span(state.seconds)}"
    waiting = reader.coming(node, need, state.coming(reader.now), detail)
    if waiting is not None:
        return waiting
    source = _source(node)
    if isinstance(source, ValueNode) and need.is_met(source.value):
        return unclear(node, need, [reader.same(source)], detail)
    return _lasting(reader, node, need, need, state.seconds, detail)


def _fold(reader: Reader, node: Node, need: Need, state: Fold) -> Condition | None:
    waiting = reader.coming(node, need, state.coming(reader.now), "fold_state: timeout")
    step = unclear(node, need, [reader.of(_source(node), KNOWN)], f"the state is {state.state!r}")
    return step if waiting is None else any_of(node, need, [waiting, step])


def _at(reader: Reader, node: Node, need: Need, state: At) -> Condition | None:
    waiting = reader.coming(node, need, state.coming(reader.now), "emit_at")
    return waiting or unclear(node, need, dependencies(node.sources()), "no time is set for it")


def _clock(reader: Reader, node: Node, need: Need, state: Clock) -> Condition | None:
    at = _moment_needed(node.value, need)
    if at is None:
        return None
    at += reader.now - wall_time()
    wake_at = state.wake_at or reader.now
    readings = max(0, -((wake_at - at) // state.seconds))
    return make(Kind.TIME, node, need, until=wake_at + readings * state.seconds, detail="now")


_AHEAD: Final = 1440
"""For how many minutes the readings of a clock are looked at in advance."""


def _moment_needed(present: Any, need: Need) -> float | None:
    """Return the first instant at which a clock meets a need, in seconds since 1970.

    Within a minute it may come later than that.

    Args:
        present: the present reading of the clock.
        need: the requirement on the reading.
    """
    if isinstance(need, Simple) and isinstance(need.operand, datetime):
        if need.relation in (Relation.GE, Relation.GT) and need.negated() is not None:
            with contextlib.suppress(TypeError, OverflowError):  # only one of them has a time zone
                later = need.operand + timedelta(seconds=need.relation is Relation.GT)
                return float(present.timestamp() + (later - present).total_seconds())
        return None
    minute: float = present.timestamp() // 60 * 60
    for ahead in range(1, _AHEAD + 1):
        at = minute + 60 * ahead
        if need.is_met(datetime.fromtimestamp(at, present.tzinfo)):
            return at
    return None


def _time_window(reader: Reader, node: Node, need: Need, state: TimeWindow) -> Condition | None:
    length = _length_needed(need)
    values = state.values
    waiting = reader.coming(node, need, state.coming(reader.now), _window_detail(state, values))
    if length is None:
        source = unclear(node, need, [reader.of(_source(node), ANY)], _window_detail(state, values))
        return source if waiting is None else any_of(node, need, [waiting, source])
    ways = [] if waiting is None else [waiting]
    for times in range(1, _MOST_TIMES):
        if length.is_met(len(values) + times):
            emits = reader.once(_source(node), ANY, times)
            ways.append(all_of(node, need, [emits], _window_detail(state, values)))
            break
    return any_of(node, need, ways) if ways else unclear(node, need)


_MOST_TIMES: Final = 100


def _window_detail(state: TimeWindow, values: list[object]) -> str:
    return f"window {span(state.seconds)}, has {len(values)}"


def _length_needed(need: Need) -> Need | None:
    """Return the requirement on the number of entries of a list, if only that counts."""
    if isinstance(need, Simple) and need.relation in (
        Relation.TRUE,
        Relation.FALSE,
        Relation.NOT_TRUE,
    ):
        return need
    if isinstance(need, Length):
        return need.need
    return None


def read_length(reader: Reader, node: Node, cells: Any, need: Need) -> Condition | None:
    """Read `len`: see `FunctionReader`."""
    if is_absent(cells[0].value) or isinstance(cells[0], EventNode):
        return None
    return reader.of(cells[0], Length(need))


_READERS: Final[dict[type[OperatorState], Callable[[Reader, Node, Need, Any], Any]]] = {
    ForDuration: _for_duration,
    Stale: _stale,
    Hold: _hold,
    Debounce: _debounce,
    RateLimit: _rate_limit,
    Throttle: _throttle,
    Delay: _delay,
    Fold: _fold,
    At: _at,
    Clock: _clock,
    TimeWindow: _time_window,
}
"""The readers of operators of time, by the class of their states."""

NODES: Final[tuple[NodeReader, ...]] = (_timed, _latest, _merged, _window, _switched, _machine)
"""The readers of nodes that are not functions."""
