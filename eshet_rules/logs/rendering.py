"""Renders records as text: readable lines for a console, or JSON."""

import json
import os
import re
import textwrap
import zlib
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, Final, TextIO

from eshet_rules.audit.records import EVENTS

__all__ = ["FORMATS", "escape", "renderer", "shows_colours"]

FORMATS: Final = ("console", "json")

_Record = MutableMapping[str, Any]

_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_OF_RULES: Final = tuple(f"\x1b[{code}m" for code in (36, 32, 35, 34, 96, 92, 95, 94))
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
    text = json.dumps(record, default=repr, ensure_ascii=False)
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
        time = datetime.fromisoformat(record.pop("time")).astimezone()
        level, event = record.pop("level"), _sentence(record)
        where = _pop_place(record)
        causes = [record.pop(name, None) for name in ("cause", "parent")]
        blocks = _pop_blocks(record)
        what = _pop_path(record)
        shown = [f"{_one_line(name)}={_show(value)}" for name, value in record.items()]
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


def _sentence(record: _Record) -> str:
    """Take out the event: a sentence for an event of the runner, else the message of a rule."""
    name = str(record.pop("event"))
    event = None if "logger" in record else EVENTS.get(name)
    return _one_line(name) if event is None else event.SENTENCE


def _colour_of(where: str) -> str | None:
    """Return the colour of a rule: a fixed one, by the hash of its name."""
    return _OF_RULES[zlib.crc32(where.encode()) % len(_OF_RULES)] if where else None


def _pop_path(record: _Record) -> str:
    """Remove the path and value of an input or output from a record, and return them as text."""
    if "path" not in record or not record.keys() & {"kind", "outcome"}:
        return ""
    value = "unknown" if record.pop("unknown", False) else _show(record.get("value"))
    record.pop("value", None)
    record.pop("kind", None)
    if record.get("outcome") == "done":
        del record["outcome"]
    if isinstance(duration := record.pop("duration", None), float):
        record["took"] = _took(duration)
    return f"  {_one_line(str(record.pop('path')))}  {value}"


def _took(seconds: float) -> str:
    """Return a duration in a unit that keeps its number short."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def _pop_place(record: _Record) -> str:
    """Remove rule, module and logger from a record, and return the most specific of them."""
    logger, module = record.pop("logger", ""), record.pop("module", "")
    rule = record.pop("rule", "")
    if rule:
        record.pop("version", None)  # already logged when the module was loaded
    return _one_line(str(rule or module or logger))


def _pop_blocks(record: _Record) -> list[str]:
    """Remove multi-line fields from a record, and return them; they are shown below the line."""
    place = _pop_source(record)
    stack = textwrap.dedent(str(record.pop("stack", "")))  # it ends with the same place
    lines = [*record.pop("cycle", ()), *record.pop("conflicts", ())]
    traceback = str(record.pop("traceback", ""))
    if traceback.endswith(str(record.get("error", ""))):
        record.pop("error", None)  # it is the last line of the traceback
    advice = str(record.pop("advice", "") or "")
    return [stack or place, "\n".join(map(str, lines)), traceback, f"-> {advice}" if advice else ""]


def _pop_source(record: _Record) -> str:
    """Remove file, line and source from a record; return `file:line`, which terminals can open."""
    file, line, source = (record.pop(name, None) for name in ("file", "line", "source"))
    place = f"{file}:{line}" if line else str(file or "")
    return f"{place}\n    {source.strip()}" if source else place


def _show(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    text = value if isinstance(value, str) else repr(value)
    return _one_line(repr(text) if not text or any(map(str.isspace, text)) else text)


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")


def _indent(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.splitlines())
