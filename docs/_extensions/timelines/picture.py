"""A timeline as SVG, with the colours of the page's theme.

Emissions are marks on a line. A Value is a band that is divided where it changes, or a line with
two levels if it is only ever true or false. What is unknown is hatched. All classes are in
`docs/_static/timelines.css`.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Final
from zlib import crc32

from .play import Track

__all__ = ["draw"]

# All lengths are pixels.
_CHARACTER: Final = 7.3  # width, in a monospace font of 12 px
_LABEL: Final = 7.9  # the same for 13 px
_TIME: Final = 6.4  # and for 10.5 px
_ROW: Final = 32
_GAP: Final = 12
_HEIGHT: Final = 20  # of bands and marks
_MARGIN: Final = 10
_AXIS: Final = 26
_WIDTH: Final = 700  # of a picture, if its content allows it: about that of a page
_WIDEST_LABEL: Final = 300  # beside its row; if one is wider, all labels are above their rows
_COLUMN: Final = (26, 56)  # width of a moment: at least, and at most if its content allows it

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LEVELS: Final = {"T", "F", "?", "_"}


def draw(tracks: list[Track | None], step: float, start: datetime | None, text: str) -> str:
    """Return a picture of a timeline.

    Args:
        tracks: a track for each row, None for a space between two rows.
        step: the seconds between two moments.
        start: the date and time of the first moment; None if the axis has seconds since the start.
        text: the timeline as text, for readers that do not see the picture.
    """
    return _Picture(tracks, step, start).svg(text)


class _Picture:
    def __init__(self, tracks: list[Track | None], step: float, start: datetime | None) -> None:
        self._tracks = tracks
        self._step = step
        self._start = start
        full = [track for track in tracks if track is not None]
        self._length = len(full[0].row.cells)
        widest = max(len(track.row.label) for track in full) * _LABEL
        self._above = widest > _WIDEST_LABEL
        edge = _MARGIN if start is None else 5 * _MARGIN  # half of the first and last time
        self._left = edge if self._above else widest + 2 * _MARGIN
        self._right = edge + _MARGIN
        least, most = _COLUMN
        fitting = min((_WIDTH - self._left - self._right) / self._length, most)
        self._column = math.ceil(max(least, fitting, *map(self._wanted_column, full)))
        self._hatch = f"hatch-{crc32(repr((tracks, step, start)).encode()):08x}"

    def svg(self, text: str) -> str:
        parts: list[str] = []
        top = float(_MARGIN)
        for track in self._tracks:
            if track is None:
                top += _GAP
                continue
            kind = "input" if track.row.is_source else "result"
            label = escape(track.row.label)
            if self._above:
                parts.append(f'<text class="label outlined" x="0" y="{top + 9:g}">{label}</text>')
                top += _ROW - _HEIGHT + 4
            else:
                middle = top + _HEIGHT / 2 + 4.5
                parts.append(f'<text class="label outlined" x="0" y="{middle:g}">{label}</text>')
            parts += [f'<g class="{kind}">', *self._row(track, top), "</g>"]
            top += _ROW
        bottom = top - (_ROW - _HEIGHT) + 6
        names = ", ".join(t.row.label for t in self._tracks if t and not t.row.is_source)
        width, height = math.ceil(self._x(self._length) + self._right), math.ceil(bottom + _AXIS)
        return "\n".join(
            [
                f'<svg class="timeline" role="img" fill="none"'
                f' xmlns="http://www.w3.org/2000/svg"'
                f' width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
                f"<title>Timeline of {escape(names)}</title>",
                f"<desc>{escape(text)}</desc>",
                f'<pattern id="{self._hatch}" width="5" height="5" patternUnits="userSpaceOnUse"'
                ' patternTransform="rotate(45)"><path class="hatch" d="M0 0V5"/></pattern>',
                *self._axis(bottom),
                *parts,
                "</svg>",
            ]
        )

    def _x(self, moment: float) -> float:
        return round(self._left + moment * self._column, 1)

    def _wanted_column(self, track: Track) -> float:
        """Return the least width of a moment with which the texts of a row do not overlap."""
        if track.row.is_event:
            wanted = [
                ((_mark(word) + _mark(following)) / 2 + 3) / (until - at)
                for (at, word), (until, following) in pairwise(track.changes)
            ]
        else:
            wanted = [
                (len(word) * _CHARACTER + 10) / (end - at) for at, end, word in self._parts(track)
            ]
        return max(wanted, default=0)

    def _row(self, track: Track, top: float) -> Iterator[str]:
        if track.row.is_event:
            yield from self._event(track, top)
        elif {word for _, word in track.changes} <= _LEVELS:
            yield from self._levels(track, top)
        else:
            yield from self._bands(track, top)

    def _event(self, track: Track, top: float) -> Iterator[str]:
        middle = top + _HEIGHT / 2
        yield f'<path class="rail" d="M{self._x(0)} {middle:g}H{self._x(self._length)}"/>'
        for at, word in track.changes:
            x = self._x(at)
            if word == "x":
                yield f'<circle class="dot" cx="{x}" cy="{middle:g}" r="5.5"/>'
                continue
            width = _mark(word)
            box = _box(x - width / 2, top, width, 10)
            yield f'<rect class="mark" {box}/>'
            if word == "?":
                yield f'<rect fill="url(#{self._hatch})" {box}/>'
            yield f'<text class="word middle" x="{x}" y="{middle + 4:g}">{escape(word)}</text>'

    def _bands(self, track: Track, top: float) -> Iterator[str]:
        for at, end, word in self._parts(track):
            x, width = self._x(at), self._x(end) - self._x(at)
            yield self._band(x, top, width, word)
            yield _word(x, top, word)

    def _levels(self, track: Track, top: float) -> Iterator[str]:
        before = ""
        for at, end, word in self._parts(track):
            x, right = self._x(at), self._x(end)
            if word in "TF":
                y = top if word == "T" else top + _HEIGHT
                if word == "T":
                    yield f'<rect class="true" {_box(x, top, right - x, 0)}/>'
                opposite = {"T": "F", "F": "T"}[word]
                edge = f"V{y:g}" if before == opposite else ""
                start = 2 * top + _HEIGHT - y if edge else y
                yield f'<path class="level" d="M{x} {start:g}{edge}H{right}"/>'
            else:
                yield self._band(x, top, right - x, word)
            yield _word(x, top, word)
            before = word

    def _parts(self, track: Track) -> Iterator[tuple[float, float, str]]:
        ends = [at for at, _ in track.changes[1:]] + [float(self._length)]
        for (at, word), end in zip(track.changes, ends, strict=True):
            yield at, end, word

    def _band(self, x: float, top: float, width: float, word: str) -> str:
        box = _box(x, top, width, 3)
        if word == "_":
            return f'<rect class="absent" {box}/>'
        if word == "?":
            return f'<rect class="absent" {box}/><rect fill="url(#{self._hatch})" {box}/>'
        return f'<rect class="band" {box}/>'

    def _axis(self, y: float) -> Iterator[str]:
        right = self._x(self._length)
        ticks = "".join(f"M{self._x(each)} {_MARGIN}V{y + 4:g}" for each in range(self._length + 1))
        yield f'<path class="grid" d="{ticks}"/>'
        yield f'<path class="axis" d="M{self._x(0)} {y:g}H{right}"/>'
        labels = self._labels()
        for moment, label in labels:
            x = self._x(moment)
            yield f'<text class="time middle" x="{x}" y="{y + 17:g}">{label}</text>'
        if self._start is None:
            x = right + len(labels[-1][1]) * _TIME / 2 + 3
            yield f'<text class="time" x="{x:g}" y="{y + 17:g}">{self._unit()[1]}</text>'

    def _labels(self) -> list[tuple[int, str]]:
        """Return the labels of the axis, as many as do not overlap, with their moments."""
        every, labels = 1, self._labels_of(1)
        while every < self._length and self._overlap(labels, every):
            every += 1
            labels = self._labels_of(every)
        return labels

    def _labels_of(self, every: int) -> list[tuple[int, str]]:
        moments, start = range(0, self._length + 1, every), self._start
        texts = self._numbers(moments) if start is None else self._times(start, moments)
        return list(zip(moments, texts, strict=True))

    def _overlap(self, labels: list[tuple[int, str]], every: int) -> bool:
        widths = [(len(a) + len(b) + 3) / 2 * _TIME for (_, a), (_, b) in pairwise(labels)]
        return any(width >= every * self._column for width in widths)

    def _unit(self) -> tuple[int, str]:
        return next((each for each in _UNITS if self._step % each[0] == 0), _UNITS[-1])

    def _numbers(self, moments: Iterable[int]) -> list[str]:
        each = self._step / self._unit()[0]
        return [f"{moment * each:g}" for moment in moments]

    def _times(self, start: datetime, moments: Iterable[int]) -> list[str]:
        """Return times of the day, with the date wherever it is another one than before."""
        # Timestamps, because a difference of local times ignores changes of the clock.
        first, zone = start.timestamp(), start.tzinfo
        clock = "%H:%M:%S" if self._step % 60 else "%H:%M"
        texts, before = [], None
        for moment in moments:
            time = datetime.fromtimestamp(first + moment * self._step, zone)
            date = f"{time:%a} {time.day} {time:%b}" if time.date() != before else ""
            is_midnight = time.hour == time.minute == time.second == 0
            texts.append(date if date and is_midnight else f"{date} {time:{clock}}".strip())
            before = time.date()
        return texts


def _mark(word: str) -> float:
    """Return the width of the mark of an emission."""
    return 11 if word == "x" else max(_HEIGHT, len(word) * _CHARACTER + 10)


def _box(x: float, top: float, width: float, radius: float) -> str:
    return f'x="{x:g}" y="{top:g}" width="{width:g}" height="{_HEIGHT}" rx="{radius:g}"'


def _word(x: float, top: float, word: str) -> str:
    shown = "" if word == "_" else escape(word)
    kind = "word outlined" if word == "?" else "word"
    return f'<text class="{kind}" x="{x + 5:g}" y="{top + _HEIGHT / 2 + 4:g}">{shown}</text>'
