"""The two kinds of time, both asked of the running event loop.

*Elapsed* time is the loop's own clock, which no clock change moves: delays, windows and time-outs
use it. *Wall* time is what a clock on the wall shows. A loop that has a `wall_time()` of its own,
as one with virtual time does, decides both; everything else here asks nobody but the loop.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo


def wall_time(loop: asyncio.AbstractEventLoop | None = None) -> float:
    """Return the wall clock as seconds since 1970-01-01 UTC.

    Args:
        loop: whose wall clock is meant; the running one if not given. Outside of a loop, the
            system's.
    """
    if loop is None:
        loop = asyncio._get_running_loop()  # get_running_loop() raises without one
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
    clock: Callable[[], float] = getattr(asyncio._get_running_loop(), "wall_time", time.time)
    return clock


def wall_now(tz: tzinfo | None = None, loop: asyncio.AbstractEventLoop | None = None) -> datetime:
    """Return the wall clock as a date and time, in `tz` or else naive in the local zone."""
    return datetime.fromtimestamp(wall_time(loop), tz)
