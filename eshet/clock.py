"""The two kinds of time, both of the running event loop.

*Elapsed* time is the loop's own clock, which no clock change affects: delays, windows and time-outs
use it. *Wall* time is the date and time of the system's clock. A loop with its own `wall_time()`,
such as one with virtual time, decides both; everything else here only uses the loop.

The wall clock can be set while a program runs, and a machine without a battery for its clock starts
with a wrong one. `clock_watcher` returns the object that detects each such *step*.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from math import inf
from typing import Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from eshet.interpreter import running_loop


def wall_time(loop: asyncio.AbstractEventLoop | None = None) -> float:
    """Return the wall clock as seconds since 1970-01-01 UTC.

    Args:
        loop: the source of the wall clock; by default the running one, or the system's clock
            without a running loop.
    """
    if loop is None:
        loop = running_loop()
    return float(getattr(loop, "wall_time", time.time)())


def wall_stamp(clock: Callable[[], float] | None = None) -> str:
    """Return the wall clock in UTC as ISO 8601 with microseconds: `2026-11-25T03:22:41.123456Z`.

    Args:
        clock: a result of `wall_clock`, for callers that need stamps very often.
    """
    global _last_second
    now = wall_clock()() if clock is None else clock()
    start, text = _last_second
    micros = int((now - start) * 1e6 + 0.5)
    if not 0 <= micros < 1_000_000:
        start, micros = divmod(int(now * 1_000_000 + 0.5), 1_000_000)
        text = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _last_second = start, text
    # Looked up, as a format with leading zeros takes twice as long.
    return f"{text}.{_DIGITS[micros // 1000]}{_DIGITS[micros % 1000]}Z"


# A second since 1970, and its text: most stamps are in the same second as the previous one.
_last_second = 0, "1970-01-01T00:00:00"
_DIGITS: Final = [f"{number:03}" for number in range(1000)]


def wall_clock() -> Callable[[], float]:
    """Return a function that returns the wall clock of the running loop, like `wall_time`."""
    clock: Callable[[], float] = getattr(running_loop(), "wall_time", time.time)
    return clock


def wall_now(tz: tzinfo | None = None, loop: asyncio.AbstractEventLoop | None = None) -> datetime:
    """Return the wall clock as a date and time in `tz`, or as a naive local one."""
    return datetime.fromtimestamp(wall_time(loop), tz)


_LEAST_STEP: Final = 0.1  # seconds; tolerance, as the two clocks are read one after the other
_LOOK_EVERY: Final = 1.0
_ROUNDING: Final = 1e-6  # seconds; rounding error of sums of times


class ClockStep(NamedTuple):
    """A step of the wall clock: it was set, or the machine has slept.

    Args:
        seconds: how far it was put forward; negative if it was put back.
        restored_before: a time of the loop. Earlier times come from an earlier process.
        moved: how much later these times are, by the corrected clock; negative if they are earlier.
        written: when that process last wrote its times, in seconds since 1970-01-01 UTC.
    """

    seconds: float
    restored_before: float = -inf
    moved: float = 0.0
    written: float = -inf


class StepListener(Protocol):
    """An object that depends on the wall clock."""

    def clock_stepped(self, step: ClockStep) -> None:
        """Adapt to a step of the wall clock; must not raise."""


class ClockWatcher:
    """Detects within a second that the wall clock of an event loop was set.

    It compares the wall clock with the loop's once a second. A loop with its own wall clock may
    have a method `watch_wall_clock(look)`, and call `look` whenever its wall clock was set.

    It also converts times of an earlier process to times of the loop. While the wall clock is
    behind the last time that the process wrote, it is wrong; until it is set, the time between the
    two processes counts as 0.

    It holds its loop and its listeners weakly.
    """

    def __init__(self) -> None:
        self._listeners: WeakKeyDictionary[StepListener, contextvars.Context] = WeakKeyDictionary()
        self._watching = False
        self._ahead = 0.0  # difference of the wall clock and the loop's
        self._restored_at = -inf
        self._written = -inf
        self._moved = 0.0

    @property
    def moved(self) -> float:
        """How far restored times have moved since they were restored, in seconds."""
        return self._moved

    def add(self, listener: StepListener) -> None:
        """Notify a listener of each step from now on, in the current context."""
        self._listeners[listener] = contextvars.copy_context()
        self._watch()

    def discard(self, listener: StepListener) -> None:
        """Stop notifying a listener."""
        self._listeners.pop(listener, None)

    def restore(self, now: float, written: float) -> None:
        """Record that times of an earlier process are being restored.

        Args:
            now: the loop's time.
            written: the wall time when that process last wrote its times.
        """
        self._watch()
        self._restored_at, self._written, self._moved = now, written, 0.0

    def look(self) -> None:
        """Compare the clocks, and notify all listeners if the wall clock was set."""
        before, self._ahead = self._ahead, _ahead()
        seconds = self._ahead - before
        if abs(seconds) < _LEAST_STEP:
            self._ahead = before
            return
        moved = self._down_time(before) - self._down_time(self._ahead)
        self._moved += moved
        step = ClockStep(seconds, self._restored_at + _ROUNDING, moved, self._written)
        for listener, context in list(self._listeners.items()):
            context.run(listener.clock_stepped, step)

    def _down_time(self, ahead: float) -> float:
        """Return the seconds between the earlier process and this one, for such a wall clock."""
        if self._written == -inf:
            return ahead  # unknown; only differences matter
        return max(0.0, self._restored_at + ahead - self._written)

    def _watch(self) -> None:
        if self._watching:
            return
        self._watching = True
        self._ahead = _ahead()
        loop = asyncio.get_running_loop()
        watch = getattr(loop, "watch_wall_clock", None)
        if watch is None:
            self._look_later(loop)
        else:
            watch(self.look)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watching = bool(self._listeners) or self._restored_at > -inf
        if self._watching:
            self._look_later(loop)
            self.look()

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        # In a context of its own, as the watcher does not belong to its first listener's scope.
        context = contextvars.Context()
        loop.call_later(_LOOK_EVERY, self._look_again, loop, context=context)


_watchers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ClockWatcher]] = WeakKeyDictionary()


def clock_watcher() -> ClockWatcher:
    """Return the watcher of the running loop's wall clock.

    Raises:
        RuntimeError: no loop is running.
    """
    loop = asyncio.get_running_loop()
    watcher = _watchers.get(loop)
    if watcher is None:
        watcher = _watchers[loop] = ClockWatcher()
    return watcher


def _ahead() -> float:
    loop = asyncio.get_running_loop()
    return wall_time(loop) - loop.time()
