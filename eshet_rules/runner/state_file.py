"""A file of the state folder that is read at the start and written as a whole after each change."""

import contextlib
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.private_files import make_private_folder, write_privately
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import StateFileProblem
from eshet_rules.regular_files import read_regular

__all__ = ["MAX_BYTES", "StateFile"]

MAX_BYTES: Final = 256 << 20
"""Maximum size of a file that is read; it may have the sources of many modules."""

_T = TypeVar("_T")


class StateFile(Generic[_T]):
    """A JSON file that only its owner can read.

    Args:
        path: the path of the file; None to keep no file.
        content: the type of its content.
        log: receives errors.
        unreadable: the record of an error in reading it.
        not_written: the record of an error in writing it.
        keeps_damaged: whether a file that can't be read is renamed: `.damaged` is added.
    """

    def __init__(
        self,
        path: Path | None,
        content: type[_T],
        log: FilteringBoundLogger,
        *,
        unreadable: type[StateFileProblem],
        not_written: type[StateFileProblem],
        keeps_damaged: bool = False,
    ) -> None:
        self._path: Final = path
        self._content: Final = content
        self._log = log
        self._unreadable = unreadable
        self._not_written = not_written
        self._keeps_damaged = keeps_damaged
        self.is_damaged: bool = False
        """Whether the file could not be read."""
        self.damaged: Path | None = None
        """Where a file is kept that could not be read."""

    def read(self) -> _T | None:
        """Return the content; None if the file does not exist, or is damaged, which is logged."""
        if self._path is None:
            return None
        try:
            data, _ = read_regular(self._path, MAX_BYTES)
            return msgspec.json.decode(data, type=self._content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            emit(self._log, self._unreadable(file=str(self._path), error=str(error)))
            self.is_damaged = True
            if self._keeps_damaged:
                self._keep_damaged(self._path)
            return None

    def _keep_damaged(self, path: Path) -> None:
        aside = path.with_name(f"{path.name}.damaged")
        with contextlib.suppress(OSError):
            path.replace(aside)
            self.damaged = aside

    def write(self, content: _T) -> None:
        """Replace the content; if that fails, it is logged."""
        if self._path is None:
            return
        try:
            make_private_folder(self._path.parent)
            write_privately(self._path, msgspec.json.format(msgspec.json.encode(content)))
        except OSError as error:
            emit(self._log, self._not_written(file=str(self._path), error=str(error)))
