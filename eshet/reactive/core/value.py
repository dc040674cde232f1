# mypy: disable-error-code="overload-overlap"
# An object of any type may be an Event as well; the first overload that fits counts.
"""`Value`: something that always has a value, which changes."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Never, SupportsAbs, TypeAlias, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.batch import Transient
from eshet.reactive.core.callbacks_first import callbacks_first
from eshet.reactive.core.event import AnyEvent, Event
from eshet.reactive.core.graph import Node, ValueNode
from eshet.reactive.core.handle import Held, ReadableEvent, ReadableValue, node_of
from eshet.reactive.core.markers import NoChange, NoValue, PlainValue
from eshet.reactive.core.origin import Origin, place_of, where
from eshet.reactive.core.transaction import Transactions
from eshet.scope import Scope, current_scope

if TYPE_CHECKING:
    from datetime import timedelta

    from _typeshed import SupportsAdd, SupportsGetItem, SupportsSub

__all__ = ["AnyValue", "ObservedNode", "Value", "is_settable", "value_of"]

_log: Final = logging.getLogger("eshet")

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")


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


class Value(ReadableValue[T]):
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

    if TYPE_CHECKING:  # operators.py adds them; elements of other types have results of any type

        @overload
        def __abs__(self: ReadableValue[SupportsAbs[R]]) -> "Value[R]": ...
        @overload
        def __abs__(self) -> "AnyValue": ...
        def __abs__(self) -> PlainValue: ...

        @overload
        def __neg__(self: ReadableValue[Never]) -> "AnyValue": ...
        @overload
        def __neg__(self: ReadableValue[int]) -> "Value[int]": ...
        @overload
        def __neg__(self: ReadableValue[float]) -> "Value[float]": ...
        @overload
        def __neg__(self: ReadableValue[timedelta]) -> "Value[timedelta]": ...
        @overload
        def __neg__(self) -> "AnyValue": ...
        def __neg__(self) -> PlainValue: ...

        __pos__ = __neg__

        @overload
        def __invert__(self: ReadableValue[Never]) -> "AnyValue": ...
        @overload
        def __invert__(self: ReadableValue[int]) -> "Value[int]": ...
        @overload
        def __invert__(self) -> "AnyValue": ...
        def __invert__(self) -> PlainValue: ...

        @overload
        def __round__(self: ReadableValue[Never], digits: object = None) -> "AnyValue": ...
        @overload
        def __round__(self: ReadableValue[float], digits: None = None) -> "Value[int]": ...
        @overload
        def __round__(self: ReadableValue[float], digits: int) -> "Value[float]": ...
        @overload
        def __round__(self, digits: object = None) -> "AnyValue": ...
        def __round__(self, digits: object = None) -> PlainValue: ...

        @overload
        def __call__(
            self: ReadableValue[Callable[..., R]], *args: object, **kwargs: object
        ) -> "Value[R]": ...
        @overload
        def __call__(self, *args: object, **kwargs: object) -> "AnyValue": ...
        def __call__(self, *args: object, **kwargs: object) -> PlainValue: ...  # noqa: D102

        @overload
        def __getitem__(
            self: ReadableValue[SupportsGetItem[K, R]], key: ReadableEvent[K]
        ) -> Event[R]: ...
        @overload
        def __getitem__(self: ReadableValue[SupportsGetItem[K, R]], key: Held[K]) -> "Value[R]": ...
        @overload
        def __getitem__(self, key: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __getitem__(self, key: object) -> "AnyValue": ...
        def __getitem__(self, key: object) -> PlainValue: ...

        @overload
        def __lt__(self, other: ReadableEvent[object]) -> Event[bool]: ...  # type: ignore[misc]
        @overload
        def __lt__(self, other: object) -> "Value[bool]": ...
        def __lt__(self, other: object) -> PlainValue: ...

        __le__ = __gt__ = __ge__ = __lt__

        @overload  # type: ignore[override]
        def __eq__(self, other: ReadableEvent[object]) -> Event[bool]: ...
        @overload
        def __eq__(self, other: object) -> "Value[bool]": ...
        def __eq__(self, other: object) -> PlainValue: ...

        @overload  # type: ignore[override]
        def __ne__(self, other: ReadableEvent[object]) -> Event[bool]: ...
        @overload
        def __ne__(self, other: object) -> "Value[bool]": ...
        def __ne__(self, other: object) -> PlainValue: ...

        @overload
        def __add__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __add__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __add__(self: ReadableValue[int], other: ReadableEvent[int]) -> Event[int]: ...
        @overload
        def __add__(self: ReadableValue[int], other: Held[int]) -> "Value[int]": ...
        @overload
        def __add__(self: ReadableValue[float], other: ReadableEvent[float]) -> Event[float]: ...
        @overload
        def __add__(self: ReadableValue[float], other: Held[float]) -> "Value[float]": ...
        @overload
        def __add__(
            self: ReadableValue[SupportsAdd[K, R]], other: ReadableEvent[K]
        ) -> Event[R]: ...
        @overload
        def __add__(self: ReadableValue[SupportsAdd[K, R]], other: Held[K]) -> "Value[R]": ...
        @overload
        def __add__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __add__(self, other: object) -> "AnyValue": ...
        def __add__(self, other: object) -> PlainValue: ...

        @overload
        def __radd__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __radd__(self: ReadableValue[int], other: int) -> "Value[int]": ...
        @overload
        def __radd__(self: ReadableValue[float], other: float) -> "Value[float]": ...
        @overload
        def __radd__(self: ReadableValue[str], other: str) -> "Value[str]": ...
        @overload
        def __radd__(self, other: object) -> "AnyValue": ...
        def __radd__(self, other: object) -> PlainValue: ...

        @overload
        def __sub__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __sub__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __sub__(self: ReadableValue[int], other: ReadableEvent[int]) -> Event[int]: ...
        @overload
        def __sub__(self: ReadableValue[int], other: Held[int]) -> "Value[int]": ...
        @overload
        def __sub__(self: ReadableValue[float], other: ReadableEvent[float]) -> Event[float]: ...
        @overload
        def __sub__(self: ReadableValue[float], other: Held[float]) -> "Value[float]": ...
        @overload
        def __sub__(
            self: ReadableValue[SupportsSub[K, R]], other: ReadableEvent[K]
        ) -> Event[R]: ...
        @overload
        def __sub__(self: ReadableValue[SupportsSub[K, R]], other: Held[K]) -> "Value[R]": ...
        @overload
        def __sub__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __sub__(self, other: object) -> "AnyValue": ...
        def __sub__(self, other: object) -> PlainValue: ...

        @overload
        def __rsub__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __rsub__(self: ReadableValue[int], other: int) -> "Value[int]": ...
        @overload
        def __rsub__(self: ReadableValue[float], other: float) -> "Value[float]": ...
        @overload
        def __rsub__(self, other: object) -> "AnyValue": ...
        def __rsub__(self, other: object) -> PlainValue: ...

        @overload
        def __mul__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __mul__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __mul__(self: ReadableValue[int], other: ReadableEvent[int]) -> Event[int]: ...
        @overload
        def __mul__(self: ReadableValue[int], other: Held[int]) -> "Value[int]": ...
        @overload
        def __mul__(self: ReadableValue[float], other: ReadableEvent[float]) -> Event[float]: ...
        @overload
        def __mul__(self: ReadableValue[float], other: Held[float]) -> "Value[float]": ...
        @overload
        def __mul__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __mul__(self, other: object) -> "AnyValue": ...
        def __mul__(self, other: object) -> PlainValue: ...

        @overload
        def __rmul__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __rmul__(self: ReadableValue[int], other: int) -> "Value[int]": ...
        @overload
        def __rmul__(self: ReadableValue[float], other: float) -> "Value[float]": ...
        @overload
        def __rmul__(self, other: object) -> "AnyValue": ...
        def __rmul__(self, other: object) -> PlainValue: ...

        __floordiv__ = __mod__ = __mul__
        __rfloordiv__ = __rmod__ = __rmul__

        @overload
        def __truediv__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __truediv__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __truediv__(
            self: ReadableValue[float], other: ReadableEvent[float]
        ) -> Event[float]: ...
        @overload
        def __truediv__(self: ReadableValue[float], other: Held[float]) -> "Value[float]": ...
        @overload
        def __truediv__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __truediv__(self, other: object) -> "AnyValue": ...
        def __truediv__(self, other: object) -> PlainValue: ...

        @overload
        def __rtruediv__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __rtruediv__(self: ReadableValue[float], other: float) -> "Value[float]": ...
        @overload
        def __rtruediv__(self, other: object) -> "AnyValue": ...
        def __rtruediv__(self, other: object) -> PlainValue: ...

        @overload
        def __and__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __and__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __and__(self: ReadableValue[bool], other: ReadableEvent[bool]) -> Event[bool]: ...
        @overload
        def __and__(self: ReadableValue[bool], other: Held[bool]) -> "Value[bool]": ...
        @overload
        def __and__(self: ReadableValue[int], other: ReadableEvent[int]) -> Event[int]: ...
        @overload
        def __and__(self: ReadableValue[int], other: Held[int]) -> "Value[int]": ...
        @overload
        def __and__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __and__(self, other: object) -> "AnyValue": ...
        def __and__(self, other: object) -> PlainValue: ...

        @overload
        def __rand__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __rand__(self: ReadableValue[bool], other: bool) -> "Value[bool]": ...
        @overload
        def __rand__(self: ReadableValue[int], other: int) -> "Value[int]": ...
        @overload
        def __rand__(self, other: object) -> "AnyValue": ...
        def __rand__(self, other: object) -> PlainValue: ...

        __or__ = __xor__ = __and__
        __ror__ = __rxor__ = __rand__

        @overload
        def __lshift__(self: ReadableValue[Never], other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __lshift__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __lshift__(self: ReadableValue[int], other: ReadableEvent[int]) -> Event[int]: ...
        @overload
        def __lshift__(self: ReadableValue[int], other: Held[int]) -> "Value[int]": ...
        @overload
        def __lshift__(self, other: ReadableEvent[object]) -> AnyEvent: ...
        @overload
        def __lshift__(self, other: object) -> "AnyValue": ...
        def __lshift__(self, other: object) -> PlainValue: ...

        @overload
        def __rlshift__(self: ReadableValue[Never], other: object) -> "AnyValue": ...
        @overload
        def __rlshift__(self: ReadableValue[int], other: int) -> "Value[int]": ...
        @overload
        def __rlshift__(self, other: object) -> "AnyValue": ...
        def __rlshift__(self, other: object) -> PlainValue: ...

        __rshift__ = __lshift__
        __rrshift__ = __rlshift__

        @overload
        def __pow__(self, other: ReadableEvent[object], modulo: object = None) -> AnyEvent: ...
        @overload
        def __pow__(self, other: object, modulo: object = None) -> "AnyValue": ...
        def __pow__(self, other: object, modulo: object = None) -> PlainValue: ...

        __divmod__ = __matmul__ = __pow__

        def __rpow__(self, other: object) -> "AnyValue": ...
        def __rdivmod__(self, other: object) -> "AnyValue": ...
        def __rmatmul__(self, other: object) -> "AnyValue": ...


AnyValue: TypeAlias = Value[Any]
"""A Value whose values have a type that is not known."""


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


def is_settable(value: AnyValue) -> bool:
    """Whether a Value may be set: it neither follows others nor observes a path."""
    return hasattr(value, "_source")


def value_of(node: ValueNode) -> AnyValue:
    """Return a new handle of a node; it can't be set if it follows other nodes or a path."""
    value: AnyValue = Value.__new__(Value)
    value._node = node
    if not node.inputs and not isinstance(node, ObservedNode):
        value._source = node
    node.uses += 1
    return value
