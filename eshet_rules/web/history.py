"""The past values of a path, from the audit trail."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from eshet_rules.runner.view import RunnerView
from eshet_rules.why.backward import backward
from eshet_rules.why.sources import is_output

__all__ = ["MOST_POINTS", "History", "thinned"]

MOST_POINTS: Final = 2000
"""Maximum number of points in an answer."""

_MOST_RECORDS: Final = 200_000
"""How many records of a path are read."""

_MOST_TEXT: Final = 1 << 20
"""Length of the values after which earlier ones are left out, in characters."""

_LONGEST_DELIVERY: Final = timedelta(seconds=1)
"""Records of one event with the same payload belong together at most this long."""


class Point(NamedTuple):
    """A value of a path from a time on.

    Args:
        time: in the format of records.
        value: the value; of an event, its payload.
        known: whether it is known.
    """

    time: str
    value: Any
    known: bool


Source = tuple[str, str]
"""What has recorded an event: the name of the record, and the module."""


class History:
    """Reads past values.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view

    async def of(self, path: str, since: str, until: str) -> dict[str, Any]:
        """Return the values of a path, the oldest first.

        Args:
            path: the path.
            since: the beginning, in the format of records; the value of that moment is included.
            until: the end, exclusive.

        Returns:
            `points`: lists of time, value and whether it is known, thinned to at most 2,000 without
            losing an extreme; `kind`: `"number"`, `"bool"`, `"text"` or, for anything else,
            `"other"`; `truncated`: whether earlier ones were left out.
        """
        trail = self._view.trail
        if trail is None:
            return _answer(path, [], truncated=False)
        return await self._view.threads.run(_past, trail, path, since, until)


def _past(trail: Path, path: str, since: str, until: str) -> dict[str, Any]:
    points, truncated = _read(trail, path, since, until)
    return _answer(path, points, truncated)


def _answer(path: str, points: list[Point], truncated: bool) -> dict[str, Any]:
    return {
        "path": path,
        "points": [list(each) for each in thinned(points, MOST_POINTS)],
        "kind": _kind(points),
        "truncated": truncated,
    }


def _read(trail: Path, path: str, since: str, until: str) -> tuple[list[Point], bool]:
    newest_first = backward(trail, path, until)
    points: list[Point] = []
    sources: list[Source | None] = []
    count = length = 0
    for count, record in enumerate(islice(newest_first, _MOST_RECORDS), start=1):  # noqa: B007
        if not _is_value(record):
            continue
        points.append(Point(record["time"], record.get("value"), not record.get("unknown", False)))
        sources.append(_source(record))
        length += _length(points[-1].value)
        if record["time"] < since or length > _MOST_TEXT:
            break
    oldest_first = zip(reversed(points), reversed(sources), strict=True)
    return list(_distinct(oldest_first)), count == _MOST_RECORDS or length > _MOST_TEXT


def _length(value: object) -> int:
    """Return about how many characters a value has beyond those of a number."""
    if isinstance(value, str | bytes):
        return len(value)
    return len(repr(value)) if isinstance(value, list | dict) else 0


def _is_value(record: dict[str, Any]) -> bool:
    """Whether a record tells a value of its path: what was shown, or was sent and accepted."""
    if record["event"] == "input.received":
        return record["kind"] in ("state", "event", "get")
    return is_output(record) and record["outcome"] == "done" and record["event"] != "output.called"


def _source(record: dict[str, Any]) -> Source | None:
    """Return what has recorded an event; None for a value of a state or property."""
    if record["event"] == "output.emitted" or record.get("kind") == "event":
        return record["event"], record.get("module") or ""
    return None


def _distinct(points: Iterable[tuple[Point, Source | None]]) -> Iterator[Point]:
    """Iterate over changes of a value, or over the times at which an event was emitted.

    A value that repeats the one before is left out. An event that is emitted again with the same
    payload is not: but the rule that emits it and each module that receives it make a record each,
    of which only the first is returned.
    """
    last: Point | None = None
    seen: set[Source] = set()  # what has recorded the last event
    for point, source in points:
        repeats = last is not None and (point.value, point.known) == (last.value, last.known)
        if source is None:
            if not repeats:
                yield point
            last = point
        elif repeats and source not in seen and last is not None and _is_soon(last, point):
            seen.add(source)
        else:
            yield point
            last, seen = point, {source}


def _is_soon(first: Point, second: Point) -> bool:
    return _moment(second) - _moment(first) <= _LONGEST_DELIVERY


def _moment(point: Point) -> datetime:
    return datetime.fromisoformat(point.time)


def thinned(points: list[Point], most: int) -> list[Point]:
    """Return at most so many points: of each part, the first, the least, the greatest, the last.

    Args:
        points: in the order of time.
        most: the number, at least 4.
    """
    if len(points) <= most:
        return points
    parts = most // 4
    kept: list[Point] = []
    for number in range(parts):
        part = points[len(points) * number // parts : len(points) * (number + 1) // parts]
        numbers = [index for index, each in enumerate(part) if _is_number(each.value)]
        wanted = {0, len(part) - 1}
        if numbers:
            wanted.add(min(numbers, key=lambda index: part[index].value))
            wanted.add(max(numbers, key=lambda index: part[index].value))
        kept += [part[index] for index in sorted(wanted)]
    return kept


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(points: list[Point]) -> str:
    values = [each.value for each in points if each.known and each.value is not None]
    if values and all(isinstance(each, bool) for each in values):
        return "bool"
    if values and all(map(_is_number, values)):
        return "number"
    return "text" if values and all(isinstance(each, str) for each in values) else "other"
