"""The text of a timeline: what a reader of the Markdown source sees.

    source               - a - - b - - - - - -
    debounce(source, 5)  - - - - - - - - - b -

A line is a label, two or more spaces, and a cell for each moment. A label that is a name is a
source: its cells are the inputs. Any other label is an expression, and its cells are the results.
The first cell is the start, in which a Value has its first value, and an Event `-`. That is how the
two are told apart.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from eshet.unknown import Unknown
from eshet.yarp import NoValue

__all__ = [
    "NOTHING",
    "Mistake",
    "Row",
    "Timeline",
    "moment",
    "parse",
    "seconds",
    "text_of",
    "value_of",
    "word_of",
]

NOTHING: Final = "-"

_CONSTANTS: Final[dict[str, object]] = {
    "?": Unknown,
    "_": NoValue,
    "T": True,
    "F": False,
    "x": None,
}
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LINE: Final = re.compile(r"(\S.*?) {2,}(\S.*)")


class Mistake(Exception):
    """A timeline that is not valid or not right.

    Args:
        message: what is wrong, and what to write.
        line: the number of the line in the timeline, from 0.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Row:
    """A line of a timeline: a source or an expression, and its cells.

    Args:
        label: a name or an expression.
        cells: for each moment a word, or `-` if nothing happens.
        line: the number of its line, from 0.
    """

    label: str
    cells: tuple[str, ...]
    line: int

    @property
    def is_source(self) -> bool:
        """Whether its cells are inputs."""
        return self.label.isidentifier()

    @property
    def is_event(self) -> bool:
        """Whether it is an Event."""
        return self.cells[0] == NOTHING


@dataclass(frozen=True)
class Timeline:
    """The content of a timeline.

    Args:
        code: Python statements that define functions for the expressions.
        rows: the lines with cells; None for an empty line between two of them.
    """

    code: str
    rows: tuple[Row | None, ...]

    @property
    def first_line(self) -> int:
        """The number of the first line with cells."""
        return next(row.line for row in self.rows if row is not None)

    @property
    def length(self) -> int:
        """The number of moments."""
        return max(len(row.cells) for row in self.rows if row is not None)


def parse(lines: list[str]) -> Timeline:
    """Return the timeline that a text describes.

    Lines at the top that begin with `>>> ` or `... ` are Python code.

    Raises:
        Mistake: a line has no cells, or more or fewer than another one.
    """
    code = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    rows: list[Row | None] = []
    for number, line in enumerate(lines[len(code) :], len(code)):
        if not line.strip():
            rows.append(None)
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise Mistake(f"{line!r} has no cells: write them after two or more spaces", number)
        rows.append(Row(match[1], tuple(match[2].split()), number))
    while rows and rows[0] is None:
        del rows[0]
    full = [row for row in rows if row is not None]
    if not full:
        raise Mistake("a timeline has at least one row", 0)
    for row in full:
        if len(row.cells) != len(full[0].cells):
            wanted = f"{len(row.cells)} cells, and {full[0].label} has {len(full[0].cells)}"
            raise Mistake(f"{row.label} has {wanted}: write as many", row.line)
    return Timeline("\n".join(code), tuple(rows))


def text_of(timeline: Timeline) -> list[str]:
    """Return the lines with cells in their usual form, in which the columns are aligned."""
    full = [row for row in timeline.rows if row is not None]
    label = max(len(row.label) for row in full)
    widths = [max(map(len, column)) for column in zip(*(row.cells for row in full), strict=True)]
    lines = []
    for row in timeline.rows:
        if row is None:
            lines.append("")
            continue
        cells = " ".join(f"{cell:<{width}}" for cell, width in zip(row.cells, widths, strict=True))
        lines.append(f"{row.label:<{label}}  {cells}".rstrip())
    return lines


def value_of(word: str) -> object:
    """Return the value that a word of an input means."""
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def word_of(value: Any) -> str:
    """Return the word of a value or emission; for a date and time, the time of day."""
    for word, constant in _CONSTANTS.items():
        if value is constant:
            return word
    if isinstance(value, datetime):
        return f"{value:%H:%M}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join(map(word_of, value)) or "[]"
    return "".join(str(value).split())


def seconds(text: str) -> float:
    """Return the seconds of an option such as `6 h`.

    Raises:
        ValueError: it is no number with a unit.
    """
    match = re.fullmatch(r"([\d.]+) ?(s|min|h|d)", text)
    if match is None:
        raise ValueError(f'{text!r} is no duration: write a number with s, min, h or d: "6 h"')
    return float(match[1]) * _SECONDS[match[2]]


def moment(text: str) -> datetime:
    """Return the date and time of an option such as `2026-03-28 06:00 Europe/Berlin`.

    Raises:
        ValueError: it is no date, time and time zone.
    """
    day, time, zone = text.split()
    return datetime.fromisoformat(f"{day} {time}").replace(tzinfo=ZoneInfo(zone))
