"""Passes records to the trail and to the log."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import Context
from typing import Any, Final, TypeAlias

import msgspec

from eshet.interpreter import running_loop
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.lines import plain, text_of
from eshet_rules.audit.redaction import Redaction
from eshet_rules.audit.trail import Trail

__all__ = ["LEVELS", "Recorder", "Watch", "fields_of"]

_log: Final = logging.getLogger("eshet_rules.audit")

Watch: TypeAlias = Callable[[Any], object]
"""Is called with a record: one of the schema, or a mapping."""

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""The levels by name, in ascending order of severity."""


class Recorder:
    """Receives records of the schema and log records, and keeps them in a trail.

    Args:
        redaction: removes secrets; the caller applies it to each record first.
    """

    def __init__(self, redaction: Redaction | None = None) -> None:
        self.trail: Trail | None = None
        """The trail that keeps all records; None if there is none."""
        self.redaction: Final = redaction or Redaction()
        self.last: Final = LastRecords()
        """The last records of inputs and outputs, which their observer keeps here."""
        self.token_of: Callable[[str], int | None] | None = None
        """Returns the token of a module, which its records get in the trail; of a cluster."""
        self._watching: tuple[Watch, ...] = ()
        self._show: Callable[[MutableMapping[str, Any]], object] | None = None
        self._shown_from = LEVELS["info"]
        self._will_flush = False
        self._context = Context()  # for writing: an empty one, which belongs to no rule

    @contextlib.contextmanager
    def keeping(self, trail: Trail) -> Iterator[None]:
        """Keep records in a trail, which is open within a `with` statement."""
        self.trail = trail
        trail.open()
        try:
            yield
        finally:
            self.trail = None
            self._will_flush = False
            trail.close()

    def show_on(self, show: Callable[[MutableMapping[str, Any]], object], level: str) -> None:
        """Call a function with each record of the schema that has at least this level."""
        self._show = show
        self._shown_from = LEVELS[level]

    @contextlib.contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Call a function with each kept record, within a `with` statement.

        If it raises, that is logged, and it is not called any more.
        """
        self._watching += (watch,)
        try:
            yield
        finally:
            self._watching = tuple(each for each in self._watching if each is not watch)

    @property
    def wants_debug(self) -> bool:
        """Whether records of level debug are kept or shown."""
        return self.trail is not None or self._shown_from <= LEVELS["debug"]

    def record(self, record: Any, *, at_once: bool = False) -> None:
        """Keep and show a record, from which secrets were removed already.

        Args:
            record: a `Record`, with its time and level.
            at_once: whether to write it before this returns. By default, it is written in the next
                turn of the event loop, together with all others that wait.
        """
        trail = self.trail
        if trail is not None:
            if self.token_of is not None and record.module is not None:
                record.token = self.token_of(record.module)
            is_much = trail.collect(record, record.time)
            if at_once or is_much:
                trail.flush()
            elif not self._will_flush:
                self._flush_soon(trail)
            if self._watching:
                self._notify(record)
        if self._show is not None and LEVELS[record.level] >= self._shown_from:
            fields = fields_of(record)
            fields.pop("token", None)  # it would be on each line of a console
            self._show(fields)

    def _flush_soon(self, trail: Trail) -> None:
        loop = running_loop()
        if loop is None:
            trail.flush()
        else:
            self._will_flush = True
            loop.call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        self._will_flush = False
        if self.trail is not None:
            self.trail.flush()

    def keep(self, record: Mapping[str, Any]) -> None:
        """Keep a log record, from which secrets were removed already; the logger shows it."""
        if self.trail is not None:
            if self.token_of is not None:
                record = _with_token(record, self.token_of)
            self.trail.append(record, record["time"])
            if self._watching:
                # A copy: who watches may read it later, when the logger has taken fields out of it.
                self._notify(dict(record))

    def _notify(self, record: Any) -> None:
        """Call those who watch; their errors must not reach the rule that waits."""
        for watch in self._watching:
            try:
                watch(record)
            except Exception:
                # Removed first: the log of the error is a record, too.
                self._watching = tuple(each for each in self._watching if each is not watch)
                _log.exception("a function that watches records failed")


def _with_token(
    record: Mapping[str, Any], token_of: Callable[[str], int | None]
) -> Mapping[str, Any]:
    """Return a log record with the token of its module, unless it has one, or something else."""
    module = record.get("module")
    if not isinstance(module, str) or "token" in record:
        return record
    token = token_of(module)
    return record if token is None else {**record, "token": token}


def fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of a record, of the schema or a mapping, as plain data."""
    try:
        fields: dict[str, Any] = msgspec.to_builtins(record, enc_hook=text_of)
    except Exception:  # a value may raise anything
        return plain(record)
    return fields
