"""Recognizes an input as the effect of an earlier output, and finds its cause.

Messages carry no cause. An input at a path soon after the same value was sent to that path is the
echo of that output. If equal values were sent several times, the inputs are matched in the order of
sending.
"""

import operator
from bisect import bisect_left
from collections import deque
from typing import Final

from eshet import codec
from eshet.cause import Cause

__all__ = ["Correlator", "Echo", "Place"]

Place = tuple[str, bytes]
"""The kind of input that an output becomes, and its path."""

_FIRST_OF_MAPS: Final = 0x80
_FIRST_OF_NIL: Final = 0xC0
_FIRST_OF_NUMBERS: Final = frozenset((*range(0xCA, 0xD4), *range(0xE0, 0x100)))
"""The first bytes of packed numbers that are not small integers.

See the MessagePack specification, "Formats".
"""

_number_of: Final = operator.attrgetter("number")


class Echo:
    """An output, which may come back as an input.

    Args:
        number: of the output, in the order of sending.
        value: see `_comparable`.
        cause: the cause of the output.
        at: the loop's time of sending.
    """

    __slots__ = ("at", "cause", "number", "value")

    def __init__(self, number: int, value: int, cause: Cause, at: float) -> None:
        self.number: Final = number
        self.value: int | None = value
        self.cause: Final = cause
        self.at: Final = at

    def void(self) -> None:
        """Exclude this output, which was not delivered, from further matches."""
        self.value = None


class _Sent:
    """The outputs to one place that are kept."""

    __slots__ = ("echoes", "place")

    def __init__(self, place: Place) -> None:
        self.place: Final = place
        self.echoes: list[Echo] = []  # few: a list takes the least memory


class Correlator:
    """The last outputs, by place.

    Args:
        max_count: the maximum number of outputs.
        max_age: outputs that are older than this, in seconds, have no echo any more.
    """

    def __init__(self, max_count: int, max_age: float) -> None:
        self.next_number: int = 0
        """The number of the next output."""
        self._max_count = max_count
        self._max_age = max_age
        self._sent: dict[Place, _Sent] = {}
        self._places: deque[_Sent] = deque()  # that of each output, the oldest first

    def add(self, place: Place, value: bytes, cause: Cause, now: float) -> Echo:
        """Record an output, and forget the oldest if there are too many.

        Args:
            place: where it goes.
            value: packed.
            cause: the cause of the output.
            now: the loop's time.
        """
        sent = self._sent.get(place)
        if sent is None:
            sent = self._sent[place] = _Sent(place)
        echo = Echo(self.next_number, _comparable(value), cause, now)
        sent.echoes.append(echo)
        self.next_number += 1
        self._places.append(sent)
        if len(self._places) > self._max_count:
            self._forget(self._places.popleft())
        return echo

    def find(self, place: Place, value: bytes, after: int, now: float) -> Echo | None:
        """Return the first matching output.

        Args:
            place: where the input arrived.
            value: the value of the input, packed.
            after: the number of the first output that may match.
            now: the loop's time.
        """
        sent = self._sent.get(place)
        if sent is None:
            return None
        wanted, oldest, echoes = _comparable(value), now - self._max_age, sent.echoes
        for index in range(bisect_left(echoes, after, key=_number_of), len(echoes)):
            echo = echoes[index]
            if echo.value == wanted and echo.at >= oldest:
                return echo
        return None

    def _forget(self, sent: _Sent) -> None:
        """Forget the oldest output to a place."""
        del sent.echoes[0]
        if not sent.echoes:
            del self._sent[sent.place]


def _comparable(value: bytes) -> int:
    """Return a hash of a packed value, which is the same for 21 and 21.0.

    A client that sets 21 reads 21.0 from an owner with decimals.
    """
    first = value[0] if value else _FIRST_OF_NIL
    if first < _FIRST_OF_MAPS:
        return first  # a small integer, which is its own hash
    return hash(codec.unpack(value)) if first in _FIRST_OF_NUMBERS else hash(value)
