"""Comparisons and parts of values: the requirements on each operand."""

import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from eshet.reactive.conditions.condition import Condition, all_of, any_of, unclear
from eshet.reactive.conditions.needs import (
    Item,
    Need,
    Relation,
    Simple,
    equal,
    one_of,
)
from eshet.reactive.conditions.reader import (
    FunctionReader,
    Reader,
    kind_of,
    share_inputs,
)
from eshet.reactive.core.apply import Cell, call_of
from eshet.reactive.core.graph import Constant, EventNode, Node
from eshet.reactive.core.markers import is_absent
from eshet.reactive.core.value import FixedNode

__all__ = ["COMPARISONS", "is_fixed", "members_of", "outcome", "pair"]


def outcome(need: Need) -> bool | None:
    """Return which result of a boolean function is needed; None if it is neither, or both."""
    is_true, is_false = need.is_met(True), need.is_met(False)
    return is_true if is_true != is_false else None


def is_fixed(cell: Cell) -> bool:
    """Whether a value never changes."""
    return isinstance(cell, Constant | FixedNode)


def _comparison(relation: Relation) -> FunctionReader:
    negated = Simple(relation).negated()

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        result = outcome(need)
        if len(cells) != 2 or not isinstance(negated, Simple):
            return None
        if result is None:
            both = need.is_met(True)
            return all_of(node, need, reader.all_known(cells)) if both else None
        wanted = relation if result else negated.relation
        return pair(reader, node, cells, need, lambda value: _related(wanted, value))

    return read


def _related(relation: Relation, operand: object) -> Simple:
    """Return the need for a relation; `==` to an absent value is identity."""
    if is_absent(operand) and relation in (Relation.EQ, Relation.NE):
        return Simple(Relation.IS if relation is Relation.EQ else Relation.KNOWN, operand)
    return Simple(relation, operand)


def pair(
    reader: Reader,
    node: Node,
    cells: Sequence[Cell],
    need: Need,
    need_for: Callable[[Any], Simple | None],
    flipped: Callable[[Any], Simple | None] | None = None,
) -> Condition | None:
    """Return the condition that one of two operands changes while the other stays.

    Args:
        reader: reads them.
        node: the node of the function.
        cells: the operands.
        need: the requirement on the node.
        need_for: returns the need for the first operand, given the second one.
        flipped: returns the need for the second operand, given the first one; by default the same
            with the relation turned round.
    """
    if not any(map(is_fixed, cells)) and share_inputs(cells):
        return None  # a change of one would change the other
    ways: list[Condition] = []
    for one, other, turn in ((cells[0], cells[1], False), (cells[1], cells[0], True)):
        if is_fixed(one) and not is_fixed(other):
            continue
        if isinstance(other, EventNode):
            continue  # it has no value to compare with
        if is_absent(other.value) and not is_fixed(other):
            ways.append(_unknown_operand(reader, node, cells, need))
            continue
        wanted = _wanted(need_for, flipped, other.value, turn=turn)
        if wanted is None:
            continue
        becomes = reader.of(one, wanted)
        stays = [] if is_fixed(other) else [reader.same(other)]
        ways.append(all_of(node, need, [*stays, becomes]) if stays else becomes)
    return any_of(node, need, ways) if ways else None


def _wanted(
    need_for: Callable[[Any], Simple | None],
    flipped: Callable[[Any], Simple | None] | None,
    value: Any,
    *,
    turn: bool,
) -> Simple | None:
    if not turn:
        return need_for(value)
    if flipped is not None:
        return flipped(value)
    found = need_for(value)
    return None if found is None else found.flipped()


def _unknown_operand(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition:
    known = reader.all_known(cells)
    return unclear(node, need, known, "it is known then what is needed")


def _identity(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    return _is(reader, node, cells, need, wanted=True)


def _no_identity(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    return _is(reader, node, cells, need, wanted=False)


def _is(
    reader: Reader, node: Node, cells: Sequence[Cell], need: Need, *, wanted: bool
) -> Condition | None:
    result = outcome(need)
    if result is None or len(cells) != 2 or not any(map(is_fixed, cells)):
        return None
    one, other = cells if is_fixed(cells[1]) else (cells[1], cells[0])
    relation = Relation.IS if result is wanted else Relation.IS_NOT
    return reader.of(one, Simple(relation, other.value))


def _contains(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    result = outcome(need)
    if result is None or not is_fixed(cells[0]):
        return None
    held: Any = cells[0].value
    if isinstance(held, str | bytes) or not isinstance(held, Collection):
        return None  # a part of a text is in it as well
    members = one_of(held)
    negated = members.negated()
    return reader.of(cells[1], members if result or negated is None else negated)


def _item(get: Callable[[Any, Any], Any]) -> FunctionReader:
    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        if len(cells) != 2:
            return None
        holder, key = cells
        if is_fixed(key):
            return reader.of(holder, Item(key.value, need, get))
        if is_fixed(holder) and isinstance(holder.value, dict):
            keys = [each for each, value in holder.value.items() if need.is_met(value)]
            return reader.of(key, one_of(keys)) if keys else None
        return None

    return read


def _attribute(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    """Read the state of a machine, which is an attribute of its step."""
    call = call_of(node)
    names: Any = () if call is None else call.lifted.function.__reduce__()
    names = names[1] if len(names) > 1 else ()
    return reader.of(cells[0], Item(str(names[0]), need, getattr)) if len(names) == 1 else None


def members_of(cells: Sequence[Cell]) -> Sequence[Cell] | None:
    """Return the members of a list, or the arguments if there are several; None if unknown."""
    if len(cells) > 1:
        return cells if not any(isinstance(each, EventNode) for each in cells) else None
    call = call_of(cells[0]) if isinstance(cells[0], Node) else None
    if call is None or kind_of(call.lifted) not in ("list_of", "record"):
        return None
    return call.cells if not any(isinstance(each, EventNode) for each in call.cells) else None


def _list(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    if isinstance(need, Simple) and need.relation in (Relation.KNOWN, Relation.ANY):
        return all_of(node, need, reader.all_known(cells))
    if isinstance(need, Simple) and need.relation is Relation.EQ:
        wanted: Any = need.operand
        if isinstance(wanted, list | tuple) and len(wanted) == len(cells):
            parts = [reader.of(*each) for each in zip(cells, map(equal, wanted), strict=True)]
            return all_of(node, need, parts)
    if isinstance(need, Item) and type(need.key) is int and need.get is operator.getitem:
        try:
            return reader.of(cells[need.key], need.need)
        except IndexError:
            return None
    return None


COMPARISONS: Final[dict[str, FunctionReader]] = {
    "lt": _comparison(Relation.LT),
    "le": _comparison(Relation.LE),
    "gt": _comparison(Relation.GT),
    "ge": _comparison(Relation.GE),
    "eq": _comparison(Relation.EQ),
    "ne": _comparison(Relation.NE),
    "is_": _identity,
    "is_not": _no_identity,
    "contains": _contains,
    "getitem": _item(operator.getitem),
    "getattr": _item(getattr),
    "attrgetter": _attribute,
    "list_of": _list,
    "record": _list,
    "_arguments": _list,  # those of `yarp.action_call`
}
"""The readers of comparisons and parts of values, by the name of the function."""
