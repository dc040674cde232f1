"""The logger: processes each record for the audit trail and the stream."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from eshet.cause import current_cause
from eshet.clock import wall_stamp
from eshet.user_errors import error_text, is_error, plain_error
from eshet_rules.audit.recorder import LEVELS, Recorder
from eshet_rules.logs.advice import advice_on
from eshet_rules.logs.errors import format_error, is_expected
from eshet_rules.logs.line_writer import LineWriter
from eshet_rules.logs.rendering import renderer, shows_colours

__all__ = ["make_logger"]

_Record = MutableMapping[str, Any]

_RESERVED: Final = frozenset(
    ("time", "level", "logger", "rule", "module", "version", "cause", "parent", "crc")
)
"""Fields that only the runner may set: they identify the record and its source."""

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
        stream: the stream to write to; with colours if it is a terminal.
        log_format: one of `FORMATS`.
        level: the lowest level to write there; one of `eshet_rules.audit.recorder.LEVELS`.
        recorder: receives all records; its own records are written to the stream.
    """
    recorder = recorder or Recorder()
    render = renderer(log_format, shows_colours(stream), with_causes=level == "debug")
    shown = LineWriter(stream, recorder, lambda record: str(render(None, "", record)))
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
        wrapper_class=_BoundLogger,
    ).bind()
    return logger


# mypy does not know classes that are created at run time.
_Filtering: Any = structlog.make_filtering_bound_logger(logging.DEBUG)


class _BoundLogger(_Filtering):  # type: ignore[misc]
    """A logger that keeps a rule's fields from replacing those of the runner.

    A field that a rule calls `module` is logged as `module_`.
    """

    def bind(self, **new_values: Any) -> "_BoundLogger":
        """See structlog."""
        bound: _BoundLogger = super().bind(**self._set_apart(new_values))
        return bound

    def _process_event(self, method_name: str, event: str | None, event_kw: dict[str, Any]) -> Any:
        return super()._process_event(method_name, event, self._set_apart(event_kw))

    def _set_apart(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "logger" not in self._context or fields.keys().isdisjoint(_RESERVED):
            return fields
        return {f"{n}_" if n in _RESERVED else n: value for n, value in fields.items()}


class _Keeper:
    """A processor that removes secrets, passes a record to the recorder, and filters by level.

    Args:
        recorder: keeps the record.
        shown_from: the lowest level that the stream shows.
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
    error = _error_of(record.pop("exc_info", None))
    if error is not None:
        error = plain_error(error)
        record["error"] = error_text(error)
        advice = advice_on(error)
        if advice is not None and "advice" not in record:
            record["advice"] = advice
        if not is_expected(error):
            record["traceback"] = format_error(error)
    return record


def _error_of(exc_info: Any) -> BaseException | None:
    """Return the error of an argument `exc_info`, which may be of each kind that `logging` takes.

    Args:
        exc_info: an error, a tuple of `sys.exc_info()`, or True for the error being handled.
    """
    if issubclass(type(exc_info), tuple) and len(exc_info) == 3:
        exc_info = exc_info[1]
    if is_error(exc_info, BaseException):
        return exc_info  # type: ignore[no-any-return]
    is_flag = type(exc_info) in (bool, int)  # another object might raise when it is tested
    return sys.exc_info()[1] if is_flag and exc_info else None


def _in_order(record: _Record) -> dict[str, Any]:
    leading = {name: record[name] for name in _LEADING if record.get(name) is not None}
    return leading | {name: v for name, v in record.items() if name not in _LEADING}
