"""The logger: processes each record for the audit trail and the stream."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from eshet.cause import current_cause
from eshet.clock import wall_stamp
from eshet.text import safe_repr, safe_str
from eshet.user_errors import error_text, is_error, plain_error
from eshet_rules.audit.lines import plain
from eshet_rules.audit.recorder import LEVELS, Recorder
from eshet_rules.logs.advice import advice_on
from eshet_rules.logs.errors import format_error, is_expected
from eshet_rules.logs.line_writer import LineWriter
from eshet_rules.logs.rendering import renderer, shows_colours

__all__ = ["make_logger"]

_Record = MutableMapping[str, Any]

_RESERVED: Final = frozenset(
    ("time", "level", "event", "logger", "rule", "module", "version", "cause", "parent", "crc")
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
    """A logger that accepts fields with any names and any values.

    It keeps a rule's fields from replacing those of the runner: a field that a rule calls `module`
    is logged as `module_`.
    """

    def bind(self, /, **new_values: Any) -> "_BoundLogger":
        """See structlog."""
        bound: _BoundLogger = super().bind()
        bound._context.update(self._set_apart(new_values))
        return bound

    def debug(self, /, *args: Any, **fields: Any) -> None:
        """See structlog, also for the methods below."""
        self._write("debug", args, fields)

    def info(self, /, *args: Any, **fields: Any) -> None:
        """See `debug`."""
        self._write("info", args, fields)

    def warning(self, /, *args: Any, **fields: Any) -> None:
        """See `debug`."""
        self._write("warning", args, fields)

    def error(self, /, *args: Any, **fields: Any) -> None:
        """See `debug`."""
        self._write("error", args, fields)

    def critical(self, /, *args: Any, **fields: Any) -> None:
        """See `debug`."""
        self._write("critical", args, fields)

    def exception(self, /, *args: Any, **fields: Any) -> None:
        """See `debug`; the record has the error that is being handled."""
        self._write("error", args, {"exc_info": True} | fields)

    msg = info
    warn = warning
    fatal = critical

    def log(self, level: int, /, *args: Any, **fields: Any) -> None:
        """See `debug`; a level between two of ours counts as the lower one."""
        names = [name for name, least in LEVELS.items() if least <= level]
        if names:
            self._write(names[-1], args, fields)

    def _write(self, method: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        event, *values = args or (fields.pop("event", ""),)
        self._proxy_to_logger(method, _message(event, tuple(values)), **fields)

    def _proxy_to_logger(self, method: str, event: object = None, /, **fields: Any) -> Any:
        try:
            args, _ = self._process_event(method, safe_str(event, sys.maxsize), fields)
            getattr(self._logger, method)(*args)
        except structlog.DropEvent:
            pass

    def _process_event(self, method_name: str, event: str | None, event_kw: dict[str, Any]) -> Any:
        return super()._process_event(method_name, event, self._set_apart(event_kw))

    def _set_apart(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "logger" not in self._context or fields.keys().isdisjoint(_RESERVED):
            return fields
        return {f"{n}_" if n in _RESERVED else n: value for n, value in fields.items()}


def _message(event: object, args: tuple[Any, ...]) -> object:
    """Return the text of a message with its arguments, as `logging` inserts them."""
    if not args:
        return event
    is_dict = len(args) == 1 and issubclass(type(args[0]), dict) and len(args[0]) > 0
    try:
        text: object = event % (args[0] if is_dict else args)  # type: ignore[operator]
    except Exception:  # they do not fit, or a value raises an error
        return f"{safe_str(event, sys.maxsize)} {safe_repr(args, sys.maxsize)}"
    return text


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
            if "logger" in record:  # else a secret would be hidden in the `repr` of an object
                record = plain(record)
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
