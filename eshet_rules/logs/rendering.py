"""Renders records as text: readable lines for a console, or JSON."""

import os
import re
import sys
import textwrap
import zlib
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, Final, TextIO

from eshet.text import safe_repr, safe_str
from eshet_rules.audit.lines import encode_json
from eshet_rules.audit.records.schema import EVENTS

__all__ = ["FORMATS", "escape", "renderer", "shows_colours"]

FORMATS: Final = ("console", "json")

_Record = MutableMapping[str, Any]

_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_OF_RULES: Final = tuple(f"\x1b[{code}m" for code in (36, 32, 35, 34, 96, 92, 95, 94))
_DETAILS: Final = ("after_input", "after_s", "inputs", "unknown_inputs")
"""Fields of outputs that are for programs, and for `eshet-rules why`."""

_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"

# C0 except for the newline, DEL, C1, and characters that reorder text (bidirectional controls).
_CONTROL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"  # surrogates, which no stream can write
)


def shows_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours, and NO_COLOR is not set."""
    wanted = os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    return wanted and stream.isatty()


def renderer(
    log_format: str, colours: bool, *, with_causes: bool = False, with_date: bool = False
) -> Callable[[object, str, _Record], str]:
    """Return a structlog processor that renders a record as one or more lines.

    Args:
        log_format: one of `FORMATS`.
        colours: whether console lines have colours.
        with_causes: whether console lines show the ids of causes.
        with_date: whether console lines show the date.
    """
    if log_format == "json":
        return _render_json
    return _ConsoleRenderer(colours, with_causes, with_date)


def _render_json(logger: object, method: str, record: _Record) -> str:
    text = encode_json(record).decode()
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)  # as JSON escapes others


def escape(text: str) -> str:
    """Escape all control characters in a text except for newlines."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class _ConsoleRenderer:
    """Renders a line for each record: time, level, rule or module, event, fields.

    Long fields follow on lines of their own. Records of inputs and outputs show path and value
    before the other fields.

    Args:
        colours: whether to use colours.
        with_causes: whether to show the ids of causes.
        with_date: whether to show the date as well as the time.
    """

    def __init__(self, colours: bool, with_causes: bool, with_date: bool) -> None:
        self._colours = colours
        self._with_causes = with_causes
        self._clock = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"

    def __call__(self, logger: object, method: str, record: _Record) -> str:
        """See structlog's processors."""
        clock = self._time(_pop_any(record, "time"))
        level, event = _pop_any(record, "level"), _sentence(record)
        is_message = "logger" in record  # of a rule or library: its fields mean anything
        where = _pop_place(record)
        causes = [_pop_any(record, name) for name in ("cause", "parent")]
        blocks = _pop_error(record) if is_message else _pop_blocks(record)
        what = "" if is_message else _pop_path(record)
        shown = [f"{_one_line(_text_of(name))}={_show(value)}" for name, value in record.items()]
        if self._with_causes and causes[0]:
            shown.append(f" {_one_line(' < '.join(filter(None, causes)))}")
        fields = " ".join(shown).strip()
        line = (
            f"{self._dim(clock)}  {self._colour(_COLOURS.get(level), f'{_one_line(level):<7}')}  "
            f"{self._colour(_colour_of(where), f'{where:<24}')}  "
            f"{self._colour(_COLOURS.get(level), event)}{what}  {self._dim(fields)}"
        ).rstrip()
        return "\n".join([line, *(_indent(escape(block)) for block in blocks if block)])

    def _time(self, stamp: str) -> str:
        try:
            return datetime.fromisoformat(stamp).astimezone().strftime(self._clock)[:-3]
        except (ValueError, OverflowError, OSError):  # the runner did not write this record
            return _one_line(stamp)

    def _colour(self, colour: str | None, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours and colour else text

    def _dim(self, text: str) -> str:
        return self._colour(_DIM, text) if text else text


def _sentence(record: _Record) -> str:
    """Take out the event: a sentence for an event of the runner, else the message of a rule."""
    name = _pop_any(record, "event")
    event = None if "logger" in record else EVENTS.get(name)
    return _one_line(name) if event is None else event.SENTENCE


def _colour_of(where: str) -> str | None:
    """Return the colour of a rule: a fixed one, by the hash of its name."""
    return _OF_RULES[zlib.crc32(where.encode()) % len(_OF_RULES)] if where else None


def _pop_path(record: _Record) -> str:
    """Remove the path and value of an input or output from a record, and return them as text."""
    if "path" not in record or not record.keys() & {"kind", "outcome"}:
        return ""
    value = "unknown" if record.pop("unknown", False) is True else _show(record.get("value"))
    record.pop("value", None)
    record.pop("kind", None)
    if _text_of(record.get("outcome", "")) == "done":
        del record["outcome"]
    for detail in _DETAILS:
        record.pop(detail, None)
    if isinstance(record.get("duration"), float):
        record["took"] = _took(record.pop("duration"))
    return f"  {_one_line(_pop_any(record, 'path'))}  {value}"


def _took(seconds: float) -> str:
    """Return a duration in a unit that keeps its number short."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def _pop_place(record: _Record) -> str:
    """Remove rule, module and logger from a record, and return the most specific of them."""
    rule, module, logger = (_pop_any(record, name) for name in ("rule", "module", "logger"))
    if rule:
        record.pop("version", None)  # already logged when the module was loaded
    return _one_line(rule or module or logger)


def _pop_blocks(record: _Record) -> list[str]:
    """Remove multi-line fields of an event of the runner, and return them to be shown below.

    A field of another type than in the schema, such as in a damaged record or one of a later
    version, is left where it is.
    """
    place = _pop_source(record)
    stack = textwrap.dedent(_pop_text(record, "stack"))  # it ends with the same place
    lines = [*_pop_lines(record, "cycle"), *_pop_lines(record, "conflicts")]
    lines += _pop_lines(record, "differences")
    error, advice = _pop_error(record)
    return [stack or place, "\n".join(lines), error, advice or _advice(record)]


def _pop_error(record: _Record) -> list[str]:
    """Remove the traceback of an error and the advice on it from a record, and return them."""
    error = record.get("error")
    if not issubclass(type(error), str):
        return ["", ""]
    traceback = _pop_text(record, "traceback")
    if traceback.endswith(_text_of(error)):
        record.pop("error", None)  # it is the last line of the traceback
    return [traceback, _advice(record)]


def _advice(record: _Record) -> str:
    advice = _pop_text(record, "advice")
    return f"-> {advice}" if advice else ""


def _pop_source(record: _Record) -> str:
    """Remove file, line and source from a record; return `file:line`, which terminals can open."""
    file = _pop_text(record, "file")
    line = _pop_any(record, "line") if file and type(record.get("line")) is int else ""
    source = _pop_text(record, "source").strip()
    place = f"{file}:{line}" if line else file
    return f"{place}\n    {source}" if source else place


def _pop_text(record: _Record, name: str) -> str:
    """Remove a field from a record, and return it; if it is not a text, leave it and return ""."""
    value = record.get(name, "")
    if value is not None and not issubclass(type(value), str):
        return ""
    return _pop_any(record, name)


def _pop_any(record: _Record, name: str) -> str:
    """Remove a field from a record, and return its text, or "" if it has no value."""
    value = record.pop(name, None)
    return "" if value is None else _text_of(value)


def _pop_lines(record: _Record, name: str) -> list[str]:
    """Remove a field from a record, and return its items; if it is not a list, leave it."""
    value = record.get(name, ())
    if type(value) not in (list, tuple):
        return []
    record.pop(name, None)
    return list(map(_text_of, value))


def _text_of(value: object) -> str:
    """Return a text unchanged, and the text of any other object."""
    return value if type(value) is str else safe_str(value, sys.maxsize)


def _show(value: Any) -> str:
    # Types are compared, as `isinstance` and methods may run code of the value.
    if type(value) in (list, tuple) and all(issubclass(type(item), str) for item in value):
        value = ",".join(map(_text_of, value))
    is_text = issubclass(type(value), str)
    text = _text_of(value) if is_text else safe_repr(value, sys.maxsize)
    if not text or any(map(str.isspace, text)):
        text = repr(text)
    return _one_line(text)


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")


def _indent(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.splitlines())
