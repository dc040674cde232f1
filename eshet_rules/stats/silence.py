"""Finds paths and rules that were regular and have stopped, such as a sensor without power."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

__all__ = ["Regularity", "Silence"]

_LEAST_COUNT: Final = 20
_LEAST_SHARE: Final = 0.8
"""Share of the time in which something must have happened before it stopped to count as regular."""

_TIMES_LONGER: Final = 3.0
_LEAST_SILENCE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Silence:
    """Something that was regular and has stopped.

    Args:
        what: a path or a rule.
        since: when it happened for the last time.
        usual: the longest time between two of them before.
        count: how often it happened.
    """

    what: str
    since: datetime
    usual: timedelta
    count: int


class Regularity:
    """The times at which something happened.

    Args:
        what: a path or a rule.
        first: when it happened first.
    """

    def __init__(self, what: str, first: datetime) -> None:
        self._what = what
        self._first = self._last = first
        self._longest = timedelta()
        self._count = 1

    def add(self, moment: datetime) -> None:
        """Note that it happened again."""
        self._longest = max(self._longest, moment - self._last)
        self._last = moment
        self._count += 1

    def silence(self, since: datetime, until: datetime) -> Silence | None:
        """Return that it has stopped; None if it has not, or was not regular.

        It was regular if it happened at least 20 times, in at least 80 % of the time before it
        stopped. It has stopped if it did not happen for an hour, and for three times as long as
        ever before.

        Args:
            since: the beginning of the time that is looked at.
            until: its end.
        """
        quiet = until - self._last
        is_silent = quiet >= _LEAST_SILENCE and quiet > _TIMES_LONGER * self._longest
        known = (self._last - since).total_seconds()
        share = (self._last - self._first).total_seconds() / known if known > 0 else 0.0
        if not is_silent or self._count < _LEAST_COUNT or share < _LEAST_SHARE:
            return None
        return Silence(self._what, self._last, self._longest, self._count)
