"""How long to wait before each try to connect."""

import random
from collections.abc import Iterator
from typing import Final

__all__ = ["Backoff", "backoff"]

_SOON: Final = 1.0
"""A connection that ends within this time, in seconds, was none."""


class Backoff:
    """The delays between the tries of one client.

    They begin anew after a connection that lasted. One that ends as soon as it is made, as when two
    clients throw each other out in turn, counts as a try that failed.
    """

    def __init__(self) -> None:
        self._delays = backoff()
        self._last = 0.0

    def next_delay(self) -> float:
        """Return how long to wait before the next try, in seconds."""
        self._last = next(self._delays)
        return self._last

    def lasted(self, seconds: float) -> None:
        """Take note of how long the last connection lasted."""
        if seconds > _SOON + 2 * self._last:
            self._delays = backoff()


def backoff(
    start: float = 0.25, end: float = 5.0, multiplier: float = 2.0, jitter: float = 0.2
) -> Iterator[float]:
    """Yield the delays before one try after another, without end: first none, then ever longer.

    Args:
        start: the first delay that is not zero, in seconds.
        end: the longest delay, in seconds.
        multiplier: from one delay to the next.
        jitter: by which part each is made longer or shorter at random, so that clients that lost
            the same server do not come back all at once.
    """
    yield 0.0
    delay = start
    while True:
        yield delay * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - not a secret
        delay = min(delay * multiplier, end)
