"""Reads the records of a path from all runners, from a trail that can only be read forwards."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from eshet.clock import wall_now
from eshet_rules.audit.query import ENDLESS, Filter, stamp_of
from eshet_rules.why.merging import merge_records
from eshet_rules.why.sources import BackwardRecords, Record

__all__ = ["WindowedRecords"]

_FIRST: Final = timedelta(minutes=10)
_TIMES_LONGER: Final = 8
_LONGEST: Final = timedelta(days=30)

_OVERLAP: Final = timedelta(minutes=1)
"""How much of the time around a window is read as well: an output counts from when it began, which
may be in the window before, and an input follows from an output before."""


class WindowedRecords(BackwardRecords):
    """The records of all runners, read in windows of time: each is longer than the one after it.

    Args:
        read: returns the records that match a filter, each with its `runner`.
    """

    def __init__(self, read: Callable[[Filter], Iterable[Record]]) -> None:
        self._read: Final = read
        self._known: Final[dict[tuple[str, str, str], list[Record]]] = {}

    def newest_first(self, path: str, before: str) -> Iterator[Record]:
        """See `BackwardRecords`."""
        for since, until in _windows(before):
            yield from reversed(self._window(path, since, until))

    def _window(self, path: str, since: str, until: str) -> list[Record]:
        key = path, since, until
        if key not in self._known:
            begin, end = _moved(since, -_OVERLAP), _moved(until, _OVERLAP)
            merged = merge_records(self._read(Filter(path=path, since=begin, until=end)))
            self._known[key] = [each for each in merged if since <= each["time"] < until]
        return self._known[key]


def _moved(stamp: str, by: timedelta) -> str:
    """Return another time in the format of records; the ends of time stay where they are."""
    return stamp if stamp in ("", ENDLESS) else stamp_of(datetime.fromisoformat(stamp) + by)


def _windows(before: str) -> Iterator[tuple[str, str]]:
    """Iterate over the windows before a time, the last first; the first one has no beginning."""
    until = before
    end = wall_now(UTC) if before == ENDLESS else datetime.fromisoformat(before)
    length = _FIRST
    while length < _LONGEST:
        end -= length
        yield stamp_of(end), until
        until = stamp_of(end)
        length *= _TIMES_LONGER
    yield "", until
