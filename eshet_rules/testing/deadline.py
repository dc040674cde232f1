"""Interrupts rules that block, or that wait in real time, so that a test or a check ends.

The clock is virtual, and it stops while code runs. A timer of the operating system looks regularly
at the running code. If nothing new has run for some time, code of a rule is at fault: it blocks, or
the loop waits for something outside, such as an answer from the network.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, NamedTuple, NoReturn

from eshet.exceptions import Interrupted
from eshet_rules.testing.virtual_time import VirtualLoop

__all__ = ["CPU_TIME", "REAL_TIME", "Blocks", "Stopwatch", "deadline"]


_end_process: Final = os._exit
"""The function of the system: commands report a rule that calls `os._exit`."""


class Stopwatch(NamedTuple):
    """A kind of time.

    Args:
        read: returns the time, in seconds.
        timer: the timer of the operating system that runs by it.
        signal: the signal of that timer.
    """

    read: Callable[[], float]
    timer: int
    signal: int


REAL_TIME: Final = Stopwatch(time.monotonic, signal.ITIMER_REAL, signal.SIGALRM)

CPU_TIME: Final = Stopwatch(time.process_time, signal.ITIMER_VIRTUAL, signal.SIGVTALRM)
"""Time in which the process runs: it stops while a debugger or a socket waits."""

_LOOK: Final = 0.1
"""Seconds between two looks at the running code."""

_AGAIN: Final = 1.0
"""Seconds until code that goes on after an interruption is interrupted again."""

_MOST: Final = 3
"""Number of interruptions of the same code after which the process ends."""


class Blocks(Interrupted):
    """Code of a rule blocks; raised in that code.

    Args:
        seconds: how long.
        file: the file with the line that blocks.
        line: the line.
    """

    def __init__(self, seconds: float, file: Path, line: int) -> None:
        self.seconds = seconds
        self.file = file
        self.line = line
        super().__init__(
            f"this has blocked for {seconds:g} s, and would block all rules: await slow "
            "operations, or run them with `await asyncio.to_thread(...)`"
        )


@contextlib.contextmanager
def deadline(
    seconds: float,
    loop: VirtualLoop,
    is_rule: Callable[[str], bool],
    give_up: Callable[[], object],
    on_block: Callable[[Path, int], object],
    stopwatch: Stopwatch = REAL_TIME,
) -> Iterator[None]:
    """Interrupt code that makes no progress, within a `with` statement in the main thread.

    In another thread this does nothing, as only the main thread receives signals.

    Args:
        seconds: maximum time without progress.
        loop: the loop that runs.
        is_rule: returns whether a file, given by its path, belongs to the rules.
        give_up: called if the loop waits, or turns without end.
        on_block: called with the file and the line of code that is about to be interrupted.
        stopwatch: the kind of time; its signal is used within the `with` statement.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    look = _Look(seconds, loop, is_rule, give_up, on_block, stopwatch.read)
    before = signal.signal(stopwatch.signal, look)
    signal.setitimer(stopwatch.timer, _LOOK, _LOOK)
    try:
        yield
    finally:
        signal.setitimer(stopwatch.timer, 0)
        signal.signal(stopwatch.signal, before)


class _Look:
    """The signal handler; see `deadline`."""

    def __init__(
        self,
        seconds: float,
        loop: VirtualLoop,
        is_rule: Callable[[str], bool],
        give_up: Callable[[], object],
        on_block: Callable[[Path, int], object],
        read: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._loop = loop
        self._is_rule = is_rule
        self._give_up = give_up
        self._on_block = on_block
        self._read = read
        now = read()
        self._seen: set[tuple[float, CodeType | None]] = set()
        self._deadline = now + seconds
        self._turn = loop.turns, now  # with the time at which it was first seen
        self._interruptions = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        frames = [each for each in _stack(frame) if self._is_rule(each.f_code.co_filename)]
        now = self._read()
        if self._loop.turns != self._turn[0]:
            self._turn = self._loop.turns, now
        # A rule that runs in small steps forever shows the same few places again and again.
        running = self._loop.time(), frames[-1].f_code if frames else None
        if running not in self._seen:
            self._seen.add(running)
            self._deadline = now + self._seconds
            self._interruptions = 0
        if now < self._deadline:
            return
        self._deadline = now + _AGAIN
        if frames and now - self._turn[1] >= self._seconds:
            self._interrupt(Path(frames[0].f_code.co_filename), frames[0].f_lineno)
        else:
            self._give_up()

    def _interrupt(self, file: Path, line: int) -> NoReturn:
        self._interruptions += 1
        if self._interruptions > _MOST:
            sys.stderr.write(f"{file}:{line}: error: this blocks, and can't be interrupted\n")
            sys.stderr.flush()
            _end_process(1)
        self._on_block(file, line)
        raise Blocks(self._seconds, file, line)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Iterate over a frame and its callers."""
    while frame is not None:
        yield frame
        frame = frame.f_back
