"""Logic, and the operators that choose between values or pass some of them."""

from collections.abc import Sequence
from typing import Any, Final

from eshet.reactive.conditions.comparisons import is_fixed, members_of, outcome
from eshet.reactive.conditions.condition import Condition, all_of, any_of, first_then, unclear
from eshet.reactive.conditions.needs import (
    ANY,
    FALSE,
    KNOWN,
    NOT_TRUE,
    TRUE,
    Both,
    Need,
    Relation,
    Simple,
    equal,
    is_number,
)
from eshet.reactive.conditions.reader import FunctionReader, Reader, is_source, others_known
from eshet.reactive.core.apply import Cell, call_of
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.markers import NoChange, NoValue, is_absent
from eshet.unknown import Unknown

__all__ = ["CHOICES"]


# --- logic ------------------------------------------------------------------------------------


def _logic(*, joins: bool) -> FunctionReader:
    """Return the reader of `and_` and `or_` of two values that are true or false.

    Args:
        joins: the result for which both operands have to be so: True of `and_`, False of `or_`.
    """

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        result = outcome(need)
        is_logic = all(_is_logical(each.value) for each in cells)
        if len(cells) != 2 or not is_logic:
            return None
        if result is None:
            return all_of(node, need, reader.all_known(cells)) if need.is_met(True) else None
        parts = [reader.of(each, equal(result)) for each in cells]
        if result is joins:
            return all_of(node, need, parts)
        ways = [
            others_known(reader, node, need, part, [other])
            for part, other in zip(parts, reversed(cells), strict=True)
        ]
        return any_of(node, need, ways)

    return read


def _is_logical(value: object) -> bool:
    return is_absent(value) or (type(value) in (bool, int) and value in (0, 1))


def _xor(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    result = outcome(need)
    if result is None or len(cells) != 2 or cells[0] is cells[1]:
        return None
    if not all(isinstance(each.value, bool) for each in cells):
        return None
    ways = [
        all_of(node, need, [reader.same(other), reader.of(one, equal(other.value is not result))])
        for one, other in (tuple(cells), tuple(reversed(cells)))
        if not isinstance(other, EventNode)
    ]
    return any_of(node, need, ways) if ways else None


def _truth(*, negates: bool) -> FunctionReader:
    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        result = outcome(need)
        if result is None:
            return reader.of(cells[0], KNOWN) if need.is_met(True) else None
        return reader.of(cells[0], TRUE if result is not negates else FALSE)

    return read


def _quantified(*, joins: bool) -> FunctionReader:
    """Return the reader of `all` (`joins` is True) and `any` (False) of a list of Values."""

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        members = members_of(cells) if len(cells) == 1 else None
        result = outcome(need)
        if members is None:
            return None
        if result is None:
            return all_of(node, need, reader.all_known(members)) if need.is_met(True) else None
        parts = [reader.of(each, TRUE if result else FALSE) for each in members]
        if result is joins:
            return all_of(node, need, parts)
        ways = [
            others_known(reader, node, need, part, [x for x in members if x is not each])
            for part, each in zip(parts, members, strict=True)
        ]
        return any_of(node, need, ways)

    return read


# --- choices ----------------------------------------------------------------------------------


def _when(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    source, condition = cells[0], cells[1]
    is_so = reader.of(condition, TRUE)
    ways = [all_of(node, need, [is_so, reader.of(source, need)])]
    if len(cells) == 3:
        is_not_so = reader.of(condition, NOT_TRUE)
        ways.append(all_of(node, need, [is_not_so, reader.of(cells[2], need)]))
    return any_of(node, need, ways)


def _replacing(*absent: object) -> FunctionReader:
    """Return the reader of an operator that replaces these values."""

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        source, replacement = cells
        # Of an absent value as the wanted one, only a value that is not replaced is enough.
        ways = []
        if not (isinstance(need, Simple) and need.operand in absent and _is_identity(need)):
            ways.append(reader.of(source, _known_too(need)))
        if not isinstance(source, EventNode):
            gone = [reader.of(source, equal(each)) for each in absent if each is Unknown]
            ways += [all_of(node, need, [each, reader.of(replacement, need)]) for each in gone]
        return any_of(node, need, ways) if ways else None

    return read


def _is_identity(need: Simple) -> bool:
    return need.relation is Relation.IS


def _known_too(need: Need) -> Need:
    return need if not need.is_met(Unknown) else Both(KNOWN, need)


def _no_repeat(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    source = cells[0]
    if not isinstance(source, EventNode):
        return reader.of(source, need)
    [last] = _state_of(node) or [NoChange]
    if last is NoChange:
        return reader.of(source, need)
    differs = Simple(Relation.NE, last)
    if (
        isinstance(need, Simple)
        and need.relation is Relation.EQ
        and not differs.is_met(need.operand)
    ):
        if not is_source(source):
            return unclear(node, need, [reader.of(source, need)], "first another value")
        return first_then(node, need, [reader.of(source, differs), reader.of(source, need)])
    return reader.once(source, differs if need in (ANY, KNOWN) else Both(differs, need))


def _filter(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    source, rule = cells
    if not is_fixed(rule):
        return None
    if rule.value is NoValue:
        return reader.of(source, need)
    if rule.value is None:
        return reader.of(source, Both(TRUE, need))
    return unclear(node, need, [reader.of(source, need)], "and has to pass the function")


def _hysteresis(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    source, low, high = cells
    result = outcome(need)
    if result is None:
        return all_of(node, need, reader.all_known(cells)) if need.is_met(True) else None
    if is_absent(low.value) or is_absent(high.value):
        return unclear(node, need, reader.all_known(cells))
    is_above = bool(_state_of(node))
    detail = f"hysteresis from {low.value!r} to {high.value!r}"
    wanted: Need
    if result:
        wanted = Simple(Relation.GT, high.value)
    elif is_above:
        below, bounds_of = Simple(Relation.LT, low.value), Simple(Relation.LE, high.value)
        wanted = below if bounds_of.is_met(low.value) else Both(below, bounds_of)
    else:
        wanted = Simple(Relation.LE, high.value)
    bounds = [reader.same(each) for each in (low, high) if not is_fixed(each)]
    return all_of(node, need, [*bounds, reader.of(source, wanted)], detail)


# --- changes ----------------------------------------------------------------------------------


def _edge(kind: str) -> FunctionReader:
    away_of = {"rising": FALSE, "falling": TRUE}
    to_of = {"rising": TRUE, "falling": FALSE}

    def read(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
        source = cells[0]
        last = _state_of(node)
        if kind == "changes":
            if not last:
                return reader.turn(source, KNOWN, need)
            differs = Simple(Relation.NE, last[0])
            if need in (ANY, KNOWN):
                return reader.once(source, differs)
            if isinstance(need, Simple) and need.is_met(last[0]):
                return reader.turn(source, need.negated(), need)
            return reader.once(source, Both(differs, need))
        away, to = away_of[kind], to_of[kind]
        wanted: Need = to if need in (ANY, KNOWN, to) else Both(to, need)
        if last and away.is_met(last[0]):
            return reader.once(source, wanted)
        return reader.turn(source, away, wanted)

    return read


def _mapped(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    source, value = cells
    known = _known_too(need) if not need.is_met(NoValue) else need
    return all_of(node, need, [reader.of(value, known), reader.of(source, KNOWN)])


def _sampled(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    held, trigger = cells
    return all_of(node, need, [reader.of(held, need), reader.of(trigger, ANY)])


def _counted(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    [total] = _state_of(node) or [None]
    if not is_number(total):
        return None
    for times in range(1, _MOST_TIMES):
        if need.is_met(total + times):
            return reader.once(cells[0], KNOWN, times)
    return unclear(node, need, detail=f"the count is {total} and only rises")


_MOST_TIMES: Final = 1000


def _scanned(reader: Reader, node: Node, cells: Sequence[Cell], need: Need) -> Condition | None:
    [total] = _state_of(node) or [None]
    return unclear(node, need, [reader.of(cells[0], KNOWN)], f"the total is {total!r}")


def _state_of(node: Node) -> Any:
    """Return the state of the function of a node, as plain data."""
    call = call_of(node)
    function: Any = None if call is None else call.lifted.function
    return function.snapshot() if hasattr(function, "snapshot") else None


CHOICES: Final[dict[str, FunctionReader]] = {
    "and_": _logic(joins=True),
    "or_": _logic(joins=False),
    "xor": _xor,
    "not_": _truth(negates=True),
    "truth": _truth(negates=False),
    "bool": _truth(negates=False),
    "all": _quantified(joins=True),
    "any": _quantified(joins=False),
    "when": _when,
    "default": _replacing(Unknown, NoValue),
    "replace_unknown": _replacing(Unknown),
    "replace_novalue": _replacing(NoValue),
    "no_repeat": _no_repeat,
    "filter": _filter,
    "hysteresis": _hysteresis,
    "rising": _edge("rising"),
    "falling": _edge("falling"),
    "changes": _edge("changes"),
    "map_to": _mapped,
    "sample": _sampled,
    "count": _counted,
    "scan": _scanned,
}
"""The readers of operators without timers, by the name of the function."""
