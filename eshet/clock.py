"""The two kinds of time, both asked of the running event loop.

*Elapsed* time is the loop's own clock, which no clock change moves: delays, windows and time-outs
use it. *Wall* time is what a clock on the wall shows. A loop that has a `wall_time()` of its own,
as one with virtual time does, decides both; everything else here asks nobody but the loop.

The wall clock can be set while a program runs, and a machine without a battery for its clock starts
with a wrong one. `clock_watcher` returns the object that notices each such *step*.
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
        loop: whose wall clock is meant; the running one if not given. Outside of a loop, the
            system's.
    """
    if loop is None:
        loop = running_loop()
    return float(getattr(loop, "wall_time", time.time)())


def wall_stamp(clock: Callable[[], float] | None = None) -> str:
    """Return the wall clock in UTC as ISO 8601 with microseconds: `2026-11-25T03:22:41.123456Z`.

    Args:
        clock: what `wall_clock` returned, for who asks very often.
    """
    global _second, _second_text
    now = wall_clock()() if clock is None else clock()
    second, micros = divmod(int(now * 1_000_000 + 0.5), 1_000_000)
    if second != _second:
        _second = second
        _second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{_second_text}.{micros:06d}Z"


_second = -1  # the last that was made a text: most stamps are within one that was asked for before
_second_text = ""


def wall_clock() -> Callable[[], float]:
    """Return what tells the wall clock of the running loop, as `wall_time` does."""
    clock: Callable[[], float] = getattr(running_loop(), "wall_time", time.time)
    return clock


def wall_now(tz: tzinfo | None = None, loop: asyncio.AbstractEventLoop | None = None) -> datetime:
    """Return the wall clock as a date and time, in `tz` or else naive in the local zone."""
    return datetime.fromtimestamp(wall_time(loop), tz)


_LEAST_STEP: Final = 0.1  # seconds; two clocks that are read one after the other may differ a bit
_LOOK_EVERY: Final = 1.0
_ROUNDING: Final = 1e-6  # of sums of times, in seconds


class ClockStep(NamedTuple):
    """The wall clock was set, or the machine has slept.

    Args:
        seconds: by how much it was put forward; negative if it was put back.
        restored_before: a time of the loop. Those before it come from an earlier process.
        moved: how much later these are, by the corrected clock; negative if they are earlier.
        written: until when that process ran, in seconds since 1970-01-01 UTC.
    """

    seconds: float
    restored_before: float = -inf
    moved: float = 0.0
    written: float = -inf


class StepListener(Protocol):
    """Whatever depends on the wall clock."""

    def clock_stepped(self, step: ClockStep) -> None:
        """Adapt to a step of the wall clock; must not raise."""


class ClockWatcher:
    """Notices when the wall clock of one event loop is set, within a second.

    It compares the wall clock with the loop's once a second. A loop that has its own wall clock
    may have a method `watch_wall_clock(look)` and call `look` whenever its wall clock was set.

    It also knows how the times that an earlier process left relate to those of the loop. As long as
    the wall clock shows less than that process last wrote, it is wrong; until it is set, no time
    counts as having passed in between.

    It holds its loop and its listeners weakly.
    """

    def __init__(self) -> None:
        self._listeners: WeakKeyDictionary[StepListener, contextvars.Context] = WeakKeyDictionary()
        self._watching = False
        self._ahead = 0.0  # by how much the wall clock is ahead of the loop's
        self._restored_at = -inf
        self._written = -inf
        self._moved = 0.0

    @property
    def moved(self) -> float:
        """How much later restored times are by now than when they were restored."""
        return self._moved

    def add(self, listener: StepListener) -> None:
        """Notify a listener of each step from now on, in the present context."""
        self._listeners[listener] = contextvars.copy_context()
        self._watch()

    def discard(self, listener: StepListener) -> None:
        """Notify a listener of no more steps."""
        self._listeners.pop(listener, None)

    def restore(self, now: float, written: float) -> None:
        """Take note that times of an earlier process are taken in.

        Args:
            now: the loop's time.
            written: what the wall clock showed when that process last wrote.
        """
        self._watch()
        self._restored_at, self._written, self._moved = now, written, 0.0

    def look(self) -> None:
        """Compare the clocks, and notify all listeners if one of them was set."""
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
        """Return the seconds between the earlier process and this one, by such a wall clock."""
        if self._written == -inf:
            return ahead  # unknown, but for what a step changes in it
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
        # In a context of its own, as what follows has nothing to do with who was the first to wait.
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
