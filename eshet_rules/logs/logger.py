"""The logger: what each record passes on its way to the trail and to the stream."""

import errno
import logging
import select
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from eshet.cause import current_cause
from eshet.clock import wall_stamp
from eshet_rules.audit.recorder import LEVELS, Recorder
from eshet_rules.logs.errors import format_error, is_expected
from eshet_rules.logs.rendering import renderer, shows_colours

__all__ = ["make_logger"]

_Record = MutableMapping[str, Any]

_LEADING: Final = ("time", "level", "event", "rule", "module", "version", "cause", "parent")


def make_logger(
    stream: TextIO,
    log_format: str = "console",
    *,
    level: str = "info",
    recorder: Recorder | None = None,
) -> FilteringBoundLogger:
    """Make a logger.

    Args:
        stream: where it writes; with colours if that is a terminal.
        log_format: one of `FORMATS`.
        level: from which on it writes there; one of `eshet_rules.audit.recorder.LEVELS`.
        recorder: is given all records, and gives its own to the stream.
    """
    recorder = recorder or Recorder()
    shown = _Stream(stream, recorder)
    render = renderer(log_format, shows_colours(stream), with_causes=level == "debug")
    recorder.show_on(lambda record: shown.msg(render(None, "", record)), level)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        shown,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_time,
            _add_cause,
            _format_error,
            _Keeper(recorder, LEVELS[level]),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    ).bind()
    return logger


_PATIENCE_MS: Final = 200
"""How long a stream may be full before lines are dropped, in milliseconds: well below what a rule
may take."""


class _Stream:
    """Writes lines to a stream. Where it can't, it says so in the trail, and stops nobody.

    Nobody waits for a terminal that is stopped, as by Ctrl-S, or for a program that does not read
    what it is piped: that would hold up all rules.

    Args:
        stream: to write to.
        recorder: is told once that it can't.
    """

    def __init__(self, stream: TextIO, recorder: Recorder) -> None:
        self._print = structlog.PrintLogger(stream).msg
        self._room = _room_in(stream)
        self._recorder = recorder
        self._failed = False

    def msg(self, line: str) -> None:
        """Write a line, or drop it."""
        try:
            if self._room is not None and not self._room.poll(0 if self._failed else _PATIENCE_MS):
                raise BlockingIOError(errno.EAGAIN, "nobody reads it")
            self._print(line)
        except (OSError, ValueError) as error:  # a full disk; nobody reads; it is closed
            if not self._failed:
                self._failed = True
                self._recorder.keep(
                    {
                        "time": wall_stamp(),
                        "level": "error",
                        "event": "can't show the log",
                        "error": str(error),
                    }
                )
        else:
            self._failed = False

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _room_in(stream: TextIO) -> "select.poll | None":
    """Return what tells whether a stream takes a line at once; None for one that is no file."""
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    room = select.poll()
    room.register(number, select.POLLOUT)
    return room


class _Keeper:
    """A processor that takes out secrets, gives a record to the recorder, and may stop it there.

    Args:
        recorder: takes the record.
        shown_from: the level from which on it goes on to the stream.
    """

    def __init__(self, recorder: Recorder, shown_from: int) -> None:
        self._recorder = recorder
        self._shown_from = shown_from

    def __call__(self, logger: object, method: str, record: _Record) -> _Record:
        """See structlog's processors."""
        if self._recorder.redaction:
            self._recorder.redaction.record(record)
        record = _in_order(record)
        self._recorder.keep(record)
        if LEVELS.get(record["level"], 0) < self._shown_from:
            raise structlog.DropEvent
        return record


def _add_time(logger: object, method: str, record: _Record) -> _Record:
    record["time"] = wall_stamp()
    return record


def _add_cause(logger: object, method: str, record: _Record) -> _Record:
    cause = current_cause()
    if cause is not None:
        record["cause"] = cause.id
        if cause.parent_id is not None:
            record["parent"] = cause.parent_id
    return record


def _format_error(logger: object, method: str, record: _Record) -> _Record:
    error = record.pop("exc_info", None)
    if isinstance(error, BaseException):
        record["error"] = "".join(traceback.format_exception_only(error)).strip()
        if not is_expected(error):
            record["traceback"] = format_error(error)
    return record


def _in_order(record: _Record) -> dict[str, Any]:
    leading = {name: record[name] for name in _LEADING if record.get(name) is not None}
    return leading | {name: v for name, v in record.items() if name not in _LEADING}
