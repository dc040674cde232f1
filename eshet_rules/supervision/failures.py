"""Logs failures in a rule.

A task with retries fails repeatedly while its device is unreachable, and a callback with a mistake
fails at each event. The log shows the first failure, then at most one a minute, and the first
success of a task with retries; the trail has each failure.
"""

import math
import re
import time
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.exceptions import Disconnected, PathTaken
from eshet.interpreter import running_loop
from eshet.text import safe_str
from eshet.user_errors import is_error
from eshet_rules.audit.records.rules import AttemptFailed, RuleFailed, RuleRecovered
from eshet_rules.audit.records.schema import emit

__all__ = ["Failures"]

_PAUSE: Final = 60.0
"""Minimum time between two messages about the same failure, in seconds."""

_MOST: Final = 256
"""Maximum number of failures to track; beyond it, the oldest is dropped."""

_ATTEMPT: Final = re.compile(r"attempt \d+ of ")
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")


class _Series:
    """A failure that occurs repeatedly."""

    __slots__ = ("failures", "shown_at", "unshown")

    def __init__(self) -> None:
        self.shown_at = -math.inf
        self.failures = self.unshown = 0


class Failures:
    """Logs the failures of one rule, and tracks the repeated ones until they succeed.

    Args:
        log: the log of the rule.
        is_connected: returns whether its client is connected; if it is not, `Connections` logs the
            outage once, and errors because of it are only logged at debug level.
    """

    def __init__(self, log: FilteringBoundLogger, is_connected: Callable[[], bool]) -> None:
        self._log = log
        self._is_connected = is_connected
        self._series: dict[tuple[type[RuleFailed], str, str], _Series] = {}
        self.note: Callable[[BaseException], object] = lambda error: None
        """Called with each error."""
        self.note_recovery: Callable[[], object] = lambda: None
        """Called when the operation of the last error has succeeded after all."""
        self._last: _Series | None = None

    def report(self, error: BaseException, doing: str) -> None:
        """Log an error, or note it at debug level if an equal one was logged in the last minute."""
        if isinstance(error, Disconnected) and not self._is_connected():
            emit(self._log, RuleFailed(doing=doing), level="debug", error=error)
            return
        self.note(error)
        if is_error(error, PathTaken):  # logged for all rules together, see `PathConflicts`
            emit(self._log, RuleFailed(doing=doing), level="debug", error=error)
            return
        task = _ATTEMPT.sub("", doing)
        kind = RuleFailed if task == doing else AttemptFailed
        series = self._series_of(kind, task, error)
        series.failures += 1
        self._last = series
        loop = running_loop()  # None in a thread that a rule has started
        now = time.monotonic() if loop is None else loop.time()
        if now - series.shown_at < _PAUSE:
            series.unshown += 1
            again = kind(doing=doing, again=series.unshown)
            emit(self._log, again, level="debug", error=error)
            return
        emit(self._log, kind(doing=doing, again=series.unshown or None), error=error)
        series.shown_at, series.unshown = now, 0

    def succeeded(self, doing: str) -> None:
        """Log the success of an operation with retries that has failed before."""
        found = [key for key in self._series if key[:2] == (AttemptFailed, doing)]
        ended = [self._series.pop(key) for key in found]
        if self._last in ended:
            self._last = None
            self.note_recovery()
        failures = sum(series.failures for series in ended)
        if failures:
            emit(self._log, RuleRecovered(doing=doing, failures=failures))

    def _series_of(self, kind: type[RuleFailed], task: str, error: BaseException) -> _Series:
        """Return the series that an error belongs to; numbers in its text are ignored."""
        key = kind, task, f"{type(error).__name__} {_NUMBER.sub('', safe_str(error))}"
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
            if len(self._series) > _MOST:
                self._series.pop(next(iter(self._series)), None)
        return series
