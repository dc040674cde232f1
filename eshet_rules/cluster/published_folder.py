"""Keeps a rules folder equal to a publication, without losing what was changed by hand.

    FOLDER/.eshet-rules-published.json     the files that were written here, and their hashes
    FOLDER/.replaced/TIME/                 files that were changed by hand, and then replaced
    FOLDER/.publication-*/                 new files, before they are renamed

The system renames a file in one step, so no reader ever sees a part of one. A folder without the
first file never had published rules: if it has modules that are not published, it stays as it is.
Everything here blocks: call it in a thread.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import msgspec

from eshet.private_files import write_privately
from eshet_rules.cluster.publication import digest_of, problem_with_path
from eshet_rules.exceptions import RulesNotPublished
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES, Discovery
from eshet_rules.regular_files import read_regular

__all__ = ["MARKER", "REPLACED", "PublishedFolder", "Replaced"]

MARKER: Final = ".eshet-rules-published.json"
"""The name of the file that says what was written into a rules folder."""

REPLACED: Final = ".replaced"
"""The name of the folder with files that were changed by hand and then replaced."""

_NEW: Final = ".publication-"
_MAX_MARKER_BYTES: Final = 64 << 20
_FILE_MODE: Final = 0o644
_CACHE: Final = "__pycache__"
_ATTEMPTS: Final = 5
"""Number of times that a publication is taken over again as files are saved meanwhile."""


class _Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What was written into a rules folder.

    Args:
        hash: of the publication.
        files: the hashes of its files, by path.
        coming: those of the one that is being written; after `kill -9`, some of them are there.
    """

    hash: str = ""
    files: dict[str, str] = {}
    coming: dict[str, str] = {}

    def has_written(self, path: str, digest: str) -> bool:
        """Whether a file with this content was written here."""
        return digest in (self.files.get(path), self.coming.get(path))


class Replaced(NamedTuple):
    """What was changed in a rules folder: paths relative to it, in order.

    Args:
        added: new files.
        changed: files with another content.
        removed: files that were deleted.
        aside: files, folders and links that were not published, or changed by hand since.
        place: the folder with these, relative to the rules folder; empty if there are none.
    """

    added: list[str]
    changed: list[str]
    removed: list[str]
    aside: list[str]
    place: str


@dataclass
class _Plan:
    """What is to be done.

    Args:
        write: the files to write.
        changed: those of them that replace others.
        remove: the files to delete, which were written here.
        aside: what was not written here, and is in the way or a module.
    """

    write: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)


class PublishedFolder:
    """A rules folder that is kept equal to what is published.

    Args:
        folder: the rules folder.
        exclude: globs of files and folders in it that are no modules.
        turn: held while files are renamed, so that whoever holds it meanwhile sees all or none.
    """

    def __init__(self, folder: Path, exclude: Sequence[str], turn: Lock) -> None:
        self.path: Final = folder
        """The path of the folder."""
        self._discovery: Final = Discovery(folder, exclude)
        self._turn: Final = turn

    @property
    def hash(self) -> str:
        """The hash of the publication that was taken over last; empty if there is none."""
        marker = self._marker()
        return "" if marker is None or marker.coming else marker.hash

    def differing(self) -> list[str]:
        """Return what differs from the publication that was taken over last, in order."""
        marker = self._marker() or _Marker()
        paths = {*marker.files, *self._modules()}
        return sorted(path for path in paths if self._digest(path) != marker.files.get(path))

    def contents(self, digests: Mapping[str, str]) -> dict[str, bytes]:
        """Return the contents of those files that are there already, by path.

        Args:
            digests: the hashes of the files, by path.
        """
        found: dict[str, bytes] = {}
        for path, digest in digests.items():
            data = self._read(path)
            if data is not None and digest_of(data) == digest:
                found[path] = data
        return found

    def take_over(self, publication: str, contents: Mapping[str, bytes], now: str) -> Replaced:
        """Make the files in the folder those of a publication, in one step for other readers.

        Files that were changed by hand are moved aside.

        Args:
            publication: its hash.
            contents: of all of its files, by path; see `problem_with_path`.
            now: a name for the folder of what is moved aside, such as the present time.

        Raises:
            RulesNotPublished: the folder never had published rules, and has other ones. It stays
                as it is.
            OSError: a file can't be written; what was written before is completed the next time.
        """
        digests = {path: digest_of(data) for path, data in contents.items()}
        with self._alone():
            before = self._marker()
            plan = self._checked_plan(before, digests)
            for _ in range(_ATTEMPTS):
                with self._new_files(plan.write, contents) as new, self._turn:
                    present = self._checked_plan(before, digests)
                    if present == plan:
                        place = self._free_place(now) if plan.aside else ""
                        self._write_marker(before or _Marker(), coming=digests)
                        self._apply(plan, new, place)
                        break
                    plan = present  # files were saved while the new ones were written
            else:
                raise OSError(errno.EBUSY, "its files change all the time", str(self.path))
            self._write_marker(_Marker(hash=publication, files=digests))
        added = sorted({*plan.write} - {*plan.changed})
        return Replaced(added, plan.changed, plan.remove, plan.aside, place)

    # --- what is to be done -------------------------------------------------------------------

    def _checked_plan(self, marker: _Marker | None, digests: Mapping[str, str]) -> _Plan:
        """Return the plan; see `take_over` for the error.

        Args:
            marker: what was written here; None if nothing was.
            digests: the hashes of the published files.
        """
        plan = self._plan(marker or _Marker(), digests)
        if marker is None and plan.aside:
            raise RulesNotPublished(self.path, plan.aside)
        return plan

    def _plan(self, marker: _Marker, digests: Mapping[str, str]) -> _Plan:
        """Return what is to be done, given the hashes of the published files."""
        plan, aside = _Plan(), set[str]()
        for path in sorted({*digests, *marker.files, *marker.coming, *self._modules()}):
            digest = self._digest(path)
            if digest is not None and digest == digests.get(path):
                continue
            if path in digests:
                plan.write.append(path)
                if digest is not None:
                    plan.changed.append(path)
            place = self._in_way(path)
            if place is None:
                continue
            if not self._is_own(place, marker):
                aside.add(place)
            elif path not in digests and place == path:
                plan.remove.append(path)
        plan.aside = sorted(each for each in aside if not _is_in(each, aside - {each}))
        # What is right already, but can be reached through such a link, goes with it.
        plan.write += sorted({p for p in digests if _is_in(p, aside)} - {*plan.write})
        return plan

    def _in_way(self, path: str) -> str | None:
        """Return what a new file at this path would replace: a link, a file or a folder.

        It is at the path, or where a folder above it would be.
        """
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            place = "/".join(parts[:depth])
            full = self.path / place
            if full.is_symlink() or (os.path.lexists(full) and not full.is_dir()):
                return place
        return path if os.path.lexists(self.path / path) else None

    def _is_own(self, path: str, marker: _Marker) -> bool:
        """Whether this was written here and not changed since; of a folder, all that is in it."""
        full = self.path / path
        if full.is_symlink():
            return False
        if not full.is_dir():
            return marker.has_written(path, self._digest(path) or "")
        names = [name for name in os.listdir(full) if name != _CACHE]  # noqa: PTH208 - only names
        return all(self._is_own(f"{path}/{name}", marker) for name in names)

    def _modules(self) -> list[str]:
        """Return the paths of all modules that are in the folder."""
        return [file.relative_to(self.path).as_posix() for file in self._discovery.files()]

    def _digest(self, path: str) -> str | None:
        """Return the hash of a file; None if there is none, and "" for what can't be read."""
        if not os.path.lexists(self.path / path):
            return None
        data = self._read(path)
        return "" if data is None else digest_of(data)

    def _read(self, path: str) -> bytes | None:
        try:
            return read_regular(self.path / path, MAX_SOURCE_BYTES)[0]
        except OSError:
            return None

    # --- doing it -----------------------------------------------------------------------------

    def _apply(self, plan: _Plan, new: Mapping[str, Path], place: str) -> None:
        for path in plan.aside:
            target = self.path / place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.path / path).rename(target)
        for path in plan.remove:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                (self.path / path).unlink()  # it may have been moved aside with its folder
            for parent in Path(path).parents[:-1]:
                _remove_empty(self.path / parent)
        for path in plan.write:
            target = self.path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_empty(target)
            new[path].replace(target)

    @contextlib.contextmanager
    def _new_files(
        self, paths: Collection[str], contents: Mapping[str, bytes]
    ) -> Iterator[dict[str, Path]]:
        """Write new files into a folder of their own, and yield where each of them is."""
        for left in self.path.glob(f"{_NEW}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        place = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.path))
        try:
            new = {path: place / str(number) for number, path in enumerate(paths)}
            for path, file in new.items():
                _write(file, contents[path])
            yield new
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _free_place(self, name: str) -> str:
        place, number = f"{REPLACED}/{name}", 1
        while os.path.lexists(self.path / place):
            number += 1
            place = f"{REPLACED}/{name}-{number}"
        return place

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a lock on the folder, as another runner may have the same one."""
        number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # some file systems have no locks
                fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    # --- the marker ---------------------------------------------------------------------------

    def _marker(self) -> _Marker | None:
        """Return what was written here; None if nothing was, or that is not known any more."""
        try:
            data, _ = read_regular(self.path / MARKER, _MAX_MARKER_BYTES)
            marker = msgspec.json.decode(data, type=_Marker)
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if any(problem_with_path(path) for path in {*marker.files, *marker.coming}):
            return None
        return marker

    def _write_marker(self, marker: _Marker, coming: Mapping[str, str] | None = None) -> None:
        marker = msgspec.structs.replace(marker, coming=dict(coming or {}))
        write_privately(self.path / MARKER, msgspec.json.encode(marker))


def _write(file: Path, data: bytes) -> None:
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(number, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())  # else the renamed file may be empty after a power cut


def _remove_empty(folder: Path) -> None:
    """Remove a folder without files, if there is one; a cache of Python counts as none."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for inner in folder.iterdir():
        if inner.name == _CACHE:
            shutil.rmtree(inner, ignore_errors=True)
        else:
            _remove_empty(inner)
    with contextlib.suppress(OSError):  # there is a file
        folder.rmdir()


def _is_in(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of these places, or below one of them."""
    parts = path.split("/")
    return any("/".join(parts[:depth]) in places for depth in range(1, len(parts) + 1))
