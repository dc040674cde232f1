"""Restart intensity: how many restarts in a period are allowed, with which delays."""

from collections.abc import Iterable

from eshet_rules.supervision.limits import RuleLimits

__all__ = ["next_pause", "recent"]


def recent(restarts: Iterable[float], now: float, limits: RuleLimits) -> list[float]:
    """Return the restarts within the last period; all are points of the loop's clock."""
    return [each for each in restarts if now - each < limits.restart_period]


def next_pause(restarts: Iterable[float], now: float, limits: RuleLimits) -> float | None:
    """Return the delay from a failure to the restart, in seconds; None for no restart.

    Args:
        restarts: the times of earlier restarts of the rule.
        now: the time of the failure.
        limits: the allowed number of restarts in a period, and the backoff.
    """
    count = len(recent(restarts, now, limits))
    if count >= limits.max_restarts:
        return None
    pause = limits.backoff_initial
    for _ in range(count):
        pause = min(2 * pause, limits.backoff_max)
    return pause
