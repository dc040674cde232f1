"""What is known of a rule at a glance."""

import enum
from dataclasses import dataclass
from datetime import datetime

__all__ = ["RuleState", "RuleStatus"]


class RuleState(enum.StrEnum):
    """How a rule is."""

    RUNNING = "running"
    """It has been set up, or is being set up, or runs for ever."""
    RETRYING = "retrying"
    """Its last attempt failed, and its strategy is about to make another."""
    RESTARTING = "restarting"
    """It has failed, and waits for its restart."""
    FAILED = "failed"
    """It has failed, and stays so until its file changes or it is told to start."""
    DISABLED = "disabled"
    """It is left off; what `RuleStatus.why` says."""
    ENDED = "ended"
    """Its version is gone."""


@dataclass(frozen=True)
class RuleStatus:
    """How a rule is now.

    Args:
        state: in a word.
        since: when that began, in UTC.
        version: of its module.
        strategy: under which it runs, as it is written.
        restarts: how often it was restarted since its version was loaded.
        last_error: the last line of its last error, also of an earlier attempt or of something that
            it has set up; None if it had none since its version was loaded.
        why: it is failed or disabled, and how to go on; empty otherwise.
        running: how many tasks of its sinks run.
        queued: how many of them wait.
    """

    state: RuleState
    since: datetime
    version: str
    strategy: str
    restarts: int = 0
    last_error: str | None = None
    why: str = ""
    running: int = 0
    queued: int = 0
