"""Limits of supervision: when a rule is interrupted, restarted, or stays failed."""

import math
from dataclasses import dataclass, fields
from typing import Final

from eshet.settings.kinds import LONGEST_TIME
from eshet_rules.exceptions import LimitError

__all__ = ["RuleLimits"]

_LEAST: Final = {"max_restarts": 0, "loop_rounds": 1, "max_failed_starts": 1}
"""The smallest valid values of the limits that are counts, not times."""


@dataclass(frozen=True)
class RuleLimits:
    """The limits of supervision; all times in seconds.

    Args:
        blocked_after: how long a rule may block the event loop before this is logged.
        interrupt_after: how long it may block the loop before it is interrupted and fails.
        end_after: how long it may block the loop before the process exits, as a last resort.
        max_restarts: maximum number of restarts of a rule in a period; beyond it, the rule stays
            failed.
        restart_period: the length of that period.
        backoff_initial: delay before the first restart in a period, doubled for each further one.
        backoff_max: maximum of that delay.
        loop_rounds: how often a chain of causes may return to a rule in `loop_period`.
        loop_period: the period in which the rounds are counted.
        min_uptime: a start counts as failed if the process exits sooner than this.
        max_failed_starts: after this many failed starts in a row, the next one is in safe mode.

    Raises:
        LimitError: a limit is not valid; the message says what to write.
    """

    blocked_after: float = 0.5
    interrupt_after: float = 5.0
    end_after: float = 10.0
    max_restarts: int = 5
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
                raise LimitError(
                    each.name,
                    value,
                    "is not a valid time: write seconds, more than 0, and at most "
                    f"{LONGEST_TIME:.0f}, a year",
                )
            if least is not None and not least <= value < math.inf:
                raise LimitError(each.name, value, f"is not a valid count: write {least} or more")
        for shorter, longer in (
            ("blocked_after", "interrupt_after"),
            ("interrupt_after", "end_after"),
            ("backoff_initial", "backoff_max"),
        ):
            if getattr(self, shorter) > getattr(self, longer):
                raise LimitError(
                    shorter,
                    getattr(self, shorter),
                    f"is longer than {longer}={getattr(self, longer)}: make it shorter, or the "
                    "other one longer",
                )
