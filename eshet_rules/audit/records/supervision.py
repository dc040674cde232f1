"""Records of the log: rules that are restarted or disabled, and what protects the loop."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "ComponentFailed",
    "LogLinesDropped",
    "LoopBroken",
    "LoopUnblocked",
    "ProcessWasStopped",
    "QuarantineNotWritten",
    "RestartScheduled",
    "RuleBlocksLoop",
    "RuleDisabled",
    "RuleInterrupted",
    "RuleLoopCut",
    "RuleQuarantined",
    "RuleRestarted",
    "RuleStaysFailed",
    "RunnerKilledByRule",
    "SafeMode",
    "SignalHandlerRestored",
    "StopPrevented",
    "WatcherUnavailable",
]


@event("rule.restart_scheduled", "rule will be restarted", level="warning")
class RestartScheduled(Record, kw_only=True):
    """A rule has failed, and will be restarted after a delay."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]
    pause_s: Annotated[float, Meta(description="seconds until the restart")]


@event("rule.restarted", "rule restarted")
class RuleRestarted(Record, kw_only=True):
    """A rule that had failed was set up again."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]


@event("rule.stays_failed", "rule stays failed", level="error")
class RuleStaysFailed(Record, kw_only=True):
    """A rule is not restarted until its file changes or a command restarts it."""

    why: Annotated[str, Meta(description="why it is not restarted")]
    error: Annotated[str | None, Meta(description="last error, unless `why` contains it")] = None


@event("rule.disabled", "rule disabled")
class RuleDisabled(Record, kw_only=True):
    """A rule was stopped, and does not run until it is enabled."""

    why: Annotated[str, Meta(description="why it is disabled")]


class _Blocking(Record, kw_only=True):
    """A rule that blocks the event loop."""

    seconds: Annotated[float, Meta(description="duration up to now")]
    file: Annotated[str | None, Meta(description="the file that is being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    stack: Annotated[str, Meta(description="the call stack")]


@event("rule.blocks_loop", "rule blocks the event loop", level="error")
class RuleBlocksLoop(_Blocking, kw_only=True):
    """A rule blocks the event loop, so no other rule runs."""


@event("rule.interrupted", "rule interrupted", level="error")
class RuleInterrupted(_Blocking, kw_only=True):
    """A rule blocked the event loop for too long, and was interrupted."""


@event("loop.unblocked", "the event loop is free again")
class LoopUnblocked(Record, kw_only=True):
    """The event loop is no longer blocked."""

    blocked_s: Annotated[float, Meta(description="seconds for which it was blocked")]


@event(
    "signal.handler_restored",
    "restored the signal handler that a rule had replaced",
    level="warning",
)
class SignalHandlerRestored(Record, kw_only=True):
    """A rule had replaced a signal handler with which the runner stops or watches the loop."""

    signal: Annotated[str, Meta(description="name of the signal")]


@event("rule.quarantined", "rule stays off", level="error")
class RuleQuarantined(Record, kw_only=True):
    """A rule does not run because it ended the process before."""

    why: Annotated[str, Meta(description="the action that ended the process")]
    file: Annotated[str | None, Meta(description="the file that was being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None


@event("runner.safe_mode", "safe mode: all rules stay off", level="error")
class SafeMode(Record, kw_only=True):
    """The last starts failed: the process exited early each time, and no rule could be blamed."""

    starts: Annotated[int, Meta(description="number of failed starts")]
    why: Annotated[str, Meta(description="the same as a sentence")]
    advice: Annotated[str, Meta(description="what to do")]


@event("runner.killed_by_rule", "the runner was ended from within", level="error")
class RunnerKilledByRule(Record, kw_only=True):
    """The previous process did not exit normally; its crash file was kept."""

    file: Annotated[str, Meta(description="the crash file")]


@event("quarantine.not_written", "can't write which rules stay off", level="error")
class QuarantineNotWritten(Record, kw_only=True):
    """The list of quarantined rules could not be written."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@event("runner.stop_prevented", "prevented a rule from stopping the runner", level="error")
class StopPrevented(Record, kw_only=True):
    """A rule raised an exception that would have ended the process, such as SystemExit."""

    error: Annotated[str | UnsetType, Meta(description="the exception")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback from the line of the rule on")] = (
        None
    )


@event("loop.broken", "the event loop is broken", level="critical")
class LoopBroken(Record, kw_only=True):
    """A rule has closed files of the event loop, which can't continue: the process exits."""

    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@event("rule.loop_cut", "rules trigger each other", level="error")
class RuleLoopCut(Record, kw_only=True):
    """A chain of causes returned to a rule too often. The rule fails, which cuts the cycle."""

    cycle: Annotated[list[str], Meta(description="the paths of the last round, in order")]
    rounds: Annotated[int, Meta(description="number of rounds")]
    seconds: Annotated[float, Meta(description="time that they took")]


@event("process.was_stopped", "the process was stopped", level="warning")
class ProcessWasStopped(Record, kw_only=True):
    """A signal (SIGSTOP), a debugger or the system suspended the process for a time."""

    seconds: Annotated[float, Meta(description="duration")]


@event("log.lines_dropped", "lines of the log were dropped", level="warning")
class LogLinesDropped(Record, kw_only=True):
    """The terminal or pipe of the log accepts lines again, after it did not for a time."""

    lines: Annotated[int, Meta(ge=1, description="number of dropped lines; the trail has them")]


@event("component.failed", "a part of the runner failed", level="error")
class ComponentFailed(Record, kw_only=True):
    """A component of the runner that observes or assists has failed. Rules are not affected."""

    component: Annotated[str, Meta(description="the component, such as `publisher`")]
    pause_s: Annotated[float | None, Meta(description="seconds until it is restarted")] = None
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@event("watcher.unavailable", "can't watch a folder, scanning it at intervals", level="warning")
class WatcherUnavailable(Record, kw_only=True):
    """The system does not report changed files, so the folder is scanned at intervals."""

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str, Meta(description="the error of the system")]
    interval_s: Annotated[float, Meta(description="seconds between two scans")]
