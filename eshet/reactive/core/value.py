"""`Value`: something that always has a value, which changes."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.batch import Transient
from eshet.reactive.core.callbacks_first import callbacks_first
from eshet.reactive.core.graph import Node, ValueNode
from eshet.reactive.core.handle import Reactive, node_of
from eshet.reactive.core.markers import NoChange, NoValue, PlainValue
from eshet.reactive.core.origin import Origin, place_of, where
from eshet.reactive.core.transaction import Transactions
from eshet.scope import Scope, current_scope

__all__ = ["ObservedNode", "Value", "is_settable", "value_of"]

_log: Final = logging.getLogger("eshet")

T = TypeVar("T")


class _Computed(ValueNode):
    """The node of a Value with `get_value`."""

    __slots__ = ("_get_value",)

    def __init__(self, initial: Any, inputs: Sequence[Node], get_value: Callable[[], Any]) -> None:
        value = get_value()
        super().__init__(initial if value is NoChange else value, inputs)
        self._get_value = get_value

    def settle(self, transactions: Transactions) -> bool:
        value = self._get_value()
        if value is NoChange:
            return False
        self.value = value
        return True

    def label(self) -> str:
        return f"Value of {getattr(self._get_value, '__name__', repr(self._get_value))}"


class Value(Reactive[T]):
    """Something that always has a value, which changes.

    Set it with `value.value = 3`. All effects have happened when the assignment returns; within a
    callback, they happen right after the current change. An equal value is a change too: use
    `no_repeat` where it should not be.

    Args:
        initial_value: the first value; `NoValue` if not given.
        inputs: the Values and Events that this Value follows: after they changed, `get_value` is
            called once.
        get_value: called first and whenever inputs have changed; returns the new value, or
            `NoChange` to keep the current one. Callbacks that this scope registered on the inputs
            earlier are called first, so they can collect data for it.
        name: how messages name this Value; without one, they name the line where it was made.
    """

    # `_source` is the node again, and missing where setting is not allowed: no check needed.
    __slots__ = ("_source",)

    _node: ValueNode
    _source: ValueNode

    def __init__(
        self,
        initial_value: T = NoValue,
        inputs: Iterable[PlainValue] = (),
        get_value: Callable[[], T] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        nodes = [node_of(reactive) for reactive in inputs] if inputs else ()
        if get_value is None:
            node = ValueNode(initial_value, nodes)
        else:
            node = _Computed(initial_value, callbacks_first(nodes), get_value)
        node.uses = 1
        if name is not None:
            node.origin = name
        self._node = self._source = node

    @property
    def value(self) -> T:
        """The current value."""
        return self._node.value  # type: ignore[no-any-return]

    @value.setter
    def value(self, value: T) -> None:
        try:
            node = self._source
        except AttributeError:
            raise self._setting_error() from None
        node.transactions.change(node, value)  # like node.change(), with one call less

    def set_instantaneous_value(self, value: T) -> None:
        """Set it to `value` for the time of one change, as in plain yarp.

        The previous value is back before callbacks are called, without another change.
        """
        if not is_settable(self):
            raise self._setting_error()
        self._node.transactions.change(Transient(self._node), value)

    if TYPE_CHECKING:  # operators.py adds them; these declare the results of comparisons

        def __eq__(self, other: object) -> "Value[bool]": ...  # type: ignore[override]
        def __ge__(self, other: Any) -> "Value[bool]": ...
        def __gt__(self, other: Any) -> "Value[bool]": ...
        def __le__(self, other: Any) -> "Value[bool]": ...
        def __lt__(self, other: Any) -> "Value[bool]": ...
        def __ne__(self, other: object) -> "Value[bool]": ...  # type: ignore[override]

    def __repr__(self) -> str:
        return self._repr(f"Value({self.value!r})")

    def __format__(self, spec: str) -> str:
        _warn_of_text(self._node)
        return format(self.value, spec)

    def _setting_error(self) -> ReactiveTypeError:
        name = self._node.describe()
        if isinstance(self._node, ObservedNode):
            return ReactiveTypeError(
                f"this Value only observes {name}, setting it would not reach the device: write "
                f'`await yarp.set_value("{name}", value)` to follow a Value, or '
                f'`await client.set("{name}", 100)` to set it once'
            )
        return ReactiveTypeError(
            f"{name} follows other Values and can't be set: set those, or, to send a value to a "
            'device, write `await yarp.set_value("/path", value)`'
        )


class _Texts:
    """The places in one scope where a Value was formatted as text."""

    def __init__(self, scope: Scope) -> None:
        self.places: set[Origin] = set()


def _warn_of_text(node: ValueNode) -> None:
    """Log, once for each place in a rule's set-up, that a text does not follow its Value."""
    scope = current_scope()
    if scope is None or node.transactions.running:
        return
    places, place = scope.get(_Texts).places, where()
    if place not in places:
        places.add(place)
        _log.warning(
            "the text made of %s%s does not follow it: write "
            '`yarp.str_format("{} lux", value)` for one that does, or `{value.value}` for the '
            "current value",
            node.describe(),
            place_of(place),
        )


class ObservedNode(ValueNode):
    """The node of a Value that a client observes; its name is the path.

    Args:
        path: of the observed state.
    """

    __slots__ = ()

    def __init__(self, path: str) -> None:
        super().__init__()
        self.origin: Origin = path


def is_settable(value: Value[Any]) -> bool:
    """Whether a Value may be set: it neither follows others nor observes a path."""
    return hasattr(value, "_source")


def value_of(node: ValueNode) -> Value[Any]:
    """Return a new handle of a node; it can't be set if it follows other nodes or a path."""
    value: Value[Any] = Value.__new__(Value)
    value._node = node
    if not node.inputs and not isinstance(node, ObservedNode):
        value._source = node
    node.uses += 1
    return value
