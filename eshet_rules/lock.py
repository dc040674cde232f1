"""One runner for each state folder: two would overwrite each other's memory."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eshet_rules.exceptions import StateFolderError, StateInUse

__all__ = ["locked"]

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
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # what rules know is in it
        file = (folder / _FILE).open("a+")
    except OSError as error:
        raise StateFolderError(folder, error.strerror or str(error)) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StateInUse(folder, file.read().strip()) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
