"""Detects a rule that blocks the event loop, and interrupts it.

A periodic callback of the loop, the *beat*, restarts a timer of the operating system. A blocked
loop has no beat, so the timer fires: its signal handler, the *alarm*, runs in the same thread, in
the middle of the blocking code. There it can determine, without a race, which rule is running, and
raise an exception in its code.

    beat ── sets the timer ──> beat ── sets the timer ──┐ blocked
                                                        └──> alarm, alarm, alarm …
                                                     same step?  logged   interrupted

By comparing alarms, it distinguishes one long *step* (a callback, or one turn of a task) from many
short ones, for which no rule is at fault. Code that Python can't interrupt, such as a long call of
C, is left to the crash file (see `eshet_rules.supervision.guard.crash`), which ends the process.

If a rule sets or emits so much in one step that the resulting changes block the loop, it is not
interrupted, as none of its code is running: the pending changes are dropped.

Invariants: nothing is raised in code of the runner, nor if no rule is at fault; one interruption
concerns one rule.
"""

import asyncio
import contextlib
import logging
import math
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Final, NamedTuple

import structlog
from structlog.typing import FilteringBoundLogger

import eshet
import eshet_rules
from eshet.exceptions import Interrupted
from eshet.interpreter import LOOP_RUN_ONCE
from eshet.reactive.core.transaction import thread_local
from eshet.scope import current_scope
from eshet_rules import audit, logs
from eshet_rules.audit.records.rules import LoopSlowedByThreads
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import (
    LoopUnblocked,
    ProcessWasStopped,
    RuleBlocksLoop,
    RuleInterrupted,
)
from eshet_rules.supervision.guard.busy_threads import BusyThreads
from eshet_rules.supervision.guard.crash import CrashFile
from eshet_rules.supervision.guard.signal_handlers import SignalHandlers
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.supervised_rule import SupervisedRule, rule_of

__all__ = ["Blocked", "Place", "Watchdog", "place_of"]

BEAT: Final = 0.25
"""Seconds between two beats."""

SAMPLE: Final = 0.05
"""Seconds between two alarms, once a beat is late."""

STOPPED_AFTER: Final = 1.0
"""Seconds without an alarm after which the process counts as having been suspended."""

_AGAIN: Final = 10.0
"""Minimum time between two warnings about busy threads, in seconds."""

FAST_SAMPLE: Final = 0.001
"""Seconds between two alarms while a rule that must be interrupted mostly runs runner code."""


def _folders(*packages: ModuleType) -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for package in packages for folder in package.__path__)


_LOG: Final = _folders(logging, structlog, audit, logs)
_RUNNER: Final = (*_folders(eshet, eshet_rules, asyncio), *_LOG)


class Blocked(Interrupted):
    """A rule has blocked the event loop for too long; raised in its code.

    Args:
        seconds: how long.
        place: the place in its code.
    """

    def __init__(self, seconds: float, place: "Place") -> None:
        self.seconds = seconds
        self.place = place
        super().__init__(
            f"it blocked all rules for {seconds:.1f} s at {place.file}:{place.line}; "
            "await slow operations, or run them with `await asyncio.to_thread(...)`"
        )


class Place(NamedTuple):
    """A place in the code of a rule.

    Args:
        rule: the rule; None if there is none, as during the import of a module.
        file: the file in the rules folder.
        line: the line number.
        frame: the frame of that line; None if no code of the rule is running, but changes that it
            has triggered are.
        in_runner: whether the rule has called code of the runner that is running now: an exception
            raised there would leave an operation incomplete.
        in_log: whether that code is logging, and may hold a lock of the log.
    """

    rule: SupervisedRule | None
    file: str
    line: int
    frame: FrameType | None
    in_runner: bool
    in_log: bool


class Watchdog:
    """Watches the running loop from `start` to `stop`; in the main thread only.

    Args:
        limits: limits of code that belongs to no rule; each rule has its own.
        log: receives a message for each rule that blocks.
        folder: the rules folder.
        rules: returns the running rules.
        on_error: called with each error of a rule's signal handler.
        crash: ends the process as a last resort; None to never do that.
    """

    def __init__(
        self,
        limits: RuleLimits,
        log: FilteringBoundLogger,
        folder: Path,
        rules: Callable[[], Iterable[SupervisedRule]],
        on_error: Callable[[BaseException], object],
        crash: CrashFile | None = None,
    ) -> None:
        self._limits = limits
        self._log = log
        self._folder = f"{folder}{os.sep}"
        self._rules = rules
        self._on_error = on_error
        self._crash = crash
        self._beat_handle: asyncio.TimerHandle | None = None
        self._step: FrameType | None = None  # the step at the last alarm
        self._since = 0.0  # when that step began, with a call of C in which no alarm came
        self._seen_since = 0.0  # when that step was first seen
        self._logged_since: float | None = None  # since when the step blocks that was logged
        self._interrupted: SupervisedRule | None = None
        self._clocks = _Clocks()
        self._threads = BusyThreads(self._folder)
        self._warned_of_threads = -math.inf
        self._stopped = 0.0  # seconds in which the process was suspended, to be logged

    def start(self) -> None:
        """Start watching."""
        self._loop = asyncio.get_running_loop()
        self._handlers = SignalHandlers(self._log, self._on_error)
        self._handlers.set(signal.SIGALRM, self._on_alarm)
        self._beat()

    def stop(self) -> None:
        """Stop watching."""
        if self._beat_handle is not None:
            self._beat_handle.cancel()
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._handlers.restore()
        if self._crash is not None:
            self._crash.disarm()

    def _beat(self) -> None:
        if self._logged_since is not None:
            blocked = time.monotonic() - self._logged_since
            emit(self._log, LoopUnblocked(blocked_s=round(blocked, 2)))
        self._note_stop()
        if self._stopped:  # not logged by the alarm, which may interrupt the log itself
            emit(self._log, ProcessWasStopped(seconds=round(self._stopped, 2)))
        if not self._stopped:
            self._warn_of_threads()
        self._stopped = 0.0
        self._step = self._interrupted = self._logged_since = None
        self._handlers.check()
        signal.setitimer(signal.ITIMER_REAL, BEAT + SAMPLE, SAMPLE)
        self._clocks.expect(BEAT + SAMPLE)
        if self._crash is not None:
            self._crash.arm(BEAT + self._limits.end_after)
        self._beat_handle = self._loop.call_later(BEAT, self._beat)

    def _warn_of_threads(self) -> None:
        """Log which rules have busy threads, if they make the loop late."""
        busy = self._threads.look(BEAT)
        now = time.monotonic()
        if not busy or now - self._warned_of_threads < _AGAIN:
            return
        self._warned_of_threads = now
        for file, line in dict.fromkeys((each.file, each.line) for each in busy):
            rule = _rule_for(file, self._rules)
            emit(
                self._log,
                LoopSlowedByThreads(
                    rule=rule.name if rule is not None else None,
                    threads=[each.name for each in busy if each.file == file],
                    file=file,
                    line=line,
                    advice="compute less, or in a process (`concurrent.futures.ProcessPoolExecutor`"
                    "): threads share one interpreter with the event loop",
                ),
            )

    # --- the alarm, within the blocking code --------------------------------------------------

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self._threads.sample()
        step, now = _step_of(frame), time.monotonic()
        overdue = self._clocks.overdue()
        stopped = self._note_stop()
        self._since += stopped
        self._seen_since += stopped
        self._clocks.expect(SAMPLE)
        is_new = step is not self._step
        if is_new:
            self._step, self._since, self._seen_since = step, now - overdue, now
            self._clocks.begin_step(overdue)
        if step is None or (is_new and not overdue):
            return
        blocked = now - self._since
        place = place_of(frame, self._folder, self._rules)
        if (place is None or place.frame is None) and self._crash is not None:
            # The runner itself is slow. It is not stuck, or there would be no alarm, so there is
            # no reason to end the process.
            self._crash.arm(self._limits.end_after)
        if place is None:
            return
        if place.frame is None:  # do not count the time in which other processes slow us down
            blocked = min(blocked, self._clocks.used_by_step())
        limits = self._limits if place.rule is None else place.rule.limits
        is_stuck = blocked >= limits.end_after and place.frame is not None and not is_new
        if is_stuck and self._crash is not None:
            self._crash.end()
        is_logged = self._logged_since is not None
        if blocked >= limits.blocked_after and not is_logged and not place.in_log:
            self._logged_since = self._since
            if self._crash is not None and place.frame is not None:  # its limits may be wider
                self._crash.arm(max(limits.end_after - blocked, SAMPLE))
            with contextlib.suppress(RuntimeError):  # the rule itself is in a call of `print`
                self._log_blocking(RuleBlocksLoop, place, blocked)
        # A new step means the old has ended. A call of C that began this one has ended as well: the
        # time in which the rule may be interrupted begins after it.
        if min(blocked, now - self._seen_since) >= limits.interrupt_after and not is_new:
            if place.frame is None:  # the rule has returned, and its changes don't come to rest
                signal.setitimer(signal.ITIMER_REAL, SAMPLE, SAMPLE)
                if thread_local.transactions.cut():
                    self._blame(place, Blocked(blocked, place))
            elif place.in_runner:  # sample fast, to meet the rule's own code between two calls
                signal.setitimer(signal.ITIMER_REAL, FAST_SAMPLE, FAST_SAMPLE)
            else:
                error = Blocked(blocked, place)
                self._blame(place, error)
                raise error

    def _note_stop(self) -> float:
        """Return how long the process was suspended since the last call; `_beat` logs it."""
        stopped = self._clocks.stopped()
        self._stopped += stopped
        return stopped

    def _log_blocking(
        self, event: type[RuleBlocksLoop | RuleInterrupted], place: Place, blocked: float
    ) -> None:
        emit(
            self._log,
            event(
                rule=place.rule.name if place.rule is not None else None,
                seconds=round(blocked, 2),
                file=place.file,
                line=place.line,
                stack="".join(traceback.format_list(self._stack(place))).rstrip("\n"),
            ),
        )

    def _stack(self, place: Place) -> list[traceback.FrameSummary]:
        """Return the stack from the first frame of the rules folder to the place."""
        stack = list(traceback.extract_stack(place.frame)) if place.frame is not None else []
        while stack and not stack[0].filename.startswith(self._folder):
            del stack[0]
        return stack

    def _blame(self, place: Place, error: Blocked) -> None:
        """Log once that a rule is interrupted, and fail the rule."""
        rule = place.rule
        if rule is self._interrupted and rule is not None:
            return
        self._interrupted = rule
        if self._crash is not None:
            self._crash.note(rule.name if rule is not None else None, place.file, place.line)
        with contextlib.suppress(RuntimeError):
            self._log_blocking(RuleInterrupted, place, error.seconds)
        if rule is not None:
            self._loop.call_soon_threadsafe(rule.fail, error)


class _Clocks:
    """Measures time in which the process was suspended, by a signal or a debugger.

    There is little time between two alarms, unless a call of C holds the interpreter, which uses
    processor time, or the process is suspended, which does not.
    """

    def __init__(self) -> None:
        self._read()
        self.expect(BEAT)
        self.begin_step(0.0)

    def begin_step(self, seconds: float) -> None:
        """Note that a new step of the loop began so many seconds ago."""
        self._used_before_step = time.thread_time() - seconds

    def used_by_step(self) -> float:
        """Return the processor time of this thread since the step began, in seconds."""
        return time.thread_time() - self._used_before_step

    def expect(self, seconds: float) -> None:
        """Note when the next alarm is due."""
        self._expected = seconds

    def overdue(self) -> float:
        """Return the duration of a call of C that this thread has just ended, in seconds; else 0.

        An alarm waits for the end of such a call. It also waits for another thread that holds the
        interpreter, but meanwhile this thread does not use the processor.
        """
        overdue = time.monotonic() - self._time - self._expected
        used = time.thread_time() - self._used_here - self._expected
        return overdue if overdue > SAMPLE and used > overdue / 4 else 0.0

    def stopped(self) -> float:
        """Return how long the process was suspended since the last call, in seconds; else 0."""
        time_before, used_before = self._time, self._used
        self._read()
        idle = (self._time - time_before) - (self._used - used_before)
        return idle if idle > BEAT + STOPPED_AFTER else 0.0

    def _read(self) -> None:
        self._time, self._used = time.monotonic(), time.process_time()
        self._used_here = time.thread_time()


def place_of(
    frame: FrameType | None, folder: str, rules: Callable[[], Iterable[SupervisedRule]]
) -> Place | None:
    """Return the place in the rules folder of a frame or its nearest caller there.

    If no frame is in the rules folder, it is the place of the rule that the current scope belongs
    to; None if it belongs to no rule.

    Args:
        frame: the innermost frame.
        folder: the rules folder, with a separator at its end.
        rules: returns the running rules.
    """
    in_runner = in_log = False
    for each in _outwards(frame):
        file = each.f_code.co_filename
        if file.startswith(folder):
            return Place(_rule_for(file, rules), file, each.f_lineno, each, in_runner, in_log)
        in_runner = in_runner or file.startswith(_RUNNER)
        in_log = in_log or file.startswith(_LOG)
    rule = rule_of(current_scope())
    if rule is None:
        return None
    return Place(rule, rule.file, rule.line, None, in_runner, in_log)


def _rule_for(file: str, rules: Callable[[], Iterable[SupervisedRule]]) -> SupervisedRule | None:
    """Return the rule to which running code of a file is attributed.

    That is the rule that the current scope belongs to. But a `__del__` may run in the scope of any
    rule: code in the file of another rule is attributed to that rule.
    """
    current = rule_of(current_scope())
    if current is not None and current.file == file:
        return current
    others = [rule for rule in rules() if rule.file == file]
    return others[0] if others else current


def _step_of(frame: FrameType | None) -> FrameType | None:
    """Return the outermost frame of the present step of the loop; None if there is none."""
    step = None
    for each in _outwards(frame):
        if each.f_code is LOOP_RUN_ONCE:
            return step
        step = each
    return None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
