"""Reads the conditions of a node, from the node itself back to the inputs from outside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Final, TypeAlias

from eshet.reactive.conditions.condition import (
    Condition,
    Kind,
    all_of,
    dependencies,
    first_then,
    make,
    unclear,
)
from eshet.reactive.conditions.needs import ANY, KNOWN, Need, equal, is_plain, text_of
from eshet.reactive.conversions import ChangesNode
from eshet.reactive.core.apply import Cell, call_of
from eshet.reactive.core.graph import Constant, EventNode, Node, ValueNode
from eshet.reactive.core.markers import is_absent
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import FixedNode
from eshet.reactive.time.nodes import operator_state_of
from eshet.reactive.upstream import upstream

__all__ = [
    "FunctionReader",
    "NodeReader",
    "Reader",
    "is_source",
    "kind_of",
    "others_known",
    "share_inputs",
]

_MOST: Final = 400
"""Maximum number of conditions that are read; the rest of a large graph is unclear."""

_DEEPEST: Final = 60
"""Maximum number of nodes one after another."""

_MOST_COMING: Final = 60
"""How many outputs of time are looked at until one is as needed."""

_COMPARING: Final = ("lt", "le", "gt", "ge", "eq", "ne", "contains")
_CALCULATING: Final = ("add", "sub", "mul", "neg", "pos", "abs", "max", "min", "sum")
_JOINING: Final = ("and_", "or_", "xor", "not_", "truth", "bool", "all", "any")
_TOTAL: Final = frozenset((*_COMPARING, *_CALCULATING, *_JOINING))
"""Functions that have a known result if their arguments are known."""

_OURS: Final = ("builtins", "_operator")


class Reader:
    """Reads conditions; for one question, since it remembers the answers.

    Args:
        now: the present time of the loop.
        functions: the readers of calls of the functions of operators, by their names.
        nodes: the readers of other nodes: each returns None for a node that it does not know.
    """

    def __init__(
        self,
        now: float,
        functions: "Mapping[str, FunctionReader]",
        nodes: "Sequence[NodeReader]",
    ) -> None:
        self.now: Final = now
        self._functions = functions
        self._nodes = nodes
        self._known: dict[tuple[Cell, Need, int], Condition] = {}
        self._reading: list[Node] = []
        self._left = _MOST

    def of(self, cell: Cell, need: Need, times: int = 1) -> Condition:
        """Return the condition that a value is as needed, or that an Event emits such a one.

        Args:
            cell: the Value, the Event or the constant.
            need: the requirement on it.
            times: how often the Event has to emit.
        """
        if isinstance(cell, Constant | FixedNode):
            is_met = need.is_met(cell.value)
            if is_met or isinstance(cell, Constant):  # it needs no name: it is not an obstacle
                return Condition(Kind.FIXED, None, "", text_of(cell.value), need, holds=is_met)
            return make(Kind.FIXED, cell, need)
        if isinstance(cell, ValueNode) and need.is_met(cell.value):
            return make(Kind.VALUE, cell, need, holds=True)
        try:
            key = (cell, need, times)
            known = self._known.get(key)
        except TypeError:  # the operand has no hash
            return self._new(cell, need, times)
        if known is None:
            known = self._known[key] = self._new(cell, need, times)
        return known

    def once(self, cell: Cell, need: Need, times: int = 1) -> Condition:
        """Return the same as `of`, but unclear if it would take another change before.

        For operators that count changes, or let only some of them pass.
        """
        condition = self.of(cell, need, times)
        if condition.changes <= times:
            return condition
        return unclear(condition.node, need, [condition], "the first change counts as well")

    def all_known(self, cells: Sequence[Cell]) -> list[Condition]:
        """Return the conditions that all of these are known."""
        return [self.of(each, KNOWN) for each in cells]

    def same(self, cell: Cell) -> Condition:
        """Return the condition that a Value stays unchanged, which holds."""
        node = cell if isinstance(cell, Node) else None
        return make(Kind.VALUE, node, _same_as(cell), holds=True)

    def turn(
        self, cell: ValueNode | EventNode | Constant, away: Need | None, to: Need
    ) -> Condition:
        """Return the condition that something becomes as needed, after it was not.

        Args:
            cell: the Value or Event.
            away: the requirement that it has to meet first; None if that is not known.
            to: the requirement that it has to meet then.
        """
        node = cell if isinstance(cell, Node) else None
        source: Cell = cell.source if isinstance(cell, ChangesNode) else cell
        if away is None or isinstance(source, Constant) or not is_source(source):
            parts = [] if away is None else [self.of(source, away)]
            return unclear(node, to, parts, f"first something else, then {to.text} again")
        first = self._leaf(source, away)
        return first_then(source, to, [first, self._leaf(source, to, has_to_change=True)])

    def coming(
        self, node: Node, need: Need, outputs: Iterator[tuple[float, object]], detail: str
    ) -> Condition | None:
        """Return the condition for which only time has to pass; None if time alone is not enough.

        Args:
            node: the node that depends on time.
            need: the requirement on it.
            outputs: its outputs if only time passes, each with its time.
            detail: see `Condition`.
        """
        for at, output in _settled(node, islice(outputs, _MOST_COMING)):
            if need.is_met(output):
                time = make(Kind.TIME, node, need, until=max(at, self.now), detail=detail)
                if _may_change_until(node, at, self.now):
                    return unclear(node, need, [time], "unless its input changes before")
                return time
        return None

    def _new(self, cell: ValueNode | EventNode, need: Need, times: int) -> Condition:
        self._left -= 1
        if cell in self._reading:
            return unclear(cell, need, detail="it depends on itself")
        if self._left < 0 or len(self._reading) > _DEEPEST:
            return unclear(cell, need, detail="not followed further")
        self._reading.append(cell)
        try:
            condition = self._read(cell, need, times)
        finally:
            self._reading.pop()
        is_emission = isinstance(cell, EventNode)
        if condition.is_emission and not is_emission and condition.node is not cell:
            return make(Kind.ALL, cell, need, parts=(condition,))  # an emission; the Value lasts
        if condition.is_emission is is_emission:
            return condition
        return replace(condition, is_emission=is_emission)

    def _read(self, node: ValueNode | EventNode, need: Need, times: int) -> Condition:
        if is_source(node):
            return self._leaf(node, need, times)
        if isinstance(node, ChangesNode):
            return self._change(node, need, times)
        if times > 1:
            return unclear(node, need, [self.of(node, need)], f"{times} times")
        call = call_of(node)
        if call is not None:
            kind = kind_of(call.lifted)
            if need == KNOWN and kind in _TOTAL:
                return all_of(node, need, self.all_known(call.cells))
            read = self._functions.get(kind)
            condition = None if read is None else read(self, node, call.cells, need)
            if condition is None:
                return self._unclear_call(node, call.cells, need)
            if isinstance(node, EventNode) and share_inputs(call.cells):
                return unclear(node, need, [condition], "the Event changes the other arguments")
            return condition
        for reads in self._nodes:
            if (condition := reads(self, node, need)) is not None:
                return condition
        return unclear(node, need, dependencies(list(node.inputs or node.sources())))

    def _change(self, node: ChangesNode, need: Need, times: int) -> Condition:
        """Return the condition that a Value changes to one that is as needed."""
        source = node.source
        if is_source(source):
            return self._leaf(source, need, times, has_to_change=True)
        if times > 1:
            return unclear(source, need, [self.of(node, need)], f"{times} times")
        if not need.is_met(source.value):
            return self.of(source, need)
        if is_plain(need):
            return unclear(source, need, self._any_change(source), "has to change")
        return self.turn(node, need.negated(), need)

    def _any_change(self, node: Node) -> Sequence[Condition]:
        return dependencies(list(node.inputs or node.sources()))

    def _leaf(
        self, node: Node, need: Need, times: int = 1, *, has_to_change: bool = False
    ) -> Condition:
        kind = Kind.EVENT if isinstance(node, EventNode) else Kind.VALUE
        holds = kind is Kind.VALUE and not has_to_change and need.is_met(node.value)
        return make(kind, node, need, times=times, has_to_change=has_to_change, holds=holds)

    def _unclear_call(self, node: Node, cells: Sequence[Cell], need: Need) -> Condition:
        """Return the arguments of a call, and those conditions of them that are clear."""
        nodes = [each for each in cells if isinstance(each, Node)]
        shown: list[Condition] = []
        for each in nodes:
            if isinstance(each, EventNode):
                shown.append(self.of(each, ANY))
            elif is_absent(each.value):
                shown.append(self.of(each, KNOWN))
            else:
                shown.append(make(Kind.VALUE, each, ANY, holds=True))
        return unclear(node, need, shown)


FunctionReader: TypeAlias = Callable[[Reader, Node, Sequence[Cell], Need], Condition | None]
"""Returns the condition of a call of one function, given the sources of its arguments; None if it
is not known."""

NodeReader: TypeAlias = Callable[[Reader, Node, Need], Condition | None]
"""Returns the condition of a node of one kind; None for a node of another kind."""


def is_source(node: Node) -> bool:
    """Whether a node follows no other one and no clock, so that it is set from outside."""
    return not (node.inputs or node.sources() or node.timer() is not None)


def _settled(node: Node, outputs: Iterator[tuple[float, object]]) -> Iterator[tuple[float, object]]:
    """Iterate over the outputs of a Value without those that another one replaces at once."""
    if isinstance(node, EventNode):
        yield from outputs
        return
    before: tuple[float, object] | None = None
    for each in outputs:
        if before is not None and each[0] > before[0]:
            yield before
        before = each
    if before is not None:
        yield before


def _may_change_until(node: Node, at: float, now: float) -> bool:
    """Whether time alone may change the inputs of a node, before or at a moment."""
    for each in upstream(node):
        state = None if each is node else operator_state_of(each)
        if state is not None:
            first = next(state.coming(now), None)
            if first is not None and first[0] <= at:
                return True
        elif each is not node and (timer := each.timer()) and timer.number is not None:
            return True
    return False


def share_inputs(cells: Sequence[Cell]) -> bool:
    """Whether two of these follow a node in common, so that they can change together."""
    found: set[Node] = set()
    for cell in cells:
        nodes = upstream(cell) if isinstance(cell, Node) else []
        following = {each for each in nodes if not isinstance(each, FixedNode)}
        if found & following:
            return True
        found |= following
    return False


def kind_of(lifted: Lifted) -> str:
    """Return the name of an operator's function; empty for a function of the user."""
    function = lifted.function
    if isinstance(function, attrgetter):
        return "attrgetter"
    module = getattr(function, "__module__", None) or ""
    is_ours = module in _OURS or module.startswith(("eshet.reactive.", "eshet.yarp."))
    return lifted.name if is_ours and not hasattr(function, "__wrapped__") else ""


def others_known(
    reader: Reader, node: Node, need: Need, one: Condition, others: Sequence[Cell]
) -> Condition:
    """Return a condition together with those that other arguments are known."""
    return all_of(node, need, [one, *reader.all_known(others)])


def _same_as(cell: Cell) -> Need:
    return equal(cell.value)
