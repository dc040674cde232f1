"""The committed content of the rules folder, which runs while saved changes wait.

It is kept in a file, so that a restart of the runner does not run a change that was not committed.
Without that file, the versions that were live last count as committed. The files do so only at the
first start, when no version was live before.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import (
    CommittedFromFiles,
    CommittedNotWritten,
    CommittedRestored,
    CommittedUnreadable,
)
from eshet_rules.config import WatchSettings
from eshet_rules.exceptions import VersionNotFound
from eshet_rules.modules.discovery import Source, version_of
from eshet_rules.reload.version_store import KeptVersion, VersionStore
from eshet_rules.runner.state_file import StateFile

__all__ = ["Committed", "WaitingChange", "committed_sources", "last_live_sources"]


class WaitingChange(NamedTuple):
    """A saved change that is not committed.

    Args:
        version: the committed version of the module; None if the module is new.
        file_version: the version of its file; None if the file was deleted.
    """

    version: str | None
    file_version: str | None


class _File(msgspec.Struct, frozen=True):
    """A committed module in the file.

    Args:
        path: the path of its file.
        data: its source.
        problem: see `Source`.
    """

    path: str
    data: bytes
    problem: str = ""


class Committed:
    """The committed sources of all modules.

    Without a file, these are the last live ones, or else the first content of the folder.

    Args:
        path: the path of the file; None to keep no file.
        log: receives an error if the file can't be read or written, and which sources run then.
        last_live: returns the last live sources, given the content of the rules folder.
    """

    def __init__(
        self,
        path: Path | None,
        log: FilteringBoundLogger,
        last_live: Callable[[Mapping[str, Source]], dict[str, Source]] = lambda found: {},
    ) -> None:
        self._log = log
        self._last_live = last_live
        self._file: Final = StateFile(
            path,
            dict[str, _File],
            log,
            unreadable=CommittedUnreadable,
            not_written=CommittedNotWritten,
            keeps_damaged=True,
        )
        kept = self._file.read()
        self._all = None if kept is None else {n: _source(n, file) for n, file in kept.items()}
        self._staged: dict[str, Source | None] = {}
        self.waiting: Mapping[str, WaitingChange] = {}
        """The changes that wait, by the names of modules, as of the last `apply`."""

    @property
    def staged(self) -> Mapping[str, Source | None]:
        """The sources that are being committed, None for no module; they are not yet live."""
        return self._staged

    def apply(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return the committed and the staged sources, and note the changes that wait.

        Args:
            sources: the present content of the rules folder.
        """
        if self._all is None:
            live = self._last_live(sources)
            self._all = live or dict(sources)
            self._write()
            if self._file.is_damaged or (live and _versions(live) != _versions(sources)):
                self._log_replaced(self._all, sources, is_live=bool(live))
        committed = _changed(self._all, self._staged)
        names = sorted({*committed, *sources})
        changes = {n: WaitingChange(_version(committed, n), _version(sources, n)) for n in names}
        self.waiting = {n: each for n, each in changes.items() if each.version != each.file_version}
        return {name: self._placed(source, sources.get(name)) for name, source in committed.items()}

    def stage(self, names: Iterable[str], sources: Mapping[str, Source]) -> None:
        """Let `apply` return the changes of some modules, which are not yet in the file.

        So if the runner is killed before they are live, the next start does not run them.

        Args:
            names: the names of the modules.
            sources: the present content of the rules folder.
        """
        self._staged = {name: sources.get(name) for name in names}

    def keep(self, names: Iterable[str]) -> None:
        """Commit staged changes of some modules, as they are live."""
        live = {name: self._staged.pop(name) for name in names if name in self._staged}
        if live:
            self.put(live)

    def unstage(self) -> list[str]:
        """Drop the staged changes, and return the names of their modules."""
        dropped, self._staged = list(self._staged), {}
        return dropped

    def put(self, sources: Mapping[str, Source | None]) -> None:
        """Make these the committed sources, None for no module."""
        self._all = _changed(self._all or {}, sources)
        self._write()

    def write_again(self) -> None:
        """Write the file again after it was deleted."""
        if self._all is not None:
            self._write()

    def _log_replaced(
        self, used: Mapping[str, Source], sources: Mapping[str, Source], *, is_live: bool
    ) -> None:
        event = CommittedRestored if is_live else CommittedFromFiles
        emit(
            self._log,
            event(
                modules=[f"{name}@{version}" for name, version in _versions(used).items()],
                damaged=None if self._file.damaged is None else str(self._file.damaged),
                advice="nothing has to be done: the files have these versions"
                if _versions(used) == _versions(sources)
                else "`eshet-rules list` shows which files have other versions, and "
                "`eshet-rules commit` applies these",
            ),
        )

    def _placed(self, source: Source, on_disk: Source | None) -> Source:
        """Return a committed source at the present path of its file, if there is one."""
        if on_disk is None:
            return source
        if on_disk.version == source.version:
            return on_disk
        return dataclasses.replace(source, path=on_disk.path, stamp=on_disk.stamp)

    def _write(self) -> None:
        self._file.write(
            {
                name: _File(str(each.path), each.data, each.problem)
                for name, each in (self._all or {}).items()
            }
        )


def committed_sources(
    settings: WatchSettings,
    place: Path | None,
    log: FilteringBoundLogger,
    last_live: Callable[[Mapping[str, Source]], dict[str, Source]] = lambda found: {},
) -> Committed | None:
    """Return the committed sources; None if each save is committed at once.

    In that case the file of an earlier start is removed: it would soon be out of date. The next
    start with waiting saves has the versions that were live last.

    Args:
        settings: whether saves wait.
        place: the state folder; None to keep no state.
        log: see `Committed`.
        last_live: see `Committed`.
    """
    path = None if place is None else place / "committed.json"
    if settings.commit == "ask":
        return Committed(path, log, last_live)
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return None


def last_live_sources(
    store: VersionStore,
    folder: Path,
    ran: Collection[str],
    rolled_back: Mapping[str, str],
    found: Mapping[str, Source],
) -> dict[str, Source]:
    """Return the sources that were live last, by the names of modules; none if none were.

    A file that is new since then is left out. If the file of a module is gone, the module is
    included if it ran or is a helper: whether its removal was committed is not known.

    Args:
        store: the versions that were live.
        folder: the rules folder.
        ran: the modules that ran when the runner ended.
        rolled_back: the versions from which modules are rolled back. These are the committed ones.
        found: the present content of the rules folder.
    """
    names = store.modules()
    live: dict[str, Source] = {}
    for name in names:
        is_package = any(each.startswith(f"{name}.") for each in names)
        file = f"{name.replace('.', '/')}{'/__init__' if is_package else ''}.py"
        path = found[name].path if name in found else folder / file
        committed = rolled_back.get(name)
        for kept in sorted(store.versions(name), key=_is_other_than(committed)):
            with contextlib.suppress(VersionNotFound):  # damaged as well: the one before it
                source = Source(name, path, store.read(kept), kept.version, ())
                if name in found or name in ran or source.is_helper:
                    live[name] = source
                break
    return live


def _is_other_than(version: str | None) -> Callable[[KeptVersion], bool]:
    return lambda kept: kept.version != version


def _changed(
    sources: Mapping[str, Source], changes: Mapping[str, Source | None]
) -> dict[str, Source]:
    """Return sources with some of them changed, None for no module."""
    changed = {**sources, **changes}
    return {name: source for name, source in changed.items() if source is not None}


def _versions(sources: Mapping[str, Source]) -> dict[str, str]:
    return {name: sources[name].version for name in sorted(sources)}


def _version(sources: Mapping[str, Source], name: str) -> str | None:
    return sources[name].version if name in sources else None


def _source(name: str, file: _File) -> Source:
    version = version_of(file.problem.encode() if file.problem else file.data)
    return Source(name, Path(file.path), file.data, version, (), file.problem)
