"""The trail: append-only files of lines, which a reader can trust.

A record is acknowledged, by the return value of `append` or `flush`, when the kernel has it: it
survives the end of this process, but maybe not a crash of the machine. The trail consists of one
open file and closed ones beside it, which are compressed:

    trail.jsonl                                       open for appending
    trail-000002-20261125T032241.jsonl.zst            closed; named by its number and its first time
    trail-000001-20261124T000000.jsonl.zst

If the open file is moved, deleted or truncated, the trail continues in a file at its path, which
has a record of the gap.

Invariants: the open file ends with a complete line after each `append`, even after a failed one,
provided that the system can truncate it.
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
from eshet_rules.audit.archive import Archive, Report, closed_files
from eshet_rules.audit.lines import encode, time_of
from eshet_rules.audit.records.schema import SCHEMA_VERSION, Record
from eshet_rules.audit.records.trail import (
    TrailMoved,
    TrailNotClosed,
    TrailNotWritten,
    TrailRecordsLost,
    TrailRepaired,
    TrailStarted,
)
from eshet_rules.exceptions import NoTrail

__all__ = ["DAY", "SIZE", "Trail", "file_to_read", "open_file"]

SIZE: Final = 64 << 20
"""Default size at which a file is closed and the next one begun, in bytes."""

DAY: Final = len("2026-11-25")
_SECOND: Final = len("2026-11-25T03:22:41")
_TAIL: Final = 1 << 16
_DEVICES: Final = (Path("/dev"), Path("/dev/fd"))
_MOST_COLLECTED: Final = 1 << 16


def open_file(place: Path) -> Path:
    """Return the open file of the trail at a place: a folder, or a file.

    A path that does not exist yet means a file if its name has a suffix.
    """
    is_file = not place.is_dir() if place.exists() else bool(place.suffix)
    return place if is_file else place / "trail.jsonl"


def file_to_read(place: Path, *, must_exist: bool = True) -> Path:
    """Return the open file of the trail at a place, to be read; see `open_file`.

    Args:
        place: a folder, or a file.
        must_exist: whether a trail has to be there already.

    Raises:
        NoTrail: the trail does not exist, or is not a regular file: reading a pipe may never end.
    """
    file = open_file(place)
    if must_exist and not file.exists() and not closed_files(file):
        raise NoTrail(file)
    if file.exists() and not file.is_file():
        raise NoTrail(file, "is not a regular file")
    return file


class Trail:
    """Appends records to a trail. Safe to use from any thread.

    Errors of the system are reported, not raised. Records that can't be written are counted as
    lost. Writing is tried again with the first record of another second, and a record of the gap is
    written when it succeeds.

    Args:
        file: the open file; its folder is created.
        size: the size at which the next file is begun, in bytes.
        total: maximum size of all closed files, in bytes: the oldest are deleted. Unlimited by
            default.
        report: called for each problem, in the thread that appends.
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
        self._max_size = size
        self._lock = threading.RLock()
        self._collected: deque[bytes] = deque()
        self._collected_size = 0
        self._collected_until = ""  # the time of the last collected record
        self._fd: int | None = None
        self._is_regular = True
        self._identity: tuple[int, int] | None = None  # of the open file, if it is a regular one
        self._count = 0  # lines that this trail has written to the open file
        self._size = 0
        self._full_at = size
        self._day = ""
        self._begun = ""  # the time of the first record in the file
        self._after: str | None = None  # the file that was closed before it
        self._torn = False  # the file may end within a line
        self._lost = 0
        self._lost_since = ""
        self._lost_because = ""
        self._failed_in = ""  # the second of the last failure
        # The second for which the file is prepared; empty if it has to be prepared again.
        self._prepared_for = ""
        self._error: str | None = None  # the present error, if the last write failed
        self._problems: deque[Record] = deque()
        self._archive = Archive(file, total, self._problems.append)

    def open(self) -> None:
        """Open the file, cut off a torn line, and compress uncompressed closed files."""
        now = wall_stamp()
        with self._lock:
            self._archive.open()
            try:
                self._open(now)
            except OSError as error:
                self._fail(now, error)
        self._archive.compress()
        self._report_problems()

    def append(self, record: Any, time: str) -> bool:
        """Append a record; return whether it is acknowledged.

        Args:
            record: a record of the schema, or a mapping.
            time: the time of the record.
        """
        self.collect(record, time)
        return self.flush()

    def collect(self, record: Any, time: str) -> bool:
        """Collect a record, which the next `flush` appends with all others collected before.

        Args:
            record: see `append`.
            time: see `append`.

        Returns:
            Whether so much is collected that the caller should flush.
        """
        line = encode(record)
        self._collected.append(line)
        self._collected_size += len(line)
        self._collected_until = time
        return self._collected_size > _MOST_COLLECTED

    def flush(self) -> bool:
        """Append all collected records with one write; return whether they are acknowledged."""
        with self._lock:
            self._collected_size = 0
            collected = self._collected
            if len(collected) == 1:
                self._append(collected.popleft(), 1, self._collected_until)
            elif collected:
                # One by one: another thread may collect meanwhile.
                lines = [collected.popleft() for _ in range(len(collected))]
                self._append(b"".join(lines), len(lines), self._collected_until)
            acknowledged = self._error is None
        if self._problems:
            self._report_problems()
        return acknowledged

    def close(self) -> None:
        """Flush and close; if records were lost, try once more to write a record of the gap."""
        self.flush()
        with self._lock:
            with contextlib.suppress(OSError):
                self._leave_if_moved()  # perhaps since the last check, up to a second ago
                if self._lost:
                    self._prepare(wall_stamp(), 0)
            fd, self._fd = self._fd, None
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._archive.join()
        self._report_problems()

    # --- the open file ----------------------------------------------------------------------

    def _append(self, lines: bytes, count: int, time: str) -> None:
        """Append `count` lines, or count them as lost; `time` is that of the last one."""
        second = time[:_SECOND]
        if second == self._failed_in:
            self._lose(time, count)
            return
        try:
            if second != self._prepared_for or self._size + len(lines) > self._full_at:
                self._prepare(time, len(lines))
            self._write(lines, count)
        except OSError as error:
            self._fail(time, error)
            self._lose(time, count)
        else:
            self._error, self._failed_in = None, ""

    def _prepare(self, time: str, length: int) -> None:
        """Open the file for lines of this time and length, and record a gap before them."""
        self._leave_if_moved()
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
                error=self._lost_because,
            )
            self._write(encode(gap))
            self._lost = 0
        self._prepared_for = time[:_SECOND]

    def _leave_if_moved(self) -> None:
        """Close the file if its records are not at its path any more, and count them as lost."""
        if self._fd is None or self._identity is None:
            return
        identity, size = _identity_at(self.file)
        if identity == self._identity and size >= self._size:
            return
        fd, self._fd, self._torn = self._fd, None, False
        os.close(fd)
        change = "truncated" if identity == self._identity else "moved or deleted"
        self._lost_because = f"the file was {change}, and these records with it"
        error = "the trail continues in a new file"
        self._problems.append(TrailMoved(error=error, file=str(self.file)))
        self._lose(self._begun, self._count)

    def _begin_next(self, time: str) -> None:
        """Close the file and open the next one; on an error, keep using this one."""
        if not self._is_regular:
            self._day = time[:DAY]
            return
        try:
            closed = self._archive.take(self._begun)
        except OSError as error:
            self._problems.append(TrailNotClosed(error=str(error), file=str(self.file)))
            self._day = time[:DAY]
            self._full_at = self._size + self._max_size
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
        self._full_at = self._max_size
        if not self._size:
            try:
                self._write(encode(_beginning(time, self._runner, self._after)))
            except OSError:
                self._fd = None
                os.close(fd)
                raise

    def _write(self, lines: bytes, count: int = 1) -> None:
        """Write `count` lines, completely or not at all; the file must not be torn.

        Raises:
            OSError: they were not written.
        """
        fd = self._fd
        assert fd is not None  # noqa: S101 - the caller has opened it
        try:
            written = os.write(fd, lines)
            while written < len(lines):  # a full disk raises an error only at the next write
                written += os.write(fd, lines[written:])
        except OSError:
            self._torn = self._is_regular
            with contextlib.suppress(OSError):
                self._mend()
            raise
        except BaseException:  # a logging rule was interrupted here, at an unknown position
            self._fd, self._prepared_for = None, ""
            os.close(fd)
            raise
        self._size += len(lines)
        self._count += count

    def _mend(self) -> None:
        """Cut off the partial line that a failed write has left.

        Raises:
            OSError: it could not be cut off.
        """
        if self._torn and self._fd is not None:
            os.ftruncate(self._fd, self._size)
            self._torn = False

    def _fail(self, time: str, error: OSError) -> None:
        if self._error is None:  # report an outage once
            self._problems.append(TrailNotWritten(error=str(error), file=str(self.file)))
        self._error = self._lost_because = str(error)
        self._failed_in = time[:_SECOND]

    def _lose(self, time: str, count: int) -> None:
        if not self._lost:
            self._lost_since = time
        self._lost += count
        self._prepared_for = ""

    def _report_problems(self) -> None:
        while self._problems:
            problem = self._problems.popleft()
            lost = self._lost
            self.report(problem)
            if self._error is not None:
                self._lost = lost  # the report itself does not count as a lost record


def _identity_at(file: Path) -> tuple[tuple[int, int] | None, int]:
    """Return the device and inode of the file at a path, None if there is none; and its size."""
    try:
        status = os.lstat(file)
    except OSError:
        return None, 0
    return (status.st_dev, status.st_ino), status.st_size


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
    """Cut off an incomplete last line of a file; return the number of bytes removed."""
    end, whole = size, 0
    while end and not whole:
        start = max(0, end - _TAIL)
        whole = start + os.pread(fd, end - start, start).rfind(b"\n") + 1
        if whole == start:  # no newline in this block, or the block before ends with one
            end, whole = start, 0
    if whole != size:
        os.ftruncate(fd, whole)
    return size - whole
