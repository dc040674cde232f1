"""Reads the records of a trail that match a filter, the newest first, a part at a time.

Like `eshet_rules.audit.query.Reader`, it verifies only the lines that may match. It stops after a
number of records or bytes, so that a question about a rule that never ran is answered soon, too;
the answer says where to continue.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import FRAME_SIZE, DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, decode, time_of
from eshet_rules.audit.query import Filter

__all__ = ["MOST_BYTES", "Newest", "newest_first"]

MOST_BYTES: Final = 128 << 20
"""Default number of bytes of lines after which the search stops."""

MOST_FOUND: Final = 2 << 20
"""Default number of bytes of matching lines after which the search stops."""

_COMPRESSED: Final = ".zst"


class Newest(NamedTuple):
    """The newest matching records of a trail.

    Args:
        records: the newest first.
        next: the end of the time range in which earlier ones may be, exclusive, in the format of
            records; None if there are none.
        damaged: the number of damaged lines or parts that were met.
    """

    records: list[dict[str, Any]]
    next: str | None
    damaged: int


def newest_first(
    file: Path,
    wanted: Filter,
    limit: int,
    most_bytes: int = MOST_BYTES,
    most_found: int = MOST_FOUND,
) -> Newest:
    """Return the newest records that match a filter. It blocks: call it in a thread.

    Args:
        file: the open file of the trail.
        wanted: selects the records.
        limit: the number of records after which it stops; records of the same time are not parted.
        most_bytes: the number of bytes of lines after which it stops.
        most_found: the number of bytes of matching lines after which it stops, as `limit` does.
    """
    search = _Search(wanted)
    found: list[dict[str, Any]] = []
    read = found_bytes = 0
    for block in search.blocks(file):
        read += len(block)
        records = search.matching(block)
        for record, length in reversed(records):
            is_enough = len(found) >= limit or found_bytes >= most_found
            if is_enough and record["time"] != found[-1]["time"]:
                return Newest(found, found[-1]["time"], search.damaged)
            found.append(record)
            found_bytes += length
        if read >= most_bytes:
            return Newest(found, time_of(block), search.damaged)
    return Newest(found, None, search.damaged)


class _Search:
    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self.damaged = 0

    def matching(self, block: bytes) -> list[tuple[dict[str, Any], int]]:
        """Return the matching records of complete lines with their lengths, in their order."""
        found = []
        for line in self._wanted.lines(block):
            try:
                record = decode(line)
            except BrokenLine:
                self.damaged += 1
            else:
                if self._wanted.matches(record):
                    found.append((record, len(line)))
        return found

    def blocks(self, file: Path) -> Iterator[bytes]:
        """Iterate over blocks of complete lines that may match, the newest first."""
        for part in [*closed_files(file), file][::-1]:
            try:
                yield from self._of_part(part)
            except OSError:
                self.damaged += 1

    def _of_part(self, part: Path) -> Iterator[bytes]:
        if part.suffix != _COMPRESSED:
            try:
                yield from self._of_lines(part)
            except FileNotFoundError:  # it was compressed meanwhile, or was the oldest
                part = part.with_name(part.name + _COMPRESSED)
            else:
                return
        if part.exists():
            yield from self._of_frames(part)

    def _of_lines(self, part: Path) -> Iterator[bytes]:
        wanted = self._wanted
        with part.open("rb") as file:
            first = time_of(file.readline())
            if first is not None and first >= wanted.until:
                return
            end = file.seek(0, os.SEEK_END)
            rest = b""  # the beginning of the block that was read last, without its first lines
            while end:
                start = max(0, end - FRAME_SIZE)
                file.seek(start)
                block = file.read(end - start) + rest
                end = start
                cut = block.find(b"\n") + 1 if start else 0
                if start and not cut:  # one very long line
                    rest = block
                    continue
                rest, whole = block[:cut], block[cut:]
                whole = whole[: whole.rfind(b"\n") + 1]  # the last line may be incomplete
                if not whole or (time_of(whole) or "") >= wanted.until:
                    continue
                if _ends_before(whole, wanted.since):
                    return
                yield whole

    def _of_frames(self, part: Path) -> Iterator[bytes]:
        wanted = self._wanted
        with part.open("rb") as file:
            frames, is_whole = frames_of(file)
            self.damaged += not is_whole
            for frame in reversed(frames):
                if frame.may_have(wanted.since, wanted.until, wanted.exact_path):
                    try:
                        yield read_frame(file, frame)
                    except DamagedFrame:
                        self.damaged += 1


def _ends_before(block: bytes, time: str) -> bool:
    """Whether the last line of a block is of an earlier time; False if that is not known."""
    last = time_of(block[block.rfind(b"\n", 0, -1) + 1 :])
    return last is not None and last < time
