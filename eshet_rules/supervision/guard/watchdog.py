"""Notices a rule that keeps the event loop from everybody else, and interrupts it.

A beat of the loop sets a timer of the operating system, again and again. A loop that is blocked has
no beat, so the timer goes off: its handler runs in the midst of what blocks, in the same thread.
There it can tell, without a race, which rule that is, and raise an exception in its code.

    beat ── sets the timer ──> beat ── sets the timer ──┐ blocked
                                                        └──> alarm, alarm, alarm …
                                                     same step?  logged   interrupted

It is told by alarms whether it is one *step* that blocks, one callback or one turn of a task, or
many short ones, which is nobody's fault. What Python can't interrupt, as a long call of C, is left
to the crash file (see `eshet_rules.supervision.guard.crash`), which ends the process.

A rule that sets or emits so much in one step that the changes which follow keep the loop is not
interrupted, as none of its code runs: what waits of that is dropped.

Invariants: nothing is raised in code of the runner, nor while nobody is at fault; one interruption
is for one rule.
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
from eshet_rules.audit.records import (
    LoopSlowedByThreads,
    LoopUnblocked,
    ProcessWasStopped,
    RuleBlocksLoop,
    RuleInterrupted,
    emit,
)
from eshet_rules.supervision.guard.busy_threads import BusyThreads
from eshet_rules.supervision.guard.crash import CrashFile
from eshet_rules.supervision.guard.signal_handlers import SignalHandlers
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.supervised_rule import SupervisedRule, rule_of

__all__ = ["Blocked", "Place", "Watchdog", "place_of"]

BEAT: Final = 0.25
"""Seconds from one beat to the next."""

SAMPLE: Final = 0.05
"""Seconds from one alarm to the next, once a beat is late."""

STOPPED_AFTER: Final = 1.0
"""Without an alarm for so many seconds, the process is taken to have been stopped."""

_AGAIN: Final = 10.0
"""Seconds until threads that slow the loop down are logged again."""

FAST_SAMPLE: Final = 0.001
"""The same for a rule that is to be interrupted, and is most of the time in code of the runner."""


def _folders(*packages: ModuleType) -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for package in packages for folder in package.__path__)


_LOG: Final = _folders(logging, structlog, audit, logs)
_RUNNER: Final = (*_folders(eshet, eshet_rules, asyncio), *_LOG)


class Blocked(Interrupted):
    """It has kept the event loop from everybody else for too long.

    Args:
        seconds: how long.
        place: where.
    """

    def __init__(self, seconds: float, place: "Place") -> None:
        self.seconds = seconds
        self.place = place
        super().__init__(
            f"it kept the house waiting for {seconds:.1f} s at {place.file}:{place.line}; "
            "await what takes long, or run it with `await asyncio.to_thread(...)`"
        )


class Place(NamedTuple):
    """Where code of a rule is.

    Args:
        rule: whose it is; None if it belongs to none, as what runs when a module is imported.
        file: in the rules folder.
        line: its number.
        frame: of that line; None if none of the rule's code runs, but what it has set off does.
        in_runner: whether it has called code of the runner, which is what runs: an exception
            raised there would leave something half done.
        in_log: whether that is about to log, and may hold what a log needs.
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
        limits: how long code may block that belongs to no rule; each rule has its own.
        log: where it is told who does.
        folder: the rules folder.
        rules: returns the rules that are alive.
        on_error: called with what a signal handler of a rule has raised.
        crash: ends the process when all else has failed, if given.
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
        self._step: FrameType | None = None  # what the last alarm saw
        self._since = 0.0  # when it was first seen
        self._told_since: float | None = None  # since when that blocks which was told of
        self._interrupted: SupervisedRule | None = None
        self._clocks = _Clocks()
        self._threads = BusyThreads(self._folder)
        self._warned_of_threads = -math.inf
        self._stopped = 0.0  # seconds in which the process was stopped, to be logged

    def start(self) -> None:
        """Watch from now on."""
        self._loop = asyncio.get_running_loop()
        self._handlers = SignalHandlers(self._log, self._on_error)
        self._handlers.set(signal.SIGALRM, self._on_alarm)
        self._beat()

    def stop(self) -> None:
        """Watch no more."""
        if self._beat_handle is not None:
            self._beat_handle.cancel()
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._handlers.restore()
        if self._crash is not None:
            self._crash.disarm()

    def _beat(self) -> None:
        if self._told_since is not None:
            blocked = time.monotonic() - self._told_since
            emit(self._log, LoopUnblocked(blocked_s=round(blocked, 2)))
        self._note_stop()
        if self._stopped:  # not logged by the alarm, which may interrupt the log itself
            emit(self._log, ProcessWasStopped(seconds=round(self._stopped, 2)))
        if not self._stopped:
            self._warn_of_threads()
        self._stopped = 0.0
        self._step = self._interrupted = self._told_since = None
        self._handlers.check()
        signal.setitimer(signal.ITIMER_REAL, BEAT + SAMPLE, SAMPLE)
        self._clocks.expect(BEAT + SAMPLE)
        if self._crash is not None:
            self._crash.arm(BEAT + self._limits.end_after)
        self._beat_handle = self._loop.call_later(BEAT, self._beat)

    def _warn_of_threads(self) -> None:
        """Log which rules have threads that compute, if the loop is late for that."""
        busy = self._threads.look(BEAT)
        now = time.monotonic()
        if not busy or now - self._warned_of_threads < _AGAIN:
            return
        self._warned_of_threads = now
        for file, line in dict.fromkeys((each.file, each.line) for each in busy):
            rule = _whose(file, self._rules)
            emit(
                self._log,
                LoopSlowedByThreads(
                    rule=rule.name if rule is not None else None,
                    threads=[each.name for each in busy if each.file == file][:10],
                    file=file,
                    line=line,
                    advice="compute in a process (`concurrent.futures.ProcessPoolExecutor`), or "
                    "less: threads share one interpreter with the event loop",
                ),
            )

    # --- in the midst of what blocks ----------------------------------------------------------

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        step, now = _step_of(frame), time.monotonic()
        overdue = self._clocks.overdue()
        self._since += self._note_stop()
        self._clocks.expect(SAMPLE)
        is_new = step is not self._step
        if is_new:
            self._step, self._since = step, now - overdue
            self._clocks.begin_step(overdue)
        if step is None or (is_new and not overdue):
            return
        blocked = now - self._since
        place = place_of(frame, self._folder, self._rules)
        if (place is None or place.frame is None) and self._crash is not None:
            # The runner itself is slow. It is not stuck, or no alarm would come, so there is no
            # reason to end the process.
            self._crash.arm(self._limits.end_after)
        if place is None:
            return
        if place.frame is None:  # the runner never waits, so it is no fault if others slow it down
            blocked = min(blocked, self._clocks.used_by_step())
        limits = self._limits if place.rule is None else place.rule.limits
        is_stuck = blocked >= limits.end_after and place.frame is not None and not is_new
        if is_stuck and self._crash is not None:
            self._crash.end()
        is_told = self._told_since is not None
        if blocked >= limits.blocked_after and not is_told and not place.in_log:
            self._told_since = self._since
            if self._crash is not None and place.frame is not None:  # its limits may be wider
                self._crash.arm(max(limits.end_after - blocked, SAMPLE))
            with contextlib.suppress(RuntimeError):  # the rule itself is about to print something
                self._log_blocking(RuleBlocksLoop, place, blocked)
        if blocked >= limits.interrupt_after and not is_new:  # else it has ended already
            if place.frame is None:  # it has returned, and what it set goes round and round
                signal.setitimer(signal.ITIMER_REAL, SAMPLE, SAMPLE)
                if thread_local.transactions.cut():
                    self._blame(place, Blocked(blocked, place))
            elif place.in_runner:  # the rule's own code is between two calls of ours, for a moment
                signal.setitimer(signal.ITIMER_REAL, FAST_SAMPLE, FAST_SAMPLE)
            else:
                error = Blocked(blocked, place)
                self._blame(place, error)
                raise error

    def _note_stop(self) -> float:
        """Return for how long the process was stopped since the last call; `_beat` logs that."""
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
        """Return the stack down to the place, from the first line of the rules folder."""
        stack = list(traceback.extract_stack(place.frame)) if place.frame is not None else []
        while stack and not stack[0].filename.startswith(self._folder):
            del stack[0]
        return stack

    def _blame(self, place: Place, error: Blocked) -> None:
        """Tell once that a rule is interrupted, and let it be failed."""
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
    """Tells time in which the process was stopped, by a signal or a debugger, from other time.

    Between two alarms little time passes, unless a call of C holds Python, which uses the
    processor, or the process is stopped, which does not.
    """

    def __init__(self) -> None:
        self._read()
        self.expect(BEAT)
        self.begin_step(0.0)

    def begin_step(self, seconds: float) -> None:
        """Note that a step of the loop is seen for the first time, which has begun before."""
        self._used_before_step = time.thread_time() - seconds

    def used_by_step(self) -> float:
        """Return for how many seconds this thread has used the processor since then."""
        return time.thread_time() - self._used_before_step

    def expect(self, seconds: float) -> None:
        """Note when the next alarm is due."""
        self._expected = seconds

    def overdue(self) -> float:
        """Return for how many seconds this thread has been in one call of C that ends only now.

        An alarm waits for the end of such a call. It waits for another thread that holds Python,
        too, but then this thread does not use the processor meanwhile.
        """
        overdue = time.monotonic() - self._time - self._expected
        used = time.thread_time() - self._used_here - self._expected
        return overdue if overdue > SAMPLE and used > overdue / 4 else 0.0

    def stopped(self) -> float:
        """Return for how many seconds the process was stopped since the last call; else 0."""
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
    """Return where in the rules folder a frame is, or who called it, or for which rule it runs.

    It is None if it is for none.

    Args:
        frame: the innermost.
        folder: the rules folder, with a separator at its end.
        rules: returns the rules that are alive.
    """
    in_runner = in_log = False
    for each in _outwards(frame):
        file = each.f_code.co_filename
        if file.startswith(folder):
            return Place(_whose(file, rules), file, each.f_lineno, each, in_runner, in_log)
        in_runner = in_runner or file.startswith(_RUNNER)
        in_log = in_log or file.startswith(_LOG)
    rule = rule_of(current_scope())
    if rule is None:
        return None
    return Place(rule, rule.file, rule.line, None, in_runner, in_log)


def _whose(file: str, rules: Callable[[], Iterable[SupervisedRule]]) -> SupervisedRule | None:
    """Return whose code of a file it is that runs now.

    It is that of the rule in whose scope it runs. But a `__del__` runs wherever Python finds the
    time: what is in another rule's file is that one's.
    """
    here = rule_of(current_scope())
    if here is not None and here.file == file:
        return here
    theirs = [rule for rule in rules() if rule.file == file]
    return theirs[0] if theirs else here


def _step_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame that stands for the present step of the loop; None if there is none."""
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
