"""What comes through the standard library's `logging` and `warnings`."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

__all__ = ["receiving_stdlib_logs"]

_LEVELS: Final = {
    "": logging.INFO,
    "eshet.client": logging.WARNING,  # each module has a client, and each tells when it connects
    "watchfiles": logging.WARNING,  # it tells of all that it sees
}


@contextlib.contextmanager
def receiving_stdlib_logs(log: FilteringBoundLogger) -> Iterator[None]:
    """Log what comes through `logging` and `warnings` to `log`, within a `with` statement."""
    handler = _ToStructlog(log)
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in _LEVELS}
    root.addHandler(handler)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(handler)


class _ToStructlog(logging.Handler):
    """Passes records of `logging` on."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                fields["exc_info"] = record.exc_info[1]
            self._log.log(record.levelno, record.getMessage(), **fields)
        except Exception:
            self.handleError(record)
