"""Finds busy threads of rules, which slow the event loop down.

Python runs one thread at a time. A busy thread makes every step of the loop wait for its share of
the interpreter, so the loop is late although none of its steps takes long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NamedTuple

from eshet.interpreter import thread_frames

__all__ = ["BusyThread", "BusyThreads"]

_LATE: Final = 0.25
"""Seconds by which a beat of the loop must be late before the threads are checked."""

_SHARE: Final = 0.5
"""Minimum fraction of the time in which other threads must have used the processor."""


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
    """

    def __init__(
        self,
        folder: str,
        clocks: Callable[[], tuple[float, float, float]] = lambda: (
            time.monotonic(),
            time.process_time(),
            time.thread_time(),
        ),
    ) -> None:
        self._folder = folder
        self._clocks = clocks
        self._last = clocks()

    def look(self, interval: float) -> list[BusyThread]:
        """Return the threads of rules that made this beat late; called at each beat.

        Args:
            interval: the nominal time between two beats, in seconds.
        """
        before, self._last = self._last, self._clocks()
        spans = zip(before, self._last, strict=True)
        elapsed, used, used_here = (end - begin for begin, end in spans)
        if elapsed - interval < _LATE or used - used_here < _SHARE * elapsed:
            return []
        return list(self._threads_of_rules())

    def _threads_of_rules(self) -> Iterator[BusyThread]:
        names = {each.ident: each.name for each in threading.enumerate()}
        for ident, innermost in thread_frames().items():
            frame: FrameType | None = innermost
            while frame is not None and not frame.f_code.co_filename.startswith(self._folder):
                frame = frame.f_back
            if frame is not None and ident != threading.get_ident():
                yield BusyThread(names.get(ident, ""), frame.f_code.co_filename, frame.f_lineno)
