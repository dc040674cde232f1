"""Modules that were rolled back: they run an earlier version until their files change.

They are kept in a file, with the sources that run, so that a restart of the runner does not run a
version again from which a module was rolled back.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.modules import RollBackEnded
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import RollBacksNotWritten, RollBacksUnreadable
from eshet_rules.modules.discovery import Source, version_of
from eshet_rules.reload.version_store import check_moment
from eshet_rules.runner.state_file import StateFile

__all__ = ["RollBack", "RollBacks"]


class RollBack(msgspec.Struct, frozen=True):
    """A module that was rolled back.

    Args:
        file_version: the version of its file, which does not run.
        version: the version that runs.
        since: when it was rolled back.
        by: who did it: a user, or `probation`.
        why: the reason; may be empty.
        data: the source that runs.
    """

    file_version: str
    version: str
    since: datetime
    by: str
    why: str
    data: bytes

    def __post_init__(self) -> None:
        check_moment(self.since)


class RollBacks:
    """The modules that are rolled back, by name.

    Args:
        path: the path of the file; None to keep no file.
        log: receives an error if the file can't be read or written, and the end of each roll-back.
    """

    def __init__(self, path: Path | None, log: FilteringBoundLogger) -> None:
        self._log = log
        self._file: Final = StateFile(
            path,
            dict[str, RollBack],
            log,
            unreadable=RollBacksUnreadable,
            not_written=RollBacksNotWritten,
        )
        self._all = {
            name: msgspec.structs.replace(each, since=each.since.astimezone(UTC))
            for name, each in (self._file.read() or {}).items()
            if version_of(each.data) == each.version
        }
        self._suspended: dict[str, RollBack] = {}  # in the file, but not in effect

    def all(self) -> Mapping[str, RollBack]:
        """Return all modules that are rolled back."""
        return dict(self._all)

    def get(self, module: str) -> RollBack | None:
        """Return the roll-back of a module; None if it runs the version of its file."""
        return self._all.get(module)

    def put(self, module: str, roll_back: RollBack | None) -> None:
        """Roll a module back, or end its roll-back with None, at the next `apply`."""
        if roll_back is not None:
            self._all[module] = roll_back
        elif self._all.pop(module, None) is None:
            return
        self._write()

    def suspend(self, modules: Iterable[str]) -> None:
        """Let modules run the versions of their files until `resume` or `end`.

        The file keeps the roll-backs, so that they are in effect again if the runner is killed.
        """
        for module in modules:
            if (roll_back := self._all.pop(module, None)) is not None:
                self._suspended[module] = roll_back

    def resume(self, modules: Iterable[str]) -> None:
        """Put suspended roll-backs into effect again, at the next `apply`."""
        for module in modules:
            if (roll_back := self._suspended.pop(module, None)) is not None:
                self._all.setdefault(module, roll_back)

    def end(self, live: Mapping[str, str]) -> None:
        """End the suspended roll-backs of modules of which other versions are live.

        Args:
            live: these versions, by the names of the modules.
        """
        ended = [name for name in live if self._suspended.pop(name, None) is not None]
        if ended:
            self._write()
        for name in ended:
            emit(self._log, RollBackEnded(module=name, version=live[name]))

    def apply(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return the sources to run, and end the roll-backs of modules with changed files.

        The roll-back of a module without a file, or with one that can't be read, does not end:
        editors and deployments remove a file for a moment.

        Args:
            sources: the present content of the rules folder.
        """
        applied = dict(sources)
        for name, roll_back in list(self._all.items()):
            source = sources.get(name)
            if source is None or source.problem:
                continue
            if source.version == roll_back.file_version:
                version, data = roll_back.version, roll_back.data
                applied[name] = dataclasses.replace(source, version=version, data=data)
            else:
                emit(self._log, RollBackEnded(module=name, version=source.version))
                self.put(name, None)
        return applied

    def write_again(self) -> None:
        """Write the file again after it was deleted."""
        if self._all or self._suspended:
            self._write()

    def _write(self) -> None:
        self._file.write({**self._suspended, **self._all})
