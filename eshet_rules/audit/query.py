"""Reads the records of a trail that match a filter, in the order in which they were written.

A damaged line is never returned as a record. Damaged lines are reported whatever the filter is, as
they may have matched it: so the checksum of every line is verified. A line is parsed only if its
bytes may match the filter. Of a compressed file, only those frames are read that may have matches
according to the index, which also counts damaged lines.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from eshet_rules.audit.archive import closed_files, number_of
from eshet_rules.audit.chain import Chain
from eshet_rules.audit.earlier import names_of, present_name
from eshet_rules.audit.frames import FRAME_SIZE, DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, count_broken, decode, time_of

__all__ = ["ENDLESS", "Damage", "Filter", "Reader", "matching", "stamp_of"]

_LOOK_AGAIN: Final = 0.2
"""Seconds between two polls for new records."""

ENDLESS: Final = "9999"
"""Later than the time of any record."""

_SPECIAL: Final = re.compile(r"[*?[]")


def stamp_of(moment: datetime) -> str:
    """Return a point in time in the format of records."""
    # `strftime` would write the year 999 with three digits, which sorts after 2026.
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


@dataclass(frozen=True)
class Filter:
    """Selects the records that match all of its arguments.

    Args:
        rule: the name of the rule, or a glob.
        path: the path, or a glob.
        event: the name of the event, which may be an earlier one, or the text of a message of a
            rule or library.
        cause: the id of the cause or of its parent cause.
        chain: the chain that the cause belongs to.
        since: the earliest time, in the format of records.
        until: the end of the time range, exclusive.
    """

    rule: str | None = None
    path: str | None = None
    event: str | None = None
    cause: str | None = None
    chain: Chain | None = None
    since: str = ""
    until: str = ENDLESS

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record matches."""
        in_chain = self.chain is None or self.chain.has(record.get("cause"), record.get("parent"))
        return (
            in_chain
            and self.since <= record["time"] < self.until
            and (self.rule is None or _matches(record.get("rule"), self._rule))
            and (self.path is None or _matches(record.get("path"), self._path))
            and self._is_event(record)
            and self.cause in (None, record.get("cause"), record.get("parent"))
        )

    # Compiled once: `fnmatch` only keeps the last 256 globs of all that it has met.
    @cached_property
    def _rule(self) -> re.Pattern[str]:
        return _glob(self.rule or "*")

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return _glob(self.path or "*")

    def _is_event(self, record: dict[str, Any]) -> bool:
        if self.event is None:
            return True
        # Events have their present name, whatever they were written as; messages have none.
        is_message = "logger" in record
        return bool(record["event"] == (self.event if is_message else present_name(self.event)))

    def lines(self, block: bytes) -> Iterator[bytes]:
        """Yield the lines of a block that may match."""
        return _candidates(block, self._needles) if self.chain is None else self.chain.lines(block)

    @cached_property
    def _needles(self) -> list[bytes]:
        """Byte strings of which every matching line contains one: the longest that are known."""
        if self.cause is not None:
            return [b":" + msgspec.json.encode(self.cause)]
        known = [
            [_needle(name, text)]
            for name, text in (("path", self.path), ("rule", self.rule))
            if text is not None
        ]
        if self.event is not None:
            known.append([_needle("event", name) for name in names_of(self.event)])
        return max(known, key=lambda needles: min(map(len, needles)), default=[])

    @property
    def exact_path(self) -> str | None:
        """The path, unless it is a glob."""
        return None if self.path is None or _SPECIAL.search(self.path) else self.path


@dataclass(frozen=True)
class Damage:
    """A damaged or missing part of a trail.

    Args:
        file: the file, or the NATS subject of a trail that is shared.
        problem: the problem.
        lines: the number of lines that can't be read; 0 if unknown.
    """

    file: Path | str
    problem: str
    lines: int = 0


class Reader:
    """Reads a trail once, while the runner may append to its files, close and compress them.

    Args:
        file: the open file of the trail.
        wanted: selects the records.
        report: called for each damage.
    """

    def __init__(
        self, file: Path, wanted: Filter, report: Callable[[Damage], object] = lambda damage: None
    ) -> None:
        self._file = file
        self._wanted = wanted
        self._report = report
        self._read: set[str] = set()  # closed files
        self._last_number: int | None = None

    def records(self) -> Iterator[dict[str, Any]]:
        """Iterate over the present records."""
        while True:
            yield from self._of_closed_files()
            file = self._open()
            if not self._unread():
                break
            if file is not None:  # it may have been closed and renamed meanwhile
                file.close()
        if file is not None:
            with file:
                yield from self._of_lines(file)

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the present records, and then endlessly over new ones."""
        while True:
            for record in self._of_closed_files():
                yield record
            file = self._open()
            if file is None:
                await asyncio.sleep(_LOOK_AGAIN)
                continue
            with file:
                is_closed = bool(self._unread())
                while not is_closed:
                    is_closed = self._is_closed(file)
                    for record in self._of_lines(file):
                        yield record
                    if is_closed:
                        self._read.update(self._unread()[:1])
                    else:
                        await asyncio.sleep(_LOOK_AGAIN)

    # --- files ------------------------------------------------------------------------------

    def _unread(self) -> list[str]:
        """Return the names of closed files that have not been read, oldest first."""
        names = [path.name.removesuffix(".zst") for path in closed_files(self._file)]
        return [name for name in names if name not in self._read]

    def _open(self) -> IO[bytes] | None:
        try:
            return self._file.open("rb")
        except FileNotFoundError:
            return None

    def _is_closed(self, file: IO[bytes]) -> bool:
        """Whether the runner has closed a file that is open here."""
        try:
            return not os.path.samestat(self._file.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return True

    def _of_closed_files(self) -> Iterator[dict[str, Any]]:
        while unread := self._unread():
            for name in unread:
                self._read.add(name)
                self._check_number(name)
                yield from self._of_closed_file(self._file.with_name(name))

    def _check_number(self, name: str) -> None:
        number = number_of(name)
        expected = None if self._last_number is None else self._last_number + 1
        if number is not None and expected is not None and number > expected:
            self._report(Damage(self._file.with_name(name), "files before this one are missing"))
        self._last_number = number

    def _of_closed_file(self, path: Path) -> Iterator[dict[str, Any]]:
        try:
            yield from self._of_lines_or_frames(path)
        except OSError as error:
            self._report(Damage(path, f"it can't be read: {error.strerror or error}"))

    def _of_lines_or_frames(self, path: Path) -> Iterator[dict[str, Any]]:
        compressed = path.with_name(f"{path.name}.zst")
        try:
            with path.open("rb") as file:
                yield from self._of_lines(file)
        except FileNotFoundError:
            if compressed.exists():  # else it was the oldest, and was deleted meanwhile
                with compressed.open("rb") as file:
                    yield from self._of_frames(compressed, file)

    def _of_frames(self, path: Path, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        wanted = self._wanted
        frames, is_whole = frames_of(file)
        if not is_whole:
            self._report(Damage(path, "its index can't be read, so its end may be missing"))
        for frame in frames:
            if frame.may_have(wanted.since, wanted.until, wanted.exact_path):
                try:
                    block = read_frame(file, frame)
                except DamagedFrame as error:
                    self._report(Damage(path, f"a part of it can't be read: {error}", frame.lines))
                else:
                    yield from self._of_block(path, block, frame.broken)
            else:
                self._report_broken(path, frame.broken or 0)

    # --- lines ------------------------------------------------------------------------------

    def _of_lines(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        """Read complete lines up to the end; the file position is then the end of the last one."""
        path = Path(file.name)
        while block := file.read(FRAME_SIZE):
            block += file.readline()
            lines = block[: block.rfind(b"\n") + 1]
            yield from self._of_block(path, lines)
            if len(lines) < len(block):  # the last line is incomplete
                file.seek(len(lines) - len(block), os.SEEK_CUR)
                return

    def _of_block(
        self, path: Path, block: bytes, broken: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the matching records of complete lines, and report damaged lines.

        Args:
            path: the file of the lines.
            block: the lines.
            broken: the number of damaged lines; None to count them.
        """
        yield from matching(block, self._wanted)
        self._report_broken(path, count_broken(block) if broken is None else broken)

    def _report_broken(self, path: Path, lines: int) -> None:
        if lines:
            self._report(Damage(path, "it has damaged lines", lines))


def matching(block: bytes, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Yield the matching records of complete lines; damaged lines are skipped."""
    for line in wanted.lines(block):
        time = time_of(line)
        if time is not None and not wanted.since <= time < wanted.until:
            continue
        try:
            record = decode(line)
        except BrokenLine:
            continue
        if wanted.matches(record):
            yield record


def _needle(name: str, text: str) -> bytes:
    """Return the bytes of a field with a text, or with the literal beginning of a glob."""
    begin = _SPECIAL.split(text)[0]
    quoted = msgspec.json.encode(begin)
    return b'"%b":%b' % (name.encode(), quoted if begin == text else quoted[:-1])


def _candidates(block: bytes, needles: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines that contain one of the needles; all lines if there are none."""
    if not needles:
        yield from block.split(b"\n")[:-1]
        return
    pattern = re.compile(b"|".join(map(re.escape, needles)))
    found = pattern.search(block)
    while found is not None:
        end = block.index(b"\n", found.start())
        yield block[block.rfind(b"\n", 0, found.start()) + 1 : end]
        found = pattern.search(block, end)


def _glob(pattern: str) -> re.Pattern[str]:
    """Return a glob as a pattern; brackets may also be literal, as in the name of a rule."""
    return re.compile("|".join(map(translate, (pattern, pattern.replace("[", "[[]")))))


def _matches(text: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.match(text) is not None
