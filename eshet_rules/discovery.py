"""Which files of a rules folder are modules, and what is in them.

A rules folder is a tree: `hall.py` is the module `hall`, `upstairs/bath.py` is `upstairs.bath`, and
`upstairs/__init__.py`, if it is there, `upstairs`. Not modules are tests (`test_*.py`, `*_test.py`,
`conftest.py`), hidden files and folders, and what editors leave beside a file. A module whose name
starts with `_` is a helper: it is imported by others, never loaded for itself.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eshet_rules.exceptions import RulesFolderError

__all__ = ["Source", "check_folder", "discover"]

# What a file must have in common with itself to count as unchanged without being read.
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Source:
    """What was in the file of a module when it was read.

    Args:
        name: of the module, with dots: `upstairs.bath`.
        path: of the file.
        data: what was in it.
        version: the first digits of a hash of that.
        stamp: the file's times and size, to tell whether it must be read again.
        problem: why it can't be read, if it can't; it can't be imported then.
    """

    name: str
    path: Path
    data: bytes
    version: str
    stamp: Stamp
    problem: str = ""

    @property
    def is_helper(self) -> bool:
        """Whether the module is there only to be imported by others."""
        return any(part.startswith("_") for part in self.name.split("."))

    @property
    def package(self) -> str:
        """The name of the package that relative imports start from; empty at the top."""
        return self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]


def check_folder(folder: Path) -> Path:
    """Return the folder's full path.

    Raises:
        RulesFolderError: there is no such folder.
    """
    if not folder.exists():
        raise RulesFolderError(folder, "there is no such folder; give the one with your rules")
    if not folder.is_dir():
        raise RulesFolderError(folder, f"this is a file; give its folder, {folder.parent}")
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise RulesFolderError(folder, f"it {_unreadable(error)}") from None
    return folder.resolve()


def discover(folder: Path, known: Mapping[str, Source] | None = None) -> dict[str, Source]:
    """Read all modules of the folder, by name and in the order of names.

    A file that goes away while it is read is not there; one that can't be read is there with the
    problem. So is a folder that can't be read, as a module, beside what was known of it.

    Args:
        folder: the rules folder; empty if it does not exist.
        known: what was read before. Files with the same times and size are not read again.
    """
    known = known or {}
    found: dict[str, Source] = {}
    for name, path, problem in _modules(folder):
        if problem:
            inside = f"{name}." if name else ""
            found |= {each: source for each, source in known.items() if each.startswith(inside)}
            if name:
                found[name] = _unread(name, path, problem)
        elif (source := _read(name, path, known.get(name))) is not None:
            found[name] = source
    return found


def _modules(
    folder: Path, package: str = "", above: tuple[os.stat_result, ...] = ()
) -> Iterator[tuple[str, Path, str]]:
    """Find the modules of a folder, which has the folders above it, and what can't be read."""
    try:
        status = folder.stat()
        if any(os.path.samestat(status, each) for each in above):
            return  # a link that leads back
        with os.scandir(folder) as found:  # which tells folders from files without asking again
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):  # it has gone meanwhile
        return
    except OSError as error:
        yield package.removesuffix("."), folder, _unreadable(error)
        return
    for entry in entries:
        if entry.name.startswith((".", "#")) or entry.name == "__pycache__":
            continue
        path = folder / entry.name
        if _is_folder(entry):
            yield from _modules(path, f"{package}{path.name}.", (*above, status))
        elif path.suffix == ".py" and not _is_test(path.name):
            # The folder of a package is named by its parent; the rules folder itself has no name.
            name = package.removesuffix(".") if path.stem == "__init__" else package + path.stem
            if name:
                yield name, path, ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_test(file_name: str) -> bool:
    return (
        file_name == "conftest.py"
        or file_name.startswith("test_")
        or file_name.endswith("_test.py")
    )


def _read(name: str, path: Path, known: Source | None) -> Source | None:
    try:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if known is not None and known.stamp == stamp and known.path == path and not known.problem:
            return known
        if not stat.S_ISREG(status.st_mode):  # to read it might never end
            return _unread(name, path, "is no ordinary file: put one with the rules in its place")
        data = path.read_bytes()
    except FileNotFoundError:
        return _unread(name, path, "is a link to nothing") if path.is_symlink() else None
    except OSError as error:
        return _unread(name, path, _unreadable(error))
    return Source(name, path, data, _version(data), stamp)


def _unread(name: str, path: Path, problem: str) -> Source:
    return Source(name, path, b"", _version(problem.encode()), (0, 0, 0), problem)


def _unreadable(error: OSError) -> str:
    return f"can't be read, {error.strerror or error}: check whose it is, and its mode"


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]
