"""The handles by which user code holds nodes: the common base of `Value` and `Event`.

A handle is a `yarp.Value` with one more slot, so plain yarp's functions accept it. It keeps its
node alive. Each use to which Python would give a wrong meaning raises an error that says what to
write instead. `operators.py` adds the operators.
"""

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core import heights
from eshet.reactive.core.batch import Transient
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.markers import PlainValue
from eshet.reactive.core.subscription import Subscription, subscribe

__all__ = [
    "AnyReactive",
    "Held",
    "Members",
    "Reactive",
    "ReadableEvent",
    "ReadableValue",
    "node_of",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound=Callable[[Any], object])


class Reactive(PlainValue, Generic[T_co]):
    """A value that changes or an event that happens: the common base of `Value` and `Event`."""

    __slots__ = ("_node",)

    _node: Node

    def __del__(self) -> None:
        try:
            node = self._node
        except AttributeError:  # the constructor raised
            return
        node.release()

    def subscribe(self, callback: Callable[[T_co], object]) -> Subscription:
        """Call `callback` with each new value or emission, until the result is disposed.

        The callback runs when everything that depends on the change has settled. It belongs to the
        current scope and is disposed with it; its errors are reported there. Changes that it makes
        happen right after this change, before the code that made this change continues. An `async
        def` runs as a task of that scope; tasks of several changes run at the same time, unless a
        strategy orders them: `RunSerially().wrap_fn(f)`.
        """
        return subscribe(self._node, callback)

    def on_value_changed(self, callback: C) -> C:
        """Call `callback` as `subscribe` does, and return it, for use as a decorator."""
        subscribe(self._node, callback)
        return callback

    def add_input(self, reactive: PlainValue) -> None:
        """Also settle after `reactive` from now on.

        Raises:
            DependencyLoop: `reactive` depends on this.
        """
        heights.add_input(self._node, node_of(reactive))

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> NoReturn:
        raise ReactiveTypeError(
            f"a {self._kind} is neither true nor false, it changes: instead of `if` write a "
            "function under `yarp.fn`, or `yarp.switch` (`if value.value` would decide only once); "
            "instead of `and`, `or` and `not` write `&`, `|` and `yarp.not_(value)`; instead of "
            "`a < b < c` write `(a < b) & (b < c)`; instead of `value in items` write "
            "`yarp.contains(items, value)`"
        )

    def __contains__(self, item: object) -> NoReturn:
        raise ReactiveTypeError(
            f"`in` can't follow a {self._kind}: write `yarp.contains(value, item)`"
        )

    def __iter__(self) -> NoReturn:
        raise ReactiveTypeError(
            f"a {self._kind} has no fixed members: write a function of all of them under "
            "`yarp.fn`; where a plain value is needed write `value.value`, the current one"
        )

    def __len__(self) -> NoReturn:
        raise ReactiveTypeError(f"len() can't follow a {self._kind}: write `yarp.len(value)`")

    def __int__(self) -> NoReturn:
        self._refuse_conversion("int")

    def __float__(self) -> NoReturn:
        self._refuse_conversion("float")

    def __complex__(self) -> NoReturn:
        self._refuse_conversion("complex")

    def __index__(self) -> NoReturn:
        self._refuse_conversion("index")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise ReactiveTypeError(
            f"a {self._kind} can't be copied or pickled, as it is a place in a graph: "
            "copy `value.value`, or make one that follows it with `yarp.fn`"
        )

    def _repr(self, what: str) -> str:
        """Return `what`, with the place where this was made if that is known."""
        return what if self._node.origin is None else f"<{what}: {self._node.full_name()}>"

    def _refuse_conversion(self, name: str) -> NoReturn:
        raise ReactiveTypeError(
            f"{name}() can't follow a {self._kind}: write `yarp.fn({name})(value)`, "
            f"or `{name}(value.value)` for the current value"
        )

    @property
    def _kind(self) -> str:
        return type(self).__name__


AnyReactive: TypeAlias = Reactive[Any]
"""A Value or an Event, with values or payloads of a type that is not known."""


class ReadableValue(Reactive[T_co]):
    """A Value as a function reads it: for types, a `Value[int]` is a `ReadableValue[float]` too."""

    __slots__ = ()


class ReadableEvent(Reactive[T_co]):
    """An Event as a function receives it: an `Event[int]` is a `ReadableEvent[float]` too."""

    __slots__ = ()


Held: TypeAlias = ReadableValue[T] | T
"""An argument that may be a Value."""

Members: TypeAlias = list[Any] | tuple[Any, ...] | dict[Any, Any]
"""An argument that is searched for Values and Events."""


def node_of(reactive: PlainValue) -> ValueNode | EventNode:
    """Return the node of a handle; a value of plain yarp gets one that follows it."""
    if isinstance(reactive, Reactive):
        return reactive._node  # type: ignore[return-value]
    # Not by getattr, which on a plain value creates a new yarp value.
    node: ValueNode | None = reactive.__dict__.get("_eshet_node")
    if node is None:
        node = reactive.__dict__["_eshet_node"] = _followed(reactive)
    return node


def _followed(plain: PlainValue) -> ValueNode:
    node = ValueNode(plain.value)
    node.disown()
    node.uses += 1  # by the plain value, for its whole lifetime

    @plain.on_value_changed
    def on_change(value: Any) -> None:
        node.transactions.change(node if plain.value is value else Transient(node), value)

    return node
