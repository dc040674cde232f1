"""Merges the inputs that several modules have received at a path.

Each module has its own connection, and records the same notification a moment earlier or later, or
not at all if it was not running. Their sequences are parts of one sequence, in the same order.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Received", "merged"]

_SAME_WITHIN: Final = 5.0
"""Two records of one notification are at most this far apart, in seconds: modules may be busy."""


class Received(NamedTuple):
    """An input of a module.

    Args:
        at: when it was received, in seconds.
        key: two inputs with different keys are not the same notification.
        number: of the record.
    """

    at: float
    key: object
    number: int


def merged(sequences: Sequence[Sequence[Received]]) -> list[Received]:
    """Return the shortest sequence that contains each of the given ones, as far as times allow.

    An input of several modules has the earliest of its times.
    """
    found: list[Received] = []
    for sequence in sorted(sequences, key=len, reverse=True):
        found = _merge(found, sequence) if found else list(sequence)
    return found


def _merge(longer: Sequence[Received], shorter: Sequence[Received]) -> list[Received]:
    result: list[Received] = []
    at = 0  # the records before it in `longer` are in the result already
    for received in shorter:
        match = _find(longer, at, received)
        if match is None:
            # Before the first later one.
            while at < len(longer) and longer[at].at <= received.at:
                result.append(longer[at])
                at += 1
            result.append(received)
            continue
        result += longer[at:match]
        result.append(min(longer[match], received))
        at = match + 1
    result += longer[at:]
    return result


def _find(sequence: Sequence[Received], start: int, wanted: Received) -> int | None:
    """Return the index of the record of the same notification that is nearest in time."""
    nearest = None
    for index in range(start, len(sequence)):
        each = sequence[index]
        if each.at > wanted.at + _SAME_WITHIN:
            break
        distance = abs(each.at - wanted.at)
        if each.key == wanted.key and distance <= _SAME_WITHIN:
            if nearest is not None and distance >= abs(sequence[nearest].at - wanted.at):
                break
            nearest = index
    return nearest
