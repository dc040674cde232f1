"""What the runner logs, and how: lines for people, or JSON for machines.

Each record has `time` (UTC, ISO 8601, microseconds), `level`, `event` and, where they are known,
`rule`, `module`, `version`, `cause` and `parent`; the rest are the event's own fields, see
`eshet_rules.audit.records`. What comes through the standard library's `logging`, from `eshet` or
from a rule, goes the same way and has the same fields. The trail of a recorder keeps all of it;
the stream shows what matters enough.

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
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from datetime import datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

import eshet
import eshet_rules
from eshet.cause import current_cause
from eshet.clock import wall_stamp
from eshet.exceptions import EshetError
from eshet_rules.audit.recorder import LEVELS, Recorder

__all__ = ["FORMATS", "make_logger", "receiving_stdlib_logs", "renderer"]

FORMATS: Final = ("console", "json")

_Record = MutableMapping[str, Any]

_LEADING: Final = ("time", "level", "event", "rule", "module", "version", "cause", "parent")
_LEVELS: Final = {
    "": logging.INFO,
    "eshet.client": logging.WARNING,  # each module has a client, and each tells when it connects
    "watchfiles": logging.WARNING,  # it tells of all that it sees
}
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_OF_RULES: Final = tuple(f"\x1b[{code}m" for code in (36, 32, 35, 34, 96, 92, 95, 94))
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
    render = renderer(log_format, stream.isatty(), with_causes=level == "debug")
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


class _Stream:
    """Writes lines to a stream. Where it can't, it says so in the trail, and stops nobody.

    Args:
        stream: to write to.
        recorder: is told once that it can't.
    """

    def __init__(self, stream: TextIO, recorder: Recorder) -> None:
        self._print = structlog.PrintLogger(stream).msg
        self._recorder = recorder
        self._failed = False

    def msg(self, line: str) -> None:
        """Write a line, or drop it."""
        try:
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


class _ConsoleRenderer:
    """A line for each record: time, level, rule or module, event, fields; below it, source code.

    Of an input or output, path and value come first.

    Args:
        colours: whether the stream shows them.
        with_causes: whether it shows the ids of causes.
        with_date: whether it shows the date, too.
    """

    def __init__(self, colours: bool, with_causes: bool, with_date: bool) -> None:
        self._colours = colours
        self._with_causes = with_causes
        self._clock = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"

    def __call__(self, logger: object, method: str, record: _Record) -> str:
        """See structlog's processors."""
        time = datetime.fromisoformat(record.pop("time")).astimezone()
        level, event = record.pop("level"), _one_line(str(record.pop("event")))
        where = _pop_place(record)
        causes = [record.pop(name, None) for name in ("cause", "parent")]
        blocks = [_pop_source(record), str(record.pop("traceback", ""))]
        what = _pop_path(record)
        shown = [f"{name}={_show(value)}" for name, value in record.items()]
        if self._with_causes and causes[0]:
            shown.append(f" {' < '.join(filter(None, causes))}")
        fields = " ".join(shown).strip()
        clock = time.strftime(self._clock)[:-3]
        line = (
            f"{self._dim(clock)}  {self._colour(_COLOURS.get(level), f'{level:<7}')}  "
            f"{self._colour(_colour_of(where), f'{where:<24}')}  "
            f"{self._colour(_COLOURS.get(level), event)}{what}  {self._dim(fields)}"
        ).rstrip()
        return "\n".join([line, *(_indent(escape(block)) for block in blocks if block)])

    def _colour(self, colour: str | None, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours and colour else text

    def _dim(self, text: str) -> str:
        return self._colour(_DIM, text) if text else text


def renderer(
    log_format: str, colours: bool, *, with_causes: bool = False, with_date: bool = False
) -> Callable[[object, str, _Record], str]:
    """Return what makes a line, or more, of a record; a processor of structlog.

    Args:
        log_format: one of `FORMATS`.
        colours: whether lines for people have colours.
        with_causes: whether these show the ids of causes.
        with_date: whether these show the date.
    """
    if log_format == "json":
        return _render_json
    return _ConsoleRenderer(colours, with_causes, with_date)


def _render_json(logger: object, method: str, record: _Record) -> str:
    text = json.dumps(record, default=repr, ensure_ascii=False)
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)  # as JSON escapes others


def _colour_of(where: str) -> str | None:
    """Return the colour of a rule, which is always the same, and most often that of no other."""
    return _OF_RULES[zlib.crc32(where.encode()) % len(_OF_RULES)] if where else None


def _pop_path(record: _Record) -> str:
    """Take out the path of an input or output, and what it is about."""
    if "path" not in record or not record.keys() & {"kind", "outcome"}:
        return ""
    value = "unknown" if record.pop("unknown", False) else _show(record.get("value"))
    record.pop("value", None)
    record.pop("kind", None)
    if record.get("outcome") == "done":
        del record["outcome"]
    if isinstance(duration := record.pop("duration", None), float):
        record["took"] = f"{duration * 1000:.3g} ms"
    return f"  {_one_line(str(record.pop('path')))}  {value}"


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
        if not _is_expected(error):
            record["traceback"] = format_error(error)
    return record


def _in_order(record: _Record) -> dict[str, Any]:
    leading = {name: record[name] for name in _LEADING if record.get(name) is not None}
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
