"""Reads the records of a path in a trail, the newest first.

Unlike `eshet_rules.audit.query.Reader`, it stops as soon as its caller has found enough, and looks
at no other line than those that name the path. So of a damaged trail it reports what it has met:
`eshet-rules audit` finds all.
"""

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, decode
from eshet_rules.audit.query import Damage
from eshet_rules.audit.records.inputs_outputs import (
    ActionCalled,
    EventEmitted,
    StatePublished,
    ValueSet,
)

__all__ = ["OUTPUTS", "backward"]

OUTPUTS: Final = frozenset(
    each.EVENT for each in (ActionCalled, EventEmitted, StatePublished, ValueSet)
)
"""The events of outputs at a path."""

_COMPRESSED: Final = ".zst"


def backward(
    file: Path, path: str, before: str, report: Callable[[Damage], object] = lambda damage: None
) -> Iterator[dict[str, Any]]:
    """Iterate over the records of a path, the newest first.

    Args:
        file: the open file of the trail.
        path: of the inputs and outputs.
        before: the end of the time range, exclusive, in the format of records.
        report: called with each damaged part that was met, maybe more than once.
    """
    reading = _Reading(path, before, report)
    for part in [*closed_files(file), file][::-1]:
        try:
            for line in reading.lines(part):
                record = reading.record(part, line)
                if record is not None:
                    yield record
        except OSError as error:
            report(Damage(part, f"it can't be read: {error.strerror or error}"))


class _Reading:
    def __init__(self, path: str, before: str, report: Callable[[Damage], object]) -> None:
        self._path = path
        self._before = before
        self._report = report
        self._needle = b'"path":%b' % msgspec.json.encode(path)

    def record(self, part: Path, line: bytes) -> dict[str, Any] | None:
        """Return the record in a line; None if it is another one."""
        try:
            record = decode(line)
        except BrokenLine:
            self._report(Damage(part, "it has damaged lines"))
            return None
        is_wanted = record.get("path") == self._path and record["time"] < self._before
        if is_wanted and not _is_complete(record):
            self._report(Damage(part, "it has incomplete records"))
            return None
        return record if is_wanted else None

    def lines(self, part: Path) -> Iterator[bytes]:
        """Iterate over the lines of a file that may have such a record, the last first."""
        try:
            if part.suffix == _COMPRESSED:
                yield from self._lines_of_frames(part)
            else:
                yield from self._lines_of_file(part)
        except FileNotFoundError:  # it was compressed meanwhile, or was the oldest
            compressed = part.with_name(part.name + _COMPRESSED)
            if compressed.exists():
                yield from self._lines_of_frames(compressed)

    def _check_first(self, part: Path, line: bytes) -> None:
        try:
            decode(line)
        except BrokenLine as error:
            self._report(Damage(part, f"its first line is no record: {error}"))

    def _lines_of_frames(self, part: Path) -> Iterator[bytes]:
        with part.open("rb") as file:
            frames, is_whole = frames_of(file)
            if not is_whole:
                self._report(Damage(part, "its index can't be read, so its end may be missing"))
            for frame in reversed(frames):
                if frame.may_have("", self._before, self._path):
                    try:
                        yield from _last_first(read_frame(file, frame), self._needle)
                    except DamagedFrame as error:
                        problem = f"a part of it can't be read: {error}"
                        self._report(Damage(part, problem, frame.lines))

    def _lines_of_file(self, part: Path) -> Iterator[bytes]:
        with part.open("rb") as file:
            if not file.seek(0, 2):
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                if first := lines[: lines.find(b"\n") + 1]:
                    self._check_first(part, first)
                yield from _last_first(lines, self._needle)


def _is_complete(record: dict[str, Any]) -> bool:
    """Whether a record has what is needed of its event."""
    if record["event"] in OUTPUTS:
        return "outcome" in record
    return record["event"] != "input.received" or "kind" in record


def _last_first(lines: bytes | mmap.mmap, needle: bytes) -> Iterator[bytes]:
    """Iterate over the lines that contain a needle, the last first."""
    end = len(lines)
    while (at := lines.rfind(needle, 0, end)) >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        stop = lines.find(b"\n", at)
        yield lines[start : stop if stop >= 0 else len(lines)]
        end = start
