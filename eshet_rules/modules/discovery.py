"""Finds and reads the modules of a rules folder.

A rules folder is a tree: `hall.py` is the module `hall`, `upstairs/bath.py` is `upstairs.bath`, and
`upstairs/__init__.py`, if it exists, `upstairs`. Tests (`test_*.py`, `*_test.py`, `conftest.py`),
hidden files and folders, and copies that tools leave (see `exclusion.py`) are not modules. A name
that starts with `_` means a helper: other modules import it, and it is never loaded on its own.

If two files are the same module (`hall.py` and `hall/__init__.py`), the module can't be used.
"""

import hashlib
import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eshet.text import encodable
from eshet_rules.exceptions import RulesFolderError
from eshet_rules.modules.exclusion import why_excluded, why_folder_excluded
from eshet_rules.regular_files import UnusableFile, read_regular

__all__ = ["MAX_SOURCE_BYTES", "Discovery", "Source", "check_folder", "discover", "version_of"]

# A file with an equal stamp counts as unchanged and is not read again. The modification time alone
# does not suffice: it can be set back, as `cp -p` does, but that changes the time of the inode.
Stamp = tuple[int, ...]

_NAME: Final[Callable[[os.DirEntry[str]], str]] = operator.attrgetter("name")

MAX_SOURCE_BYTES: Final = 10 << 20
"""Maximum size of a module file in bytes; a larger file is probably a database or sparse file."""

_MAX_SCANS: Final = 4
"""Maximum number of scans, if the folder is replaced during each scan."""


@dataclass(frozen=True)
class Source:
    """The content of a module file when it was read.

    Args:
        name: the name of the module, with dots: `upstairs.bath`.
        path: the path of the file.
        data: its content.
        version: the first digits of a hash of the content.
        stamp: the file's times and size, to detect whether it must be read again.
        problem: why it can't be read or imported; empty if it can.
        is_elsewhere: whether another runner of the cluster runs the module.
    """

    name: str
    path: Path
    data: bytes
    version: str
    stamp: Stamp
    problem: str = ""
    is_elsewhere: bool = False

    @property
    def is_helper(self) -> bool:
        """Whether the module is only imported by others, and not loaded on its own."""
        return self.is_elsewhere or self.name.startswith("_") or "._" in self.name

    @property
    def package(self) -> str:
        """The name of the package that relative imports start from; empty at the top level."""
        return self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]


def check_folder(folder: Path) -> Path:
    """Return the folder's absolute path, without resolving links, as they may change later.

    Raises:
        RulesFolderError: the folder does not exist, or can't be read.
    """
    if not folder.exists():
        raise RulesFolderError(folder, "there is no such folder; name the one with your rules")
    if not folder.is_dir():
        raise RulesFolderError(folder, f"this is a file; name its folder, {folder.parent}")
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise RulesFolderError(folder, f"it {_unreadable(error)}") from None
    return Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links


class Discovery:
    """Finds the modules of a rules folder. Can be called again after changes.

    Args:
        folder: the rules folder.
        exclude: configured globs of files and folders to leave out.
    """

    def __init__(self, folder: Path, exclude: Sequence[str] = ()) -> None:
        self._folder: Final = folder
        self._exclude: Final = tuple(exclude)
        self._excluded: dict[Path, str] = {}
        self._reported: set[Path] = set()
        self.turn: Final = threading.Lock()
        """Held while the modules are read: who changes many files at once holds it meanwhile."""

    def __call__(self, known: Mapping[str, Source] | None = None) -> dict[str, Source]:
        """Read all modules, in any thread; see `discover`."""
        with self.turn:
            return self._look(known or {})

    def files(self) -> list[Path]:
        """Return the paths of all modules, without reading them, in any thread."""
        scan = _Scan(self._folder, self._exclude, {})
        return [Path(file) for _, file, problem in scan.modules(str(self._folder)) if not problem]

    def _look(self, known: Mapping[str, Source]) -> dict[str, Source]:
        scans = 0
        while True:
            before = _identity(self._folder)
            excluded: dict[Path, str] = {}
            found = _discover(_Scan(self._folder, self._exclude, excluded), known)
            scans += 1
            if scans == _MAX_SCANS or _identity(self._folder) == before:
                self._excluded = excluded
                return found

    def newly_excluded(self) -> dict[Path, str]:
        """Return files and folders that were left out and why, each path once while it exists."""
        excluded = self._excluded
        new = {path: why for path, why in excluded.items() if path not in self._reported}
        self._reported = set(excluded)
        return {Path(encodable(str(path))): why for path, why in new.items()}


def discover(folder: Path, known: Mapping[str, Source] | None = None) -> dict[str, Source]:
    """Read all modules of the folder, by name and in the order of names.

    A file that is deleted while it is read is omitted. A file that can't be read is included with
    the problem. A folder that can't be read is included as a module with the problem, and its known
    modules are kept.

    Args:
        folder: the rules folder; a missing one has no modules.
        known: the result of the last call. Files with the same times and size are not read again.
    """
    return Discovery(folder)(known)


def _discover(scan: "_Scan", known: Mapping[str, Source]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for name, file, problem in scan.modules(str(scan.folder)):
        if problem:
            inside = f"{name}." if name else ""
            found |= {each: source for each, source in known.items() if each.startswith(inside)}
            if name:
                found[name] = _unread(name, file, problem)
        elif name in found and str(found[name].path) != file:
            found[name] = _ambiguous(name, found[name].path, Path(file), scan.folder)
        elif (source := _read(name, file, known.get(name))) is not None:
            found[name] = source
    return found


@dataclass(frozen=True)
class _Scan:
    """A scan of a rules folder.

    It is repeated every few seconds, maybe with thousands of files. So paths are strings: a `Path`
    of each file would take most of the time.

    Args:
        folder: the rules folder.
        exclude: globs of files and folders to leave out.
        excluded: the scan adds the paths that it leaves out, with the reasons.
    """

    folder: Path
    exclude: Sequence[str]
    excluded: dict[Path, str]

    def modules(
        self,
        folder: str,
        package: str = "",
        inside: str = "",
        above: tuple[os.stat_result, ...] = (),
    ) -> Iterator[tuple[str, str, str]]:
        """Yield name, path and problem of each module of a folder; the problem is mostly empty.

        Args:
            folder: the path of the folder to scan.
            package: prefix of the names of its modules, such as `up.`.
            inside: prefix of their relative paths, such as `up/`.
            above: the parent folders.
        """
        try:
            status = os.stat(folder)  # noqa: PTH116
            if any(os.path.samestat(status, each) for each in above):
                return  # a link to a parent folder
            with os.scandir(folder) as found:  # its entries know whether they are folders
                entries = sorted(found, key=_NAME)
        except (FileNotFoundError, NotADirectoryError):  # it was deleted meanwhile
            return
        except OSError as error:
            yield package.removesuffix("."), folder, _unreadable(error)
            return
        names = {entry.name for entry in entries}
        if above and self._leave_out(
            folder, why_folder_excluded(inside.removesuffix("/"), names, self.exclude)
        ):
            return
        for entry in entries:
            name = entry.name
            if name.startswith((".", "#")) or name == "__pycache__":
                continue
            if _is_folder(entry):
                deeper = f"{package}{name}.", f"{inside}{name}/", (*above, status)
                yield from self.modules(entry.path, *deeper)
                continue
            is_module = name.endswith(".py") and not _is_test(name)
            if is_module and not self._leave_out(
                entry.path, why_excluded(inside + name, self.exclude)
            ):
                module = _module(entry.path, package, inside + name)
                if module is not None:
                    yield module

    def _leave_out(self, path: str, why: str | None) -> bool:
        if why is not None:
            self.excluded[Path(path)] = why
        return why is not None


def _module(path: str, package: str, relative: str) -> tuple[str, str, str] | None:
    """Return a module's name, its path, and the problem with them; None if it has no name."""
    stem = relative[relative.rfind("/") + 1 :].removesuffix(".py")
    # The name of a package is that of its folder; the rules folder itself has no name.
    name = package.removesuffix(".") if stem == "__init__" else package + stem
    if not name:
        return None
    if relative.isascii() or encodable(relative) == relative:
        return name, path, ""
    shown = encodable(path)  # the log can't contain the original name
    return encodable(name), shown, "has a name that is not UTF-8: rename it"


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return the device and inode of a folder; None if it does not exist."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _ambiguous(name: str, one: Path, other: Path, folder: Path) -> Source:
    both = " and ".join(str(path.relative_to(folder)) for path in sorted((one, other)))
    problem = f"can't be used, as {both} are both the module {name}: rename or remove one"
    return _unread(name, str(other), problem)


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


def _read(name: str, file: str, known: Source | None) -> Source | None:
    try:
        status = os.stat(file)  # noqa: PTH116
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if (
            known is not None
            and known.stamp == stamp
            and str(known.path) == file
            and not known.problem
        ):
            return known
        data, _ = read_regular(Path(file), MAX_SOURCE_BYTES)
    except UnusableFile as error:
        return _unread(name, file, f"{error}: replace it by a file with the rules")
    except FileNotFoundError:
        return _unread(name, file, "is a link to nothing") if Path(file).is_symlink() else None
    except OSError as error:
        return _unread(name, file, _unreadable(error))
    return Source(name, Path(file), data, version_of(data), stamp)


def _unread(name: str, file: str, problem: str) -> Source:
    return Source(name, Path(file), b"", version_of(problem.encode()), (), problem)


def _unreadable(error: OSError) -> str:
    return f"can't be read, {error.strerror or error}: check its owner and permissions"


def version_of(data: bytes) -> str:
    """Return the version of a source: the first eight digits of a hash of its content."""
    return hashlib.sha256(data).hexdigest()[:8]
