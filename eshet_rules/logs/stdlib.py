"""Logs messages of the standard library's `logging` and `warnings`, and errors of threads.

Python warns about a coroutine that was never awaited when it is freed, which may happen while any
rule runs. So the warning is logged without the fields of a rule, with the place of the call.
"""

import contextlib
import contextvars
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.exceptions import WrongThread
from eshet.text import safe_repr, safe_str
from eshet.user_errors import error_text, is_error
from eshet_rules.audit.records.rules import CoroutineNeverAwaited, ThreadFailed
from eshet_rules.audit.records.schema import emit

__all__ = ["receiving_stdlib_logs"]

_LEVELS: Final = {
    "": logging.INFO,
    "eshet.client": logging.WARNING,  # each module has a client that logs when it connects
    "watchfiles": logging.WARNING,  # it logs every change
}


@contextlib.contextmanager
def receiving_stdlib_logs(
    log: FilteringBoundLogger, module_of: Callable[[str], str | None] = lambda file: None
) -> Iterator[None]:
    """Log messages of `logging` and `warnings` to `log`, within a `with` statement.

    Errors that end a thread are logged as well. If such an error is that the thread used a Value
    of a rule, it is reported as an error of that rule.

    Args:
        log: receives the messages.
        module_of: returns the name of the module of rules that a file contains; None for another.
    """
    handler = _ToStructlog(log, module_of)
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in _LEVELS}
    root.addHandler(handler)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    depth_before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(max(depth_before, 1))
    try:
        with receiving_errors_of_threads(log):
            yield
    finally:
        sys.set_coroutine_origin_tracking_depth(depth_before)
        logging.captureWarnings(False)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(handler)


@contextlib.contextmanager
def receiving_errors_of_threads(log: FilteringBoundLogger) -> Iterator[None]:
    """Log the errors with which threads end, within a `with` statement."""

    def end_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        name = "" if args.thread is None else args.thread.name
        error: Any = args.exc_value
        if is_error(error, WrongThread) and error.scope is not None:
            error.scope.report(error, f"thread {name}")  # the scope of the rule with that Value
        else:
            emit(log, ThreadFailed(thread=name), error=error)

    before, threading.excepthook = threading.excepthook, end_of_thread
    try:
        yield
    finally:
        threading.excepthook = before


_NEVER_AWAITED: Final = re.compile(r"coroutine '(?P<name>[^']*)' was never awaited")
_OF_CLIENT: Final = re.compile(r"^(RecordingClient|ClientView)\.")
"""The classes of a rule's client, which are named `Client` in its documentation."""

_ORIGIN: Final = re.compile(r'File "(?P<file>[^"\n]*)", line (?P<line>\d+)')


class _ToStructlog(logging.Handler):
    """Passes records of `logging` on to structlog.

    Args:
        log: see `receiving_stdlib_logs`.
        module_of: see there.
    """

    def __init__(self, log: FilteringBoundLogger, module_of: Callable[[str], str | None]) -> None:
        super().__init__()
        self._log = log
        self._module_of = module_of

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            message, fields = _message_of(record)
            if record.name == "py.warnings" and self._log_never_awaited(message):
                return
            if record.exc_info and record.exc_info[1] is not None:
                fields["exc_info"] = record.exc_info[1]
            self._log.log(_known_level(record.levelno), message, logger=record.name, **fields)
        except Exception:
            self.handleError(record)

    def _log_never_awaited(self, message: str) -> bool:
        """Log a warning about a coroutine that was never awaited; return whether it is one."""
        found = _NEVER_AWAITED.search(message)
        if found is None:
            return False
        origin = _ORIGIN.search(message, found.end())
        event = CoroutineNeverAwaited(
            coroutine=_OF_CLIENT.sub("Client.", found["name"]),
            module=None if origin is None else self._module_of(origin["file"]),
            file=None if origin is None else origin["file"],
            line=None if origin is None else int(origin["line"]),
            advice="the call did nothing: write `await` before it",
        )
        contextvars.Context().run(emit, self._log, event)  # without fields of a rule
        return True


def _message_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Return the text of a record, and the fields that say why its arguments don't fit, if so."""
    try:
        return record.getMessage(), {}
    except Exception as error:
        return safe_str(record.msg), {
            "args": safe_repr(record.args),
            "problem": error_text(error),
            "advice": "the text needs a %s for each argument; for fields use the `log` of the rule",
            "file": record.pathname,
            "line": record.lineno,
        }


def _known_level(number: int) -> int:
    """Return the next lower level that structlog has: libraries use levels of their own."""
    return min(max(number // 10 * 10, logging.DEBUG), logging.CRITICAL)
