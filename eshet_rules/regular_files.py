"""Reads files that users name, if they are regular files of limited size.

Opening or reading a pipe may block forever, `/dev/zero` has no end, and a sparse file of some
gigabytes would use up all memory.
"""

import errno
import os
import stat
from pathlib import Path

__all__ = ["UnusableFile", "read_regular"]


class UnusableFile(OSError):
    """A file is not a regular file, or is too large; the text says which."""


def read_regular(path: Path, limit: int, *, pipes: bool = False) -> tuple[bytes, os.stat_result]:
    """Return the content of a file, and its status from before the read.

    Args:
        path: the path of the file; links are followed.
        limit: maximum size in bytes.
        pipes: whether `/dev/null` and pipes are accepted; a pipe is read to its end.

    Raises:
        UnusableFile: the file is not a regular file, or is too large.
        OSError: the file can't be read.
    """
    # With O_NONBLOCK, opening a pipe does not wait for a writer.
    waits = 0 if pipes else os.O_NONBLOCK
    number = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | waits)
    try:
        status = os.fstat(number)
        _check(status, limit, pipes=pipes)
        with os.fdopen(number, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(number)
    if len(content) > limit:
        raise UnusableFile(_too_large(limit))
    return content, status


def _check(status: os.stat_result, limit: int, *, pipes: bool) -> None:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    is_empty = stat.S_ISCHR(mode) and status.st_rdev == Path(os.devnull).stat().st_rdev
    if not (stat.S_ISREG(mode) or (pipes and (stat.S_ISFIFO(mode) or is_empty))):
        raise UnusableFile("is not a regular file")
    if status.st_size > limit:
        raise UnusableFile(_too_large(limit))


def _too_large(limit: int) -> str:
    return f"is larger than {limit >> 20} MiB"
