"""How much a rule may take before it is restarted, interrupted, or left off."""

import math
from dataclasses import dataclass, fields
from typing import Final

__all__ = ["LONGEST_TIME", "Limits"]

LONGEST_TIME: Final = 365 * 86400.0
"""The longest time that can be configured, in seconds; the system has a longest timer, too."""

_LEAST: Final = {"restarts": 0, "loop_rounds": 1, "short_lives": 1}
"""The figures that are counts, not times, and what is the least that has a meaning."""


@dataclass(frozen=True)
class Limits:
    """The figures of supervision; all times in seconds.

    Args:
        blocked_after: how long a rule may keep the loop from everybody else before that is logged.
        interrupt_after: how long before that rule, and only it, is interrupted and failed.
        end_after: how long before the process is ended, since nothing else has helped.
        restarts: how often a rule that fails is restarted in one period before it stays failed.
        restart_period: the period.
        first_pause: from a failure to the restart, for the first in a period; each further one
            waits twice as long.
        longest_pause: the longest such wait.
        loop_rounds: how often a chain of causes may come back to one rule in `loop_period`.
        loop_period: the time in which that is counted.
        short_life: a start after which the process lived shorter than this was in vain.
        short_lives: after how many starts in vain, one after the other, the next is in safe mode.

    Raises:
        ValueError: a figure has no meaning; the message says what to write.
    """

    blocked_after: float = 0.5
    interrupt_after: float = 5.0
    end_after: float = 10.0
    restarts: int = 5
    restart_period: float = 600.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    loop_rounds: int = 100
    loop_period: float = 10.0
    short_life: float = 60.0
    short_lives: int = 3

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
            ("first_pause", "longest_pause"),
        ):
            if getattr(self, shorter) > getattr(self, longer):
                raise ValueError(
                    f"{shorter}={getattr(self, shorter)} is longer than "
                    f"{longer}={getattr(self, longer)}: write it shorter, or the other longer"
                )
