"""Rules that were enabled or disabled by command, kept in a file across restarts."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.private_files import make_private_folder, write_privately
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import OverridesNotWritten, OverridesUnreadable
from eshet_rules.regular_files import read_regular
from eshet_rules.runner.state_file import MAX_BYTES

__all__ = ["RuleSwitches"]


class RuleSwitches:
    """Rules that were enabled or disabled by command, which takes precedence over configuration.

    Args:
        path: the path of the file; None to keep no file.
        log: receives an error if the file can't be read or written.
    """

    def __init__(self, path: Path | None, log: FilteringBoundLogger) -> None:
        self._path: Final = path
        self._log = log
        self._on = self._read()

    def all(self) -> dict[str, bool]:
        """Return for each such rule whether it was enabled or disabled."""
        return dict(self._on)

    def switch(self, rules: Iterable[str], on: bool | None) -> None:
        """Enable or disable rules, and write the file.

        Args:
            rules: the full names of the rules.
            on: whether to enable them; None to let the configuration decide again.
        """
        for rule in rules:
            if on is None:
                self._on.pop(rule, None)
            else:
                self._on[rule] = on
        self._write()

    def write_again(self) -> None:
        """Write the file again after it was deleted."""
        if self._on:
            self._write()

    def _read(self) -> dict[str, bool]:
        if self._path is None:
            return {}
        try:
            content = json.loads(read_regular(self._path, MAX_BYTES)[0])
            if not isinstance(content, dict):
                raise ValueError("it is not a JSON object")  # noqa: TRY004 - the file is wrong
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            emit(self._log, OverridesUnreadable(file=str(self._path), error=str(error)))
            return {}
        return {rule: on for rule, on in content.items() if isinstance(on, bool)}

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._on, indent=1, sort_keys=True)
        try:
            make_private_folder(self._path.parent)
            write_privately(self._path, f"{text}\n".encode())
        except OSError as error:
            emit(self._log, OverridesNotWritten(file=str(self._path), error=str(error)))
