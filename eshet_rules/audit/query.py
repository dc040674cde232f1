"""Reads a trail back: what was asked for, in the order in which it was written.

A line that is not what was written is never shown as a record. That there is one is reported
whatever is asked for, as it may have been what is asked for: so the checksum of every line is
looked at. Only lines are parsed whose bytes have what is asked for. Of a compressed file only those
parts are read that may have it, as their index says, which also counts broken lines.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from eshet_rules.audit.archive import closed_files, number_of
from eshet_rules.audit.chain import Chain
from eshet_rules.audit.earlier import names_of
from eshet_rules.audit.frames import FRAME_SIZE, DamagedFrame, frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, count_broken, decode, time_of

__all__ = ["ENDLESS", "Damage", "Filter", "Reader"]

_LOOK_AGAIN: Final = 0.2
"""Seconds from one look for what is new to the next."""

ENDLESS: Final = "9999"
"""Later than the time of any record."""

_SPECIAL: Final = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Filter:
    """Which records are wanted: those that have all of this.

    Args:
        rule: its name, or a glob of it.
        path: or a glob of it.
        event: its name.
        cause: its id; records of causes that it led to at once are wanted, too.
        chain: of which cause it is, or what led to that or followed from it.
        since: the first time, as in a record.
        until: the first time that is not wanted any more.
    """

    rule: str | None = None
    path: str | None = None
    event: str | None = None
    cause: str | None = None
    chain: Chain | None = None
    since: str = ""
    until: str = ENDLESS

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        in_chain = self.chain is None or self.chain.has(record.get("cause"), record.get("parent"))
        return (
            in_chain
            and self.since <= record["time"] < self.until
            and _is_like(record.get("rule"), self.rule)
            and _is_like(record.get("path"), self.path)
            and self.event in (None, record["event"])
            and self.cause in (None, record.get("cause"), record.get("parent"))
        )

    def lines(self, block: bytes) -> Iterator[bytes]:
        """Yield those of a block's lines that may be wanted."""
        return _candidates(block, self._needles) if self.chain is None else self.chain.lines(block)

    @cached_property
    def _needles(self) -> list[bytes]:
        """Bytes of which each wanted record has one: the longest that are known."""
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
        """The path, if it is no glob."""
        return None if self.path is None or _SPECIAL.search(self.path) else self.path


@dataclass(frozen=True)
class Damage:
    """A part of a trail that is not what was written.

    Args:
        file: where it is.
        problem: what is wrong with it.
        lines: how many lines can't be read; 0 if that is not known.
    """

    file: Path
    problem: str
    lines: int = 0


class Reader:
    """Reads a trail, while it may be written to, closed and compressed; once.

    Args:
        file: the open one.
        wanted: which records.
        report: is told of each damage.
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
        """Iterate over the records that are there now."""
        while True:
            yield from self._of_closed_files()
            file = self._open()
            if not self._unread():
                break
            if file is not None:  # which has been closed meanwhile, or has not
                file.close()
        if file is not None:
            with file:
                yield from self._of_lines(file)

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the records that are there, and then over new ones, for ever."""
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
        """Whether an open file is not the one that is written to any more."""
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
            if compressed.exists():  # else it was the oldest, and has just gone
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
        """Read whole lines to the end, and leave the file where the last of them ends."""
        path = Path(file.name)
        while block := file.read(FRAME_SIZE):
            block += file.readline()
            lines = block[: block.rfind(b"\n") + 1]
            yield from self._of_block(path, lines)
            if len(lines) < len(block):  # the last is being written
                file.seek(len(lines) - len(block), os.SEEK_CUR)
                return

    def _of_block(
        self, path: Path, block: bytes, broken: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what is wanted of whole lines, and report the broken ones if they are not known."""
        wanted = self._wanted
        for line in wanted.lines(block):
            time = time_of(line)
            if time is not None and not wanted.since <= time < wanted.until:
                continue
            try:
                record = decode(line)
            except BrokenLine:  # counted below
                continue
            if wanted.matches(record):
                yield record
        self._report_broken(path, count_broken(block) if broken is None else broken)

    def _report_broken(self, path: Path, lines: int) -> None:
        if lines:
            self._report(Damage(path, "lines are not what was written", lines))


def _needle(name: str, text: str) -> bytes:
    """Return a field with a text, or with what a glob begins with, as it is in the bytes."""
    begin = _SPECIAL.split(text)[0]
    quoted = msgspec.json.encode(begin)
    return b'"%b":%b' % (name.encode(), quoted if begin == text else quoted[:-1])


def _candidates(block: bytes, needles: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines that have one of the needles; all, if there are none."""
    if not needles:
        yield from block.split(b"\n")[:-1]
        return
    pattern = re.compile(b"|".join(map(re.escape, needles)))
    found = pattern.search(block)
    while found is not None:
        end = block.index(b"\n", found.start())
        yield block[block.rfind(b"\n", 0, found.start()) + 1 : end]
        found = pattern.search(block, end)


def _is_like(text: Any, pattern: str | None) -> bool:
    """Whether a text is what a glob says; brackets may be those of a rule's name, too."""
    if pattern is None:
        return True
    if not isinstance(text, str):
        return False
    return fnmatchcase(text, pattern) or fnmatchcase(text, pattern.replace("[", "[[]"))
