"""The schema of the log: a class for each event, with the types and meanings of its fields.

The runner logs with `emit(log, RuleDisabled(why="by command"))`: the name, level and fields of an
event are defined once, here. Messages of rules and libraries have a field `logger` and any other
fields. The reference of the log, docs/logs.md, is generated from this module.

A field may be added to an event at any time. If a field is removed, or its type or meaning changes,
`SCHEMA_VERSION` is incremented; each file of the trail begins with it. Records of earlier versions
are translated when they are read, see `eshet_rules.audit.earlier`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from eshet.text import first_names

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "ActionCalled",
    "AttemptFailed",
    "ChangesWait",
    "CheckpointDamaged",
    "CheckpointNotSetAside",
    "CheckpointNotShared",
    "CheckpointNotWritten",
    "CheckpointPartlyDamaged",
    "CheckpointSlow",
    "CheckpointUnreadable",
    "ClusterJoined",
    "ClusterLeft",
    "CommitRequested",
    "CommittedNotWritten",
    "CommittedUnreadable",
    "ComponentFailed",
    "ConfigurationInvalid",
    "ConfigurationNeedsRestart",
    "ConfigurationReloaded",
    "ConfiguredRuleUnknown",
    "Connected",
    "ConnectionLost",
    "ConnectionRestored",
    "CoroutineNeverAwaited",
    "DeciderChanged",
    "DisableRequested",
    "DrainRequested",
    "EmbeddedServerStarted",
    "EnableRequested",
    "EventEmitted",
    "FileExcluded",
    "FileWritten",
    "FunctionCalled",
    "Input",
    "LeasesLost",
    "Level",
    "LikelyMistake",
    "LockNotRestored",
    "LockRestored",
    "LogLinesDropped",
    "LogNotShown",
    "LoopBroken",
    "LoopSlowedByThreads",
    "LoopUnblocked",
    "ModuleGivenUp",
    "ModuleImportFailed",
    "ModuleImportFailedAgain",
    "ModuleLoaded",
    "ModuleReloaded",
    "ModuleRepaired",
    "ModuleRolledBack",
    "ModuleTaken",
    "ModuleUnloaded",
    "ModulesWithoutRunner",
    "NamedServerUsed",
    "NatsUnreachable",
    "NoConnection",
    "NotListening",
    "NotTakenBack",
    "OrphanStateFound",
    "Output",
    "OverridesNotWritten",
    "OverridesUnreadable",
    "PageActed",
    "PageServed",
    "ParametersUnused",
    "PathContested",
    "PathNotProvided",
    "PathOverridden",
    "PathReleased",
    "PathSetBySeveralRules",
    "PathsTaken",
    "ProcessWasStopped",
    "PublishingAvailable",
    "PublishingUnavailable",
    "QuarantineNotWritten",
    "Record",
    "ReleaseRequested",
    "ReloadAborted",
    "ReloadRequested",
    "ReloadSuperseded",
    "ReplayDiffers",
    "ReplayFailed",
    "ReplaySame",
    "RequestFailed",
    "RequestRefused",
    "RestartRequested",
    "RestartScheduled",
    "RollBackEnded",
    "RollBacksNotWritten",
    "RollBacksUnreadable",
    "RuleBlocksLoop",
    "RuleDisabled",
    "RuleFailed",
    "RuleInterrupted",
    "RuleLoopCut",
    "RuleQuarantined",
    "RuleRecovered",
    "RuleRestarted",
    "RuleStaysFailed",
    "RulesChangedByHand",
    "RulesFolderRenamed",
    "RulesMovedAside",
    "RulesNotTakenOver",
    "RulesOfFolder",
    "RulesTakenOver",
    "RunnerKilledByRule",
    "RunnerNameTaken",
    "RunnerStarted",
    "RunnerStopped",
    "RunnersChanged",
    "RunningServerUsed",
    "SafeMode",
    "SharedCheckpointDamaged",
    "SharedTrailGap",
    "SignalHandlerRestored",
    "SlowSetUp",
    "SlowStart",
    "StateFileProblem",
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
    "TrailNotShared",
    "TrailNotWritten",
    "TrailRecordsLost",
    "TrailRepaired",
    "TrailStarted",
    "UnmarkedRule",
    "ValueChangedInPlace",
    "ValueSet",
    "VersionsDiffer",
    "VersionsNotKept",
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


class Record(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """The fields that every record may have."""

    EVENT: ClassVar[str]
    SENTENCE: ClassVar[str]
    LEVEL: ClassVar[Level]

    time: Annotated[Time | UnsetType, Meta(description="time: UTC, ISO 8601, microseconds")] = UNSET
    level: Annotated[Level | UnsetType, Meta(description="severity")] = UNSET
    event: Annotated[
        str | UnsetType, Meta(description="name of the event, which determines the other fields")
    ] = UNSET
    rule: Annotated[str | None, Meta(description="the rule, such as `hall.hall_light`")] = None
    module: Annotated[str | None, Meta(description="its module, such as `hall`")] = None
    version: Annotated[
        str | None, Meta(description="version of the module: a hash of its source")
    ] = None
    cause: Annotated[str | None, Meta(description="id of the cause")] = None
    parent: Annotated[str | None, Meta(description="id of the parent cause")] = None
    token: Annotated[
        int | None,
        Meta(description="in a cluster: number of the module's lease; a later holder's is higher"),
    ] = None


_R = TypeVar("_R", bound=type[Record])


def _event(name: str, sentence: str, *, level: Level = "info") -> Callable[[_R], _R]:
    """Register the schema of an event.

    Args:
        name: the name of the event, `area.verb`.
        sentence: a sentence that the console shows instead of the name.
        level: the default level.
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
    "unknown": "the value is unknown, or contains an unknown value",
    "unchanged": "after a reload or restart: the same value had been sent before",
    "shown": "the path shows the value already; of `yarp.drive`",
    "pretended": "rules are being checked, replayed, run in the shadow or tested; of `yarp.act`",
    "superseded": "a newer value arrived before this one was sent, or sent again",
    "busy": "another value was being sent, and the strategy is `RunSingle`",
    "queue full": "`max_queue` other values were waiting",
    "disabled": "it was waiting when its rule was disabled",
    "failed": "it was waiting when its rule failed",
    "restarted": "it was waiting when its rule was restarted",
    "unloaded": "it was waiting when its file was removed",
    "replaced": "it was waiting when its rule was reloaded, and the new version has no such output",
    "moved": "it was waiting when another runner took its module over; it is sent there, if the "
    "rule still has that output",
    "shutdown": "it was waiting when the runner stopped; it is sent after the next start, if the "
    "rule still has that output",
}
"""Why an output was skipped. A waiting output is in a queue, or between two attempts."""

Why = Literal[
    "unknown",
    "unchanged",
    "shown",
    "pretended",
    "superseded",
    "busy",
    "queue full",
    "disabled",
    "failed",
    "restarted",
    "unloaded",
    "replaced",
    "moved",
    "shutdown",
]


@_event("input.received", "input received", level="debug")
class Input(Record, kw_only=True):
    """A rule received an input. Its effects have the same cause."""

    kind: Annotated[
        Literal["state", "event", "call", "set", "get"],
        Meta(
            description="a change of a state, an event, or a call, set or get of a path of the rule"
        ),
    ]
    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[
        Any, Meta(description="the value; for a call, its arguments; null for an unknown state")
    ]
    unknown: Annotated[bool, Meta(description="whether the state is unknown")] = False
    trigger: Annotated[
        str | None, Meta(description="a description of the cause, if no other input has it")
    ] = None


class Output(Record, kw_only=True):
    """The output of a rule."""

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value; for a call, its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "kept", "skipped"],
        Meta(description="the outcome; `kept`: the state is published when the connection is back"),
    ]
    unknown: Annotated[bool, Meta(description="whether the value is unknown")] = False
    result: Annotated[Any | UnsetType, Meta(description="result of a call")] = UNSET
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[Why | None, Meta(description="why it was skipped, see below")] = None
    duration: Annotated[float | None, Meta(description="seconds until it was answered")] = None
    attempt: Annotated[int, Meta(ge=1, description="number of the attempt, if not the first")] = 1
    trigger: Annotated[
        str | None,
        Meta(description="a description of the cause, if no input has it: `timer delay at ...`"),
    ] = None
    after_input: Annotated[
        str | None,
        Meta(
            description="the input that led to it, such as `event /hall/motion`; if that was a "
            "timer, the input that has started it"
        ),
    ] = None
    after_s: Annotated[float | None, Meta(description="of a timer: seconds since that input")] = (
        None
    )
    inputs: Annotated[
        dict[str, Any] | None,
        Meta(
            description="the values from which the value came, by path; of an event, its last "
            "payload, and null if it had none since the rule was set up. A Value without a path is "
            "named by its place. A long value is shortened"
        ),
    ] = None
    unknown_inputs: Annotated[
        list[str] | None, Meta(description="those of them that were unknown")
    ] = None


@_event("output.set", "value set", level="debug")
class ValueSet(Output, kw_only=True):
    """A rule set a state or property, or skipped it. Recorded when the output is complete."""


@_event("output.called", "action called", level="debug")
class ActionCalled(Output, kw_only=True):
    """A rule called an action, or skipped it. Recorded when the output is complete."""


@_event("output.emitted", "event emitted", level="debug")
class EventEmitted(Output, kw_only=True):
    """A rule emitted an event, or skipped it. Recorded when the output is complete."""


@_event("output.published", "state published", level="debug")
class StatePublished(Output, kw_only=True):
    """A rule published the value of its state, or skipped it. Recorded when it is complete."""


@_event("output.acted", "function called", level="debug")
class FunctionCalled(Record, kw_only=True):
    """A rule called a function with `yarp.act`, or skipped it. Recorded when the call has ended."""

    function: Annotated[str, Meta(description="the name of the function")]
    value: Annotated[list[Any], Meta(description="its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "skipped"], Meta(description="the outcome")
    ]
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[Why | None, Meta(description="why it was skipped, see below")] = None
    duration: Annotated[float | None, Meta(description="seconds until it ended")] = None
    attempt: Annotated[int, Meta(ge=1, description="number of the attempt, if not the first")] = 1
    trigger: Annotated[
        str | None, Meta(description="a description of the cause, if no input has it")
    ] = None
    after_input: Annotated[
        str | None, Meta(description="the input that led to it, as for other outputs")
    ] = None
    after_s: Annotated[float | None, Meta(description="of a timer: seconds since that input")] = (
        None
    )
    inputs: Annotated[
        dict[str, Any] | None,
        Meta(description="the values from which the arguments came, as for other outputs"),
    ] = None
    unknown_inputs: Annotated[
        list[str] | None, Meta(description="those of them that were unknown")
    ] = None


@_event("client.connected", "connected", level="debug")
class Connected(Record, kw_only=True):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="address of the server")]


@_event("client.disconnected", "disconnected", level="debug")
class ConnectionLost(Record, kw_only=True):
    """The connection of a module was lost, or could not be made. The client tries again.

    Recorded once for each outage.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]


@_event("connection.lost", "no connection", level="warning")
class NoConnection(Record, kw_only=True):
    """Modules have no connection; one record for all that lost it together.

    Without a module, the runner itself has no connection, so none of the modules has one.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None


@_event("connection.restored", "connection is back")
class ConnectionRestored(Record, kw_only=True):
    """All lost connections are back. Not recorded for the first connection."""

    server: Annotated[str, Meta(description="address of the server")]
    away_s: Annotated[float, Meta(description="seconds since the first was lost")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None


# --- the runner ---------------------------------------------------------------------------------


@_event("runner.start_slow", "rules are still being set up", level="warning")
class SlowStart(Record, kw_only=True):
    """The start takes long, maybe because the server is unreachable."""

    after_s: Annotated[float, Meta(description="seconds since the start")]


@_event("runner.started", "running")
class RunnerStarted(Record, kw_only=True):
    """The runner has started, and has set up all rules that could be set up."""

    modules: Annotated[int, Meta(description="number of running modules")]
    folder: Annotated[str, Meta(description="the rules folder")]
    kept: Annotated[
        int | None, Meta(description="number of nodes restored from the checkpoint")
    ] = None
    afresh: Annotated[
        int | None, Meta(description="number of nodes that could not be restored")
    ] = None


@_event("runner.terminal_closed", "the terminal was closed")
class TerminalClosed(Record, kw_only=True):
    """The runner stops because the terminal in which it was started was closed."""


@_event("runner.stopped", "stopped")
class RunnerStopped(Record, kw_only=True):
    """The runner has stopped."""


@_event("runner.stop_requested", "stopping")
class StopRequested(Record, kw_only=True):
    """The runner received a signal to stop, from outside or from a rule."""

    signal: Annotated[str, Meta(description="name of the signal")]


class _Server(Record, kw_only=True):
    """The server that the rules use."""

    address: Annotated[str, Meta(description="address of the server")]


@_event("server.named", "using the named server")
class NamedServerUsed(_Server, kw_only=True):
    """The rules use the server that was named."""


@_event("server.found", "using a running server")
class RunningServerUsed(_Server, kw_only=True):
    """The rules use a server that already ran on this machine."""


@_event("server.started", "started the embedded server")
class EmbeddedServerStarted(_Server, kw_only=True):
    """The rules use a server that this runner has started."""


@_event("server.nats_unreachable", "waits for NATS", level="warning")
class NatsUnreachable(_Server, kw_only=True):
    """At its start, the runner can't use the named NATS servers. It tries until it can.

    Logged again when the reason changes.
    """

    error: Annotated[str, Meta(description="the reason")]


@_event(
    "server.not_listening",
    "clients of this machine can't connect to the embedded server",
    level="warning",
)
class NotListening(_Server, kw_only=True):
    """The server that joins this runner with others does not listen, as its port is in use."""

    error: Annotated[str, Meta(description="the reason")]
    advice: Annotated[str, Meta(description="what to do")]


class _Module(Record, kw_only=True):
    """A change of the running version of a module."""

    rules: Annotated[list[str], Meta(description="names of its rules, without the module's name")]


@_event("module.loaded", "loaded")
class ModuleLoaded(_Module, kw_only=True):
    """A module is running for the first time."""


@_event("module.reloaded", "reloaded")
class ModuleReloaded(_Module, kw_only=True):
    """A new version of a module has replaced the running one."""


@_event("module.rolled_back", "rolled back")
class ModuleRolledBack(Record, kw_only=True):
    """A module runs an earlier version until its file changes; `version` is that version."""

    replaced: Annotated[
        str | None, Meta(description="the version that ran before; null if none ran")
    ] = None
    by: Annotated[
        str | None, Meta(description="who has rolled it back: a user, or `probation`")
    ] = None
    why: Annotated[str | None, Meta(description="the reason")] = None


@_event("module.not_taken_back", "can't take the new version back", level="error")
class NotTakenBack(Record, kw_only=True):
    """A rule of a version on probation has failed, but the earlier version can't be used."""

    why: Annotated[str, Meta(description="why the version was to be taken back")]
    error: Annotated[str, Meta(description="why the earlier version can't be used")]


@_event("module.file_written", "the version of a roll-back was written to the file")
class FileWritten(Record, kw_only=True):
    """A roll-back has written its `version` to the file of the module, which ends the roll-back."""

    file: Annotated[str, Meta(description="the path of the file")]


@_event("module.roll_back_ended", "roll-back ended, as the file has changed")
class RollBackEnded(Record, kw_only=True):
    """The file of a module that was rolled back has changed; `version` is that of the file."""


@_event("module.changes_wait", "changes wait")
class ChangesWait(Record, kw_only=True):
    """Files were saved, and `[watch] commit = "ask"`: the changes wait to be committed."""

    modules: Annotated[list[str], Meta(description="all modules with a change that waits")]
    advice: Annotated[str, Meta(description="the command that applies the changes")]


@_event("module.no_change_waits", "no change waits any more")
class NoChangeWaits(Record, kw_only=True):
    """Files have their committed content again, before the changes were committed."""

    modules: Annotated[list[str], Meta(description="the modules of these files")]


@_event("module.unloaded", "unloaded")
class ModuleUnloaded(_Module, kw_only=True):
    """A module is not running here any more.

    Its file was removed, or has no rules; or another runner of the cluster runs it.
    """


@_event("module.reload_aborted", "kept the old version", level="error")
class ReloadAborted(Record, kw_only=True):
    """A new version was aborted. The running version was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="failed modules that must change together with it")
    ] = None
    taken_paths: Annotated[
        list[str] | None,
        Meta(description="paths of others that it needs; it is tried again at the next change"),
    ] = None


@_event("module.set_up_slow", "waits for the set-up of rules")
class SlowSetUp(Record, kw_only=True):
    """A new version is not live yet, since a rule is being set up that returned before.

    Until then the running version stays, and other changed files wait as well.
    """

    rules: Annotated[list[str], Meta(description="names of the rules")]
    within_s: Annotated[
        float, Meta(description="seconds after which the version is live in any case")
    ]


class _ImportFailed(Record, kw_only=True):
    """An import that failed."""

    error: Annotated[str, Meta(description="the error")]
    file: Annotated[str, Meta(description="the file with the error")]
    line: Annotated[int, Meta(description="line number; 0 if the error has no line")]
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

    file: Annotated[str, Meta(description="path of the file or folder")]
    why: Annotated[str, Meta(description="why it is not loaded")]


@_event("module.repaired", "repaired")
class ModuleRepaired(Record, kw_only=True):
    """A file with an unusable version was changed back to the running version."""


@_event("module.state_handed_over", "state handed over")
class StateHandedOver(Record, kw_only=True):
    """The result of the hand-over of a rule's state when its module was reloaded."""

    kept: Annotated[list[str] | None, Meta(description="nodes that kept their state")] = None
    migrated: Annotated[list[str] | None, Meta(description="nodes with migrated state")] = None
    afresh: Annotated[list[str] | None, Meta(description="nodes without state, and why")] = None
    missed: Annotated[
        list[str] | None, Meta(description="firings due while the runner was down")
    ] = None
    refused: Annotated[str | None, Meta(description="why the rule refused the hand-over")] = None


class _Replay(Record, kw_only=True):
    """The replay of a saved change."""

    modules: Annotated[list[str], Meta(description="the changed modules")]


class _Replayed(_Replay, kw_only=True):
    """A replay that has ended."""

    since: Annotated[str, Meta(description="beginning of the inputs, local time, ISO 8601")]
    until: Annotated[str, Meta(description="end of the inputs, local time, ISO 8601")]
    inputs: Annotated[int, Meta(description="number of the inputs")]


@_event("replay.same", "no difference on the recorded inputs")
class ReplaySame(_Replayed, kw_only=True):
    """The new versions have the same outputs on the recorded inputs as the ones before."""


@_event("replay.nothing_yet", "nothing to compare yet")
class ReplayNothingYet(_Replayed, kw_only=True):
    """Nothing differs, which means little, as there are no inputs or less than a minute of them."""

    error: Annotated[str, Meta(description="what is recorded")]
    advice: Annotated[str, Meta(description="the command that compares again")]


@_event("replay.differs", "differs on the recorded inputs")
class ReplayDiffers(_Replayed, kw_only=True):
    """The new versions have other outputs on the recorded inputs than the ones before."""

    differences: Annotated[
        list[str], Meta(description="the first differences, those of the changed modules first")
    ]
    more: Annotated[int | None, Meta(description="number of further differences")] = None
    advice: Annotated[str, Meta(description="the command that shows all differences")]


@_event("replay.failed", "can't compare on the recorded inputs", level="warning")
class ReplayFailed(_Replay, kw_only=True):
    """A saved change could not be replayed. The rules are not affected."""

    error: Annotated[str, Meta(description="the reason")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("shadow.started", "shadow: nothing is sent to this server")
class ShadowStarted(Record, kw_only=True):
    """The rules run on a copy of the nodes of a server; their outputs do not reach it."""

    address: Annotated[str, Meta(description="address of the server")]


@_event("shadow.incomplete", "not copied into the shadow", level="warning")
class ShadowIncomplete(Record, kw_only=True):
    """A node of the server is missing in the shadow, so rules there do not receive its inputs."""

    path: Annotated[str, Meta(description="the path; `/` if the nodes can't be listed")]
    error: Annotated[str, Meta(description="why not")]


@_event("module.reload_superseded", "superseded by a newer change")
class ReloadSuperseded(Record, kw_only=True):
    """A reload that was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="the modules that were being prepared")]


@_event("rule.failed", "rule failed", level="error")
class RuleFailed(Record, kw_only=True):
    """A rule raised an error, in its function or in a node, sink or task that it has created."""

    doing: Annotated[
        str, Meta(description="the operation that failed, such as `set_value of /hall/light`")
    ]
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    advice: Annotated[str | None, Meta(description="advice on the error, if there is any")] = None
    again: Annotated[
        int | None, Meta(description="number of failures since the last one that was logged")
    ] = None
    traceback: Annotated[str | None, Meta(description="the lines of the rule in the traceback")] = (
        None
    )


@_event("rule.attempt_failed", "attempt failed", level="error")
class AttemptFailed(RuleFailed, kw_only=True):
    """An attempt of a strategy failed; the strategy may retry. The rule keeps running."""


@_event("rule.recovered", "works again")
class RuleRecovered(Record, kw_only=True):
    """An operation that had failed before has succeeded."""

    doing: Annotated[str, Meta(description="the operation, such as `set_value of /hall/light`")]
    failures: Annotated[int, Meta(ge=1, description="number of failures before")]


@_event("rule.coroutine_never_awaited", "a coroutine was never awaited", level="warning")
class CoroutineNeverAwaited(Record, kw_only=True):
    """An `async def` function was called without `await`, so it did not run."""

    coroutine: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str | None, Meta(description="the file with the call")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("thread.failed", "a thread has failed", level="error")
class ThreadFailed(Record, kw_only=True):
    """A thread that a rule or a library has started ended with an error."""

    thread: Annotated[str, Meta(description="name of the thread")]
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    advice: Annotated[str | None, Meta(description="advice on the error, if there is any")] = None
    traceback: Annotated[str | None, Meta(description="the lines of the rule in the traceback")] = (
        None
    )


@_event("rule.unmarked", "this looks like a rule, but nothing runs it", level="warning")
class UnmarkedRule(Record, kw_only=True):
    """A file has no `@rule`, but an `async def` function that looks like a rule."""

    function: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event(
    "rule.value_changed_in_place",
    "a list or dict in a Value is changed in place, which nothing notices",
    level="warning",
)
class ValueChangedInPlace(Record, kw_only=True):
    """A rule changes the list, dict or set of a Value in place instead of assigning a new one."""

    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("rule.likely_mistake", "this is probably a mistake", level="warning")
class LikelyMistake(Record, kw_only=True):
    """Code of a rule file is valid, but probably not what is meant; see `eshet-rules check`.

    Logged once for each version. A comment `# check: ignore` at the line prevents it.
    """

    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    code: Annotated[str, Meta(description="the kind of mistake, such as `decided-once`")]
    problem: Annotated[str, Meta(description="what is wrong")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("loop.slowed_by_threads", "threads of a rule slow the event loop down", level="warning")
class LoopSlowedByThreads(Record, kw_only=True):
    """Threads that a rule has started compute, so the event loop is late."""

    threads: Annotated[list[str], Meta(description="names of the threads")]
    file: Annotated[str, Meta(description="the file that they execute")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("input.dropped", "events were dropped", level="error")
class EventsDropped(Record, kw_only=True):
    """So many events waited for a module that the oldest of them were dropped."""

    count: Annotated[int, Meta(description="how many")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("path.set_by_several_rules", "several rules set one path", level="warning")
class PathSetBySeveralRules(Record, kw_only=True):
    """Several rules set the same path to their Values, so the last one wins. Logged once."""

    path: Annotated[Path, Meta(description="the path")]
    rules: Annotated[list[str], Meta(description="the rules, each with its line")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("path.not_provided", "nothing provides a path", level="warning")
class PathNotProvided(Record, kw_only=True):
    """Rules have observed a path for a minute, and nothing has provided it. Logged once."""

    path: Annotated[Path, Meta(description="the path")]
    rules: Annotated[list[str], Meta(description="names of the rules")]
    advice: Annotated[str, Meta(description="what to do, with the nearest paths that exist")]


@_event("path.decided", "who decides has changed", level="debug")
class DeciderChanged(Record, kw_only=True):
    """Another rule, or a person, decides over a path with `yarp.drive`, or nobody does.

    If a rule decides, it is the rule of this record.
    """

    path: Annotated[Path, Meta(description="the path")]
    by: Annotated[Literal["rule", "person", "nobody"], Meta(description="who decides")]
    value: Annotated[Any, Meta(description="what should be so; null if nobody decides")] = None
    priority: Annotated[float | None, Meta(description="the priority of the driver")] = None


@_event("path.overridden", "changed by hand: rules stand by")
class PathOverridden(Record, kw_only=True):
    """A change that no rule has made: drivers of the path stand by.

    Logged again when the runner has restarted meanwhile, with `since`.
    """

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value to which it was changed")]
    rules: Annotated[list[str], Meta(description="the rules that stand by")]
    until: Annotated[
        str | None,
        Meta(description="when the last of them decides again, in UTC; absent if not known"),
    ] = None
    since: Annotated[
        str | None,
        Meta(description="when it was changed, in UTC, if that was before the runner started"),
    ] = None


@_event("path.released", "rules decide again")
class PathReleased(Record, kw_only=True):
    """No driver of a path stands by any more."""

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value that the person had chosen")]
    why: Annotated[
        Literal["time", "condition", "released", "command", "given back", "no driver"],
        Meta(
            description="`time`: it was over; `condition`: the Value of `override` is not true any "
            "more; `released`: the Event of `release`; `command`: `eshet-rules release`; `given "
            "back`: the person has set what should be so; `no driver`: the last rule that stood by "
            "has ended"
        ),
    ]


@_event("path.contested", "others change a driven path again and again", level="warning")
class PathContested(Record, kw_only=True):
    """Within ten minutes, people or other programs have changed a path more than three times.

    Each time, the driver that decides has sent its value again. From now on it does so at most once
    a minute, until the path has kept the value for ten minutes. Logged once.
    """

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value of the driver")]
    shown: Annotated[Any, Meta(description="the value that the path shows")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("path.taken", "paths are provided by another client", level="warning")
class PathsTaken(Record, kw_only=True):
    """Rules wait for paths that another client of the server provides. Logged once."""

    owner: Annotated[str, Meta(description="the client, or the runner that it belongs to")]
    conflicts: Annotated[list[str], Meta(description="path, rule and place of each")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("rule.tasks_not_ending", "tasks do not end when cancelled", level="error")
class TasksNotEnding(Record, kw_only=True):
    """Tasks of an old version were cancelled, but keep running."""

    tasks: Annotated[list[str], Meta(description="names of the tasks")]


@_event(
    "state.not_plain_data",
    "state will not survive a restart, since it is not plain data",
    level="warning",
)
class StateNotPlainData(Record, kw_only=True):
    """A part of the state of a rule can't be written to the checkpoint."""

    what: Annotated[str, Meta(description="the part of the rule")]
    why: Annotated[str, Meta(description="the problem")]
    place: Annotated[str | None, Meta(description="file and line where it was created")] = None


@_event("checkpoint.slow", "writing the checkpoint takes long", level="warning")
class CheckpointSlow(Record, kw_only=True):
    """If the runner is killed, more than the last second of state may be lost. Logged once."""

    seconds: Annotated[float, Meta(description="time that it took")]
    bytes: Annotated[int, Meta(description="size of the checkpoint")]


class _Checkpoint(Record, kw_only=True):
    """A problem with the checkpoint."""

    error: Annotated[str, Meta(description="the error")]


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

    set_aside: Annotated[str, Meta(description="new path of the file, or of a copy of it")]


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
    """A rule has failed, and will be restarted after a delay."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]
    pause_s: Annotated[float, Meta(description="seconds until the restart")]


@_event("rule.restarted", "rule restarted")
class RuleRestarted(Record, kw_only=True):
    """A rule that had failed was set up again."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]


@_event("rule.stays_failed", "rule stays failed", level="error")
class RuleStaysFailed(Record, kw_only=True):
    """A rule is not restarted until its file changes or a command restarts it."""

    why: Annotated[str, Meta(description="why it is not restarted")]
    error: Annotated[str | None, Meta(description="last error, unless `why` contains it")] = None


@_event("rule.disabled", "rule disabled")
class RuleDisabled(Record, kw_only=True):
    """A rule was stopped, and does not run until it is enabled."""

    why: Annotated[str, Meta(description="why it is disabled")]


class _Blocking(Record, kw_only=True):
    """A rule that blocks the event loop."""

    seconds: Annotated[float, Meta(description="duration up to now")]
    file: Annotated[str | None, Meta(description="the file that is being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    stack: Annotated[str, Meta(description="the call stack")]


@_event("rule.blocks_loop", "rule blocks the event loop", level="error")
class RuleBlocksLoop(_Blocking, kw_only=True):
    """A rule blocks the event loop, so no other rule runs."""


@_event("rule.interrupted", "rule interrupted", level="error")
class RuleInterrupted(_Blocking, kw_only=True):
    """A rule blocked the event loop for too long, and was interrupted."""


@_event("loop.unblocked", "the event loop is free again")
class LoopUnblocked(Record, kw_only=True):
    """The event loop is no longer blocked."""

    blocked_s: Annotated[float, Meta(description="seconds for which it was blocked")]


@_event(
    "signal.handler_restored",
    "restored the signal handler that a rule had replaced",
    level="warning",
)
class SignalHandlerRestored(Record, kw_only=True):
    """A rule had replaced a signal handler with which the runner stops or watches the loop."""

    signal: Annotated[str, Meta(description="name of the signal")]


@_event("rule.quarantined", "rule stays off", level="error")
class RuleQuarantined(Record, kw_only=True):
    """A rule does not run because it ended the process before."""

    why: Annotated[str, Meta(description="the action that ended the process")]
    file: Annotated[str | None, Meta(description="the file that was being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None


@_event("runner.safe_mode", "safe mode: all rules stay off", level="error")
class SafeMode(Record, kw_only=True):
    """The last starts failed: the process exited early each time, and no rule could be blamed."""

    starts: Annotated[int, Meta(description="number of failed starts")]
    why: Annotated[str, Meta(description="the same as a sentence")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("runner.killed_by_rule", "the runner was ended from within", level="error")
class RunnerKilledByRule(Record, kw_only=True):
    """The previous process did not exit normally; its crash file was kept."""

    file: Annotated[str, Meta(description="the crash file")]


@_event("quarantine.not_written", "can't write which rules stay off", level="error")
class QuarantineNotWritten(Record, kw_only=True):
    """The list of quarantined rules could not be written."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@_event("runner.stop_prevented", "prevented a rule from stopping the runner", level="error")
class StopPrevented(Record, kw_only=True):
    """A rule raised an exception that would have ended the process, such as SystemExit."""

    error: Annotated[str | UnsetType, Meta(description="the exception")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback from the line of the rule on")] = (
        None
    )


@_event("loop.broken", "the event loop is broken", level="critical")
class LoopBroken(Record, kw_only=True):
    """A rule has closed files of the event loop, which can't continue: the process exits."""

    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@_event("rule.loop_cut", "rules trigger each other", level="error")
class RuleLoopCut(Record, kw_only=True):
    """A chain of causes returned to a rule too often. The rule fails, which cuts the cycle."""

    cycle: Annotated[list[str], Meta(description="the paths of the last round, in order")]
    rounds: Annotated[int, Meta(description="number of rounds")]
    seconds: Annotated[float, Meta(description="time that they took")]


@_event("process.was_stopped", "the process was stopped", level="warning")
class ProcessWasStopped(Record, kw_only=True):
    """A signal (SIGSTOP), a debugger or the system suspended the process for a time."""

    seconds: Annotated[float, Meta(description="duration")]


@_event("log.lines_dropped", "lines of the log were dropped", level="warning")
class LogLinesDropped(Record, kw_only=True):
    """The terminal or pipe of the log accepts lines again, after it did not for a time."""

    lines: Annotated[int, Meta(ge=1, description="number of dropped lines; the trail has them")]


@_event("component.failed", "a part of the runner failed", level="error")
class ComponentFailed(Record, kw_only=True):
    """A component of the runner that observes or assists has failed. Rules are not affected."""

    component: Annotated[str, Meta(description="the component, such as `publisher`")]
    pause_s: Annotated[float | None, Meta(description="seconds until it is restarted")] = None
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@_event("watcher.unavailable", "can't watch a folder, scanning it at intervals", level="warning")
class WatcherUnavailable(Record, kw_only=True):
    """The system does not report changed files, so the folder is scanned at intervals."""

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str, Meta(description="the error of the system")]
    interval_s: Annotated[float, Meta(description="seconds between two scans")]


# --- clusters -----------------------------------------------------------------------------------


class _Cluster(Record, kw_only=True):
    """The cluster of this runner."""

    cluster: Annotated[str, Meta(description="name of the cluster")]


@_event("cluster.joined", "joined the cluster")
class ClusterJoined(_Cluster, kw_only=True):
    """This runner shares the modules with others. Recorded again after it was cut off from them."""

    runner: Annotated[str, Meta(description="name of this runner")]
    server: Annotated[str, Meta(description="address of the servers")]
    others: Annotated[list[str], Meta(description="names of the other runners")]


@_event("cluster.left", "left the cluster")
class ClusterLeft(_Cluster, kw_only=True):
    """This runner has given up all modules, as it stops."""


@_event("cluster.runners_changed", "other runners")
class RunnersChanged(_Cluster, kw_only=True):
    """Other runners have joined the cluster, or are gone."""

    joined: Annotated[list[str] | None, Meta(description="those that have joined")] = None
    gone: Annotated[list[str] | None, Meta(description="those that are gone")] = None
    runners: Annotated[list[str], Meta(description="all runners now")]


@_event("cluster.name_taken", "another runner has this name", level="warning")
class RunnerNameTaken(Record, kw_only=True):
    """A runner can't join its cluster, as one with the same name is there. It tries until it can.

    Names are the same as well if they are in paths, where `_` replaces `.` and `-`. Logged once.
    """

    runner: Annotated[str, Meta(description="the name of the other runner")]
    host: Annotated[str, Meta(description="the machine of the other runner")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("cluster.leases_lost", "no longer runs modules", level="error")
class LeasesLost(_Cluster, kw_only=True):
    """This runner has dropped all modules, since others may run them from now on.

    It takes some again when it can.
    """

    modules: Annotated[list[str], Meta(description="the modules")]
    why: Annotated[str, Meta(description="the reason")]


@_event("cluster.rules_suspended", "suspended its rules for a time", level="warning")
class RulesSuspended(Record, kw_only=True):
    """The rules of this runner did nothing for half a second or longer, and then went on.

    Others might have taken their modules without this runner knowing it. Less is not logged.
    """

    seconds: Annotated[float, Meta(description="for how long")]
    why: Annotated[str, Meta(description="the reason")]


@_event("cluster.versions_differ", "runners have different rules", level="warning")
class VersionsDiffer(_Cluster, kw_only=True):
    """Two runners of a cluster have different versions of files. Logged once for these versions."""

    runners: Annotated[list[str], Meta(description="the two runners")]
    modules: Annotated[
        list[str], Meta(description="the first modules that differ, helpers included")
    ]
    more: Annotated[int | None, Meta(description="number of further modules")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("cluster.modules_without_runner", "no runner may run modules", level="warning")
class ModulesWithoutRunner(_Cluster, kw_only=True):
    """Conditions below `[cluster.where]` leave no runner for modules. Logged once."""

    modules: Annotated[list[str], Meta(description="the modules")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("cluster.trail_not_shared", "can't share the trail with the cluster", level="warning")
class TrailNotShared(_Cluster, kw_only=True):
    """The records of this runner can't be stored in NATS. They are when it is possible again.

    Logged once; not for a lost connection.
    """

    error: Annotated[str, Meta(description="the error")]


@_event("cluster.trail_gap", "records missing in the trail of the cluster", level="warning")
class SharedTrailGap(_Cluster, kw_only=True):
    """Records of this runner are not in the trail of the cluster."""

    why: Annotated[
        Literal["deleted", "too long"],
        Meta(
            description="`deleted`: their file was deleted or moved before NATS had them; "
            "`too long`: NATS accepts no message of this length"
        ),
    ]
    since: Annotated[
        Time | None, Meta(description="time of the last record before them, or of the first one")
    ] = None
    until: Annotated[Time | None, Meta(description="time of the first record after them")] = None
    records: Annotated[int | None, Meta(description="their number, if it is known")] = None


class _PublishedRules(_Cluster, kw_only=True):
    """Rules that are published for the cluster."""

    publication: Annotated[str, Meta(description="the first digits of its hash")]


@_event("rules.taken_over", "took over the published rules")
class RulesTakenOver(_PublishedRules, kw_only=True):
    """The files in the rules folder are those of a publication now."""

    revision: Annotated[str | None, Meta(description="its git commit")] = None
    by: Annotated[str, Meta(description="who has published it")]
    added: Annotated[list[str] | None, Meta(description="the first new files")] = None
    changed: Annotated[list[str] | None, Meta(description="the first changed files")] = None
    removed: Annotated[list[str] | None, Meta(description="the first removed files")] = None


@_event("rules.moved_aside", "files that were not published were moved aside", level="warning")
class RulesMovedAside(_PublishedRules, kw_only=True):
    """Files of the rules folder were changed or added by hand, and replaced by published ones."""

    files: Annotated[list[str], Meta(description="the first of these files, folders and links")]
    folder: Annotated[str, Meta(description="where they are now")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("rules.changed_by_hand", "the rules are not those that are published", level="warning")
class RulesChangedByHand(_PublishedRules, kw_only=True):
    """When the runner started, the rules folder differed from the publication that it had.

    The change stays until something else is published.
    """

    files: Annotated[list[str], Meta(description="the first files that differ")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("rules.not_taken_over", "can't take over the published rules", level="error")
class RulesNotTakenOver(_Cluster, kw_only=True):
    """The rules folder stays as it is; it is tried again. Logged once for each reason."""

    publication: Annotated[
        str | None, Meta(description="the first digits of its hash, if it is known")
    ] = None
    error: Annotated[str, Meta(description="the reason, and what to do")]


@_event("rules.of_folder", "starts with the rules in its folder", level="warning")
class RulesOfFolder(_Cluster, kw_only=True):
    """The runner was to take over published rules at the start, and there are none to be had."""

    why: Annotated[str, Meta(description="the reason")]


@_event("module.taken", "taken from the cluster")
class ModuleTaken(Record, kw_only=True):
    """This runner runs a module from now on, and no other one does."""

    why: Annotated[
        Literal["new", "released", "moved", "gone"],
        Meta(
            description="`new`: no runner had it; `released`: its runner has given it up; `moved`: "
            "its runner has given it up for this one; `gone`: its runner has ended without a word"
        ),
    ]
    from_runner: Annotated[str | None, Meta(description="the runner that had it")] = None
    without_s: Annotated[
        float | None,
        Meta(
            description="seconds since it was given up, or since the last sign of life of its "
            "runner, by the clock of the NATS server"
        ),
    ] = None


@_event("module.given_up", "given up to the cluster")
class ModuleGivenUp(Record, kw_only=True):
    """This runner does not run a module any more, and has left its state for another one."""

    why: Annotated[
        Literal["moved", "draining", "stopping", "removed", "unfit"],
        Meta(
            description="`moved`: another runner is to run it; `draining`, `stopping`: this runner "
            "is to run no modules, or stops; `removed`: its file was removed; `unfit`: it can't be "
            "loaded here, or this runner is in safe mode, and another runner may run it"
        ),
    ]
    to: Annotated[str | None, Meta(description="the runner that is to run it")] = None


@_event("checkpoint.not_shared", "can't store state for other runners", level="error")
class CheckpointNotShared(Record, kw_only=True):
    """The state of a module could not be stored in the cluster; it is tried again. Logged once.

    If another runner takes the module over, it continues from an earlier state.
    """

    error: Annotated[str, Meta(description="the error")]


@_event("checkpoint.shared_damaged", "can't read the state of another runner", level="error")
class SharedCheckpointDamaged(Record, kw_only=True):
    """The state of a module in the cluster, or a part of it, is damaged: it starts without that."""

    error: Annotated[str, Meta(description="the error")]


# --- configuration and control ------------------------------------------------------------------


@_event("config.invalid", "the configuration is invalid, kept the old one", level="error")
class ConfigurationInvalid(Record, kw_only=True):
    """The configuration file has changed, and can't be used."""

    file: Annotated[str, Meta(description="the configuration file")]
    line: Annotated[int | None, Meta(description="line number")] = None
    key: Annotated[str | None, Meta(description="the key with the mistake")] = None
    error: Annotated[str, Meta(description="the mistake, and the allowed values")]


@_event("config.reloaded", "configuration reloaded")
class ConfigurationReloaded(Record, kw_only=True):
    """The configuration file has changed, and the changes were applied."""

    modules: Annotated[list[str], Meta(description="the modules that are reloaded for it")]


@_event("config.needs_restart", "a part of the configuration needs a restart", level="warning")
class ConfigurationNeedsRestart(Record, kw_only=True):
    """Some changes of the configuration only take effect when the runner is restarted."""

    tables: Annotated[list[str], Meta(description="the changed tables")]


@_event(
    "config.unknown_rule", "the configuration names a rule that does not exist", level="warning"
)
class ConfiguredRuleUnknown(Record, kw_only=True):
    """A table of the configuration matches no rule."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    near: Annotated[Any, Meta(description="a similar name")] = None


@_event("config.unused_parameters", "no rule asks for these parameters", level="warning")
class ParametersUnused(Record, kw_only=True):
    """A table has parameters, but the rules that it matches have no argument named `config`."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    parameters: Annotated[list[str], Meta(description="names of the parameters")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("control.reload_requested", "reload requested")
class ReloadRequested(Record, kw_only=True):
    """A command or signal asked the runner to reload modules."""

    modules: Annotated[list[str], Meta(description="the modules")]


@_event("control.commit_requested", "commit requested")
class CommitRequested(Record, kw_only=True):
    """A command applies changes that were waiting."""

    modules: Annotated[list[str], Meta(description="the modules")]


@_event("control.release_requested", "release requested")
class ReleaseRequested(Record, kw_only=True):
    """A command asked the runner to end the overrides of paths."""

    paths: Annotated[list[str], Meta(description="the paths")]


@_event("control.drain_requested", "drain requested")
class DrainRequested(Record, kw_only=True):
    """A command asked the runner to give all modules to other runners, or to take some again."""

    undo: Annotated[bool, Meta(description="whether it may run modules again")]


class _RulesRequest(Record, kw_only=True):
    """A request about rules."""

    rules: Annotated[list[str], Meta(description="the rules")]


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

    doing: Annotated[str | None, Meta(description="the operation that failed")] = None
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback within the runner")] = None


@_event("control.request_refused", "request refused", level="warning")
class RequestRefused(_Request, kw_only=True):
    """A command asked for something impossible."""


@_event("page.acted", "request on the page")
class PageActed(Record, kw_only=True):
    """Somebody has done something on the page, or by its API."""

    action: Annotated[
        str,
        Meta(description="`set`, `call`, `release`, `roll back`, or a command such as `disable`"),
    ]
    subject: Annotated[str, Meta(description="the path, rule, module or version")]
    by: Annotated[str, Meta(description="the name of the token")]
    error: Annotated[str | None, Meta(description="why it failed")] = None


@_event("page.served", "page")
class PageServed(Record, kw_only=True):
    """The page of the runner can be visited."""

    url: Annotated[str, Meta(description="its address")]


@_event("control.request_failed", "request failed", level="error")
class RequestFailed(_Request, kw_only=True):
    """A command could not be carried out."""


@_event("publisher.unavailable", "can't publish the state of the rules", level="error")
class PublishingUnavailable(Record, kw_only=True):
    """The runner can't publish the states of the rules. It tries again every minute."""

    path: Annotated[str, Meta(description="the path to publish under")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="what to do")] = None


@_event("publisher.available", "publishing the state of the rules")
class PublishingAvailable(Record, kw_only=True):
    """The states of the rules are published, after this had failed before."""

    path: Annotated[str, Meta(description="the path that they are published under")]


class StateFileProblem(Record, kw_only=True):
    """A problem with a file of the state folder."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@_event("overrides.unreadable", "can't read which rules are disabled", level="error")
class OverridesUnreadable(StateFileProblem, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be read."""


@_event("overrides.not_written", "can't write which rules are disabled", level="error")
class OverridesNotWritten(StateFileProblem, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be written."""


@_event("roll_backs.unreadable", "can't read which modules are rolled back", level="error")
class RollBacksUnreadable(StateFileProblem, kw_only=True):
    """The file of modules that are rolled back could not be read."""


@_event("roll_backs.not_written", "can't write which modules are rolled back", level="error")
class RollBacksNotWritten(StateFileProblem, kw_only=True):
    """The file of modules that are rolled back could not be written."""


@_event("committed.unreadable", "can't read what was committed", level="error")
class CommittedUnreadable(StateFileProblem, kw_only=True):
    """The file of committed versions could not be read. The next record says what runs instead."""


class _CommittedReplaced(Record, kw_only=True):
    """Which versions count as committed, as the committed ones are not known."""

    modules: Annotated[list[str], Meta(description="the modules, as `hall@3f2a91bc`")]
    damaged: Annotated[str | None, Meta(description="where the damaged file is kept")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("committed.restored", "the last live versions count as committed", level="warning")
class CommittedRestored(_CommittedReplaced, kw_only=True):
    """The file of committed versions is missing or damaged: the last live versions count."""


@_event("committed.from_files", "the files count as committed", level="warning")
class CommittedFromFiles(_CommittedReplaced, kw_only=True):
    """The file of committed versions is damaged, and no version was live: the files count."""


@_event("committed.not_written", "can't write what was committed", level="error")
class CommittedNotWritten(StateFileProblem, kw_only=True):
    """The file of committed versions could not be written; a restart may run others."""


@_event("versions.not_kept", "can't keep a version for a roll-back", level="error")
class VersionsNotKept(Record, kw_only=True):
    """A version that has become live could not be kept. Logged once, until one can be kept."""

    folder: Annotated[str, Meta(description="the folder of the versions")]
    error: Annotated[str, Meta(description="the error")]


@_event("log.not_shown", "can't show the log", level="error")
class LogNotShown(Record, kw_only=True):
    """The terminal or pipe of the log accepts no lines. Dropped lines are only in the trail."""

    error: Annotated[str, Meta(description="the reason")]


# --- the trail ----------------------------------------------------------------------------------


@_event("trail.started", "trail begins", level="debug")
class TrailStarted(Record, kw_only=True):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="version of this schema")]
    runner: Annotated[str, Meta(description="version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without suffixes")] = None


@_event("trail.repaired", "trail repaired", level="warning")
class TrailRepaired(Record, kw_only=True):
    """The runner was killed while it wrote a record; the partial record was cut off."""

    cut: Annotated[int, Meta(description="number of bytes")]


@_event("trail.records_lost", "records lost", level="error")
class TrailRecordsLost(Record, kw_only=True):
    """A gap in the trail: for a time, it could not be written."""

    lost: Annotated[int, Meta(description="number of lost records")]
    since: Annotated[Time, Meta(description="time of the first lost record")]
    error: Annotated[str, Meta(description="the reason")]


class _Trail(Record, kw_only=True):
    """A problem with the trail. The rules run on."""

    error: Annotated[str, Meta(description="the problem")]
    file: Annotated[str, Meta(description="the file")]


@_event("trail.not_written", "can't write the trail", level="error")
class TrailNotWritten(_Trail, kw_only=True):
    """The trail can't be written. Records are counted, and the rules run on."""


@_event("trail.moved", "the trail was moved or deleted", level="error")
class TrailMoved(_Trail, kw_only=True):
    """The file of the trail was moved, deleted or truncated; the trail continues at its path."""


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

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str | None, Meta(description="why it could not be locked again")] = None


@_event(
    "state_folder.full", "no space for the state folder, so no state is kept yet", level="error"
)
class StateFolderFull(_StateFolder, kw_only=True):
    """The state folder has no space left. The rules run; their state is lost at the end."""


@_event("lock.not_restored", "can't take a lock again", level="error")
class LockNotRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and could not be taken again."""


@_event("lock.restored", "took a lock again", level="warning")
class LockRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and was taken again."""


class _RulesFolder(Record, kw_only=True):
    """State of a rules folder with another path."""

    before: Annotated[str, Meta(description="the other path")]
    folder: Annotated[str, Meta(description="the present rules folder")]
    advice: Annotated[str | None, Meta(description="how to use that state")] = None


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
    """Log an event; of a long list of names, only the first ones and their number.

    Args:
        log: adds the time, the cause, and the rule or module that it is bound to.
        record: the event, with its own fields.
        level: the level, if it differs from the default one of the event.
        error: the exception; its text, traceback and advice become fields.
    """
    fields = {
        name: first_names(value) if type(value) is list else value
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
