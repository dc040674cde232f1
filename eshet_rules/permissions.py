"""Checks which users may write rules, configuration and state.

A user who can write to the rules folder can run code as the user of the runner. So the runner
checks owner and mode of each such path when it starts, and refuses paths that other users can
change. Group members may have write access: that is the administrator's choice, as with a umask of
002.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from eshet_rules.exceptions import InsecurePath

__all__ = ["check_writers"]

_ROOT: Final = 0


def check_writers(paths: Iterable[Path], user: int | None = None) -> None:
    """Check that only the user, root and a group can change files and folders.

    A path that does not exist is secure if no other user can create it: its parents are checked.
    A folder with the sticky bit, such as `/tmp`, is secure as a parent.

    Args:
        paths: the files and folders; links are followed, and checked as well.
        user: the id of the user who runs the rules; by default, the user of this process.

    Raises:
        InsecurePath: other users can change one of them; the error says which, and what to do.
    """
    user = os.geteuid() if user is None else user
    names = dict.fromkeys(name for path in paths for name in _names(path))
    for name in names:
        _check(name, user)
        if name.is_symlink():
            _check(name, user, follow=False)
    for parent in dict.fromkeys(parent for name in names for parent in name.parents):
        _check_parent(parent)


def _names(path: Path) -> Iterator[Path]:
    """Yield the absolute path, and the path after resolving links."""
    yield path.absolute()
    yield Path(os.path.realpath(path))


def _check(path: Path, user: int, *, follow: bool = True) -> None:
    try:
        status = path.stat(follow_symlinks=follow)
    except OSError:  # missing or unreadable: the code that reads it reports the error
        return
    if status.st_uid not in (user, _ROOT):
        raise InsecurePath(
            path,
            f"belongs to user {status.st_uid}, and the rules run as user {user}",
            f"chown {'' if follow else '-h '}{user} {shlex.quote(str(path))}",
        )
    if _is_world_writable(status):
        raise _writable(path, "every user can write to it")


def _check_parent(path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        return
    if _is_world_writable(status) and not status.st_mode & stat.S_ISVTX:
        raise _writable(path, "every user can replace its files")


def _writable(path: Path, problem: str) -> InsecurePath:
    return InsecurePath(path, f"is not secure: {problem}", f"chmod o-w {shlex.quote(str(path))}")


def _is_world_writable(status: os.stat_result) -> bool:
    """Whether a path is a file or folder, not a device, that every user can write to."""
    is_kept = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return is_kept and bool(status.st_mode & stat.S_IWOTH)
