"""How much a rule may take before it is restarted, interrupted, or left off."""

import math
from dataclasses import dataclass, fields
from typing import Final

__all__ = ["LONGEST_TIME", "RuleLimits"]

LONGEST_TIME: Final = 365 * 86400.0
"""The longest time that can be configured, in seconds; the system has a longest timer, too."""

_LEAST: Final = {"restarts": 0, "loop_rounds": 1, "max_failed_starts": 1}
"""The figures that are counts, not times, and what is the least that has a meaning."""


@dataclass(frozen=True)
class RuleLimits:
    """The figures of supervision; all times in seconds.

    Args:
        blocked_after: how long a rule may keep the loop from everybody else before that is logged.
        interrupt_after: how long before that rule, and only it, is interrupted and failed.
        end_after: how long before the process is ended, since nothing else has helped.
        restarts: how often a rule that fails is restarted in one period before it stays failed.
        restart_period: the period.
        backoff_initial: from a failure to the restart, for the first in a period; each further one
            waits twice as long.
        backoff_max: the longest such wait.
        loop_rounds: how often a chain of causes may come back to one rule in `loop_period`.
        loop_period: the time in which that is counted.
        min_uptime: a start counts as failed if the process ends sooner than this, in seconds.
        max_failed_starts: after so many failed starts in a row, the next one is in safe mode.

    Raises:
        ValueError: a figure has no meaning; the message says what to write.
    """

    blocked_after: float = 0.5
    interrupt_after: float = 5.0
    end_after: float = 10.0
    restarts: int = 5
    restart_period: float = 600.0
    backoff_initial: float = 1.0
    backoff_max: float = 60.0
    loop_rounds: int = 100
    loop_period: float = 10.0
    min_uptime: float = 60.0
    max_failed_starts: int = 3

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least = getattr(self, each.name), _LEAST.get(each.name)
            if least is None and not 0 < value <= LONGEST_TIME:
                raise ValueError(
                    f"{each.name}={value} is no time: write seconds, more than 0, "
                    f"and at most {LONGEST_TIME:.0f}, a year"
                )
            if least is not None and not least <= value < math.inf:
                raise ValueError(f"{each.name}={value} is no count: write {least} or more")
        for shorter, longer in (
            ("blocked_after", "interrupt_after"),
            ("interrupt_after", "end_after"),
            ("backoff_initial", "backoff_max"),
        ):
            if getattr(self, shorter) > getattr(self, longer):
                raise ValueError(
                    f"{shorter}={getattr(self, shorter)} is longer than "
                    f"{longer}={getattr(self, longer)}: write it shorter, or the other longer"
                )
