"""Following the Value or Event that another Value currently holds."""

from collections.abc import Sequence
from typing import Any, TypeVar, overload

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.handle import AnyReactive, ReadableValue, node_of
from eshet.reactive.core.heights import add_input, drop_input
from eshet.reactive.core.markers import NoChange, PlainValue, is_absent
from eshet.reactive.core.transaction import ENDED, Transactions
from eshet.reactive.core.value import Value, value_of

__all__ = ["switch"]

T = TypeVar("T")


class _Switch:
    """Selects the node that another one follows, besides the selector itself.

    Args:
        selector: holds the Value or Event to follow.
        kind: the kind of node that may be followed.
    """

    __slots__ = ("_kind", "_refused", "held", "selected", "selector")

    def __init__(self, selector: ValueNode, kind: type[Node]) -> None:
        self.selector = selector
        self._kind = kind
        self._refused: object = NoChange  # the last held object that can't be followed
        self.held: object = selector.value
        self.selected = _selected_by(self.held)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The inputs of a node that switches."""
        return (self.selector,) if self.selected is None else (self.selector, self.selected)

    def follow(self, node: Node) -> bool:
        """Make a node follow the held object; return False if that may still have to settle.

        Raises:
            DependencyLoop: the held object depends on the node.
            ReactiveTypeError: it is of another kind. In both cases the node keeps following the
                previous one, until another object is held.
        """
        held = self.selector.value
        if held is self.held or held is self._refused:
            return True
        height, before = node.height, self.selected
        self._refused = held
        selected = self._checked(held)
        if selected is not None:
            add_input(node, selected)
        self._refused, self.held, self.selected = NoChange, held, selected
        if before is not None and before not in self.inputs:
            drop_input(node, before)
        if node.height == height or node.state == ENDED:
            return True
        node.transactions.queue([node])
        return False

    def _checked(self, held: object) -> ValueNode | EventNode | None:
        selected = _selected_by(held)
        events = self._kind is EventNode
        if isinstance(selected, self._kind) or (
            selected is None and (is_absent(held) or not events)
        ):
            return selected
        raise ReactiveTypeError(
            f"this switch follows {'Events' if events else 'Values'}, and can't follow {held!r}"
        )


class SwitchNode(ValueNode):
    """Holds the value of the selected Value, or the held object if it is not reactive."""

    __slots__ = ("_switch",)

    def __init__(self, selector: ValueNode) -> None:
        self._switch = _Switch(selector, ValueNode)
        super().__init__(self._held(), self._switch.inputs)

    def settle(self, transactions: Transactions) -> bool:
        if not self._switch.follow(self):
            return False
        self.value: Any = self._held()
        return True

    def label(self) -> str:
        return "switch"

    def sources(self) -> Sequence[Node]:
        return (self._switch.selector,)  # not the selected node, which changes

    def _held(self) -> object:
        selected = self._switch.selected
        return self._switch.held if selected is None else selected.value


class _SwitchEvent(EventNode):
    """Emits the emissions of the selected Event."""

    __slots__ = ("_switch",)

    def __init__(self, selector: ValueNode) -> None:
        self._switch = _Switch(selector, EventNode)
        super().__init__(self._switch.inputs)

    def settle(self, transactions: Transactions) -> bool:
        if not self._switch.follow(self):
            return False
        selected = self._switch.selected
        return isinstance(selected, EventNode) and self.emit(selected.emissions, transactions)

    def label(self) -> str:
        return "switch"

    def sources(self) -> Sequence[Node]:
        return (self._switch.selector,)  # not the selected node, which changes


@overload
def switch(selector: ReadableValue[Value[T]]) -> Value[T]: ...
@overload
def switch(selector: ReadableValue[Event[T]]) -> Event[T]: ...
@overload
def switch(selector: object) -> AnyReactive: ...
def switch(selector: object) -> AnyReactive:
    """Return a Value or Event that follows the one that another Value currently holds.

    It is an Event if the selector holds one at first, and can then follow only Events. A held
    object that is not reactive is the value itself; so are `NoValue` and `Unknown`, while nothing
    is selected.

    Raises:
        ReactiveTypeError: the selector is an Event; write `yarp.latest(event)` for its last one.
    """
    reactive = ensure_reactive(selector)
    node = node_of(reactive)
    if isinstance(node, EventNode):
        raise ReactiveTypeError("a switch takes a Value: write `yarp.switch(yarp.latest(event))`")
    if isinstance(_selected_by(node.value), EventNode):
        return event_of(_SwitchEvent(node))
    return value_of(SwitchNode(node))


def _selected_by(held: object) -> ValueNode | EventNode | None:
    return node_of(held) if isinstance(held, PlainValue) else None
