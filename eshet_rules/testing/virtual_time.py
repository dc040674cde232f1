"""An event loop with a clock that moves only when a test advances it: an hour takes milliseconds.

The clock stands still, and the loop waits for I/O like any other, until a task awaits `advance`.
Then, whenever the loop is idle, the clock jumps to the next timer instead of waiting for it, and so
on until the requested time has passed. Sockets, threads and processes keep working: no time passes
while they are known to be at work.

    async def test_goes_off_after_two_minutes():
        loop = asyncio.get_running_loop()
        ...
        await loop.advance(120)

Invariants: the clock never goes back; a timer is never called before its time, and timers of the
same time are called in the order in which they were created; when `advance` returns, all timers up
to the new time have been called, and the tasks that they started have settled.
"""

import asyncio
import contextlib
import itertools
import math
import selectors
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, TypeVarTuple

from eshet.interpreter import set_clock_resolution

__all__ = ["VirtualLoop", "WaitsForEver"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_DEFAULT_START: Final = datetime(2026, 1, 1, tzinfo=UTC)

# 0.1 + 0.2 is slightly more than 0.3: a timer this close after the end of `advance` belongs to it.
_SAME_TIME: Final = 1e-6

_SAME_WALL_TIME: Final = 1e-3

# In real seconds: long for a thread that does not use `real_work`, short for a developer.
_PATIENCE: Final = 5.0


class WaitsForEver(RuntimeError):
    """Nothing can wake the loop any more, since its clock stands still.

    Args:
        waiting: descriptions of the waiting tasks.
    """

    def __init__(self, waiting: list[str]) -> None:
        self.waiting = waiting
        super().__init__(
            f"nothing can wake these tasks: {', '.join(waiting)}. Time moves only in "
            "`await house.advance(seconds)` (without a house, `await loop.advance(seconds)`), so "
            "call that in place of `asyncio.sleep`; wrap work of a thread in `with "
            "loop.real_work():`"
        )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time; its clock starts at 0.

    Args:
        start: the time of the wall clock at 0.
    """

    def __init__(self, start: datetime = _DEFAULT_START) -> None:
        self._now = 0.0
        self._wall_start = start.timestamp()
        self._wall_looks: list[Callable[[], None]] = []
        self._wall_ahead = self._wall_start
        self._end = 0.0
        self._advancing: asyncio.Future[None] | None = None
        self._at_work = 0
        self._numbers = itertools.count()
        self._world = _Selector(self._on_idle, self._on_nothing)
        super().__init__(self._world)
        self._jump(0.0)

    def time(self) -> float:
        """Return the virtual time in seconds since the loop was created."""
        return self._now

    def wall_time(self) -> float:
        """Return the virtual wall clock as seconds since 1970-01-01 UTC; see `eshet.clock`."""
        return self._wall_start + self._now

    @property
    def turns(self) -> int:
        """The number of turns of the loop so far: within one turn, no other task runs."""
        return self._world.turns

    def set_wall_time(self, to: datetime) -> None:
        """Set the virtual wall clock, as a user or NTP does; timers of the loop do not move.

        Watchers of the wall clock are notified before the next timer is called. In a real loop that
        takes up to a second.

        Args:
            to: a time with a zone, or a local one.
        """
        self._wall_start = to.timestamp() - self._now

    def watch_wall_clock(self, look: Callable[[], None]) -> None:
        """Call `look` whenever the wall clock was set; see `eshet.clock.ClockWatcher`."""
        self._wall_looks.append(look)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call the callback as asyncio does, but call timers of the same time in order."""
        moment = _Moment(when)
        moment.number = next(self._numbers)
        return super().call_at(moment, callback, *args, context=context)

    async def advance(self, seconds: float = 0.0) -> None:
        """Advance the clock; return when all timers in that time were called and have settled.

        With 0, only wait until pending callbacks and tasks have settled. If this is cancelled, the
        clock stops where it is.

        Raises:
            ValueError: `seconds` is negative or not finite.
            RuntimeError: another task is advancing this loop already.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"can't advance by {seconds} s: write a finite number, 0 or more")
        if self._advancing is not None:
            raise RuntimeError("another task advances this loop already: await one after another")
        self._end = self._now + seconds
        self._advancing = self.create_future()
        try:
            await self._advancing
        finally:
            self._advancing = None

    @property
    def is_advancing(self) -> bool:
        """Whether a task is waiting in `advance`, so that another one can't."""
        return self._advancing is not None

    def fail_advance(self, error: Exception) -> None:
        """Raise an error in the running `advance`, if there is one; may be called by a signal."""
        self.call_soon_threadsafe(self._fail_advance, error)

    def _fail_advance(self, error: Exception) -> None:
        if self._advancing is not None and not self._advancing.done():
            self._advancing.set_exception(error)

    def forget_advance(self) -> None:
        """Note that the task that was in `advance` has ended with the loop."""
        self._advancing = None

    @contextlib.contextmanager
    def real_work(self) -> Iterator[None]:
        """Stop the clock within a `with` statement, while work outside of the loop is done.

        The loop knows about jobs in an executor (`asyncio.to_thread`); it does not know about
        processes, servers in other loops, and other threads.
        """
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def run_in_executor(
        self, executor: Any, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run a job as asyncio does; no time passes until it has ended."""
        future: asyncio.Future[_T] = super().run_in_executor(executor, func, *args)
        self._at_work += 1
        future.add_done_callback(self._on_job_end)
        return future

    def _on_job_end(self, job: asyncio.Future[Any]) -> None:
        self._at_work -= 1

    def _on_idle(self, timeout: float | None) -> float | None:
        """Decide, when nothing is ready, how long to wait for I/O.

        Args:
            timeout: the seconds until the next timer; None if there is none.
        """
        if self._wall_clock_was_set():
            for look in self._wall_looks:
                self.call_soon(look)
            return 0
        if self._at_work:
            return None
        if self._advancing is None:
            # One entry is the loop's own wake-up pipe; any other one may still become ready.
            return None if len(self._world.get_map()) > 1 else _PATIENCE
        if timeout is not None and self._now + timeout <= self._end + _SAME_TIME:
            self._jump(self._now + timeout)
        elif self._now < self._end:
            self._jump(self._end)
        elif not self._advancing.done():
            self._advancing.set_result(None)
        return 0

    def _wall_clock_was_set(self) -> bool:
        before, self._wall_ahead = self._wall_ahead, self.wall_time() - self._now
        return abs(self._wall_ahead - before) > _SAME_WALL_TIME

    def _on_nothing(self) -> None:
        waiting = sorted(
            str(getattr(task.get_coro(), "__qualname__", task)) for task in asyncio.all_tasks(self)
        )
        raise WaitsForEver(waiting)

    def _jump(self, to: float) -> None:
        self._now = to
        # asyncio calls timers up to this much before their time, to avoid very short waits. Here
        # the clock is exactly at a timer, so the smallest amount that asyncio can add suffices: one
        # step of a float. A nanosecond would be lost in rounding after half a year, and asyncio
        # would never call the timer (cpython gh-145703).
        set_clock_resolution(self, math.ulp(to))


class _Moment(float):
    """The time of a timer; of two equal ones, the one that was created first comes first."""

    __slots__ = ("number",)

    number: int

    def __lt__(self, other: float) -> bool:
        if isinstance(other, _Moment) and float.__eq__(self, other):
            return self.number < other.number
        return super().__lt__(other)


class _Selector(selectors.DefaultSelector):
    """Calls a function when the loop is idle, which decides how long to wait.

    Args:
        on_idle: given the timeout of asyncio, returns the timeout to use.
        on_nothing: called when nothing became ready in that time.
    """

    def __init__(
        self,
        on_idle: Callable[[float | None], float | None],
        on_nothing: Callable[[], None],
    ) -> None:
        super().__init__()
        self.turns = 0
        self._on_idle = on_idle
        self._on_nothing = on_nothing

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the ready files, as any selector does."""
        self.turns += 1
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        wait = self._on_idle(timeout)
        if wait == 0:
            return ready
        ready = super().select(wait)
        if not ready and wait is not None:
            self._on_nothing()
        return ready
