"""One runner for each state folder and each trail: two would overwrite each other's files."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from eshet.private_files import make_private_folder, open_private
from eshet_rules.exceptions import RulesError, StateFolderError, StateInUse, TrailInUse

__all__ = ["Lock", "locked", "locked_trail"]

_FILE: Final = "lock"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Lock:
    """A lock that the system releases when this process ends, however it ends.

    The file of the lock stays: who removed it could remove that of the next one. If somebody else
    removes it, `renew` makes it again.

    Args:
        file: of the lock, which says which process holds it.
        in_use: makes the error for a lock that the given process holds.
        with_folder: whether to lock its folder, too, so that whoever deletes the file alone does
            not release the lock.
    """

    def __init__(
        self, file: Path, in_use: Callable[[str], RulesError], *, with_folder: bool = False
    ) -> None:
        self.file: Final = file
        self._in_use = in_use
        self._paths: Final = [file.parent, file] if with_folder else [file]
        self._held: dict[Path, int] = {}  # descriptors

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock, and nobody has removed it."""
        return all(path in self._held and _is_at(path, self._held[path]) for path in self._paths)

    def acquire(self) -> None:
        """Take the lock, or take it again where it was removed; its folder is made if needed.

        Raises:
            RulesError: another process holds it: what `in_use` made.
            OSError: it can't be made.
        """
        make_private_folder(self.file.parent)
        for path in self._paths:
            held = self._held.get(path)
            if held is None or not _is_at(path, held):
                self._take(path)
        with contextlib.suppress(OSError):  # there is no space: it is held all the same
            os.ftruncate(self._held[self.file], 0)
            os.write(self._held[self.file], f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Release the lock, if it is held."""
        while self._held:
            os.close(self._held.popitem()[1])

    def _take(self, path: Path) -> None:
        holder = _content(self.file)
        is_file = path == self.file
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if is_file else os.O_RDONLY | os.O_DIRECTORY
        taken = open_private(path, flags)
        try:
            fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(taken)
            raise self._in_use(holder) from None
        except OSError:
            if is_file:
                os.close(taken)
                raise
            # A file system of the network locks no folders: the file has to do.
        if path in self._held:
            os.close(self._held[path])
        self._held[path] = taken


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Have a state folder for this process alone, within a `with` statement; it is made if needed.

    If there is no space to make it, the lock is not held yet: take it when there is.

    Raises:
        StateInUse: another process has it.
        StateFolderError: it can't be made, or written to.
    """
    lock = Lock(folder / _FILE, lambda pid: StateInUse(folder, pid), with_folder=True)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _FULL:
            lock.release()
            raise StateFolderError(folder, error.strerror or str(error)) from None
    except RulesError:
        lock.release()
        raise
    try:
        yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def locked_trail(trail: Path) -> Iterator[Lock | None]:
    """Have a trail for this process alone, within a `with` statement, by a file beside it.

    Where that file can't be made, as beside `/dev/stdout`, nothing is locked.

    Args:
        trail: its open file.

    Raises:
        TrailInUse: another process has it.
    """
    lock = Lock(trail.with_name(f"{trail.name}.lock"), lambda pid: TrailInUse(trail, pid))
    if trail.exists() and not trail.is_file():
        yield None
        return
    try:
        with contextlib.suppress(OSError):
            lock.acquire()
        yield lock
    finally:
        lock.release()


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def _content(file: Path) -> str:
    try:
        descriptor = open_private(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, errors="replace") as opened:
        return opened.read(100).strip()
