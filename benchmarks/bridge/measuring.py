"""Measures one variant: how fast it reacts, and what a save of a changed rule does to it."""

import itertools
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.bridge.driver import TIMER, Driver
from benchmarks.bridge.variants import DELAY, Variant

__all__ = ["Saved", "Speed", "measure", "median_of"]

_GRACE: Final = 5.0
"""Seconds after the last report at the fixed rate within which an answer counts."""
_DRAIN: Final = 60.0
"""Seconds for a variant to answer what it has queued, before a save is measured."""
_SAVE_RATE: Final = 100
_BEFORE: Final = 1.0
"""Seconds from the first report to the start of the timer, and from there to the save."""
_LIVE: Final = 30.0
"""Seconds within which a saved rule must answer."""
_TOLERANCE: Final = 0.5
"""Seconds by which a timer may be late."""


class Speed(NamedTuple):
    """How fast it reacts.

    Args:
        throughput: commands per second, if each sensor waits for its last command.
        cpu: µs of CPU time for each command.
        p50: latency in ms at the fixed rate, of the reports that were answered.
        p99: the same, which 1 % exceed.
        mib: resident memory.
        unanswered: percentage of the reports at the fixed rate that were not answered in time.
    """

    throughput: float
    cpu: float
    p50: float
    p99: float
    mib: float
    unanswered: float


class Saved(NamedTuple):
    """What a save of a changed rule does.

    Args:
        live: ms from the save to the first answer of the changed rule to a report.
        gap: the longest time in ms without an answer, at 100 reports per second.
        lost: how many of those reports were never answered.
        timer: what became of the timer that was running: `kept`, `restarted` or `lost`.
    """

    live: float
    gap: float
    lost: float
    timer: str


def measure(
    variant: Variant, port: int, seconds: float, rate: float, *, with_saves: bool
) -> tuple[Speed, dict[str, Saved]]:
    """Run a variant, and measure it.

    Args:
        variant: what to run.
        port: of the broker.
        seconds: for the throughput, and again for the latency.
        rate: reports per second while the latency is measured.
        with_saves: whether to measure saves.

    Raises:
        TimeoutError: it does not react, or a saved rule doesn't.
    """
    driver = Driver(port)
    try:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
            variant.running(Path(name), port),
        ):
            driver.wait_until_answered()
            speed = _measure_speed(driver, variant, seconds, rate)
            saved = {}
            if with_saves:
                driver.drain(_DRAIN)
                version = 0
                for row, save in variant.saves(Path(name)).items():
                    saved[row] = _measure_save(driver, save, version + 1)
                    version += 2
            return speed, saved
    finally:
        driver.close()


def _measure_speed(driver: Driver, variant: Variant, seconds: float, rate: float) -> Speed:
    before, received = variant.cpu(), driver.received
    throughput = driver.run_closed(seconds)
    cpu = (variant.cpu() - before) / (driver.received - received) * 1e6
    driver.forget()
    sent = driver.run_paced(rate, lambda elapsed: elapsed >= seconds)
    driver.drain(_GRACE)
    latencies = sorted((each.arrived - each.sent) * 1e3 for each in driver.answers)
    return Speed(
        throughput,
        cpu,
        latencies[len(latencies) // 2],
        latencies[len(latencies) * 99 // 100],
        variant.mib(),
        100 * (sent - len(latencies)) / sent,
    )


def _measure_save(driver: Driver, save: Callable[[int], None], version: int) -> Saved:
    """Save a version of the rule, then the next one while a timer runs; return what that did."""
    save(version)
    driver.wait_until_answered(version)
    driver.drain(_DRAIN)
    driver.forget()
    changing = _Change(driver, save, version + 1)
    driver.run_paced(_SAVE_RATE, changing.is_over)
    changing.join()
    ended = time.perf_counter()
    driver.drain(_GRACE)
    return changing.result(ended)


class _Change:
    """Starts the timer and saves while reports are sent, and looks at the answers.

    Args:
        driver: sends the reports.
        save: saves a version.
        version: what to save.
    """

    def __init__(self, driver: Driver, save: Callable[[int], None], version: int) -> None:
        self._driver = driver
        self._version = version
        # In a thread, because it may take longer than the time between two reports.
        self._saving = threading.Thread(target=save, args=(version,))
        self._armed = self._saved = self._live = 0.0
        # A variant that looks for changes once a second may be in step with the reports until now.
        self._armed_after = _BEFORE + random.random()

    def is_over(self, elapsed: float) -> bool:
        """Do what is due after these seconds of reports, and return whether to end them."""
        now = time.perf_counter()
        if not self._armed and elapsed >= self._armed_after:
            self._armed = now
            self._driver.report(TIMER)
        if not self._saved and elapsed >= self._armed_after + _BEFORE:
            self._saved = now
            self._saving.start()
        if not self._saved:
            return False
        if not self._live:
            self._live = self._live_since()
            return now > self._saved + _LIVE
        # A timer that the changed rule has started again fires by then.
        return now > self._live + DELAY + 2 * _TOLERANCE

    def _live_since(self) -> float:
        """Return when the saved version has first answered a report, or 0."""
        for answer in reversed(self._driver.answers):
            if answer.sent < self._saved:
                break
            if answer.version == self._version:
                return answer.arrived
        return 0.0

    def join(self) -> None:
        """Wait for the end of the save."""
        self._saving.join()

    def result(self, ended: float) -> Saved:
        """Return what the save has done.

        Args:
            ended: when the last report was sent.

        Raises:
            TimeoutError: the saved version has not answered.
        """
        if not self._live:
            raise TimeoutError(f"a saved rule did not answer within {_LIVE:.0f} s")
        arrivals = [each.arrived for each in self._driver.answers if each.arrived < ended]
        pairs = itertools.pairwise([*arrivals, ended])
        gap = max(later - earlier for earlier, later in pairs)
        return Saved(
            (self._live - self._saved) * 1e3, gap * 1e3, self._driver.unanswered, self._timer()
        )

    def _timer(self) -> str:
        fired = [each - self._armed for each in self._driver.timer]
        if not fired:
            return "lost"
        if len(fired) > 1:
            return f"fired {len(fired)} times"
        if self._armed + fired[0] < self._live:
            return "fired before"
        return "kept" if abs(fired[0] - DELAY) < _TOLERANCE else "restarted"


def median_of(rounds: list[Speed] | list[Saved]) -> list[float]:
    """Return the median of each number over the rounds."""
    columns = zip(*rounds, strict=True)
    return [statistics.median(each) for each in columns if not isinstance(each[0], str)]
