"""What lets some of the changes through, and remembers the last ones."""

from collections.abc import Sequence
from typing import Any

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.conversions import emissions_of
from eshet.reactive.core.apply import apply
from eshet.reactive.core.graph import EventNode, RestoreContext, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.markers import NoChange, NoValue, is_absent, is_nan, is_same
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value, value_of
from eshet.reactive.fn import fn
from eshet.reactive.handover.handover import named
from eshet.unknown import Unknown

__all__ = ["filter", "no_repeat", "replace_novalue", "replace_unknown", "window"]


class _NoRepeat:
    """Lets a value through that differs from the last one."""

    __slots__ = ("last",)

    __name__ = "no_repeat"

    def __init__(self) -> None:
        self.last: Any = NoChange  # which differs from all that can come

    def __call__(self, value: Any) -> Any:
        if self.last is NoChange or value != self.last:
            if is_nan(value) and is_nan(self.last):
                return NoChange
            self.last = value
            return value
        return NoChange

    def snapshot(self) -> Any:
        return [] if self.last is NoChange else [self.last]

    def restore(self, data: Any) -> None:
        [self.last] = data or [NoChange]


class _Window(ValueNode):
    """The list of the last emissions; that list and its length are all that it remembers."""

    __slots__ = ("_entries", "_heard", "_length", "_num_values", "_source")

    def __init__(self, source: EventNode, num_values: ValueNode, first: list[Any]) -> None:
        self._source = source
        self._num_values = num_values
        self._length = _checked_length(num_values.value)
        self._heard = source.present()
        # Apart from what is handed out, which a callback may sort.
        self._entries = self._cropped(first)
        super().__init__(list(self._entries), (source, num_values))

    def settle(self, transactions: Transactions) -> bool:
        self._adjust()
        emissions = () if self._source.repeats_known_value() else self._source.emissions
        self._heard = self._source.present()
        entries = self._cropped([*self._entries, *emissions])
        if not emissions and len(entries) == len(self._entries):
            return False
        self._entries = entries
        self.value = list(entries)
        return True

    def label(self) -> str:
        return "window"

    def snapshot(self, epoch: float) -> Any:
        return [list(self._entries), self._source.present()]

    def restore(self, data: Any, context: RestoreContext) -> Sequence[Any]:
        entries, self._heard = data
        self._hear_present(entries)
        return ()

    def start_from_inputs(self, context: RestoreContext) -> None:
        self._hear_present(self._entries)

    def _hear_present(self, entries: list[Any]) -> None:
        """Hold these, and what a Value holds unless that was heard last."""
        heard, self._heard = self._heard, self._source.present()
        news = [] if is_same(heard, self._heard) else [self._heard]
        self._entries = self._cropped([*entries, *news])
        self.change_to(list(self._entries))

    def detail(self) -> str:
        return str(self._length)

    def _adjust(self) -> None:
        """Take over the length, unless it is unknown or none: then the last one goes on."""
        if is_absent(self._num_values.value):
            return
        try:
            self._length = _checked_length(self._num_values.value)
        except ReactiveTypeError as error:
            self.report(error)

    def _cropped(self, entries: list[Any]) -> list[Any]:
        return entries[max(0, len(entries) - self._length) :]


def _checked_length(length: Any) -> int:
    if not isinstance(length, int) or length < 0:
        raise ReactiveTypeError(f"the length of a window is a number from 0 up, not {length!r}")
    return length


def window(source_value: Any, num_values: Any, *, name: str | None = None) -> Value[list[Any]]:
    """Return a Value of the list of the last values, or emissions, the newest last.

    It begins with the present value of a Value, and empty for an Event.

    Args:
        source_value: the Value or Event.
        num_values: how many at most, 0 for none; may be a Value. When it falls, the oldest are
            dropped in one change; while nothing is dropped, it is none. While it is unknown, it
            stays what it was.
        name: by which it is known again after a reload, unique in its module.
    """
    source_value, num_values = ensure_reactive(source_value), ensure_reactive(num_values)
    source, length = node_of(source_value), node_of(num_values)
    if isinstance(length, EventNode):
        raise ReactiveTypeError("the length of a window is a number or a Value, not an Event")
    first = [source.value] if isinstance(source, ValueNode) else []
    return named(value_of(_Window(emissions_of(source), length, first)), name)


def no_repeat(source: Any, *, name: str | None = None) -> Any:
    """Return a Value or Event without what equals (`==`) the one before.

    1, 1.0 and True are equal. `NoValue` and `Unknown` are taken for values.

    Args:
        source: the Value or Event.
        name: by which it is known again after a reload, unique in its module.
    """
    return named(apply(Lifted(_NoRepeat()), [source]), name)


class _Filter:
    """Lets a value through that passes the rule."""

    __slots__ = ("_unset",)

    __name__ = "filter"

    def __init__(self, source: ValueNode | EventNode) -> None:
        self._unset = isinstance(source, ValueNode) and source.value is NoValue

    def __call__(self, value: Any, rule: Any) -> Any:
        unset, self._unset = self._unset, False
        if rule is NoValue:
            passes = value is not NoValue
        elif rule is None:
            passes = value is not NoValue and bool(value)
        else:
            # A rule of plain yarp is not asked about a source that is still to be set.
            passes = not unset and rule(value)
        return value if passes else NoChange


def filter(source: Any, rule: Any = NoValue) -> Any:  # noqa: A001 - as in yarp
    """Return a Value or Event of what passes a rule.

    A Value keeps the last value that passed, and is `NoValue` before there is one.

    Args:
        source: the Value or Event.
        rule: if not given, all but `NoValue` passes; with None, what is true and not `NoValue`;
            else a function, and what it returns something true for passes. It may be a Value.
    """
    source = ensure_reactive(source)
    return apply(Lifted(_Filter(node_of(source))), [source, rule])


@fn
def replace_novalue(source_value: Any, replacement_if_novalue: Any = None) -> Any:
    """Return a Value or Event with another value in place of `NoValue`.

    Args:
        source_value: the Value or Event.
        replacement_if_novalue: what to put there; may be a Value, which is followed.
    """
    return replacement_if_novalue if source_value is NoValue else source_value


@fn
def replace_unknown(source: Any, replacement: Any = None) -> Any:
    """Return a Value or Event with another value in place of `Unknown`.

    Args:
        source: the Value or Event.
        replacement: what to put there; may be a Value, which is followed.
    """
    return replacement if source is Unknown else source
