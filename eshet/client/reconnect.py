"""How long to wait before each try to connect."""

import random
from collections.abc import Iterator

__all__ = ["backoff"]


def backoff(
    start: float = 0.25, end: float = 30.0, multiplier: float = 2.0, jitter: float = 0.2
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
