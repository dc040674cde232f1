"""What rules print, as records: half a line must not spoil the next line of the log."""

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
"""Characters that may wait for the end of their line."""


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
    """Stands for the standard output.

    Args:
        log: is given each line, in the context of who prints its end.
        stream: the standard output itself, for who asks for its file.
    """

    encoding = "utf-8"

    def __init__(self, log: FilteringBoundLogger, stream: TextIO) -> None:
        super().__init__()
        self._log = log
        self._stream = stream
        self._process = os.getpid()
        self._begun: dict[int, str] = {}  # lines without an end, by the threads that print them

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return self._stream.fileno()

    def flush(self) -> None:
        """See `io.IOBase`; what is logged waits for nothing."""
        if os.getpid() != self._process:
            self._stream.flush()

    def write(self, text: str) -> int:
        """Log the lines that end here; the rest waits for its end."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type_name(text)}")
        if os.getpid() != self._process:  # a child, which has no part in the log
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
        """Log what has no end."""
        for line in list(self._begun.values()):
            self._log.info(line, logger="print")
        self._begun.clear()
