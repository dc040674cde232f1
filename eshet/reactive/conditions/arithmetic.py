"""Arithmetic: the requirements on each operand."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from eshet.reactive.conditions.comparisons import is_fixed, members_of, pair
from eshet.reactive.conditions.condition import Condition, all_of, any_of, unclear
from eshet.reactive.conditions.needs import Both, Need, Relation, Simple, is_number
from eshet.reactive.conditions.reader import (
    FunctionReader,
    Reader,
    others_known,
    share_inputs,
)
from eshet.reactive.core.apply import Cell
from eshet.reactive.core.graph import Node
from eshet.reactive.core.markers import is_absent

__all__ = ["ARITHMETIC"]


def _arithmetic(
    function: Callable[[Any, Any], Any],
    first: Callable[[Simple, Any], Simple | None],
    second: Callable[[Simple, Any], Simple | None],
) -> FunctionReader:
    """Return the reader of a function of two numbers.

    Args:
        function: the function.
        first: returns the need for the first operand, given that for the result and the second
            operand; None if it is not known.
        second: the same for the second operand.
    """

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        if len(cells) != 2:
            return None

        def solve(
            invert: Callable[[Simple, Any], Simple | None], other: Any, *, is_first: bool
        ) -> Simple | None:
            if not is_number(other) or not isinstance(need, Simple):
                return None
            found = invert(need, other)
            if found is None or found.relation is not Relation.EQ:
                return found
            # Rounding may make the wanted result impossible.
            operands = (found.operand, other) if is_first else (other, found.operand)
            return found if need.is_met(function(*operands)) else None

        if isinstance(need, Both):
            return None
        return pair(
            reader,
            node,
            cells,
            need,
            lambda other: solve(first, other, is_first=True),
            lambda other: solve(second, other, is_first=False),
        )

    return read


def _scaled(need: Simple, factor: Any, convert: Callable[[Any], Any]) -> Simple | None:
    if not factor:
        return None
    found = need.mapped(convert)
    return found if found is None or factor > 0 else found.flipped()


def _minus(need: Simple, other: Any) -> Simple | None:
    return need.mapped(lambda operand: operand - other)


def _plus(need: Simple, other: Any) -> Simple | None:
    return need.mapped(lambda operand: operand + other)


def _from(need: Simple, other: Any) -> Simple | None:
    found = need.mapped(lambda operand: other - operand)
    return None if found is None else found.flipped()


def _over(need: Simple, other: Any) -> Simple | None:
    return _scaled(need, other, lambda operand: _quotient(operand, other))


def _times(need: Simple, other: Any) -> Simple | None:
    return _scaled(need, other, lambda operand: operand * other)


def _quotient(number: Any, divisor: Any) -> Any:
    """Return a quotient, as an int if it is a whole number."""
    if isinstance(number, int) and isinstance(divisor, int) and number % divisor == 0:
        return number // divisor
    return number / divisor


def _no_inverse(need: Simple, other: Any) -> Simple | None:
    return None


def _negative(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    found = need.mapped(operator.neg) if isinstance(need, Simple) else None
    return None if found is None else reader.of(cells[0], found.flipped())


def _positive(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    return reader.of(cells[0], need) if is_number(cells[0].value) else None


def _absolute(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    positive = need.mapped(operator.pos) if isinstance(need, Simple) else None
    if positive is None:
        return None
    turned = positive.mapped(operator.neg)
    negative = None if turned is None else turned.flipped()
    if negative is None or positive.relation not in _WITH_ORDER:
        return None
    cell = cells[0]
    if positive.relation in (Relation.LT, Relation.LE, Relation.NE):
        return reader.of(cell, Both(negative, positive))
    if positive.relation is Relation.EQ and positive.operand < 0:
        return None
    return any_of(node, need, [reader.of(cell, positive), reader.of(cell, negative)])


_WITH_ORDER: Final = (
    Relation.LT,
    Relation.LE,
    Relation.GT,
    Relation.GE,
    Relation.EQ,
    Relation.NE,
)


def _extreme(relations: tuple[Relation, Relation], bound: Relation) -> FunctionReader:
    """Return the reader of the least or greatest of several values.

    Args:
        relations: those for which all values have to be so; for the opposite ones, one is enough.
        bound: the relation of all values to the result.
    """

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        members = members_of(cells)
        if members is None or not isinstance(need, Simple):
            return None
        if need.relation in relations or need.relation is Relation.KNOWN:
            return all_of(node, need, [reader.of(each, need) for each in members])
        if need.relation not in (Relation.LT, Relation.LE, Relation.GT, Relation.GE, Relation.EQ):
            return None
        ways = []
        for each in members:
            rest = [other for other in members if other is not each]
            if need.relation is Relation.EQ:
                within = Simple(bound, need.operand)
                others = [reader.of(other, within) for other in rest]
                ways.append(all_of(node, need, [reader.of(each, need), *others]))
            else:
                ways.append(others_known(reader, node, need, reader.of(each, need), rest))
        return any_of(node, need, ways)

    return read


def _sum(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    members = members_of(cells) if len(cells) == 1 else None
    if members is None or not isinstance(need, Simple) or share_inputs(members):
        return None
    if any(not is_number(each.value) for each in members):
        absent = any(is_absent(each.value) for each in members)
        return unclear(node, need, reader.all_known(members)) if absent else None
    ways = []
    for each in members:
        rest = [other for other in members if other is not each]
        numbers: list[Any] = [other.value for other in rest]
        found = _minus(need, sum(numbers))
        if found is not None and not is_fixed(each):
            same = [reader.same(other) for other in rest]
            ways.append(all_of(node, need, [*same, reader.of(each, found)]))
    return any_of(node, need, ways) if ways else None


ARITHMETIC: Final[dict[str, FunctionReader]] = {
    "add": _arithmetic(operator.add, _minus, _minus),
    "sub": _arithmetic(operator.sub, _plus, _from),
    "mul": _arithmetic(operator.mul, _over, _over),
    "truediv": _arithmetic(operator.truediv, _times, _no_inverse),
    "neg": _negative,
    "pos": _positive,
    "abs": _absolute,
    "max": _extreme((Relation.LT, Relation.LE), Relation.LE),
    "min": _extreme((Relation.GT, Relation.GE), Relation.GE),
    "sum": _sum,
}
"""The readers of arithmetic, by the name of the function."""
