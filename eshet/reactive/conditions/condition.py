"""Conditions for a value to become another one, as a tree."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from eshet.reactive.conditions.needs import ANY, Need, is_plain, text_of
from eshet.reactive.core.graph import EventNode, Node

__all__ = ["Condition", "Kind", "all_of", "any_of", "first_then", "unclear"]


class Kind(enum.StrEnum):
    """The kinds of conditions."""

    VALUE = "value"
    """A Value that comes from outside has to become so."""
    EVENT = "event"
    """An Event that comes from outside has to emit."""
    TIME = "time"
    """Nothing has to happen until a moment."""
    ALL = "all"
    """All parts, in this order."""
    ANY = "any"
    """One part is enough."""
    THEN = "then"
    """One part after the other: the earlier ones need not hold any more."""
    FIXED = "fixed"
    """It never changes, so the wanted value is out of reach."""
    UNCLEAR = "unclear"
    """How to meet it is not known; `parts` are the conditions of its inputs."""


@dataclass(frozen=True)
class Condition:
    """One thing that a wanted value depends on, and whether it is so.

    Several conditions may share a part. So the results of the parts are computed once.

    Args:
        kind: its kind.
        node: the node that has to be so.
        name: the description of the node, with the place where it was made.
        value: its present value as text; empty for an Event.
        need: the requirement on its value, or its emission.
        holds: whether it is so now.
        detail: more about an operator, such as `"4 of 10 min"`.
        parts: the conditions for it.
        until: the time of the loop at which time alone brings it about; None if it does not.
        wait: for how many seconds the parts have to last.
        times: how often an Event has to emit.
        has_to_change: whether a Value has to be set, even if it has such a value already.
        is_emission: whether an Event emits by that, which does not last.
    """

    kind: Kind
    node: Node | None = field(repr=False, compare=False)
    name: str
    value: str
    need: Need
    holds: bool = False
    detail: str = ""
    parts: "tuple[Condition, ...]" = ()
    until: float | None = None
    wait: float = 0.0
    times: int = 1
    has_to_change: bool = False
    is_emission: bool = False

    @cached_property
    def is_certain(self) -> bool:
        """Whether the wanted value follows if this is brought about as it says."""
        if self.holds:
            return True
        if self.kind is Kind.ANY:
            return any(each.is_certain for each in self.parts)
        is_own = self.kind not in (Kind.UNCLEAR, Kind.FIXED)
        return is_own and all(each.is_certain for each in self.parts)

    @cached_property
    def is_possible(self) -> bool:
        """Whether it is within reach, as far as is known."""
        if self.kind is Kind.ANY and not self.holds:
            return any(each.is_possible for each in self.parts)
        return self.holds or (
            self.kind is not Kind.FIXED and all(each.is_possible for each in self.parts)
        )

    @cached_property
    def earliest(self) -> float | None:
        """The loop time at which time alone brings it about; None if more has to happen."""
        if self.until is not None or self.holds:
            return self.until
        times = [each.earliest for each in self.parts if not each.holds]
        if self.wait or not times or self.kind in (Kind.UNCLEAR, Kind.THEN):
            return None
        if self.kind is Kind.ANY:
            return min((each for each in times if each is not None), default=None)
        known = [each for each in times if each is not None]
        return max(known) if len(known) == len(times) else None

    @cached_property
    def changes(self) -> int:
        """How many changes it takes at most, of those after which an Event may emit."""
        if self.holds:
            return 0
        each = [part.changes for part in self.parts]
        match self.kind:
            case Kind.ANY:
                return max(each, default=0)
            case Kind.ALL if isinstance(self.node, EventNode):
                return sum(part.changes for part in self.parts if part.is_emission)
            case Kind.ALL:
                return sum(each)
            case Kind.THEN:
                return 2
        return self.times

    @cached_property
    def takes_time(self) -> bool:
        """Whether it takes time, or several changes."""
        is_own = bool(self.wait) or self.until is not None or self.changes > 1
        return is_own or any(each.takes_time for each in self.parts)

    @cached_property
    def duration(self) -> float:
        """How long it takes at least, roughly, in seconds; infinity until a moment."""
        if self.until is not None:
            return math.inf
        return self.wait + sum(each.duration for each in self.parts)

    def shown(self) -> "Condition":
        """Return the same condition without obvious parts, to be shown to a user.

        It is obvious that other operands have to stay known.
        """
        return _Showing().shown(self)


class _Showing:
    """Removes obvious parts from conditions, from each condition once."""

    def __init__(self) -> None:
        self._known: dict[int, Condition] = {}

    def shown(self, condition: Condition) -> Condition:
        """See `Condition.shown`."""
        found = self._known.get(id(condition))
        if found is None:
            found = self._known[id(condition)] = self._new(condition)
        return found

    def _new(self, condition: Condition) -> Condition:
        kind = condition.kind
        parts = [
            self.shown(each)
            for each in condition.parts
            if kind is not Kind.ALL or not (each.holds and is_plain(each.need))
        ]
        if kind not in (Kind.ALL, Kind.ANY) or condition.wait or condition.detail:
            return replace(condition, parts=tuple(parts))
        parts = _flat(kind, parts)
        is_shorter = len(condition.parts) > 1 == len(parts)
        return parts[0] if is_shorter else replace(condition, parts=tuple(parts))


_EMPTY: Final = ("", "")


def describe(node: Node | None) -> tuple[str, str]:
    """Return the description of a node, and its present value as text."""
    if node is None:
        return _EMPTY
    return node.describe(), "" if isinstance(node, EventNode) else text_of(node.value)


def make(kind: Kind, node: Node | None, need: Need, **about: object) -> Condition:
    """Return a condition about a node in its present state."""
    name, value = describe(node)
    return Condition(kind, node, name, value, need, **about)  # type: ignore[arg-type]


def all_of(
    node: Node | None, need: Need, parts: Sequence[Condition], detail: str = ""
) -> Condition:
    """Return the condition that all parts hold: those that take longest first, emissions last."""
    ordered = sorted(_flat(Kind.ALL, parts), key=_order)  # stable
    if len(ordered) == 1 and not detail:
        return ordered[0]
    return make(Kind.ALL, node, need, parts=tuple(ordered), detail=detail)


def any_of(
    node: Node | None, need: Need, parts: Sequence[Condition], detail: str = ""
) -> Condition:
    """Return the condition that one part holds; those out of reach are left out."""
    flat = _flat(Kind.ANY, parts)
    within = [each for each in flat if each.is_possible] or flat
    if len(within) == 1 and not detail:
        return within[0]
    return make(Kind.ANY, node, need, parts=tuple(within), detail=detail)


def first_then(node: Node | None, need: Need, parts: Sequence[Condition]) -> Condition:
    """Return the condition that the parts hold one after the other."""
    return make(Kind.THEN, node, need, parts=tuple(parts))


def unclear(
    node: Node | None, need: Need, parts: Sequence[Condition] = (), detail: str = ""
) -> Condition:
    """Return a condition of which it is not known how to meet it."""
    return make(Kind.UNCLEAR, node, need, parts=tuple(parts), detail=detail)


def dependencies(nodes: Sequence[Node]) -> tuple[Condition, ...]:
    """Return the present values of nodes, as conditions that hold."""
    return tuple(make(Kind.VALUE, each, ANY, holds=True) for each in nodes)


def _flat(kind: Kind, parts: Sequence[Condition]) -> list[Condition]:
    """Return the parts, and in place of those of the same kind their parts; each once."""
    flat: dict[int, Condition] = {}
    for each in parts:
        is_own = each.wait or each.detail or each.is_emission
        if each.kind is kind and not (is_own or any(part.is_emission for part in each.parts)):
            flat.update((id(part), part) for part in each.parts)
        else:
            flat[id(each)] = each
    return list(flat.values())


def _order(condition: Condition) -> tuple[bool, float]:
    return condition.is_emission, -condition.duration
