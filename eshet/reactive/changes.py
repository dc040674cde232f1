"""What tells of changes, joins what several tell, and remembers what was told."""

from collections.abc import Callable
from typing import Any

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import event_to_value, value_to_event
from eshet.reactive.core.apply import apply
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.markers import NoChange, NoValue, is_absent, is_nan
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value
from eshet.reactive.fn import fn
from eshet.unknown import Unknown

__all__ = [
    "changes",
    "count",
    "default",
    "falling",
    "hysteresis",
    "latest",
    "merge",
    "rising",
    "sample",
    "scan",
    "when",
]


class _Scan:
    """Takes each value that is there into a total."""

    __slots__ = ("__name__", "_function", "total")

    def __init__(self, function: Callable[[Any, Any], Any], initial: Any, name: str) -> None:
        self._function = function
        self.total = initial
        self.__name__ = name

    def __call__(self, value: Any) -> Any:
        if is_absent(value):
            return NoChange
        total = self._function(self.total, value)
        if total is not NoChange:
            self.total = total
        return total

    def snapshot(self) -> Any:
        return [self.total]

    def restore(self, data: Any) -> None:
        [self.total] = data


class _Edge:
    """Tells when a value differs from the last one that was known, and how."""

    __slots__ = ("__name__", "_last", "_passes")

    def __init__(self, name: str, passes: Callable[[Any, Any], bool], source: Node) -> None:
        self.__name__ = name
        self._passes = passes
        self._last: Any = NoValue
        if isinstance(source, ValueNode):
            self.begin_with(source.value)

    def begin_with(self, value: Any) -> None:
        """Compare what comes with this, which is no edge."""
        if not is_absent(value):
            self._last = value

    def __call__(self, value: Any) -> Any:
        if is_absent(value):
            return NoChange
        last, self._last = self._last, value
        return value if last is not NoValue and self._passes(last, value) else NoChange

    def snapshot(self) -> Any:
        return [] if self._last is NoValue else [self._last]

    def restore(self, data: Any) -> None:
        [self._last] = data or [NoValue]


class _Merged(EventNode):
    """Emits what any of its inputs emits, in their order."""

    __slots__ = ("_sources",)

    def __init__(self, sources: list[EventNode]) -> None:
        super().__init__(sources)
        self._sources = sources

    def settle(self, transactions: Transactions) -> bool:
        return self.emit(
            [emission for source in self._sources for emission in source.emissions], transactions
        )

    def label(self) -> str:
        return "merge"


def _edge(name: str, passes: Callable[[Any, Any], bool], source: Any) -> Event[Any]:
    source = ensure_reactive(source)
    events = value_to_event(source)
    edge: Any = apply(Lifted(_Edge(name, passes, node_of(source))), [events])
    return edge  # type: ignore[no-any-return]


def changes(source: Any) -> Event[Any]:
    """Return an Event of each value that differs from the one before.

    While the source is absent (`NoValue` or `Unknown`) nothing is emitted; what comes then is
    compared with the last value that was known.
    """
    return _edge("changes", lambda last, value: bool(last != value), source)


def rising(source: Any) -> Event[Any]:
    """Return an Event of each value that is true, after one that was not.

    While the source is absent nothing is emitted; what comes then is compared with the last value
    that was known. Without one, as when a Value is `Unknown` at first, it does not rise.
    """
    return _edge("rising", lambda last, value: bool(value) and not last, source)


def falling(source: Any) -> Event[Any]:
    """Return an Event of each value that is not true, after one that was; see `rising`."""
    return _edge("falling", lambda last, value: bool(last) and not value, source)


def when(source: Any, condition: Any, otherwise: Any = NoValue) -> Any:
    """Return what a Value or Event tells while a condition is true.

    Args:
        source: the Value or Event. Of an Event, what is emitted at other times is dropped.
        condition: a Value. While it is unknown it is not true.
        otherwise: what a Value is while the condition is not true; may be a Value. Where that
            drives something, give the safe value: a sink is not told of `NoValue`.
    """
    source, condition = ensure_reactive(source), ensure_reactive(condition)
    if isinstance(condition, Event):
        raise ReactiveTypeError("a condition is a Value, not an Event: hold it with `yarp.latest`")
    if isinstance(source, Event):
        return apply(Lifted(_when_emitted), [source, condition])
    return apply(Lifted(_when_held), [source, condition, otherwise])


def _when_emitted(emission: Any, condition: Any) -> Any:
    return emission if _is_true(condition) else NoChange


def _when_held(value: Any, condition: Any, otherwise: Any) -> Any:
    return value if _is_true(condition) else otherwise


def _is_true(condition: Any) -> bool:
    return not is_absent(condition) and bool(condition)


_when_emitted.__name__ = _when_held.__name__ = "when"


def merge(*sources: Any) -> Event[Any]:
    """Return an Event of what any Event emits, and any Value changes to.

    Of what happens in one transaction, what the first source tells comes first. `Unknown` is told
    as any value.
    """
    events = [value_to_event(source) for source in sources]
    return event_of(_Merged([node_of(event) for event in events]))  # type: ignore[misc]


def latest(*sources: Any, initial: Any = NoValue) -> Value[Any]:
    """Return a Value of what any of these told last.

    Args:
        sources: Values and Events.
        initial: what it is before any of them changes or emits. If it is not given, that is the
            first of the sources that has a value.
    """
    reactives = [ensure_reactive(source) for source in sources]
    held = [each for each in (initial, *(r.value for r in reactives)) if each is not NoValue]
    return event_to_value(merge(*reactives), held[0] if held else NoValue)


@fn
def default(source: Any, value: Any) -> Any:
    """Return a Value or Event with another value in place of `NoValue` and `Unknown`.

    It is how a rule ends that drives something: `yarp.default(too_cold, False)` lets no heater on
    because a sensor is silent. Put none before an edge: `yarp.rising(yarp.default(leak, False))`
    tells of the same leak again when the sensor comes back, `yarp.rising(leak)` does not.

    Args:
        source: the Value or Event.
        value: what to put there; may be a Value.
    """
    return value if is_absent(source) else source


def sample(source: Any, trigger: Any) -> Event[Any]:
    """Return an Event of what a source holds whenever a trigger emits, or changes.

    Of an Event, that is what it emitted last. Nothing is emitted while there is `NoValue`;
    `Unknown` is emitted as it is.

    Args:
        source: the Value or Event.
        trigger: the Event, or Value.
    """
    held, events = latest(source), value_to_event(trigger)
    sampled: Any = apply(Lifted(_sampled), [held, events])
    return sampled  # type: ignore[no-any-return]


def _sampled(held: Any, _: Any) -> Any:
    return NoChange if held is NoValue else held


_sampled.__name__ = "sample"


def scan(source: Any, function: Callable[[Any, Any], Any], initial: Any) -> Value[Any]:
    """Return a Value that each change or emission of a source is taken into.

    What a Value holds at first is taken in, too. `NoValue` and `Unknown` are left out.

    Args:
        source: the Value or Event.
        function: called with what there is so far and what comes, for what there is then; or
            `NoChange`.
        initial: what there is before anything comes.
    """
    source = ensure_reactive(source)
    step = _Scan(function, initial, "scan")
    if not isinstance(source, Event):
        step(source.value)
    return event_to_value(apply(Lifted(step), [value_to_event(source)]), step.total)


def count(source: Any) -> Value[int]:
    """Return a Value of how often a source has changed, or emitted, since this was made.

    `NoValue` and `Unknown` are not counted.
    """
    step = _Scan(lambda total, _: total + 1, 0, "count")
    return event_to_value(apply(Lifted(step), [value_to_event(source)]), 0)


class _Hysteresis:
    """Whether a value is above two bounds, or between them and was."""

    __slots__ = ("_above",)

    __name__ = "hysteresis"

    def __init__(self) -> None:
        self._above = False

    def __call__(self, value: Any, low: Any, high: Any) -> Any:
        for each in (value, low, high):
            if is_absent(each) or is_nan(each):
                self._above = False
                return Unknown if is_nan(each) else each
        if value > high:
            self._above = True
        elif value < low:
            self._above = False
        return self._above

    def snapshot(self) -> Any:
        return self._above

    def restore(self, data: Any) -> None:
        self._above = bool(data)


def hysteresis(source: Any, low: Any, high: Any) -> Any:
    """Return a Value that is True from above `high` until below `low`.

    Between them it is what it was, and False at first. While the source or a bound is absent so is
    the result, and what it was is forgotten; NaN counts as `Unknown`. That is no decision: end with
    `yarp.default(…, False)` or True, whichever is safe where it is used.

    Args:
        source: the Value, or an Event of numbers.
        low: the lower bound; may be a Value.
        high: the upper bound; may be a Value.
    """
    return apply(Lifted(_Hysteresis()), [source, low, high])
