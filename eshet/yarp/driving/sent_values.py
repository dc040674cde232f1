"""The values that were sent to a path, to recognize them when the path shows them."""

from dataclasses import dataclass
from typing import Final

from eshet.reactive.core.markers import is_same

__all__ = ["MAX_AGE", "SentValue", "SentValues", "matches"]

MAX_AGE: Final = 10.0
"""Seconds from an answered setting to a state that shows it; as in `eshet.client.observer`."""


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


def matches(one: object, other: object, tolerance: float = 0.0) -> bool:
    """Whether two values are equal, or numbers that differ by no more than the tolerance."""
    if tolerance:
        a, b = _number(one), _number(other)
        if a is not None and b is not None:
            return abs(a - b) <= tolerance
    return is_same(one, other)


def _number(value: object) -> float | None:
    """Return a number as it is; None for anything else, also for a bool."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
