"""Requirements on a value: plain objects that can be checked, turned round and written."""

import enum
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from eshet.reactive.core.markers import NoValue, is_absent, is_nan, is_same
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = [
    "ANY",
    "FALSE",
    "KNOWN",
    "NOT_TRUE",
    "TRUE",
    "Both",
    "Item",
    "Length",
    "Need",
    "Relation",
    "Simple",
    "equal",
    "text_of",
]

_LONGEST: Final = 60
"""Maximum length of a value in a text, in characters."""


class Relation(enum.StrEnum):
    """How a value has to be related to an operand; `NoValue` and `Unknown` only where it says."""

    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    EQ = "=="
    NE = "!="
    IN = "in"
    NOT_IN = "not in"
    IS = "is"
    """The same object; may be absent."""
    IS_NOT = "is not"
    """Another object; may be absent."""
    TRUE = "true"
    FALSE = "false"
    NOT_TRUE = "not true"
    """False, or absent."""
    KNOWN = "known"
    ANY = "any"
    """Anything, also absent."""


_OPPOSITES: Final = {
    Relation.LT: Relation.GE,
    Relation.LE: Relation.GT,
    Relation.EQ: Relation.NE,
    Relation.IN: Relation.NOT_IN,
    Relation.IS: Relation.IS_NOT,
    Relation.TRUE: Relation.FALSE,
}
_NEGATED: Final = _OPPOSITES | {value: key for key, value in _OPPOSITES.items()}

_FLIPPED: Final = {
    Relation.LT: Relation.GT,
    Relation.LE: Relation.GE,
    Relation.GT: Relation.LT,
    Relation.GE: Relation.LE,
}

_CHECKS: Final[dict[Relation, Callable[[Any, Any], object]]] = {
    Relation.LT: lambda value, operand: value < operand,
    Relation.LE: lambda value, operand: value <= operand,
    Relation.GT: lambda value, operand: value > operand,
    Relation.GE: lambda value, operand: value >= operand,
    Relation.EQ: lambda value, operand: value == operand,
    Relation.NE: lambda value, operand: value != operand,
    Relation.IN: lambda value, operand: any(is_same(value, each) for each in operand),
    Relation.NOT_IN: lambda value, operand: not any(is_same(value, each) for each in operand),
    Relation.TRUE: lambda value, operand: value,
    Relation.FALSE: lambda value, operand: not value,
    Relation.KNOWN: lambda value, operand: True,
}


@dataclass(frozen=True)
class Simple:
    """A relation to an operand.

    Args:
        relation: the relation.
        operand: the other value, for those relations that have one; of `IN`, a collection.
    """

    relation: Relation
    operand: Any = None

    def is_met(self, value: object) -> bool:
        """Whether a value is so; False where comparing it raises an error."""
        relation = self.relation
        if relation is Relation.ANY:
            return True
        if relation is Relation.IS:
            return value is self.operand
        if relation is Relation.IS_NOT:
            return value is not self.operand
        if relation is Relation.NOT_TRUE:
            return is_absent(value) or _checked(_CHECKS[Relation.FALSE], value, None)
        return not is_absent(value) and _checked(_CHECKS[relation], value, self.operand)

    def negated(self) -> "Need | None":
        """Return a need that no value meets that meets this one; None if there is none."""
        relation = _NEGATED.get(self.relation)
        if relation is not None:
            return Simple(relation, self.operand)
        if self.relation is Relation.NOT_TRUE:
            return TRUE
        return Simple(Relation.IS, Unknown) if self.relation is Relation.KNOWN else None

    def flipped(self) -> "Simple":
        """Return the need for the operand if it were the value, and the value the operand."""
        return Simple(_FLIPPED.get(self.relation, self.relation), self.operand)

    def mapped(self, convert: Callable[[Any], Any]) -> "Simple | None":
        """Return the need with another operand; None if this has no number as its operand."""
        if self.relation in (Relation.KNOWN, Relation.ANY):
            return self
        simple = self
        if self.relation in (Relation.TRUE, Relation.FALSE):
            is_true = self.relation is Relation.TRUE
            simple = Simple(Relation.NE if is_true else Relation.EQ, 0)
        if simple.relation not in _ORDER or not is_number(simple.operand):
            return None
        try:
            operand = convert(simple.operand)
            is_finite = math.isfinite(operand)
        except ArithmeticError:  # it is too large
            return None
        return Simple(simple.relation, operand) if is_finite else None

    @property
    def text(self) -> str:
        """The need as text, such as `< 40`."""
        relation, operand = self.relation, self.operand
        if relation in (Relation.EQ, Relation.IS):
            return text_of(operand)
        if relation is Relation.IS_NOT:
            return f"anything but {text_of(operand)}"
        if relation in (Relation.IN, Relation.NOT_IN):
            members = " or ".join(map(text_of, list(operand)[:5]))
            return members if relation is Relation.IN else f"neither {members}"
        if relation is Relation.ANY:
            return "any value"
        if relation in _CHECKS and relation not in _WITHOUT_OPERAND:
            return f"{relation} {text_of(operand)}"
        return str(relation)


_WITHOUT_OPERAND: Final = (Relation.TRUE, Relation.FALSE, Relation.KNOWN)
_ORDER: Final = (*_FLIPPED, Relation.EQ, Relation.NE)


@dataclass(frozen=True)
class Both:
    """Two needs at once."""

    one: "Need"
    other: "Need"

    def is_met(self, value: object) -> bool:
        """Whether a value is so."""
        return self.one.is_met(value) and self.other.is_met(value)

    def negated(self) -> "Need | None":
        """See `Simple`; one of the two negated is enough."""
        return self.one.negated()

    @property
    def text(self) -> str:
        """The needs as text."""
        if is_plain(self.one):
            return self.other.text
        return self.one.text if is_plain(self.other) else f"{self.one.text} and {self.other.text}"


@dataclass(frozen=True)
class Item:
    """A need for an item or an attribute of the value.

    Args:
        key: of the item, or the name of the attribute.
        need: for it.
        get: returns it, given the value and the key.
    """

    key: Any
    need: "Need"
    get: Callable[[Any, Any], Any]

    def is_met(self, value: object) -> bool:
        """Whether a value is so; False where it has no such item."""
        if is_absent(value):
            return False
        try:
            return self.need.is_met(self.get(value, self.key))
        except Exception:
            return False

    def negated(self) -> "Need | None":
        """See `Simple`."""
        negated = self.need.negated()
        return None if negated is None else Item(self.key, negated, self.get)

    @property
    def text(self) -> str:
        """The need as text."""
        return f"{self.key} {self.need.text}"


@dataclass(frozen=True)
class Length:
    """A need for the number of entries of a list.

    Args:
        need: for the number.
    """

    need: "Need"

    def is_met(self, value: object) -> bool:
        """Whether a list has as many entries as needed."""
        return isinstance(value, Collection) and self.need.is_met(len(value))

    def negated(self) -> "Need | None":
        """See `Simple`."""
        negated = self.need.negated()
        return None if negated is None else Length(negated)

    @property
    def text(self) -> str:
        """The need as text."""
        return f"length {self.need.text}"


Need: TypeAlias = Simple | Both | Item | Length
"""A requirement on a value."""

ANY: Final = Simple(Relation.ANY)
KNOWN: Final = Simple(Relation.KNOWN)
TRUE: Final = Simple(Relation.TRUE)
FALSE: Final = Simple(Relation.FALSE)
NOT_TRUE: Final = Simple(Relation.NOT_TRUE)


def equal(value: object) -> Simple:
    """Return the need for one value, which may be absent."""
    return Simple(Relation.IS if is_absent(value) else Relation.EQ, value)


def is_plain(need: Need) -> bool:
    """Whether a need only asks for some known value, or for less."""
    return isinstance(need, Simple) and need.relation in (Relation.ANY, Relation.KNOWN)


def is_number(value: object) -> bool:
    """Whether this is a number other than NaN and infinity; a bool is none."""
    return type(value) in (int, float) and not is_nan(value) and value not in _INFINITE


_INFINITE: Final = (math.inf, -math.inf)


def text_of(value: object) -> str:
    """Return a value as text for the user."""
    if value is Unknown:
        return "unknown"
    if value is NoValue:
        return "no value"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return safe_repr(value, _LONGEST)


def _checked(check: Callable[[Any, Any], object], value: object, operand: object) -> bool:
    try:
        return bool(check(value, operand))
    except Exception:  # values of different types, or of a class of the user
        return False


def one_of(values: Collection[object]) -> Simple:
    """Return the need for one of several values."""
    return Simple(Relation.IN, tuple(values))
