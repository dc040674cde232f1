"""Locks that allow one runner for each state folder and each trail.

Two runners would overwrite each other's files.
"""

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
    """A lock that the system releases when this process ends, for whatever reason.

    `release` does not delete the file, since it might be that of the next holder by then. If it was
    deleted, `acquire` creates it again.

    Args:
        file: the lock file, which contains the id of the process that holds it.
        in_use: makes the error for a lock that the process with the given id holds.
        with_folder: whether to lock its folder as well, so that deleting only the file does not
            release the lock.
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
        """Whether this process holds the lock, and its file was not removed."""
        return all(path in self._held and _is_at(path, self._held[path]) for path in self._paths)

    def acquire(self) -> None:
        """Take the lock, or take it again if its file was removed; its folder is created if needed.

        Raises:
            RulesError: another process holds it; the error is made by `in_use`.
            OSError: the file can't be created.
        """
        make_private_folder(self.file.parent)
        for path in self._paths:
            held = self._held.get(path)
            if held is None or not _is_at(path, held):
                self._take(path)
        with contextlib.suppress(OSError):  # a full disk: the lock is held nevertheless
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
            # Network file systems can't lock folders: the lock of the file has to suffice.
        if path in self._held:
            os.close(self._held[path])
        self._held[path] = taken


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Lock a state folder within a `with` statement, creating it if needed.

    On a full disk, the yielded lock is not held yet: acquire it when there is space.

    Raises:
        StateInUse: another process holds the lock.
        StateFolderError: the folder can't be created, or written to.
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
    """Lock a trail within a `with` statement, with a file beside it.

    If that file can't be created, as beside `/dev/stdout`, nothing is locked.

    Args:
        trail: the open file of the trail.

    Raises:
        TrailInUse: another process holds the lock.
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
    """Whether a descriptor is that of the file at a path."""
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
