"""Runs the expressions of a timeline in virtual time, and returns what happens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from eshet import yarp
from eshet.scope import Scope
from eshet_rules.testing.virtual_time import VirtualLoop

from .rows import NOTHING, Mistake, Row, Timeline, parse, text_of, value_of, word_of

__all__ = ["DEFAULT_START", "Track", "checked", "play", "played"]

DEFAULT_START: Final = datetime(2026, 1, 1, tzinfo=UTC)

_SAME_TIME: Final = 1e-6  # seconds; rounding error of sums of times


@dataclass(frozen=True)
class Track:
    """What has happened in a row.

    Args:
        row: the row, with the cells of the run.
        changes: the words of the values or emissions, each with its time in moments since the
            start.
    """

    row: Row
    changes: tuple[tuple[float, str], ...]


def checked(
    lines: list[str], step: float = 1.0, start: datetime | None = None
) -> tuple[Timeline, list[Track | None]]:
    """Return the timeline that a text describes, and what happens in it.

    Raises:
        Mistake: the text is not valid, or is not that of a run.
    """
    timeline = parse(lines)
    tracks = play(timeline, step, start or DEFAULT_START)
    right = text_of(played(timeline, tracks))
    for number, line in enumerate(right, timeline.first_line):
        if lines[number].rstrip() != line:
            text = "\n".join(right)
            raise Mistake(f"a run has these rows, aligned as here:\n{text}", number)
    return timeline, tracks


def play(timeline: Timeline, step: float, start: datetime = DEFAULT_START) -> list[Track | None]:
    """Run the expressions of a timeline with its inputs, in an event loop of its own.

    A cell has what happens from its moment until just before the next one. All inputs of a moment
    are one transaction, after the timers of that moment.

    Args:
        timeline: the timeline; the cells of its expressions are not used.
        step: the seconds between two moments.
        start: the wall clock at the first moment.

    Returns:
        a track for each row, and None for each empty line.

    Raises:
        Mistake: code or an expression raises, or an expression is no Value or Event.
    """
    with asyncio.Runner(loop_factory=partial(VirtualLoop, start)) as runner:
        return runner.run(_play(timeline, step))


def played(timeline: Timeline, tracks: list[Track | None]) -> Timeline:
    """Return a timeline with the cells of its run."""
    return replace(timeline, rows=tuple(None if track is None else track.row for track in tracks))


async def _play(timeline: Timeline, step: float) -> list[Track | None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)  # noqa: S101 - it is that of `play`
    errors: list[BaseException] = []
    scope = Scope("timeline", on_error=lambda error, _: errors.append(error))
    names: dict[str, Any] = {"yarp": yarp} | {name: getattr(yarp, name) for name in yarp.__all__}
    logs: list[_Log | None] = []
    with scope.active():
        _run(partial(exec, timeline.code, names), 0)
        for row in timeline.rows:
            if row is None:
                logs.append(None)
                continue
            if not row.is_source:
                reactive = _run(partial(eval, row.label, names), row.line)
            elif row.label in names:
                raise Mistake(f"{row.label} has a meaning already: write another name", row.line)
            else:
                reactive = names[row.label] = _source(row)
            logs.append(_Log(row, reactive))
        sources = [row for row in timeline.rows if row is not None and row.is_source]
        for moment in range(timeline.length):
            if moment > 0:
                with yarp.transaction():
                    for row in sources:
                        if row.cells[moment] != NOTHING:
                            yarp.emit_fn(names[row.label])(value_of(row.cells[moment]))
            await loop.advance(step)
            if errors:
                raise Mistake(f"moment {moment} raises {errors[0]!r}", timeline.first_line)
    scope.dispose()
    return [None if log is None else log.track(step, timeline.length) for log in logs]


def _source(row: Row) -> Any:
    return yarp.Event() if row.is_event else yarp.Value(value_of(row.cells[0]))


def _run(code: Callable[[], Any], line: int) -> Any:
    try:
        return code()
    except Exception as error:
        raise Mistake(f"it raises {error!r}", line) from error


class _Log:
    """Collects what happens in a row.

    Raises:
        Mistake: the reactive is no Value or Event.
    """

    def __init__(self, row: Row, reactive: Any) -> None:
        if not isinstance(reactive, yarp.Value | yarp.Event):
            raise Mistake(f"{row.label} is {reactive!r}, and no Value or Event", row.line)
        self._row = row
        self._reactive = reactive  # keeps it alive
        self._changes: dict[float, list[str]] = {}
        self._loop = asyncio.get_running_loop()
        if isinstance(reactive, yarp.Value):
            self._add(reactive.value)
        reactive.on_value_changed(self._add)

    def track(self, step: float, length: int) -> Track:
        """Return what has happened in a number of moments."""
        end = length * step - _SAME_TIME
        changes = [(at, "+".join(each)) for at, each in self._changes.items() if at < end]
        cells: list[str] = [""] * length
        for at, word in changes:
            index = int((at + _SAME_TIME) / step)
            cells[index] += f"+{word}" if cells[index] else word
        row = replace(self._row, cells=tuple(cell or NOTHING for cell in cells))
        return Track(row, tuple((at / step, word) for at, word in changes))

    def _add(self, value: Any) -> None:
        self._changes.setdefault(self._loop.time(), []).append(word_of(value))
