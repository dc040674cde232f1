"""Durations in buckets, for percentiles of any number of them in little memory."""

import math
from collections import Counter
from typing import Final

__all__ = ["Histogram"]

_GROWTH: Final = 1.05
"""Each bucket is this much wider than the one before, so a percentile is right within 5 %."""

_LEAST: Final = 1e-6
"""Shorter durations, in seconds, count as this long."""


class Histogram:
    """Counts durations."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count: int = 0
        """The number of durations."""
        self.sum: float = 0.0
        """Their sum, in seconds."""

    def add(self, seconds: float) -> None:
        """Count a duration; a negative one, of a clock that was set back, counts as the least."""
        seconds = max(seconds, _LEAST)
        self.count += 1
        self.sum += seconds
        self._buckets[math.ceil(math.log(seconds / _LEAST, _GROWTH))] += 1

    def percentile(self, share: float) -> float | None:
        """Return the seconds that a share of the durations do not exceed; None without any.

        Args:
            share: from 0 to 1, such as 0.99.
        """
        wanted, seen = share * self.count, 0
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            if seen >= wanted:
                return float(_LEAST * _GROWTH**bucket)
        return None
