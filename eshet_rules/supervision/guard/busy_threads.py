"""Finds busy threads of rules, which slow the event loop down.

Python runs one thread at a time. A busy thread makes every step of the loop wait for its share of
the interpreter, so the loop is late although none of its steps takes long.

Which threads are busy is known by their processor time, not by the code they execute: a thread that
waits has lines of a rule on its stack as well. Two busy threads can delay a beat until they have
ended, so the alarms before that beat take samples of them. Without processor times, a thread is
named only if no other one can be meant.
"""

import time
from collections.abc import Callable
from types import FrameType
from typing import Final, NamedTuple

from eshet.interpreter import processor_time, thread_frames, threads_by_ident

__all__ = ["BusyThread", "BusyThreads"]

_LATE: Final = 0.25
"""Seconds by which a beat of the loop must be late before the threads are checked."""

_SHARE: Final = 0.5
"""Minimum fraction of the time in which other threads must have used the processor."""

_BUSY: Final = 0.25
"""Minimum processor time of a thread that is named, as a fraction of that of the busiest one."""


class BusyThread(NamedTuple):
    """A thread that runs code of a rule.

    Args:
        name: the name of the thread.
        file: the file of the rules folder that it executes.
        line: the line number.
    """

    name: str
    file: str
    line: int


class BusyThreads:
    """Checks the threads of the process whenever a beat of the loop is late.

    Args:
        folder: the rules folder, with a separator at its end.
        clocks: returns the time, and the processor time of the process and of this thread, in
            seconds.
        time_of: returns the processor time of the thread with a native id, in seconds; None if it
            is not known.
    """

    def __init__(
        self,
        folder: str,
        clocks: Callable[[], tuple[float, float, float]] = lambda: (
            time.monotonic(),
            time.process_time(),
            time.thread_time(),
        ),
        time_of: Callable[[int], float | None] = processor_time,
    ) -> None:
        self._folder = folder
        self._clocks = clocks
        self._time_of = time_of
        self._last = clocks()
        self._times = self._times_of_all()  # at the last beat
        self._seen: dict[int, tuple[BusyThread, float | None]] = {}  # since the last beat

    def sample(self) -> None:
        """Note which threads of rules run at the moment, and their processor times.

        Called by the alarm, in the middle of any code, so it takes no lock.
        """
        frames = thread_frames()
        for ident, thread in threads_by_ident().items():
            frame: FrameType | None = frames.get(ident)
            while frame is not None and not frame.f_code.co_filename.startswith(self._folder):
                frame = frame.f_back
            if frame is not None and thread.native_id is not None:
                found = BusyThread(thread.name, frame.f_code.co_filename, frame.f_lineno)
                self._seen[thread.native_id] = found, self._time_of(thread.native_id)

    def look(self, interval: float) -> list[BusyThread]:
        """Return the threads of rules that made this beat late; called at each beat.

        Args:
            interval: the nominal time between two beats, in seconds.
        """
        before, self._last = self._last, self._clocks()
        elapsed, used, used_here = (
            end - start for start, end in zip(before, self._last, strict=True)
        )
        is_late = elapsed - interval >= _LATE and used - used_here >= _SHARE * elapsed
        if is_late:
            self.sample()
        seen, self._seen = self._seen, {}
        times_before, self._times = self._times, self._times_of_all()
        return _busy(seen, times_before, _SHARE * (used - used_here)) if is_late else []

    def _times_of_all(self) -> dict[int, float]:
        """Return the processor times of all threads, as far as they are known, by native id."""
        native_ids = (thread.native_id for thread in threads_by_ident().values())
        times = ((each, self._time_of(each)) for each in native_ids if each is not None)
        return {native_id: seconds for native_id, seconds in times if seconds is not None}


def _busy(
    seen: dict[int, tuple[BusyThread, float | None]], times_before: dict[int, float], least: float
) -> list[BusyThread]:
    """Return the threads that were busy since the last beat.

    Args:
        seen: the threads and their processor times, by native id.
        times_before: the processor times at the last beat; a thread that is missing started later.
        least: the processor time, in seconds, that they must have used together.
    """
    used = {
        native_id: seconds - times_before.get(native_id, 0.0)
        for native_id, (_, seconds) in seen.items()
        if seconds is not None
    }
    if used and sum(used.values()) >= least:
        busiest = max(used.values())
        return [seen[each][0] for each, seconds in used.items() if seconds >= _BUSY * busiest]
    unknown = [thread for thread, seconds in seen.values() if seconds is None]
    return unknown if len(unknown) == 1 else []
