"""Reads the lines of a trail after a position, part by part, while the runner appends to it.

A position stays valid when the file is closed, renamed and compressed: it names the file by the
time of its first record.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import time_of

__all__ = ["Gap", "Part", "Position", "Tail"]

PART_SIZE: Final = 256 << 10
"""Size of a part in bytes, which only its last line may exceed."""

_HEAD: Final = 1 << 16
_TIME: Final = re.compile(rb'^\{"time":"([^"]{27})"', re.MULTILINE)
_AFTER: Final = re.compile(rb'"after":"[^"]*-(\d{8}T\d{6})"')
_SECOND: Final = len("2026-11-25T03:22:41")


class Position(NamedTuple):
    """A position between two lines of a trail.

    Args:
        file: the time of the first record of the file.
        offset: in the file without compression, in bytes.
        time: of the record before it; empty if there is none.
    """

    file: str
    offset: int
    time: str = ""


class Part(NamedTuple):
    """Some complete lines of a trail.

    Args:
        lines: the lines.
        end: the position after them.
    """

    lines: bytes
    end: Position


class Gap(NamedTuple):
    """Lines that are gone: their file was deleted, moved or truncated before they were read.

    Args:
        since: the time of the last record before them; empty if unknown.
        until: the time of the first record after them; empty if there is none yet.
    """

    since: str
    until: str


class Tail:
    """Reads a trail from a position on. It blocks: call it in a thread.

    Args:
        file: the open file of the trail.
        position: where to begin; None for the beginning of the open file.
    """

    def __init__(self, file: Path, position: Position | None) -> None:
        self._file = file
        self._position = position
        self._source: _Plain | _Compressed | None = None

    def has(self, position: Position) -> bool:
        """Whether the file of a position is there.

        Raises:
            OSError: the trail can't be read.
        """
        found = self._find(position.file)
        if found is not None:
            found[1].close()
        return found is not None

    def may_have_had(self, position: Position) -> bool:
        """Whether the file of a position may have been there before all that are there now.

        Raises:
            OSError: the trail can't be read.
        """
        for path in [*closed_files(self._file), self._file]:
            if (oldest := _open(path)) is not None:
                oldest.close()
                return position.file < oldest.begun
        return True

    def close(self) -> None:
        """Close the file that is being read."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def read(self) -> Part | Gap | None:
        """Return the next lines, or that there is a gap before them; None at the end.

        Raises:
            OSError: the trail can't be read.
        """
        if self._source is None:
            gap = self._open_at(self._position)
            if gap is not None or self._source is None:
                return gap
        while True:
            source = self._source
            if source.is_truncated:
                source.close()
                self._source = following = _open(self._file)
                return None if following is None else self._gap(self._position, following)
            is_complete = source.is_closed(self._file)  # before it is read to its end
            lines = source.read()
            if lines:
                self._position = self._after(source, lines)
                return Part(lines, self._position)
            if not is_complete:
                return None
            gap = self._open_next(source)
            if gap is not None or self._source is source:
                return gap

    def _after(self, source: "_Plain | _Compressed", lines: bytes) -> Position:
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        before = "" if self._position is None else self._position.time
        return Position(source.begun, source.offset, time_of(last) or before)

    def _open_at(self, position: Position | None) -> Gap | None:
        """Open the file of a position, or else the next one; return the gap between them."""
        if position is None:
            self._source = _open(self._file)
            return None
        found = self._find(position.file)
        if found is not None:
            self._source = source = found[1]
            source.skip(position.offset)
            return None if source.offset == position.offset else self._gap(position, source)
        for path in [*closed_files(self._file), self._file]:
            following = _open(path)
            if following is None:
                continue
            if following.begun > position.file or path == self._file:
                self._source = following
                return self._gap(position, following)
            following.close()
        return None

    def _open_next(self, done: "_Plain | _Compressed") -> Gap | None:
        """Open the file after one that was read; return the gap between them."""
        paths = [*closed_files(self._file), self._file]
        found = self._find(done.begun)
        if found is not None:
            found[1].close()
            following = paths[paths.index(found[0]) + 1 :] if found[0] in paths else []
        else:
            following = paths
        for path in following:
            source = _open(path)
            if source is None:
                continue
            if found is None and source.begun <= done.begun:
                source.close()
                continue
            done.close()
            self._source = source
            position = self._position
            self._position = Position(source.begun, 0, "" if position is None else position.time)
            if found is None and source.after != _compact(done.begun):
                return self._gap(position, source)
            return None
        return None

    def _find(self, begun: str) -> "tuple[Path, _Plain | _Compressed] | None":
        """Return the file that begins with a record of this time, and its path."""
        for path in reversed([*closed_files(self._file), self._file]):
            source = _open(path)
            if source is not None:
                if source.begun == begun:
                    return path, source
                source.close()
        return None

    def _gap(self, position: Position | None, source: "_Plain | _Compressed") -> Gap:
        since = "" if position is None else position.time
        self._position = Position(source.begun, source.offset, since)
        return Gap(since, "" if source.offset else source.begun)


class _Plain:
    """A file of lines, which stays open even if it is renamed or deleted."""

    def __init__(self, file: IO[bytes]) -> None:
        self.begun, self.after = _head_of(file.read(_HEAD))
        self.offset = 0
        self._file = file

    def close(self) -> None:
        self._file.close()

    def skip(self, size: int) -> None:
        """Skip so many bytes at the beginning, or all if there are fewer."""
        self.offset = min(size, os.fstat(self._file.fileno()).st_size)

    def is_closed(self, path: Path) -> bool:
        """Whether the runner writes another file at this path by now."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return not os.path.samestat(status, os.fstat(self._file.fileno()))

    @property
    def is_truncated(self) -> bool:
        """Whether the file has become shorter than the part already read."""
        return os.fstat(self._file.fileno()).st_size < self.offset

    def read(self) -> bytes:
        """Return the next complete lines; none if there are none."""
        self._file.seek(self.offset)
        lines = _whole_lines(self._file.read(PART_SIZE), self._file)
        self.offset += len(lines)
        return lines


class _Compressed:
    """A compressed file."""

    is_truncated: Final = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks = self._read_blocks()
        self._block = next(self._blocks, b"")
        self._at = 0  # in the block
        self.begun, self.after = _head_of(self._block[:_HEAD])
        self.offset = 0

    def close(self) -> None:
        self._file.close()

    def skip(self, size: int) -> None:
        """Skip so many bytes at the beginning, or all if there are fewer."""
        while self.offset < size and self._block:
            self._at = min(size - self.offset, len(self._block))
            self.offset += self._at
            self._advance()

    def is_closed(self, path: Path) -> bool:
        """Return True: a compressed file is complete."""
        return True

    def read(self) -> bytes:
        """Return the next lines; none at the end."""
        end = self._at + PART_SIZE
        cut = self._block.rfind(b"\n", self._at, end) + 1 or self._block.find(b"\n", end) + 1
        lines = self._block[self._at : cut or len(self._block)]
        self._at += len(lines)
        self.offset += len(lines)
        self._advance()
        return lines

    def _advance(self) -> None:
        if self._at >= len(self._block):
            self._block, self._at = next(self._blocks, b""), 0

    def _read_blocks(self) -> Iterator[bytes]:
        for frame in frames_of(self._file)[0]:
            try:
                yield read_frame(self._file, frame)
            except DamagedFrame:  # which its reader reports
                continue


def _open(path: Path) -> _Plain | _Compressed | None:
    """Open a file of a trail; None if it is gone, is not a regular one, or has no record yet."""
    if path.exists() and not path.is_file():  # such as /dev/stdout
        return None
    try:
        file = path.open("rb")
    except FileNotFoundError:  # it was compressed meanwhile, or was the oldest
        compressed = path.with_name(f"{path.name}.zst")
        if path.suffix == ".zst" or not compressed.exists():
            return None
        return _open(compressed)
    source = (_Compressed if path.suffix == ".zst" else _Plain)(file)
    if not source.begun:
        source.close()
        return None
    return source


def _head_of(lines: bytes) -> tuple[str, str]:
    """Return the time of the first record of a file, and that of the file before it, if known."""
    found = _TIME.search(lines)
    after = _AFTER.search(lines[: lines.find(b"\n") + 1])
    return (
        found[1].decode("ascii", "replace") if found else "",
        after[1].decode() if after else "",
    )


def _compact(time: str) -> str:
    return time[:_SECOND].replace("-", "").replace(":", "")


def _whole_lines(block: bytes, file: IO[bytes]) -> bytes:
    """Return the complete lines of a block, which is continued to the end of a long line."""
    cut = block.rfind(b"\n") + 1
    if cut or len(block) < PART_SIZE:
        return block[:cut]
    block += file.readline()
    return block if block.endswith(b"\n") else b""
