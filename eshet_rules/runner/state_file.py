"""A file of the state folder that is read at the start and written as a whole after each change."""

from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.private_files import make_private_folder, write_privately
from eshet_rules.audit.records import StateFileProblem, emit
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
    """

    def __init__(
        self,
        path: Path | None,
        content: type[_T],
        log: FilteringBoundLogger,
        *,
        unreadable: type[StateFileProblem],
        not_written: type[StateFileProblem],
    ) -> None:
        self._path: Final = path
        self._content: Final = content
        self._log = log
        self._unreadable = unreadable
        self._not_written = not_written

    def read(self) -> _T | None:
        """Return the content; None if there is no file, or if it is damaged, which is logged."""
        if self._path is None:
            return None
        try:
            data, _ = read_regular(self._path, MAX_BYTES)
            return msgspec.json.decode(data, type=self._content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            emit(self._log, self._unreadable(file=str(self._path), error=str(error)))
            return None

    def write(self, content: _T) -> None:
        """Replace the content; if that fails, it is logged."""
        if self._path is None:
            return
        try:
            make_private_folder(self._path.parent)
            write_privately(self._path, msgspec.json.format(msgspec.json.encode(content)))
        except OSError as error:
            emit(self._log, self._not_written(file=str(self._path), error=str(error)))
