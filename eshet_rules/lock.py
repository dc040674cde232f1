"""One runner for each state folder and each trail: two would overwrite each other's files."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TextIO

from eshet.private_files import make_private_folder, open_private
from eshet_rules.exceptions import StateFolderError, StateInUse, TrailInUse

__all__ = ["locked", "locked_trail"]

_FILE: Final = "lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder for this process alone, within a `with` statement; it is made if needed.

    The system gives it free when the process ends, however it ends. The file of the lock stays: who
    removed it could remove that of the next one.

    Raises:
        StateInUse: another process has it.
        StateFolderError: it can't be made, or written to.
    """
    try:
        make_private_folder(folder)
        file = _opened(folder / _FILE)
    except OSError as error:
        raise StateFolderError(folder, error.strerror or str(error)) from None
    with file, _held(file, lambda pid: StateInUse(folder, pid)):
        yield


@contextlib.contextmanager
def locked_trail(trail: Path) -> Iterator[None]:
    """Have a trail for this process alone, within a `with` statement, by a file beside it.

    Where that file can't be made, as beside `/dev/stdout`, nothing is locked.

    Args:
        trail: its open file.

    Raises:
        TrailInUse: another process has it.
    """
    with contextlib.ExitStack() as stack:
        if (file := _lock_file(trail)) is not None:
            stack.enter_context(file)
            stack.enter_context(_held(file, lambda pid: TrailInUse(trail, pid)))
        yield


def _lock_file(trail: Path) -> TextIO | None:
    try:
        if trail.exists() and not trail.is_file():
            return None
        make_private_folder(trail.parent)
        return _opened(trail.with_name(f"{trail.name}.lock"))
    except OSError:
        return None


def _opened(path: Path) -> TextIO:
    return os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+")


@contextlib.contextmanager
def _held(file: TextIO, in_use: Callable[[str], Exception]) -> Iterator[None]:
    """Hold the lock of an open file, and write into it which process does.

    Args:
        file: of the lock.
        in_use: makes the error for a lock that the given process holds.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise in_use(file.read().strip()) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    yield
