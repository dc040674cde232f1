"""Restart intensity: how many restarts in a period are still worth another."""

from collections.abc import Iterable

from eshet_rules.supervision.limits import RuleLimits

__all__ = ["next_pause", "recent"]


def recent(restarts: Iterable[float], now: float, limits: RuleLimits) -> list[float]:
    """Return the restarts that still count; all are points of the loop's clock."""
    return [each for each in restarts if now - each < limits.restart_period]


def next_pause(restarts: Iterable[float], now: float, limits: RuleLimits) -> float | None:
    """Return the seconds from a failure to the restart; None if there is none any more.

    Args:
        restarts: when the rule was restarted before.
        now: when it has failed.
        limits: how often it may be restarted in a period, and the shortest and longest pause.
    """
    count = len(recent(restarts, now, limits))
    if count >= limits.restarts:
        return None
    pause = limits.backoff_initial
    for _ in range(count):
        pause = min(2 * pause, limits.backoff_max)
    return pause
