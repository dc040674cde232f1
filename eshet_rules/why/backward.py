"""Reads the records of a path in a trail, the newest first.

Unlike `eshet_rules.audit.query.Reader`, it stops as soon as its caller has found enough, and looks
at no other line than those that name the path. Damaged parts are skipped: `eshet-rules audit`
reports them.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, decode

__all__ = ["backward"]

_COMPRESSED: Final = ".zst"


def backward(file: Path, path: str, before: str) -> Iterator[dict[str, Any]]:
    """Iterate over the records of a path, the newest first.

    Args:
        file: the open file of the trail.
        path: of the inputs and outputs.
        before: the end of the time range, exclusive, in the format of records.
    """
    needle = b'"path":%b' % msgspec.json.encode(path)
    for part in [*closed_files(file), file][::-1]:
        for line in _lines(part, path, before, needle):
            try:
                record = decode(line)
            except BrokenLine:
                continue
            if record.get("path") == path and record["time"] < before:
                yield record


def _lines(part: Path, path: str, before: str, needle: bytes) -> Iterator[bytes]:
    try:
        if part.suffix == _COMPRESSED:
            yield from _lines_of_frames(part, path, before, needle)
        else:
            yield from _lines_of_file(part, needle)
    except FileNotFoundError:  # it was compressed meanwhile, or was the oldest
        compressed = part.with_name(part.name + _COMPRESSED)
        if compressed.exists():
            yield from _lines_of_frames(compressed, path, before, needle)
    except OSError:
        return


def _lines_of_frames(part: Path, path: str, before: str, needle: bytes) -> Iterator[bytes]:
    with part.open("rb") as file:
        for frame in reversed(frames_of(file)[0]):
            if frame.may_have("", before, path):
                try:
                    yield from _last_first(read_frame(file, frame), needle)
                except DamagedFrame:
                    continue


def _lines_of_file(part: Path, needle: bytes) -> Iterator[bytes]:
    with part.open("rb") as file:
        if file.seek(0, 2):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                yield from _last_first(lines, needle)


def _last_first(lines: bytes | mmap.mmap, needle: bytes) -> Iterator[bytes]:
    """Iterate over the lines that contain a needle, the last first."""
    end = len(lines)
    while (at := lines.rfind(needle, 0, end)) >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        stop = lines.find(b"\n", at)
        yield lines[start : stop if stop >= 0 else len(lines)]
        end = start
