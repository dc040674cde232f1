"""The status of a rule."""

import enum
from dataclasses import dataclass
from datetime import datetime

__all__ = ["RuleState", "RuleStatus"]


class RuleState(enum.StrEnum):
    """The state of a rule."""

    RUNNING = "running"
    """The rule was set up, or is being set up, or its function keeps running."""
    RETRYING = "retrying"
    """Its last attempt failed, and its strategy is about to make another."""
    RESTARTING = "restarting"
    """It has failed, and waits for its restart."""
    FAILED = "failed"
    """It has failed, and stays failed until its file changes or a command restarts it."""
    DISABLED = "disabled"
    """It does not run, for the reason in `RuleStatus.why`."""
    ENDED = "ended"
    """Its version was replaced or unloaded."""


@dataclass(frozen=True)
class RuleStatus:
    """The present status of a rule.

    Args:
        state: its state.
        since: when the state began, in UTC.
        version: the version of its module.
        strategy: its strategy, as an expression.
        restarts: number of restarts since its version was loaded.
        last_error: the last line of its last error, including those of earlier attempts and of
            nodes, sinks and tasks; None if it had none since its version was loaded.
        why: why it is failed or disabled, and what to do; otherwise empty.
        running: number of running tasks of its sinks.
        queued: number of waiting tasks of its sinks.
        errors: number of its errors since its version was loaded.
        error_line: the line of its module at which the last error occurred; None if that is not
            known.
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
    errors: int = 0
    error_line: int | None = None
