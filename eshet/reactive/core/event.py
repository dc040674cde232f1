"""`Event`: something that happens, with a payload, and has no value."""

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Never, NoReturn, SupportsAbs, TypeAlias, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.callbacks_first import callbacks_first
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.handle import C, Reactive, ReadableEvent, node_of
from eshet.reactive.core.markers import NoValue, PlainValue
from eshet.reactive.core.subscription import subscribe
from eshet.reactive.core.transaction import Transactions

__all__ = ["AnyEvent", "Event", "event_of"]

if TYPE_CHECKING:
    from datetime import timedelta

    from _typeshed import SupportsAdd, SupportsGetItem, SupportsSub

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")


class _EventSource(EventNode):
    """The node of an Event that the user creates."""

    __slots__ = ("_on_inputs_done",)

    def __init__(
        self, inputs: list[Node], on_inputs_done: Callable[[Callable[[Any], None]], object] | None
    ) -> None:
        super().__init__(inputs)
        self._on_inputs_done = on_inputs_done

    def settle(self, transactions: Transactions) -> bool:
        if self._on_inputs_done is None:
            return False
        emissions: list[Any] = []
        self._on_inputs_done(emissions.append)
        return self.emit(emissions, transactions)


class Event(ReadableEvent[T]):
    """Something that happens, with a payload, and has no value.

    `event.emit(payload)` makes it happen. All of its effects have happened when `emit` returns;
    within a callback, they happen right after the current change.

    Args:
        inputs: the Values and Events that this Event follows: after they changed,
            `on_inputs_done` is called once.
        on_inputs_done: called whenever inputs have changed, with a function that emits. It may
            call that function any number of times, until it returns. Callbacks that this scope
            registered on the inputs earlier are called first, so they can collect data for it.
        name: how messages name this Event; without one, they name the line where it was made.
    """

    __slots__ = ()

    def __init__(
        self,
        inputs: Iterable[PlainValue] = (),
        on_inputs_done: Callable[[Callable[[T], None]], object] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        nodes: list[Node] = [node_of(reactive) for reactive in inputs]
        if on_inputs_done is not None:
            nodes = callbacks_first(nodes)
        self._node = _EventSource(nodes, on_inputs_done)
        self._node.uses = 1
        if name is not None:
            self._node.origin = name

    def emit(self, value: T) -> None:
        """Emit the Event, with `value` as the payload."""
        node = self._node
        node.transactions.change(node, value)  # like node.change(), with one call less

    def set_instantaneous_value(self, value: T) -> None:
        """Emit the Event, like an instantaneous value in plain yarp."""
        self.emit(value)

    def on_event(self, callback: C) -> C:
        """Call `callback` as `subscribe` does, and return it, for use as a decorator."""
        subscribe(self._node, callback)
        return callback

    @property
    def value(self) -> Any:
        """`NoValue`: an Event holds nothing."""
        return NoValue

    @value.setter
    def value(self, value: Never) -> None:
        raise ReactiveTypeError("an Event holds no value: write `event.emit(value)`")

    if not TYPE_CHECKING:  # a type checker reports misspelt names itself

        def __getattr__(self, name: str) -> NoReturn:
            near = difflib.get_close_matches(name, [n for n in dir(Event) if n[0] != "_"], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            # Without `name`, as Python 3.12 and later would add a suggestion of its own.
            raise AttributeError(
                f"an Event has no attribute {name!r}: {hint}"
                f"For that attribute of each payload write `yarp.getattr(event, {name!r})`",
                obj=self,
            )

    def __repr__(self) -> str:
        return self._repr("Event()")

    if TYPE_CHECKING:  # operators.py adds them; elements of other types have results of any type

        @overload
        def __abs__(self: ReadableEvent[SupportsAbs[R]]) -> "Event[R]": ...
        @overload
        def __abs__(self) -> "AnyEvent": ...
        def __abs__(self) -> PlainValue: ...

        @overload
        def __neg__(self: ReadableEvent[Never]) -> "AnyEvent": ...
        @overload
        def __neg__(self: ReadableEvent[int]) -> "Event[int]": ...
        @overload
        def __neg__(self: ReadableEvent[float]) -> "Event[float]": ...
        @overload
        def __neg__(self: ReadableEvent[timedelta]) -> "Event[timedelta]": ...
        @overload
        def __neg__(self) -> "AnyEvent": ...
        def __neg__(self) -> PlainValue: ...

        __pos__ = __neg__

        @overload
        def __invert__(self: ReadableEvent[Never]) -> "AnyEvent": ...
        @overload
        def __invert__(self: ReadableEvent[int]) -> "Event[int]": ...
        @overload
        def __invert__(self) -> "AnyEvent": ...
        def __invert__(self) -> PlainValue: ...

        @overload
        def __round__(self: ReadableEvent[Never], digits: object = None) -> "AnyEvent": ...
        @overload
        def __round__(self: ReadableEvent[float], digits: None = None) -> "Event[int]": ...
        @overload
        def __round__(self: ReadableEvent[float], digits: int) -> "Event[float]": ...
        @overload
        def __round__(self, digits: object = None) -> "AnyEvent": ...
        def __round__(self, digits: object = None) -> PlainValue: ...

        @overload
        def __call__(
            self: ReadableEvent[Callable[..., R]], *args: object, **kwargs: object
        ) -> "Event[R]": ...
        @overload
        def __call__(self, *args: object, **kwargs: object) -> "AnyEvent": ...
        def __call__(self, *args: object, **kwargs: object) -> PlainValue: ...  # noqa: D102

        @overload
        def __getitem__(
            self: ReadableEvent[SupportsGetItem[K, R]], key: Reactive[K] | K
        ) -> "Event[R]": ...
        @overload
        def __getitem__(self, key: object) -> "AnyEvent": ...
        def __getitem__(self, key: object) -> PlainValue: ...

        def __lt__(self, other: object) -> "Event[bool]": ...

        __le__ = __gt__ = __ge__ = __lt__

        def __eq__(self, other: object) -> "Event[bool]": ...  # type: ignore[override]

        def __ne__(self, other: object) -> "Event[bool]": ...  # type: ignore[override]

        @overload
        def __add__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __add__(self: ReadableEvent[int], other: Reactive[int] | int) -> "Event[int]": ...
        @overload
        def __add__(
            self: ReadableEvent[float], other: Reactive[float] | float
        ) -> "Event[float]": ...
        @overload
        def __add__(
            self: ReadableEvent[SupportsAdd[K, R]], other: Reactive[K] | K
        ) -> "Event[R]": ...
        @overload
        def __add__(self, other: object) -> "AnyEvent": ...
        def __add__(self, other: object) -> PlainValue: ...

        @overload
        def __radd__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __radd__(self: ReadableEvent[int], other: int) -> "Event[int]": ...
        @overload
        def __radd__(self: ReadableEvent[float], other: float) -> "Event[float]": ...
        @overload
        def __radd__(self: ReadableEvent[str], other: str) -> "Event[str]": ...
        @overload
        def __radd__(self, other: object) -> "AnyEvent": ...
        def __radd__(self, other: object) -> PlainValue: ...

        @overload
        def __sub__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __sub__(self: ReadableEvent[int], other: Reactive[int] | int) -> "Event[int]": ...
        @overload
        def __sub__(
            self: ReadableEvent[float], other: Reactive[float] | float
        ) -> "Event[float]": ...
        @overload
        def __sub__(
            self: ReadableEvent[SupportsSub[K, R]], other: Reactive[K] | K
        ) -> "Event[R]": ...
        @overload
        def __sub__(self, other: object) -> "AnyEvent": ...
        def __sub__(self, other: object) -> PlainValue: ...

        @overload
        def __rsub__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __rsub__(self: ReadableEvent[int], other: int) -> "Event[int]": ...
        @overload
        def __rsub__(self: ReadableEvent[float], other: float) -> "Event[float]": ...
        @overload
        def __rsub__(self, other: object) -> "AnyEvent": ...
        def __rsub__(self, other: object) -> PlainValue: ...

        @overload
        def __mul__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __mul__(self: ReadableEvent[int], other: Reactive[int] | int) -> "Event[int]": ...
        @overload
        def __mul__(
            self: ReadableEvent[float], other: Reactive[float] | float
        ) -> "Event[float]": ...
        @overload
        def __mul__(self, other: object) -> "AnyEvent": ...
        def __mul__(self, other: object) -> PlainValue: ...

        @overload
        def __rmul__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __rmul__(self: ReadableEvent[int], other: int) -> "Event[int]": ...
        @overload
        def __rmul__(self: ReadableEvent[float], other: float) -> "Event[float]": ...
        @overload
        def __rmul__(self, other: object) -> "AnyEvent": ...
        def __rmul__(self, other: object) -> PlainValue: ...

        __floordiv__ = __mod__ = __mul__
        __rfloordiv__ = __rmod__ = __rmul__

        @overload
        def __truediv__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __truediv__(
            self: ReadableEvent[float], other: Reactive[float] | float
        ) -> "Event[float]": ...
        @overload
        def __truediv__(self, other: object) -> "AnyEvent": ...
        def __truediv__(self, other: object) -> PlainValue: ...

        @overload
        def __rtruediv__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __rtruediv__(self: ReadableEvent[float], other: float) -> "Event[float]": ...
        @overload
        def __rtruediv__(self, other: object) -> "AnyEvent": ...
        def __rtruediv__(self, other: object) -> PlainValue: ...

        @overload
        def __and__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __and__(self: ReadableEvent[bool], other: Reactive[bool] | bool) -> "Event[bool]": ...
        @overload
        def __and__(self: ReadableEvent[int], other: Reactive[int] | int) -> "Event[int]": ...
        @overload
        def __and__(self, other: object) -> "AnyEvent": ...
        def __and__(self, other: object) -> PlainValue: ...

        @overload
        def __rand__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __rand__(self: ReadableEvent[bool], other: bool) -> "Event[bool]": ...
        @overload
        def __rand__(self: ReadableEvent[int], other: int) -> "Event[int]": ...
        @overload
        def __rand__(self, other: object) -> "AnyEvent": ...
        def __rand__(self, other: object) -> PlainValue: ...

        __or__ = __xor__ = __and__
        __ror__ = __rxor__ = __rand__

        @overload
        def __lshift__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __lshift__(self: ReadableEvent[int], other: Reactive[int] | int) -> "Event[int]": ...
        @overload
        def __lshift__(self, other: object) -> "AnyEvent": ...
        def __lshift__(self, other: object) -> PlainValue: ...

        @overload
        def __rlshift__(self: ReadableEvent[Never], other: object) -> "AnyEvent": ...
        @overload
        def __rlshift__(self: ReadableEvent[int], other: int) -> "Event[int]": ...
        @overload
        def __rlshift__(self, other: object) -> "AnyEvent": ...
        def __rlshift__(self, other: object) -> PlainValue: ...

        __rshift__ = __lshift__
        __rrshift__ = __rlshift__

        def __pow__(self, other: object, modulo: object = None) -> "AnyEvent": ...

        __divmod__ = __matmul__ = __pow__

        def __rpow__(self, other: object) -> "AnyEvent": ...
        def __rdivmod__(self, other: object) -> "AnyEvent": ...
        def __rmatmul__(self, other: object) -> "AnyEvent": ...


AnyEvent: TypeAlias = Event[Any]
"""An Event whose payloads have a type that is not known."""


def event_of(node: EventNode) -> AnyEvent:
    """Return a new handle of a node."""
    event: AnyEvent = Event.__new__(Event)
    event._node = node
    node.uses += 1
    return event
