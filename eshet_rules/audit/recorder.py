"""Where records go: without what is secret, to the trail, and to whoever shows them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import Context
from typing import Any, Final

import msgspec

from eshet_rules.audit.redaction import Redaction
from eshet_rules.audit.trail import Trail

__all__ = ["LEVELS", "Recorder"]

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""How much each level matters."""


class Recorder:
    """Takes records of the schema, and those of a log.

    Args:
        redaction: what is taken out of them first.
    """

    def __init__(self, redaction: Redaction | None = None) -> None:
        self.trail: Trail | None = None
        """Keeps all of them, if there is one."""
        self.redaction: Final = redaction or Redaction()
        self._show: Callable[[MutableMapping[str, Any]], object] | None = None
        self._shown_from = LEVELS["info"]
        self._will_flush = False
        self._context = Context()  # in which it writes: it is nobody's

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
        """Show records of the schema, from a level upwards, by calling a function with them."""
        self._show = show
        self._shown_from = LEVELS[level]

    @property
    def wants_debug(self) -> bool:
        """Whether anybody sees records of level debug."""
        return self.trail is not None or self._shown_from <= LEVELS["debug"]

    def record(self, record: Any, *, at_once: bool = False) -> None:
        """Take a record of which secrets have been taken out.

        Args:
            record: a `Record` of the schema, with its time and level.
            at_once: whether it is written before this returns. Else it is before the event loop
                goes on to its next turn, by one write for all that wait for that.
        """
        trail = self.trail
        if trail is not None:
            is_much = trail.collect(record, record.time)
            if at_once or is_much:
                trail.flush()
            elif not self._will_flush:
                self._flush_soon(trail)
        if self._show is not None and LEVELS[record.level] >= self._shown_from:
            self._show(msgspec.to_builtins(record, enc_hook=repr))

    def _flush_soon(self, trail: Trail) -> None:
        loop = asyncio._get_running_loop()  # get_running_loop() raises without one
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
        """Take a record of a log, of which secrets have been taken out, and which shows it."""
        if self.trail is not None:
            self.trail.append(record, record["time"])
