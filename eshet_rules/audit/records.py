"""The schema of the log: a class for each event, with the types and meanings of its fields.

The runner logs by `emit(log, RuleDisabled(why="by command"))`: name, level and fields of an event
are written once, here. Messages of rules and libraries are free: they have a field `logger`, and
any others. The reference of the log, docs/logs.md, is generated from this module.

A field may be added to an event at any time. Where one goes, or changes its type or meaning,
`SCHEMA_VERSION` is raised, which stands at the beginning of each file of the trail; records of
earlier versions are translated as they are read, see `eshet_rules.audit.earlier`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "ActionCalled",
    "AttemptFailed",
    "CheckpointDamaged",
    "CheckpointNotSetAside",
    "CheckpointNotWritten",
    "CheckpointPartlyDamaged",
    "CheckpointSlow",
    "CheckpointUnreadable",
    "ComponentFailed",
    "ConfigurationInvalid",
    "ConfigurationNeedsRestart",
    "ConfigurationReloaded",
    "ConfiguredRuleUnknown",
    "Connected",
    "ConnectionLost",
    "ConnectionRestored",
    "CoroutineNeverAwaited",
    "DisableRequested",
    "EmbeddedServerStarted",
    "EnableRequested",
    "EventEmitted",
    "FileExcluded",
    "Input",
    "Level",
    "LockNotRestored",
    "LockRestored",
    "LogLinesDropped",
    "LogNotShown",
    "LoopBroken",
    "LoopSlowedByThreads",
    "LoopUnblocked",
    "ModuleImportFailed",
    "ModuleImportFailedAgain",
    "ModuleLoaded",
    "ModuleReloaded",
    "ModuleRepaired",
    "ModuleUnloaded",
    "NamedServerUsed",
    "NoConnection",
    "OrphanStateFound",
    "Output",
    "OverridesNotWritten",
    "OverridesUnreadable",
    "ParametersUnused",
    "PathSetBySeveralRules",
    "PathsTaken",
    "ProcessWasStopped",
    "PublishingAvailable",
    "PublishingUnavailable",
    "QuarantineNotWritten",
    "Record",
    "ReloadAborted",
    "ReloadRequested",
    "ReloadSuperseded",
    "RequestFailed",
    "RequestRefused",
    "RestartRequested",
    "RestartScheduled",
    "RuleBlocksLoop",
    "RuleDisabled",
    "RuleFailed",
    "RuleInterrupted",
    "RuleLoopCut",
    "RuleQuarantined",
    "RuleRecovered",
    "RuleRestarted",
    "RuleStaysFailed",
    "RulesFolderRenamed",
    "RunnerKilledByRule",
    "RunnerStarted",
    "RunnerStopped",
    "RunningServerUsed",
    "SafeMode",
    "SignalHandlerRestored",
    "SlowStart",
    "StateFolderFull",
    "StateHandedOver",
    "StateNotPlainData",
    "StatePublished",
    "StopPrevented",
    "StopRequested",
    "TasksNotEnding",
    "TerminalClosed",
    "ThreadFailed",
    "TrailMoved",
    "TrailNotClosed",
    "TrailNotCompressed",
    "TrailNotDropped",
    "TrailNotWritten",
    "TrailRecordsLost",
    "TrailRepaired",
    "TrailStarted",
    "UnmarkedRule",
    "ValueChangedInPlace",
    "ValueSet",
    "WatcherUnavailable",
    "check",
    "emit",
]

SCHEMA_VERSION: Final = 2

Level = Literal["debug", "info", "warning", "error", "critical"]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Path = Annotated[str, Meta(pattern=r"^(/\w+)+$")]

EVENTS: Final[dict[str, type["Record"]]] = {}
"""The class of each event, by its name."""


class Record(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What each record has. Those of a module or rule say so; those of a cause name it."""

    EVENT: ClassVar[str]
    SENTENCE: ClassVar[str]
    LEVEL: ClassVar[Level]

    time: Annotated[Time | UnsetType, Meta(description="when: UTC, ISO 8601, microseconds")] = UNSET
    level: Annotated[Level | UnsetType, Meta(description="how much it matters")] = UNSET
    event: Annotated[str | UnsetType, Meta(description="the name of the event")] = UNSET
    rule: Annotated[str | None, Meta(description="the rule, as `hall.hall_light`")] = None
    module: Annotated[str | None, Meta(description="its module, as `hall`")] = None
    version: Annotated[str | None, Meta(description="of the module: a hash of its source")] = None
    cause: Annotated[str | None, Meta(description="the id of the cause")] = None
    parent: Annotated[str | None, Meta(description="the id of the cause that led to it")] = None


_R = TypeVar("_R", bound=type[Record])


def _event(name: str, sentence: str, *, level: Level = "info") -> Callable[[_R], _R]:
    """Register the schema of an event.

    Args:
        name: of the event, as `area.verb`.
        sentence: shown on the console in its place.
        level: at which it is logged if nothing else is said.
    """

    def add(schema: _R) -> _R:
        if name in EVENTS:
            raise ValueError(f"there are two schemas of the event {name!r}")
        schema.EVENT, schema.SENTENCE, schema.LEVEL = name, sentence, level
        EVENTS[name] = schema
        return schema

    return add


# --- inputs and outputs -------------------------------------------------------------------------

WHYS: Final = {
    "unknown": "it is, or holds, what is unknown",
    "unchanged": "after a reload: it is what was sent before",
    "superseded": "something newer came before it was sent, or sent again",
    "busy": "something else was being sent, as `RunSingle` wants it",
    "queue full": "`max_queue` others were waiting",
    "disabled": "it was waiting when its rule was disabled",
    "failed": "it was waiting when its rule failed",
    "restarted": "it was waiting when its rule was restarted",
    "unloaded": "it was waiting when its file was removed",
    "replaced": "it was waiting when its rule was reloaded, and the new version has no such output",
    "shutdown": "it was waiting when the runner ended; it is sent after the next start, if the "
    "rule still has that output then",
}
"""Why an output was skipped. What waits is in a queue, or between two attempts."""

Why = Literal[
    "unknown",
    "unchanged",
    "superseded",
    "busy",
    "queue full",
    "disabled",
    "failed",
    "restarted",
    "unloaded",
    "replaced",
    "shutdown",
]


@_event("input.received", "input received", level="debug")
class Input(Record, kw_only=True):
    """A rule heard of something. What follows from it has the same cause."""

    kind: Annotated[
        Literal["state", "event", "call", "set", "get"],
        Meta(description="a state changed, an event, a call of an action, a set or get of its own"),
    ]
    path: Annotated[Path, Meta(description="where")]
    value: Annotated[Any, Meta(description="of a call its arguments; null for an unknown state")]
    unknown: Annotated[bool, Meta(description="whether the state is unknown")] = False
    trigger: Annotated[
        str | None, Meta(description="what the cause is, if no other input has it")
    ] = None


class Output(Record, kw_only=True):
    """The output of a rule."""

    path: Annotated[Path, Meta(description="where")]
    value: Annotated[Any, Meta(description="what was sent; of a call its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "kept", "skipped"],
        Meta(description="how it ended; `kept` until the connection is back, and published then"),
    ]
    unknown: Annotated[bool, Meta(description="whether the value is unknown")] = False
    result: Annotated[Any | UnsetType, Meta(description="of a call: what it returned")] = UNSET
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[Why | None, Meta(description="why it was skipped, as below")] = None
    duration: Annotated[float | None, Meta(description="until it was answered, in seconds")] = None
    attempt: Annotated[int, Meta(ge=1, description="which one, if it is not the first")] = 1
    trigger: Annotated[
        str | None, Meta(description="what the cause is, if no input has it: `timer delay at ...`")
    ] = None


@_event("output.set", "value set", level="debug")
class ValueSet(Output, kw_only=True):
    """A rule set a state or property, or did not: logged when it has ended."""


@_event("output.called", "action called", level="debug")
class ActionCalled(Output, kw_only=True):
    """A rule called an action, or did not: logged when it has ended."""


@_event("output.emitted", "event emitted", level="debug")
class EventEmitted(Output, kw_only=True):
    """A rule emitted an event, or did not: logged when it has ended."""


@_event("output.published", "state published", level="debug")
class StatePublished(Output, kw_only=True):
    """A rule published the value of its state, or did not: logged when it has ended."""


@_event("client.connected", "connected", level="debug")
class Connected(Record, kw_only=True):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="its address")]


@_event("client.disconnected", "disconnected", level="debug")
class ConnectionLost(Record, kw_only=True):
    """The connection of a module has ended, or could not be made. It is tried again.

    It is told once, and not before there has been a connection again.
    """

    server: Annotated[str, Meta(description="its address")]
    reason: Annotated[str, Meta(description="why")]


@_event("connection.lost", "no connection", level="warning")
class NoConnection(Record, kw_only=True):
    """The same for people, in one record for all that were lost together.

    If it names no module, there is no server for the runner itself, and so for none of them.
    """

    server: Annotated[str, Meta(description="its address")]
    reason: Annotated[str, Meta(description="why")]
    modules: Annotated[
        list[str] | None, Meta(description="which, if it is not all of them, nor only one")
    ] = None


@_event("connection.restored", "connection is back")
class ConnectionRestored(Record, kw_only=True):
    """All that were lost are there again; not told of what has never been away."""

    server: Annotated[str, Meta(description="its address")]
    away_s: Annotated[float, Meta(description="since the first was lost, in seconds")]
    modules: Annotated[
        list[str] | None, Meta(description="which, if it is not all of them, nor only one")
    ] = None


# --- the runner ---------------------------------------------------------------------------------


@_event("runner.start_slow", "rules are still being set up", level="warning")
class SlowStart(Record, kw_only=True):
    """The start takes long, maybe as there is no connection to the server."""

    after_s: Annotated[float, Meta(description="how long it has taken so far, in seconds")]


@_event("runner.started", "running")
class RunnerStarted(Record, kw_only=True):
    """The runner has started, and set up what could be set up."""

    modules: Annotated[int, Meta(description="how many are alive")]
    folder: Annotated[str, Meta(description="of the rules")]
    kept: Annotated[
        int | None, Meta(description="how many states continue as before the restart")
    ] = None
    afresh: Annotated[int | None, Meta(description="how many do not")] = None


@_event("runner.terminal_closed", "the terminal was closed")
class TerminalClosed(Record, kw_only=True):
    """The runner ends, as the terminal has gone in which it was started."""


@_event("runner.stopped", "stopped")
class RunnerStopped(Record, kw_only=True):
    """The runner has ended."""


@_event("runner.stop_requested", "stopping")
class StopRequested(Record, kw_only=True):
    """A signal came that ends the runner, from outside or from a rule."""

    signal: Annotated[str, Meta(description="its name")]


class _Server(Record, kw_only=True):
    """The server that the rules use."""

    address: Annotated[str, Meta(description="of the server")]


@_event("server.named", "using the named server")
class NamedServerUsed(_Server, kw_only=True):
    """The rules use the server that was named."""


@_event("server.found", "using a running server")
class RunningServerUsed(_Server, kw_only=True):
    """The rules use a server that already ran on this machine."""


@_event("server.started", "started the embedded server")
class EmbeddedServerStarted(_Server, kw_only=True):
    """The rules use a server that this runner has started."""


class _Module(Record, kw_only=True):
    """A change of the running version of a module."""

    rules: Annotated[list[str], Meta(description="their names, without that of the module")]


@_event("module.loaded", "loaded")
class ModuleLoaded(_Module, kw_only=True):
    """A module is running for the first time."""


@_event("module.reloaded", "reloaded")
class ModuleReloaded(_Module, kw_only=True):
    """A new version of a module has replaced the running one."""


@_event("module.unloaded", "unloaded")
class ModuleUnloaded(_Module, kw_only=True):
    """A module is not running any more, since its file was removed or has no rules."""


@_event("module.reload_aborted", "kept the old version", level="error")
class ReloadAborted(Record, kw_only=True):
    """A new version was aborted. The one that is alive was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="modules that have to change together with it")
    ] = None


class _ImportFailed(Record, kw_only=True):
    """An import that failed."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="where it is")]
    line: Annotated[int, Meta(description="its number; 0 if it is in no line")]
    source: Annotated[str, Meta(description="the line itself")]


@_event("module.import_failed", "import failed", level="error")
class ModuleImportFailed(_ImportFailed, kw_only=True):
    """A version of a module can't be imported."""


@_event("module.import_failed_again", "import failed, kept the old version", level="error")
class ModuleImportFailedAgain(_ImportFailed, kw_only=True):
    """A version of a module can't be imported; the running version was not touched."""


@_event("file.excluded", "file excluded")
class FileExcluded(Record, kw_only=True):
    """A file or folder of the rules folder is not loaded."""

    file: Annotated[str, Meta(description="its path")]
    why: Annotated[str, Meta(description="why not")]


@_event("module.repaired", "repaired")
class ModuleRepaired(Record, kw_only=True):
    """A file of which a version could not be used is again what is alive."""


@_event("module.state_handed_over", "state handed over")
class StateHandedOver(Record, kw_only=True):
    """What became of the state of a rule when its module was reloaded."""

    kept: Annotated[list[str] | None, Meta(description="what went on")] = None
    migrated: Annotated[
        list[str] | None, Meta(description="what went on after a change of its own")
    ] = None
    afresh: Annotated[list[str] | None, Meta(description="what started afresh, and why")] = None
    missed: Annotated[list[str] | None, Meta(description="what was due while nobody was there")] = (
        None
    )
    refused: Annotated[str | None, Meta(description="why the rule wanted none of it")] = None


@_event("module.reload_superseded", "superseded by a newer change")
class ReloadSuperseded(Record, kw_only=True):
    """What was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="which were prepared")]


@_event("rule.failed", "rule failed", level="error")
class RuleFailed(Record, kw_only=True):
    """Something of a rule raised an error, in the rule itself or in what it has set up."""

    doing: Annotated[str, Meta(description="what failed, as `set_value of /hall/light`")]
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    advice: Annotated[str | None, Meta(description="what to do about it, where that is known")] = (
        None
    )
    again: Annotated[
        int | None, Meta(description="how often it has failed since that was shown last")
    ] = None
    traceback: Annotated[str | None, Meta(description="the rule's own lines that had a part")] = (
        None
    )


@_event("rule.attempt_failed", "attempt failed", level="error")
class AttemptFailed(RuleFailed, kw_only=True):
    """An attempt failed, of a strategy that may make another. The rule runs on."""


@_event("rule.recovered", "works again")
class RuleRecovered(Record, kw_only=True):
    """What had failed before has succeeded."""

    doing: Annotated[str, Meta(description="what, as `set_value of /hall/light`")]
    failures: Annotated[int, Meta(ge=1, description="how often it had failed")]


@_event("rule.coroutine_never_awaited", "a coroutine was never awaited", level="warning")
class CoroutineNeverAwaited(Record, kw_only=True):
    """An `async def` was called without `await`, so nothing of it was done."""

    coroutine: Annotated[str, Meta(description="its name")]
    file: Annotated[str | None, Meta(description="where it was called")] = None
    line: Annotated[int | None, Meta(description="its number")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("thread.failed", "a thread has failed", level="error")
class ThreadFailed(Record, kw_only=True):
    """A thread that a rule or a library has started ended with an error."""

    thread: Annotated[str, Meta(description="its name")]
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    advice: Annotated[str | None, Meta(description="what to do about it, where that is known")] = (
        None
    )
    traceback: Annotated[str | None, Meta(description="the rule's own lines that had a part")] = (
        None
    )


@_event("rule.unmarked", "this looks like a rule, but nothing runs it", level="warning")
class UnmarkedRule(Record, kw_only=True):
    """A file has no `@rule`, but an `async def` that could be one."""

    function: Annotated[str, Meta(description="its name")]
    file: Annotated[str, Meta(description="where it is")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("loop.slowed_by_threads", "threads of a rule slow the event loop down", level="warning")
class LoopSlowedByThreads(Record, kw_only=True):
    """Threads that a rule has started compute, so the event loop gets its turns late."""

    threads: Annotated[list[str], Meta(description="the names of the threads, at most 10")]
    file: Annotated[str, Meta(description="where they run")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event(
    "rule.value_changed_in_place",
    "a list or dict in a Value is changed in place, which nothing notices",
    level="warning",
)
class ValueChangedInPlace(Record, kw_only=True):
    """A rule changes a list, dict or set that a Value holds, instead of assigning a new one."""

    file: Annotated[str, Meta(description="where")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("path.set_by_several_rules", "several rules set one path", level="warning")
class PathSetBySeveralRules(Record, kw_only=True):
    """Rules set the same state or property, so that the last one wins. It is logged once."""

    path: Annotated[Path, Meta(description="which one")]
    rules: Annotated[list[str], Meta(description="their names")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("path.taken", "paths are provided by another client", level="warning")
class PathsTaken(Record, kw_only=True):
    """Rules wait for paths that another client of the server provides. It is logged once."""

    owner: Annotated[str, Meta(description="the client, or the runner to which it belongs")]
    conflicts: Annotated[list[str], Meta(description="path, rule and place of each, at most 10")]
    more: Annotated[int | None, Meta(description="how many others there are")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("rule.tasks_not_ending", "tasks do not end when cancelled", level="error")
class TasksNotEnding(Record, kw_only=True):
    """Tasks of an old version were cancelled, and go on."""

    tasks: Annotated[list[str], Meta(description="their names")]


@_event(
    "state.not_plain_data",
    "state will not survive a restart, since it is not plain data",
    level="warning",
)
class StateNotPlainData(Record, kw_only=True):
    """The checkpoint can't hold what a rule remembers."""

    what: Annotated[str, Meta(description="which part of the rule")]
    why: Annotated[str, Meta(description="what is wrong with it")]
    place: Annotated[str | None, Meta(description="where that was made: file and line")] = None


@_event("checkpoint.slow", "writing the checkpoint takes long", level="warning")
class CheckpointSlow(Record, kw_only=True):
    """More than a second may be lost if the runner is killed. It is told once, until it is well."""

    seconds: Annotated[float, Meta(description="how long it took")]
    bytes: Annotated[int, Meta(description="how large it is")]


class _Checkpoint(Record, kw_only=True):
    """A problem with the checkpoint."""

    error: Annotated[str, Meta(description="what is wrong")]


@_event("checkpoint.unreadable", "can't read the checkpoint, starting without it", level="error")
class CheckpointUnreadable(_Checkpoint, kw_only=True):
    """The checkpoint could not be read, so all rules start without their state."""


@_event("checkpoint.not_written", "can't write the checkpoint", level="error")
class CheckpointNotWritten(_Checkpoint, kw_only=True):
    """The checkpoint could not be written. It is tried again."""


@_event("checkpoint.not_set_aside", "can't set the damaged checkpoint aside", level="error")
class CheckpointNotSetAside(_Checkpoint, kw_only=True):
    """The damaged checkpoint could not be kept for inspection."""


class _DamagedCheckpoint(_Checkpoint, kw_only=True):
    """A damaged checkpoint."""

    set_aside: Annotated[str, Meta(description="where the file is now, or a copy of it")]


@_event("checkpoint.damaged", "the checkpoint is damaged, starting without it", level="error")
class CheckpointDamaged(_DamagedCheckpoint, kw_only=True):
    """The checkpoint is damaged, and set aside: all rules start without their state."""


@_event(
    "checkpoint.partly_damaged", "a part of the checkpoint is damaged, and left out", level="error"
)
class CheckpointPartlyDamaged(_DamagedCheckpoint, kw_only=True):
    """The state of one module in the checkpoint is damaged: it starts without."""


# --- supervision --------------------------------------------------------------------------------


@_event("rule.restart_scheduled", "rule will be restarted", level="warning")
class RestartScheduled(Record, kw_only=True):
    """A rule has failed. It is restarted after a pause."""

    restart: Annotated[int, Meta(ge=1, description="which one it will be, within the period")]
    pause_s: Annotated[float, Meta(description="until then, in seconds")]


@_event("rule.restarted", "rule restarted")
class RuleRestarted(Record, kw_only=True):
    """A rule that had failed is set up again."""

    restart: Annotated[int, Meta(ge=1, description="which one it is, within the period")]


@_event("rule.stays_failed", "rule stays failed", level="error")
class RuleStaysFailed(Record, kw_only=True):
    """A rule is not restarted any more, until its file changes or it is told to."""

    why: Annotated[str, Meta(description="why not")]
    error: Annotated[str | None, Meta(description="the last one, if that does not say it")] = None


@_event("rule.disabled", "rule disabled")
class RuleDisabled(Record, kw_only=True):
    """A rule is run no more, until it is enabled."""

    why: Annotated[str, Meta(description="by whom")]


class _Blocking(Record, kw_only=True):
    """A rule that keeps the event loop."""

    seconds: Annotated[float, Meta(description="for how long, up to now")]
    file: Annotated[str | None, Meta(description="where it is")] = None
    line: Annotated[int | None, Meta(description="its number")] = None
    stack: Annotated[str, Meta(description="how it came there")]


@_event("rule.blocks_loop", "rule blocks the event loop", level="error")
class RuleBlocksLoop(_Blocking, kw_only=True):
    """A rule keeps the event loop from all others."""


@_event("rule.interrupted", "rule interrupted", level="error")
class RuleInterrupted(_Blocking, kw_only=True):
    """A rule kept the event loop for too long, and was interrupted."""


@_event("loop.unblocked", "the event loop is free again")
class LoopUnblocked(Record, kw_only=True):
    """What kept all rules waiting has ended."""

    blocked_s: Annotated[float, Meta(description="how long it took, in seconds")]


@_event(
    "signal.handler_restored",
    "restored the signal handler that a rule had replaced",
    level="warning",
)
class SignalHandlerRestored(Record, kw_only=True):
    """A rule had taken a signal by which the runner is told to end, or watches the loop."""

    signal: Annotated[str, Meta(description="its name")]


@_event("rule.quarantined", "rule stays off", level="error")
class RuleQuarantined(Record, kw_only=True):
    """A rule is not run, as it has ended the process before."""

    why: Annotated[str, Meta(description="what it did")]
    file: Annotated[str | None, Meta(description="where")] = None
    line: Annotated[int | None, Meta(description="its number")] = None


@_event("runner.safe_mode", "safe mode: all rules stay off", level="error")
class SafeMode(Record, kw_only=True):
    """The last starts were short, and nobody knows whose fault that was."""

    starts: Annotated[int, Meta(description="how many they were")]
    why: Annotated[str, Meta(description="the same as a sentence")]
    advice: Annotated[str, Meta(description="how to go on")]


@_event("runner.killed_by_rule", "the runner was ended from within", level="error")
class RunnerKilledByRule(Record, kw_only=True):
    """The last process did not end by itself; its crash file was kept."""

    file: Annotated[str, Meta(description="the crash file")]


@_event("quarantine.not_written", "can't write which rules stay off", level="error")
class QuarantineNotWritten(Record, kw_only=True):
    """It could not be kept which rules are not to be run."""

    file: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why")]


@_event("runner.stop_prevented", "prevented a rule from stopping the runner", level="error")
class StopPrevented(Record, kw_only=True):
    """A rule raised what would have ended the process."""

    error: Annotated[str | UnsetType, Meta(description="what it was")] = UNSET
    traceback: Annotated[str | None, Meta(description="from the rule's own line on")] = None


@_event("loop.broken", "the event loop is broken", level="critical")
class LoopBroken(Record, kw_only=True):
    """The event loop can't go on, as a rule has closed files of the runner: the process ends."""

    error: Annotated[str | UnsetType, Meta(description="what is wrong with it")] = UNSET
    traceback: Annotated[str | None, Meta(description="where it failed")] = None


@_event("rule.loop_cut", "rules trigger each other", level="error")
class RuleLoopCut(Record, kw_only=True):
    """A chain of causes came back to a rule too often. The rule has failed, which cuts it."""

    cycle: Annotated[list[str], Meta(description="the last round, path by path")]
    rounds: Annotated[int, Meta(description="how often it came back")]
    seconds: Annotated[float, Meta(description="in what time")]


@_event("process.was_stopped", "the process was stopped", level="warning")
class ProcessWasStopped(Record, kw_only=True):
    """A signal (SIGSTOP), a debugger or the system stopped the process, and let it go on."""

    seconds: Annotated[float, Meta(description="for how long")]


@_event("log.lines_dropped", "lines of the log were dropped", level="warning")
class LogLinesDropped(Record, kw_only=True):
    """The terminal or pipe to which the log is written took no lines for a time; it does again."""

    lines: Annotated[int, Meta(ge=1, description="how many; the trail has them")]


@_event("component.failed", "a part of the runner failed", level="error")
class ComponentFailed(Record, kw_only=True):
    """A part of the runner that observes or assists has failed. Rules are not concerned."""

    component: Annotated[str, Meta(description="which part, such as `publisher`")]
    pause_s: Annotated[float | None, Meta(description="until it is started again, in seconds")] = (
        None
    )
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="where it was raised")] = None


@_event("watcher.unavailable", "can't watch a folder, scanning it at intervals", level="warning")
class WatcherUnavailable(Record, kw_only=True):
    """The system gives no hints of changed files, so the folder is scanned at intervals."""

    folder: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why not")]
    interval_s: Annotated[float, Meta(description="between two scans, in seconds")]


# --- configuration and control ------------------------------------------------------------------


@_event("config.invalid", "the configuration is invalid, kept the old one", level="error")
class ConfigurationInvalid(Record, kw_only=True):
    """The file of configuration has changed, and can't be used."""

    file: Annotated[str, Meta(description="which one")]
    line: Annotated[int | None, Meta(description="where in it")] = None
    key: Annotated[str | None, Meta(description="what is wrong there")] = None
    error: Annotated[str, Meta(description="what it is, and what is allowed")]


@_event("config.reloaded", "configuration reloaded")
class ConfigurationReloaded(Record, kw_only=True):
    """The file of configuration has changed, and is followed."""

    modules: Annotated[list[str], Meta(description="which are reloaded for it")]


@_event("config.needs_restart", "a part of the configuration needs a restart", level="warning")
class ConfigurationNeedsRestart(Record, kw_only=True):
    """What has changed in the configuration can't be followed while the runner runs."""

    tables: Annotated[list[str], Meta(description="which tables")]


@_event(
    "config.unknown_rule", "the configuration names a rule that does not exist", level="warning"
)
class ConfiguredRuleUnknown(Record, kw_only=True):
    """A table of the configuration is for no rule that there is."""

    name: Annotated[str, Meta(description="the glob")]
    file: Annotated[str, Meta(description="of the configuration")]
    near: Annotated[Any, Meta(description="what may be meant")] = None


@_event("config.unused_parameters", "no rule asks for these parameters", level="warning")
class ParametersUnused(Record, kw_only=True):
    """The rules that a table of the configuration is for have no parameter named `config`."""

    name: Annotated[str, Meta(description="the glob")]
    file: Annotated[str, Meta(description="of the configuration")]
    parameters: Annotated[list[str], Meta(description="their names")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("control.reload_requested", "reload requested")
class ReloadRequested(Record, kw_only=True):
    """Somebody wants modules to be loaded again."""

    modules: Annotated[list[str], Meta(description="which")]


class _RulesRequest(Record, kw_only=True):
    """A request about rules."""

    rules: Annotated[list[str], Meta(description="which")]


@_event("control.restart_requested", "restart requested")
class RestartRequested(_RulesRequest, kw_only=True):
    """A command asks for a restart of rules."""


@_event("control.enable_requested", "enable requested")
class EnableRequested(_RulesRequest, kw_only=True):
    """A command enables rules."""


@_event("control.disable_requested", "disable requested")
class DisableRequested(_RulesRequest, kw_only=True):
    """A command disables rules."""


class _Request(Record, kw_only=True):
    """A request that was not carried out."""

    doing: Annotated[str | None, Meta(description="what failed")] = None
    error: Annotated[str | UnsetType, Meta(description="why")] = UNSET
    traceback: Annotated[str | None, Meta(description="where in the runner")] = None


@_event("control.request_refused", "request refused", level="warning")
class RequestRefused(_Request, kw_only=True):
    """A command asked for something impossible."""


@_event("control.request_failed", "request failed", level="error")
class RequestFailed(_Request, kw_only=True):
    """A command could not be carried out."""


@_event("publisher.unavailable", "can't publish the state of the rules", level="error")
class PublishingUnavailable(Record, kw_only=True):
    """The status of the rules can't be seen in the house. It is tried again every minute."""

    path: Annotated[str, Meta(description="where it would be")]
    error: Annotated[str, Meta(description="why")]
    advice: Annotated[str | None, Meta(description="what to do")] = None


@_event("publisher.available", "publishing the state of the rules")
class PublishingAvailable(Record, kw_only=True):
    """What could not be published before is."""

    path: Annotated[str, Meta(description="where it is")]


class _Overrides(Record, kw_only=True):
    """A problem with the file of overrides."""

    file: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why")]


@_event("overrides.unreadable", "can't read which rules are disabled", level="error")
class OverridesUnreadable(_Overrides, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be read."""


@_event("overrides.not_written", "can't write which rules are disabled", level="error")
class OverridesNotWritten(_Overrides, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be written."""


@_event("log.not_shown", "can't show the log", level="error")
class LogNotShown(Record, kw_only=True):
    """The console, or where it goes, takes nothing. What it misses is in the trail only."""

    error: Annotated[str, Meta(description="why")]


# --- the trail ----------------------------------------------------------------------------------


@_event("trail.started", "trail begins", level="debug")
class TrailStarted(Record, kw_only=True):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="the version of this schema")]
    runner: Annotated[str, Meta(description="the version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without its endings")] = None


@_event("trail.repaired", "trail repaired", level="warning")
class TrailRepaired(Record, kw_only=True):
    """The runner had been killed within a record, whose part was cut off."""

    cut: Annotated[int, Meta(description="how many bytes")]


@_event("trail.records_lost", "records lost", level="error")
class TrailRecordsLost(Record, kw_only=True):
    """Here is a gap: the trail could not be written for a while, and can be again."""

    lost: Annotated[int, Meta(description="how many records")]
    since: Annotated[Time, Meta(description="when the first of them was made")]
    error: Annotated[str, Meta(description="why")]


class _Trail(Record, kw_only=True):
    """A problem with the trail. The rules run on."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="with which file")]


@_event("trail.not_written", "can't write the trail", level="error")
class TrailNotWritten(_Trail, kw_only=True):
    """The trail can't be written. Records are counted, and the rules run on."""


@_event("trail.moved", "the trail was moved or deleted", level="error")
class TrailMoved(_Trail, kw_only=True):
    """The file of the trail was moved or deleted; a new one was begun."""


@_event("trail.not_closed", "can't close a file of the trail", level="error")
class TrailNotClosed(_Trail, kw_only=True):
    """A full file of the trail could not be closed; it is written on."""


@_event("trail.not_compressed", "can't compress the trail", level="error")
class TrailNotCompressed(_Trail, kw_only=True):
    """A closed file of the trail could not be compressed; it stays as it is."""


@_event("trail.not_dropped", "can't drop the oldest file of the trail", level="error")
class TrailNotDropped(_Trail, kw_only=True):
    """The oldest file of the trail could not be removed."""


class _StateFolder(Record, kw_only=True):
    """A problem with the state folder. The rules run on."""

    folder: Annotated[str, Meta(description="which one")]
    error: Annotated[str | None, Meta(description="why it could not be taken again")] = None


@_event(
    "state_folder.full", "no space for the state folder, so no state is kept yet", level="error"
)
class StateFolderFull(_StateFolder, kw_only=True):
    """There is no space for the state folder. The rules run; their state is lost at the end."""


@_event("lock.not_restored", "can't take a lock again", level="error")
class LockNotRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and could not be taken again."""


@_event("lock.restored", "took a lock again", level="warning")
class LockRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and was taken again."""


class _RulesFolder(Record, kw_only=True):
    """State of a rules folder with another path."""

    before: Annotated[str, Meta(description="that path")]
    folder: Annotated[str, Meta(description="of the rules now")]
    advice: Annotated[str | None, Meta(description="how to take it over")] = None


@_event("state_folder.renamed", "the rules folder was renamed")
class RulesFolderRenamed(_RulesFolder, kw_only=True):
    """The rules folder has another path than before; its state was taken over."""


@_event(
    "state_folder.orphan_found",
    "found the state of a rules folder that no longer exists",
    level="warning",
)
class OrphanStateFound(_RulesFolder, kw_only=True):
    """There is state of a rules folder that no longer exists."""


def emit(
    log: "FilteringBoundLogger",
    record: Record,
    *,
    level: Level | None = None,
    error: BaseException | None = None,
) -> None:
    """Log an event.

    Args:
        log: adds the time, the cause, and the rule or module that it is bound to.
        record: the event, with its own fields.
        level: in place of the usual one of the event.
        error: that was raised; its text, traceback and advice become fields.
    """
    fields = {
        name: value
        for name in record.__struct_fields__
        if (value := getattr(record, name)) is not None and value is not UNSET
    }
    if error is not None:
        fields["exc_info"] = error
    getattr(log, level or record.LEVEL)(record.EVENT, **fields)


def check(record: Mapping[str, Any]) -> None:
    """Check a record against its schema.

    Raises:
        ValueError: it does not match; the message says where and why.
    """
    if "logger" in record:
        return
    event = str(record.get("event"))
    if event not in EVENTS:
        raise ValueError(f"there is no event {event!r} in eshet_rules.audit.records")
    if missing := [name for name in ("time", "level") if name not in record]:
        raise ValueError(f"{event}: the record has no {' and no '.join(missing)}")
    fields = {name: value for name, value in record.items() if name != "crc"}
    try:
        msgspec.convert(fields, EVENTS[event])
    except msgspec.ValidationError as error:
        raise ValueError(f"{event}: {error}") from None
