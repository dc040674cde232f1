"""Recognizes an input as the effect of an earlier output, and finds its cause.

Messages carry no cause. An input at a path soon after the same value was sent to that path is the
echo of that output. If equal values were sent several times, the inputs are matched in the order of
sending.
"""

from collections import deque
from typing import Final

from eshet.cause import Cause

__all__ = ["Correlator", "Echo", "Place"]

Place = tuple[str, bytes]
"""The kind of input that an output becomes, and its path."""


class Echo:
    """An output, which may come back as an input.

    Args:
        value: a hash of the value, which may be long.
        cause: the cause of the output.
        at: the loop's time of sending.
    """

    __slots__ = ("at", "cause", "value")

    def __init__(self, value: int, cause: Cause, at: float) -> None:
        self.value: int | None = value
        self.cause: Final = cause
        self.at: Final = at

    def void(self) -> None:
        """Exclude this output, which was not delivered, from further matches."""
        self.value = None


class _Sent:
    """The outputs to one place that are kept, numbered in order."""

    __slots__ = ("echoes", "first", "place")

    def __init__(self, place: Place, first: int) -> None:
        self.place: Final = place
        self.first = first
        self.echoes: list[Echo] = []  # few: a list takes the least memory


class Correlator:
    """The last outputs, by place.

    Invariants: it keeps at most `max_count` outputs; the numbers of one place only increase, also
    if the place was forgotten in between.

    Args:
        max_count: the maximum number of outputs.
        max_age: outputs that are older than this, in seconds, have no echo any more.
    """

    def __init__(self, max_count: int, max_age: float) -> None:
        self._max_count = max_count
        self._max_age = max_age
        self._sent: dict[Place, _Sent] = {}
        self._places: deque[_Sent] = deque()  # that of each output, the oldest first
        self._number = 0

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
            sent = self._sent[place] = _Sent(place, self._number)
        echo = Echo(hash(value), cause, now)
        sent.echoes.append(echo)
        self._number += 1
        self._places.append(sent)
        if len(self._places) > self._max_count:
            self._forget(self._places.popleft())
        return echo

    def find(self, place: Place, value: bytes, after: int, now: float) -> tuple[Cause | None, int]:
        """Return the cause of the first matching output, and the number after it.

        Args:
            place: where the input arrived.
            value: the value of the input, packed.
            after: the number of the first output that may match.
            now: the loop's time.
        """
        sent = self._sent.get(place)
        if sent is None:
            return None, after
        wanted, oldest = hash(value), now - self._max_age
        for index in range(max(0, after - sent.first), len(sent.echoes)):
            echo = sent.echoes[index]
            if echo.value == wanted and echo.at >= oldest:
                return echo.cause, sent.first + index + 1
        return None, after

    def end(self, place: Place) -> int:
        """Return the number of the next output to a place."""
        sent = self._sent.get(place)
        return self._number if sent is None else sent.first + len(sent.echoes)

    def _forget(self, sent: _Sent) -> None:
        """Forget the oldest output to a place."""
        del sent.echoes[0]
        sent.first += 1
        if not sent.echoes:
            del self._sent[sent.place]
