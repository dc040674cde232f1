"""What the runner logs, and how: lines for people, or JSON for machines.

Each record has `time` (UTC, ISO 8601, microseconds), `level`, `event` and, where they are known,
`rule`, `module` and `version`; the rest are the event's own fields. What comes through the standard
library's `logging`, from `eshet` or from a rule, goes the same way and has the same fields.

Values come from the outside: on a console their control characters are escaped, or a sensor's text
could clear the screen.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

import eshet
import eshet_rules
from eshet.clock import wall_now
from eshet.exceptions import EshetError

__all__ = ["FORMATS", "make_logger", "receiving_stdlib_logs"]

FORMATS: Final = ("console", "json")

_Record = MutableMapping[str, Any]

_LEADING: Final = ("time", "level", "event", "rule", "module", "version")
_LEVELS: Final = {
    "": logging.INFO,
    "eshet.client": logging.WARNING,  # each module has a client, and each tells when it connects
    "watchfiles": logging.WARNING,  # it tells of all that it sees
}
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"

# C0 but for the newline, DEL and C1, and what reorders text: bidirectional marks and overrides.
_CONTROL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"  # halves of a character, which no stream can write
)

# Frames of these are on the way to a rule's own code, and say nothing about it.
_OURS: Final = tuple(
    f"{folder}{os.sep}" for package in (eshet, eshet_rules, asyncio) for folder in package.__path__
)


def make_logger(stream: TextIO, log_format: str = "console") -> FilteringBoundLogger:
    """Make a logger, from level info upwards.

    Args:
        stream: where it writes; with colours if that is a terminal.
        log_format: one of `FORMATS`.
    """
    render = _render_json if log_format == "json" else _ConsoleRenderer(stream.isatty())
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_time,
            _format_error,
            _put_in_order,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()
    return logger


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


def format_error(error: BaseException) -> str:
    """Return the traceback of an error, from the first line that is not the runner's own."""
    shown = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    todo: list[traceback.TracebackException | None] = [shown]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = _without_our_frames(part.stack)
        todo += [part.__cause__, part.__context__, *(part.exceptions or ())]
    return "".join(shown.format()).rstrip("\n")


def escape(text: str) -> str:
    """Return the text with its control characters, but for newlines, made visible."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


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


class _ConsoleRenderer:
    """A line for each record: time, level, rule or module, event, fields; below it, source code.

    Args:
        colours: whether the stream shows them.
    """

    def __init__(self, colours: bool) -> None:
        self._colours = colours

    def __call__(self, logger: object, method: str, record: _Record) -> str:
        """See structlog's processors."""
        record.pop("time")
        level, event = record.pop("level"), _one_line(str(record.pop("event")))
        where = _pop_place(record)
        blocks = [_pop_source(record), str(record.pop("traceback", ""))]
        fields = " ".join(f"{name}={_show(value)}" for name, value in record.items())
        clock = wall_now().strftime("%H:%M:%S.%f")[:-3]
        line = (
            f"{self._dim(clock)}  {self._colour(level, f'{level:<7}')}  {where:<24}  "
            f"{self._colour(level, event)}  {self._dim(fields)}"
        ).rstrip()
        return "\n".join([line, *(_indent(escape(block)) for block in blocks if block)])

    def _colour(self, level: str, text: str) -> str:
        colour = _COLOURS.get(level) if self._colours else None
        return f"{colour}{text}{_RESET}" if colour else text

    def _dim(self, text: str) -> str:
        return f"{_DIM}{text}{_RESET}" if self._colours and text else text


def _render_json(logger: object, method: str, record: _Record) -> str:
    text = json.dumps(record, default=repr, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()  # half a character, as JSON escapes it


def _pop_place(record: _Record) -> str:
    """Take out whose record it is: a rule's, a module's, or else a logger's."""
    logger, module = record.pop("logger", ""), record.pop("module", "")
    rule = record.pop("rule", "")
    if rule:
        record.pop("version", None)  # said when the module was loaded
    return _one_line(str(rule or module or logger))


def _pop_source(record: _Record) -> str:
    """Take out where in a file the record is about; terminals open `file:line`."""
    file, line, source = (record.pop(name, None) for name in ("file", "line", "source"))
    place = f"{file}:{line}" if line else str(file or "")
    return f"{place}\n    {source.strip()}" if source else place


def _show(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    text = value if isinstance(value, str) else repr(value)
    return _one_line(repr(text) if not text or " " in text else text)


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")


def _indent(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.splitlines())


def _add_time(logger: object, method: str, record: _Record) -> _Record:
    record["time"] = wall_now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return record


def _format_error(logger: object, method: str, record: _Record) -> _Record:
    error = record.pop("exc_info", None)
    if isinstance(error, BaseException):
        record["error"] = "".join(traceback.format_exception_only(error)).strip()
        if not _is_expected(error):
            record["traceback"] = format_error(error)
    return record


def _put_in_order(logger: object, method: str, record: _Record) -> Mapping[str, Any]:
    leading = {name: record[name] for name in _LEADING if name in record}
    return {**leading, **{name: v for name, v in record.items() if name not in leading}}


def _is_expected(error: BaseException) -> bool:
    """Whether a house has such errors, and none of the rule's own lines had a part in this one."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, EshetError) and all(f.filename.startswith(_OURS) for f in frames)


def _without_our_frames(stack: traceback.StackSummary) -> traceback.StackSummary:
    frames = list(stack)
    while frames and frames[0].filename.startswith(_OURS):
        del frames[0]
    return traceback.StackSummary.from_list(frames) if frames else stack
