"""Logs failures in a rule.

A task with retries fails repeatedly while its device is unreachable. The log shows the first
failure, then at most one a minute, and the first success; the trail has each attempt.
"""

import asyncio
import math
import re
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.exceptions import Disconnected, PathTaken
from eshet.text import safe_str
from eshet.user_errors import is_error
from eshet_rules.audit.records import AttemptFailed, RuleFailed, RuleRecovered, emit

__all__ = ["Failures"]

_PAUSE: Final = 60.0
"""Minimum time between two messages about the same failure, in seconds."""

_MOST: Final = 256
"""Maximum number of failures to track; beyond it, the oldest is dropped."""

_ATTEMPT: Final = re.compile(r"attempt \d+ of ")
_NUMBER: Final = re.compile(r"\d+")


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
        self._series: dict[tuple[str, str], _Series] = {}
        self.note: Callable[[BaseException], object] = lambda error: None
        """Called with each error."""

    def report(self, error: BaseException, doing: str) -> None:
        """Log an error, with a limited rate if it is one of an attempt that may be retried."""
        if isinstance(error, Disconnected) and not self._is_connected():
            emit(self._log, RuleFailed(doing=doing), level="debug", error=error)
            return
        self.note(error)
        if is_error(error, PathTaken):  # logged for all rules together, see `PathConflicts`
            emit(self._log, RuleFailed(doing=doing), level="debug", error=error)
            return
        task = _ATTEMPT.sub("", doing)
        if task == doing:
            emit(self._log, RuleFailed(doing=doing), error=error)
        else:
            self._report_attempt(error, doing, self._series_of(task, error))

    def _report_attempt(self, error: BaseException, doing: str, series: _Series) -> None:
        series.failures += 1
        now = asyncio.get_running_loop().time()
        if now - series.shown_at < _PAUSE:
            series.unshown += 1
            emit(self._log, AttemptFailed(doing=doing), level="debug", error=error)
            return
        emit(self._log, AttemptFailed(doing=doing, again=series.unshown or None), error=error)
        series.shown_at, series.unshown = now, 0

    def succeeded(self, doing: str) -> None:
        """Log the success of an operation that has failed before."""
        found = [key for key in self._series if key[0] == doing]
        failures = sum(self._series.pop(key).failures for key in found)
        if failures:
            emit(self._log, RuleRecovered(doing=doing, failures=failures))

    def _series_of(self, task: str, error: BaseException) -> _Series:
        """Return the series that an error belongs to; numbers in its text are ignored."""
        key = task, f"{type(error).__name__} {_NUMBER.sub('', safe_str(error))}"
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
            if len(self._series) > _MOST:
                del self._series[next(iter(self._series))]
        return series
