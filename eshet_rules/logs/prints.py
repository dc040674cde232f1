"""Logs the output that rules print, so that an unfinished line can't garble the log."""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final, TextIO

from structlog.typing import FilteringBoundLogger

from eshet.text import type_name

__all__ = ["receiving_prints"]

_LONGEST: Final = 1 << 16
"""Maximum length of an unfinished line, in characters; a longer one is logged in parts."""


@contextlib.contextmanager
def receiving_prints(log: FilteringBoundLogger) -> Iterator[None]:
    """Log each line that is printed to the standard output, within a `with` statement."""
    printed = _Printed(log, sys.stdout)
    with contextlib.redirect_stdout(printed):
        try:
            yield
        finally:
            printed.end_lines()


class _Printed(io.TextIOBase):
    """Replaces the standard output.

    Args:
        log: receives each line, in the context of the code that prints its end.
        stream: the real standard output.
    """

    encoding = "utf-8"

    def __init__(self, log: FilteringBoundLogger, stream: TextIO) -> None:
        super().__init__()
        self._log = log
        self._stream = stream
        self._process = os.getpid()
        self._begun: dict[int, str] = {}  # unfinished lines, by the threads that print them

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return self._stream.fileno()

    def flush(self) -> None:
        """See `io.IOBase`; logged lines are not buffered."""
        if os.getpid() != self._process:
            self._stream.flush()

    def write(self, text: str) -> int:
        """Log all finished lines, and keep the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type_name(text)}")
        if os.getpid() != self._process:  # child processes do not write to the log
            return self._stream.write(text)
        thread = threading.get_ident()
        *lines, rest = (self._begun.pop(thread, "") + text).split("\n")
        if len(rest) > _LONGEST:
            lines.append(rest)
        elif rest:
            self._begun[thread] = rest
        for line in lines:
            self._log.info(line, logger="print")
        return len(text)

    def end_lines(self) -> None:
        """Log all unfinished lines."""
        for line in list(self._begun.values()):
            self._log.info(line, logger="print")
        self._begun.clear()
