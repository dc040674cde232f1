"""What was sent last, and for which cause; so that what comes in by that is known again.

The wire carries no cause. What comes in at a path soon after the same was sent there is the echo of
that. Of equal ones each input is the echo of another: they come in in the order of sending.
"""

from collections import deque
from typing import Final

from eshet.cause import Cause

__all__ = ["Correlator", "Echo", "Place"]

Place = tuple[str, bytes]
"""As what something is heard, and the path."""


class Echo:
    """Something that was sent.

    Args:
        value: a hash of it: it may be long.
        cause: for which it was sent.
        at: when, in the loop's time.
    """

    __slots__ = ("at", "cause", "value")

    def __init__(self, value: int, cause: Cause, at: float) -> None:
        self.value: int | None = value
        self.cause: Final = cause
        self.at: Final = at

    def void(self) -> None:
        """It has not arrived, so nothing that comes in is its echo."""
        self.value = None


class _Sent:
    """What was sent to one place and is still remembered, numbered in order."""

    __slots__ = ("echoes", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self.echoes: deque[Echo] = deque()


class Correlator:
    """What was sent last, by where it went.

    Invariants: it remembers at most `most`; the numbers of one place only grow, also when it was
    forgotten in between.

    Args:
        most: how much is remembered.
        longest: what was sent more seconds ago has no echo any more.
    """

    def __init__(self, most: int, longest: float) -> None:
        self._most = most
        self._longest = longest
        self._sent: dict[Place, _Sent] = {}
        self._places: deque[Place] = deque()
        self._number = 0

    def add(self, place: Place, value: bytes, cause: Cause, now: float) -> Echo:
        """Remember what is sent; forget what was sent first.

        Args:
            place: where it goes.
            value: packed.
            cause: for which it is sent.
            now: the loop's time.
        """
        sent = self._sent.get(place)
        if sent is None:
            sent = self._sent[place] = _Sent(self._number)
        echo = Echo(hash(value), cause, now)
        sent.echoes.append(echo)
        self._number += 1
        self._places.append(place)
        if len(self._places) > self._most:
            self._forget(self._places.popleft())
        return echo

    def find(self, place: Place, value: bytes, after: int, now: float) -> tuple[Cause | None, int]:
        """Return the cause of the first that is the same, and the number of the next one.

        Args:
            place: where it came in.
            value: what came, packed.
            after: the number of the first that may be it.
            now: the loop's time.
        """
        sent = self._sent.get(place)
        if sent is None:
            return None, after
        wanted, oldest = hash(value), now - self._longest
        for index in range(max(0, after - sent.first), len(sent.echoes)):
            echo = sent.echoes[index]
            if echo.value == wanted and echo.at >= oldest:
                return echo.cause, sent.first + index + 1
        return None, after

    def end(self, place: Place) -> int:
        """Return the number of what will be sent there next."""
        sent = self._sent.get(place)
        return self._number if sent is None else sent.first + len(sent.echoes)

    def _forget(self, place: Place) -> None:
        sent = self._sent[place]
        sent.echoes.popleft()
        sent.first += 1
        if not sent.echoes:
            del self._sent[place]
