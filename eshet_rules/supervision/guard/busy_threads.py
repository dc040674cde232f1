"""Finds busy threads of rules, which slow the event loop down.

Python runs one thread at a time. A busy thread makes every step of the loop wait for its share of
the interpreter, so the loop is late although none of its steps takes long.

Which threads are busy is known by their processor time, not by what they execute: a thread that
waits has lines of a rule on its stack as well. Python has no safe function for the processor time
of another thread, so it is read from /proc: only of threads of rules, and only when beats are late,
because each read gives the busy threads another turn. So it is known from the second late beat in a
row on. At the first one, and without /proc, a thread is named only if no other one can be meant.
"""

import os
import threading
import time
from collections.abc import Callable, Container
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from eshet.interpreter import thread_frames

__all__ = ["BusyThread", "BusyThreads", "processor_time"]

_LATE: Final = 0.25
"""Seconds by which a beat of the loop must be late before the threads are checked."""

_SHARE: Final = 0.5
"""Minimum fraction of the time in which other threads must have used the processor."""

_BUSY: Final = 0.25
"""Minimum processor time of a thread that is named, as a fraction of that of the busiest one."""

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_USER_TIME: Final = 11
"""Index of the field `utime` among those after the name in /proc/.../stat; `stime` follows."""


def processor_time(thread: threading.Thread) -> float | None:
    """Return the processor time of a thread, in seconds; None if the system does not tell it."""
    try:
        stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_bytes()
        user, system = stat.rpartition(b")")[2].split()[_USER_TIME : _USER_TIME + 2]
    except (OSError, ValueError):
        return None
    return (int(user) + int(system)) * _TICK


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
        time_of: returns the processor time of a thread, see `processor_time`.
    """

    def __init__(
        self,
        folder: str,
        clocks: Callable[[], tuple[float, float, float]] = lambda: (
            time.monotonic(),
            time.process_time(),
            time.thread_time(),
        ),
        time_of: Callable[[threading.Thread], float | None] = processor_time,
    ) -> None:
        self._folder = folder
        self._clocks = clocks
        self._time_of = time_of
        self._last = clocks()
        self._times: dict[int, float] | None = None  # at the last beat, if that was late

    def look(self, interval: float) -> list[BusyThread]:
        """Return the threads of rules that made this beat late; called at each beat.

        Args:
            interval: the nominal time between two beats, in seconds.
        """
        before, self._last = self._last, self._clocks()
        times_before, self._times = self._times, None
        spans = zip(before, self._last, strict=True)
        elapsed, used, used_here = (end - begin for begin, end in spans)
        if elapsed - interval < _LATE or used - used_here < _SHARE * elapsed:
            return []
        of_rules = self._threads_of_rules()
        self._times = self._times_of(of_rules)
        known: dict[int, float] = {}
        if times_before is not None:
            # A thread that is not in the earlier times, or has less, is new: its ident was reused.
            known = {
                ident: now - earlier if (earlier := times_before.get(ident, 0.0)) <= now else now
                for ident, now in self._times.items()
            }
        if known and sum(known.values()) >= _SHARE * (used - used_here):
            least = _BUSY * max(known.values())
            return [of_rules[ident] for ident, seconds in known.items() if seconds >= least]
        unknown = [thread for ident, thread in of_rules.items() if ident not in known]
        return unknown if len(unknown) == 1 else []

    def _times_of(self, idents: Container[int]) -> dict[int, float]:
        """Return the processor times of threads, as far as they are known, by their idents."""
        times: dict[int, float] = {}
        for each in threading.enumerate():
            if each.ident is not None and each.ident in idents:
                seconds = self._time_of(each)
                if seconds is not None:
                    times[each.ident] = seconds
        return times

    def _threads_of_rules(self) -> dict[int, BusyThread]:
        """Return the other threads with a rule on their stack, by their idents."""
        names = {each.ident: each.name for each in threading.enumerate()}
        found: dict[int, BusyThread] = {}
        for ident, innermost in thread_frames().items():
            frame: FrameType | None = innermost
            while frame is not None and not frame.f_code.co_filename.startswith(self._folder):
                frame = frame.f_back
            if frame is not None and ident != threading.get_ident():
                name, file = names.get(ident, ""), frame.f_code.co_filename
                found[ident] = BusyThread(name, file, frame.f_lineno)
        return found
