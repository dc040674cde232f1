"""The trail: append-only files of lines, which a reader can trust.

A record is acknowledged, by the return of `append` or `flush`, when the system has it: it survives
the end of this process, though not that of the machine. The trail is made of one open file and of
closed ones beside it, which are compressed:

    trail.jsonl                                       is appended to
    trail-000002-20261125T032241.jsonl.zst            closed; named by its number and its first time
    trail-000001-20261124T000000.jsonl.zst

If the open file is moved or deleted, another one is begun at its path, with a record of the gap.

Invariants: the open file ends with a whole line after each `append`, also after one that failed,
as long as the system lets it be cut.
"""

import contextlib
import math
import os
import stat
import threading
from collections import deque
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from eshet.clock import wall_stamp
from eshet.private_files import make_private_folder, open_private
from eshet_rules.audit.archive import Archive, Report
from eshet_rules.audit.lines import encode, time_of
from eshet_rules.audit.records import (
    SCHEMA_VERSION,
    Record,
    TrailMoved,
    TrailNotClosed,
    TrailNotWritten,
    TrailRecordsLost,
    TrailRepaired,
    TrailStarted,
)

__all__ = ["DAY", "SIZE", "Trail", "open_file"]

SIZE: Final = 64 << 20
"""How many bytes are in a file before the next one is begun."""

DAY: Final = len("2026-11-25")
_SECOND: Final = len("2026-11-25T03:22:41")
_TAIL: Final = 1 << 16
_DEVICES: Final = (Path("/dev"), Path("/dev/fd"))
_MOST_COLLECTED: Final = 1 << 16


def open_file(place: Path) -> Path:
    """Return the open file of the trail at a place: a folder, or a file.

    What is not there yet will be a file if its name has an ending.
    """
    is_file = not place.is_dir() if place.exists() else bool(place.suffix)
    return place if is_file else place / "trail.jsonl"


class Trail:
    """Appends records to a trail; from any thread.

    Whatever the system refuses is reported, and raises nothing: what can't be written is counted,
    tried again with the first record of another second, and told of as a gap when that succeeds.

    Args:
        file: the open file; its folder is made.
        size: when to begin the next one, in bytes.
        total: how many bytes all closed files may have: the oldest go. Any number if not given.
        report: is told of problems, in the thread that appends.
    """

    def __init__(
        self,
        file: Path,
        *,
        size: int = SIZE,
        total: float = math.inf,
        report: Report = lambda problem: None,
    ) -> None:
        self.file: Final = file
        self.report = report
        self._runner: Final = version("eshet-rules")
        self._most = size
        self._lock = threading.RLock()
        self._collected: deque[tuple[bytes, str]] = deque()
        self._collected_size = 0
        self._fd: int | None = None
        self._is_regular = True
        self._identity: tuple[int, int] | None = None  # of the file that is open, if it has a place
        self._count = 0  # of lines that were written to it
        self._size = 0
        self._full_at = size
        self._day = ""
        self._begun = ""  # the time of the first record in the file
        self._after: str | None = None
        self._torn = False  # the file may end within a line
        self._lost = 0
        self._lost_since = ""
        self._why_lost = ""
        self._failed_in = ""  # which second
        self._checked_in = ""  # likewise: whether the file is in its place
        self._why: str | None = None
        self._problems: deque[Record] = deque()
        self._archive = Archive(file, total, self._problems.append)

    def open(self) -> None:
        """Open the file, cut off a torn line, and compress what was closed and is not yet."""
        now = wall_stamp()
        with self._lock:
            self._archive.open()
            try:
                self._open(now)
            except OSError as error:
                self._fail(now, error)
        self._archive.compress()
        self._tell_problems()

    def append(self, record: Any, time: str) -> bool:
        """Append a record; return whether it is acknowledged.

        Args:
            record: of the schema, or a mapping.
            time: of the record.
        """
        self.collect(record, time)
        return self.flush()

    def collect(self, record: Any, time: str) -> bool:
        """Take a record that is appended by the next `flush`, with all that were taken before it.

        Args:
            record: see `append`.
            time: see `append`.

        Returns:
            Whether it is time to flush, as they have become many.
        """
        line = encode(record)
        self._collected.append((line, time))
        self._collected_size += len(line)
        return self._collected_size > _MOST_COLLECTED

    def flush(self) -> bool:
        """Append what was collected, by one write; return whether it is acknowledged."""
        with self._lock:
            self._collected_size = 0
            lines: list[bytes] = []
            time = ""
            while self._collected:
                line, time = self._collected.popleft()
                lines.append(line)
            if lines:
                self._append(b"".join(lines), len(lines), time)
            acknowledged = self._why is None
        if self._problems:
            self._tell_problems()
        return acknowledged

    def close(self) -> None:
        """Flush and close, after one more try to tell of a gap."""
        self.flush()
        with self._lock:
            if self._lost:
                with contextlib.suppress(OSError):
                    self._prepare(wall_stamp(), 0)
            fd, self._fd = self._fd, None
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._archive.join()
        self._tell_problems()

    # --- the open file ----------------------------------------------------------------------

    def _append(self, lines: bytes, count: int, time: str) -> None:
        """Append so many lines, the last of which is of this time, or lose them."""
        if time[:_SECOND] == self._failed_in:
            self._lose(time, count)
            return
        try:
            self._prepare(time, len(lines))
            self._write(lines)
        except OSError as error:
            self._fail(time, error)
            self._lose(time, count)
        else:
            self._why, self._failed_in = None, ""

    def _prepare(self, time: str, length: int) -> None:
        """Have a file open that a line of this time and length belongs in, and no gap untold."""
        if time[:_SECOND] != self._checked_in:
            self._leave_if_moved(time)
        self._mend()
        if self._fd is None:
            self._open(time)
        elif time[:DAY] != self._day or self._size + length > self._full_at:
            self._begin_next(time)
        if self._lost:
            gap = TrailRecordsLost(
                time=time,
                level="error",
                event=TrailRecordsLost.EVENT,
                lost=self._lost,
                since=self._lost_since,
                error=self._why_lost,
            )
            self._write(encode(gap))
            self._lost = 0

    def _leave_if_moved(self, time: str) -> None:
        """Close the file if it is not at its path any more, and count what is not there with it."""
        self._checked_in = time[:_SECOND]
        if self._fd is None or self._identity is None or _identity_at(self.file) == self._identity:
            return
        fd, self._fd, self._torn = self._fd, None, False
        os.close(fd)
        self._why_lost = "the file was moved or deleted, and these records with it"
        error = "another file is begun at its place"
        self._problems.append(TrailMoved(error=error, file=str(self.file)))
        self._lose(self._begun, self._count)

    def _begin_next(self, time: str) -> None:
        """Close the file and open the next; go on with this one if that can't be."""
        if not self._is_regular:
            self._day = time[:DAY]
            return
        try:
            closed = self._archive.take(self._begun)
        except OSError as error:
            self._problems.append(TrailNotClosed(error=str(error), file=str(self.file)))
            self._day = time[:DAY]
            self._full_at = self._size + self._most
            return
        fd, self._fd = self._fd, None
        self._after = closed.stem
        if fd is not None:
            os.close(fd)
        self._open(time)
        self._archive.compress()

    def _open(self, time: str) -> None:
        make_private_folder(self.file.parent)
        fd = _opened(self.file)
        try:
            status = os.fstat(fd)
            self._is_regular = stat.S_ISREG(status.st_mode)
            cut = _cut_torn_line(fd, status.st_size) if self._is_regular else 0
            self._size = status.st_size - cut
            first = time_of(os.pread(fd, 1024, 0)) if self._is_regular and self._size else None
        except OSError:
            os.close(fd)
            raise
        self._fd, self._torn, self._count = fd, False, 0
        self._identity = (status.st_dev, status.st_ino) if self._is_regular else None
        if cut:
            self._problems.append(TrailRepaired(cut=cut))
        self._begun = first or time
        self._day = self._begun[:DAY]
        self._full_at = self._most
        if not self._size:
            try:
                self._write(encode(_beginning(time, self._runner, self._after)))
            except OSError:
                self._fd = None
                os.close(fd)
                raise

    def _write(self, line: bytes) -> None:
        """Write a line, or several, or nothing of it; the file is not torn.

        Raises:
            OSError: it was not written.
        """
        fd = self._fd
        assert fd is not None  # noqa: S101 - whoever calls this has opened it
        try:
            written = os.write(fd, line)
            while written < len(line):  # the system says only now that the rest does not fit
                written += os.write(fd, line[written:])
        except OSError:
            self._torn = self._is_regular
            with contextlib.suppress(OSError):
                self._mend()
            raise
        except BaseException:  # a rule that logs was interrupted in here: nobody knows how far
            self._fd = None
            os.close(fd)
            raise
        self._size += len(line)
        self._count += line.count(b"\n")

    def _mend(self) -> None:
        """Cut off what a write that failed has left.

        Raises:
            OSError: it is still there.
        """
        if self._torn and self._fd is not None:
            os.ftruncate(self._fd, self._size)
            self._torn = False

    def _fail(self, time: str, error: OSError) -> None:
        if self._why is None:  # once is enough, until it is well again
            self._problems.append(TrailNotWritten(error=str(error), file=str(self.file)))
        self._why = self._why_lost = str(error)
        self._failed_in = time[:_SECOND]

    def _lose(self, time: str, count: int) -> None:
        if not self._lost:
            self._lost_since = time
        self._lost += count

    def _tell_problems(self) -> None:
        while self._problems:
            problem = self._problems.popleft()
            lost = self._lost
            self.report(problem)
            if self._why is not None:
                self._lost = lost  # that the trail can't be written is not missing in it


def _identity_at(file: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from others; None if there is none."""
    try:
        status = os.lstat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _opened(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    if file.parent in _DEVICES:  # such as /dev/stdout, which is a link
        return os.open(file, flags | os.O_CLOEXEC, 0o600)
    return open_private(file, flags)


def _beginning(time: str, runner: str, after: str | None) -> TrailStarted:
    return TrailStarted(
        time=time,
        level="info",
        event=TrailStarted.EVENT,
        schema=SCHEMA_VERSION,
        runner=runner,
        after=after,
    )


def _cut_torn_line(fd: int, size: int) -> int:
    """Cut off what is after the last newline of a file; return how many bytes that were."""
    end, whole = size, 0
    while end and not whole:
        start = max(0, end - _TAIL)
        whole = start + os.pread(fd, end - start, start).rfind(b"\n") + 1
        if whole == start:  # there is none in this block, or it ends the one before
            end, whole = start, 0
    if whole != size:
        os.ftruncate(fd, whole)
    return size - whole
