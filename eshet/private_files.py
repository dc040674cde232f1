"""Files that only their owner can access, written as a whole, and never through a planted link.

In a folder that other users can write to, such as `/tmp`, another user may put a link where a
program is about to write: that would overwrite the target of the link. Here a link is never
followed at the last part of a path, and a file that replaces another is created under an
unguessable name.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

__all__ = ["make_private_folder", "open_private", "replacing_privately", "write_privately"]

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_SUFFIX: Final = ".new"

_LEFT_AFTER: Final = 60.0
"""Seconds after which an unfinished new file counts as left over by a killed process."""


def make_private_folder(folder: Path) -> None:
    """Create a folder, and missing parents, with the mode 0700; existing ones keep their modes.

    Raises:
        OSError: it can't be created, or there is a file.
    """
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    try:
        folder.mkdir(_FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise


def open_private(path: Path, flags: int) -> int:
    """Open a file and return its descriptor; a new file has the mode 0600.

    Args:
        path: of the file.
        flags: of `os.open`; `O_NOFOLLOW` and `O_CLOEXEC` are added.

    Raises:
        OSError: the file can't be opened, or is a symbolic link.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        problem = "it is a symbolic link, which is not followed: use the path it leads to"
        raise OSError(errno.ELOOP, problem, str(path)) from None


@contextlib.contextmanager
def replacing_privately(path: Path) -> Iterator[IO[bytes]]:
    """Replace a file by the data written within a `with` statement.

    Readers of the path find the old file or the complete new one, also after a crash of the
    machine. If an error ends the `with` statement, the old file stays. A link at the path is
    replaced, not followed. Several processes may do this at once: the last one wins.

    Raises:
        OSError: it can't be written.
    """
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            os.fchmod(file.fileno(), _FILE_MODE)  # the umask may have removed bits
            _delete_left(path, os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_privately(path: Path, content: bytes) -> None:
    """Replace a file by this content; see `replacing_privately`.

    Raises:
        OSError: it can't be written. The old file is kept.
    """
    with replacing_privately(path) as file:
        file.write(content)


def _delete_left(path: Path, now: float) -> None:
    """Delete new files that were left over when writers of this path were killed.

    Args:
        path: of the file to replace.
        now: the time of the file system, which may differ from this machine's.
    """
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(f"{path.name}.") and entry.name.endswith(_SUFFIX)):
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < now - _LEFT_AFTER:
                    path.with_name(entry.name).unlink()


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that the new name is on disk as well, where the file system can do it."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)
