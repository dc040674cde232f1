"""Reading files that users name, of which none may be anything but a file of some size.

To read a pipe may never end, nor may it to open one; `/dev/zero` has no end, and a sparse file of
some gigabytes takes all memory.
"""

import errno
import os
import stat
from pathlib import Path

__all__ = ["UnusableFile", "read_ordinary"]


class UnusableFile(OSError):
    """A file is no ordinary file, or is too large; the text says what it is."""


def read_ordinary(path: Path, limit: int, *, pipes: bool = False) -> tuple[bytes, os.stat_result]:
    """Return the content of a file, and what the system knew of it before it was read.

    Args:
        path: of the file; links are followed.
        limit: in bytes, of its content.
        pipes: whether it may be `/dev/null` or a pipe, which is waited for and read to its end.

    Raises:
        UnusableFile: it is no ordinary file, or is larger; nothing of it is read then.
        OSError: it can't be read.
    """
    # With O_NONBLOCK, to open a pipe does not wait for somebody who writes to it.
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
        raise UnusableFile("is no ordinary file")
    if status.st_size > limit:
        raise UnusableFile(_too_large(limit))


def _too_large(limit: int) -> str:
    return f"is larger than {limit >> 20} MiB"
