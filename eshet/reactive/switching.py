"""Following the reactive that a reactive holds, whichever that is at the time."""

from collections.abc import Sequence
from typing import Any

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import event_of
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.heights import add_input, drop_input
from eshet.reactive.core.markers import NoChange, PlainValue, is_absent
from eshet.reactive.core.transaction import ENDED, Transactions
from eshet.reactive.core.value import value_of

__all__ = ["switch"]


class _Switch:
    """Which node another one follows, besides the one that selects it.

    Args:
        selector: holds what to follow.
        kind: what may be followed.
    """

    __slots__ = ("_kind", "_refused", "held", "selected", "selector")

    def __init__(self, selector: ValueNode, kind: type[Node]) -> None:
        self.selector = selector
        self._kind = kind
        self._refused: Any = NoChange  # what was held and can't be followed
        self.held: Any = selector.value
        self.selected = _selected_by(self.held)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """What a node that switches follows."""
        return (self.selector,) if self.selected is None else (self.selector, self.selected)

    def follow(self, node: Node) -> bool:
        """Let a node follow what is held now; return False if that may still have to settle.

        Raises:
            DependencyLoop: that depends on the node.
            ReactiveTypeError: it is of another kind. In both cases the node goes on with the one
                before, until something else is held.
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

    def _checked(self, held: Any) -> ValueNode | EventNode | None:
        selected = _selected_by(held)
        events = self._kind is EventNode
        if isinstance(selected, self._kind) or (
            selected is None and (is_absent(held) or not events)
        ):
            return selected
        raise ReactiveTypeError(
            f"this switch follows {'Events' if events else 'Values'}, and can't follow {held!r}"
        )


class _SwitchValue(ValueNode):
    """Holds what the selected Value holds, or what is held and is none."""

    __slots__ = ("_switch",)

    def __init__(self, selector: ValueNode) -> None:
        self._switch = _Switch(selector, ValueNode)
        super().__init__(self._held(), self._switch.inputs)

    def settle(self, transactions: Transactions) -> bool:
        if not self._switch.follow(self):
            return False
        self.value = self._held()
        return True

    def label(self) -> str:
        return "switch"

    def sources(self) -> Sequence[Node]:
        return (self._switch.selector,)  # which is the same whatever it holds

    def _held(self) -> Any:
        selected = self._switch.selected
        return self._switch.held if selected is None else selected.value


class _SwitchEvent(EventNode):
    """Emits what the selected Event emits."""

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
        return (self._switch.selector,)  # which is the same whatever it holds


def switch(selector: Any) -> Any:
    """Return a Value or Event that follows the one that a Value holds, whichever that is.

    It is an Event if what is held at first is one, and can then follow Events only. What is held
    and is nothing reactive is the value, so also while nothing is selected: `NoValue`, `Unknown`.

    Raises:
        ReactiveTypeError: the selector is an Event; write `yarp.latest(event)` for its last one.
    """
    selector = ensure_reactive(selector)
    node = node_of(selector)
    if isinstance(node, EventNode):
        raise ReactiveTypeError("a switch takes a Value: write `yarp.switch(yarp.latest(event))`")
    if isinstance(_selected_by(node.value), EventNode):
        return event_of(_SwitchEvent(node))
    return value_of(_SwitchValue(node))


def _selected_by(held: Any) -> ValueNode | EventNode | None:
    return node_of(held) if isinstance(held, PlainValue) else None
