"""The values that were sent to a path, to recognize them when the path shows them."""

import math
from dataclasses import dataclass
from typing import Any, Final

from eshet import codec
from eshet.exceptions import ProtocolError, UnsupportedValue
from eshet.reactive.core.markers import is_same

__all__ = ["MAX_AGE", "SentValue", "SentValues", "as_delivered", "matches"]

MAX_AGE: Final = 10.0
"""Seconds from an answered setting to a state that shows it; as in `eshet.client.observer`."""

_UNCHANGED: Final = (bool, int, float, str, bytes, type(None))
"""The types of values that the protocol delivers as they are."""


@dataclass(eq=False, slots=True)
class SentValue:
    """A value that was sent, or is about to be.

    Args:
        value: the value.
        at: when it was sent last, on the clock of the caller.
        is_pending: whether it is about to be sent, or a request with it is not answered yet.
        is_done: whether it was delivered, and shown if it had to be.
    """

    value: object
    at: float
    is_pending: bool = True
    is_done: bool = False


class SentValues:
    """The values that were sent to one path and that it may still show."""

    def __init__(self) -> None:
        self._sent: list[SentValue] = []

    def add(self, sent: SentValue, now: float) -> None:
        """Add a value, or add it again because it is sent again."""
        sent.at, sent.is_pending = now, True
        self._forget(now)
        if sent not in self._sent:
            self._sent.append(sent)

    def remove(self, sent: SentValue) -> None:
        """Remove a value that the path will not show, as it was refused."""
        if sent in self._sent:
            self._sent.remove(sent)

    def take(self, value: object, tolerance: float, now: float) -> bool:
        """Return whether a shown value was sent; that one and earlier ones are then forgotten.

        If equal values were sent several times, each is taken once, in the order of sending.
        """
        self._forget(now)
        for index, sent in enumerate(self._sent):
            if matches(value, sent.value, tolerance):
                del self._sent[: index + 1]
                return True
        return False

    def has_other(self, value: object, tolerance: float, now: float) -> bool:
        """Whether the path may still show another value that was sent to it earlier."""
        self._forget(now)
        return any(not matches(sent.value, value, tolerance) for sent in self._sent)

    def has_pending(self) -> bool:
        """Whether a request with one of the values is not answered yet."""
        return any(sent.is_pending for sent in self._sent)

    def is_on_the_way(self, before: object, value: object, now: float) -> bool:
        """Whether a number lies between the previous number and one that was sent: it fades."""
        self._forget(now)
        start, here = _number(before), _number(value)
        if start is None or here is None:
            return False
        ends = [_number(sent.value) for sent in self._sent]
        return any(end is not None and min(start, end) < here < max(start, end) for end in ends)

    def _forget(self, now: float) -> None:
        self._sent = [each for each in self._sent if each.is_pending or now - each.at <= MAX_AGE]


def as_delivered(value: Any) -> Any:
    """Return a value as the protocol delivers it: tuples as lists, for example.

    A value that the protocol can't carry is returned unchanged; sending it is an error then.
    """
    if type(value) in _UNCHANGED:
        return value
    try:
        return codec.unpack(codec.pack(value))
    except (UnsupportedValue, ProtocolError):
        return value


def matches(one: object, other: object, tolerance: float = 0.0) -> bool:
    """Whether two values are equal, or numbers that differ by no more than the tolerance.

    NaN equals NaN, also inside of lists and dicts.
    """
    if tolerance:
        a, b = _number(one), _number(other)
        if a is not None and b is not None:
            return _differ_by(a, b) <= tolerance
    if is_same(one, other):
        return True
    try:
        return _has_same_parts(one, other)
    except RecursionError:  # a list of a rule may contain itself
        return False


def _differ_by(one: float, other: float) -> float:
    try:
        return abs(one - other)
    except OverflowError:  # an integer of more than 300 digits
        return math.inf


def _has_same_parts(one: object, other: object) -> bool:
    """Whether two lists, or two dicts, have the same parts, where a NaN equals a NaN."""
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(_is_same_part, one, other))
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(_is_same_part(one[k], other[k]) for k in one)
    return False


def _is_same_part(one: object, other: object) -> bool:
    return is_same(one, other) or _has_same_parts(one, other)


def _number(value: object) -> float | None:
    """Return a number unchanged; None for anything else, also for a bool."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
