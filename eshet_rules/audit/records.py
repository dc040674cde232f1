"""The schema of the log: a class for each event, with the types and meanings of its fields.

Messages of rules and libraries have a field `logger` and any other fields. Records of the runner
itself are those of `EVENTS`. The reference in `docs/logs.md` is generated from this module.

A field may be added to an event at any time. If a field is removed, or its type or meaning changes,
`SCHEMA_VERSION` is incremented; each file of the trail begins with it.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "Connected",
    "ConnectionLost",
    "Input",
    "OutputRecord",
    "Record",
    "check",
]

SCHEMA_VERSION: Final = 1

Level = Literal["debug", "info", "warning", "error", "critical"]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Path = Annotated[str, Meta(pattern=r"^(/\w+)+$")]

EVENTS: Final[dict[str, type["Record"]]] = {}
"""The class of each event, by its name."""


class Record(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The fields that every record may have."""

    time: Annotated[Time, Meta(description="time: UTC, ISO 8601, microseconds")]
    level: Annotated[Level, Meta(description="severity")]
    event: Annotated[str, Meta(description="name of the event, which determines the other fields")]
    rule: Annotated[str | None, Meta(description="the rule, such as `hall.hall_light`")] = None
    module: Annotated[str | None, Meta(description="its module, such as `hall`")] = None
    version: Annotated[
        str | None, Meta(description="version of the module: a hash of its source")
    ] = None
    cause: Annotated[str | None, Meta(description="id of the cause")] = None
    parent: Annotated[str | None, Meta(description="id of the parent cause")] = None


_R = TypeVar("_R", bound=type[Record])


def _event(*names: str) -> Callable[[_R], _R]:
    def add(schema: _R) -> _R:
        EVENTS.update(dict.fromkeys(names, schema))
        return schema

    return add


# --- inputs and outputs -------------------------------------------------------------------------

WHYS: Final = {
    "unknown": "the value is unknown, or contains an unknown value",
    "unchanged": "after a reload: the old version had sent the same value",
    "superseded": "a newer value arrived before this one was sent, or sent again",
    "busy": "another value was being sent, and the strategy is `RunSingle`",
    "queue full": "`max_queue` other values were waiting",
    "disabled": "it was waiting when its rule was disabled",
    "failed": "it was waiting when its rule failed",
    "restarted": "it was waiting when its rule was restarted",
    "unloaded": "it was waiting when its file was removed",
    "replaced": "it was waiting when its rule was reloaded, and the new version has no such output",
    "shutdown": "it was waiting when the runner stopped; it is sent after the next start, if the "
    "rule still has that output",
}
"""Why an output was skipped. A waiting output is in a queue, or between two attempts."""

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


@_event("input received")
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


@_event("value set", "action called", "event emitted", "state published")
class OutputRecord(Record, kw_only=True):
    """A rule sent an output, or skipped it. Recorded when the output is complete."""

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


@_event("connected")
class Connected(Record, kw_only=True):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="address of the server")]


@_event("disconnected")
class ConnectionLost(Record, kw_only=True):
    """The connection of a module was lost, or could not be made. The client tries again.

    Recorded once for each outage.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]


@_event("no connection")
class NoConnection(Record, kw_only=True):
    """Modules have no connection; one record for all that lost it together.

    Without a module, the runner itself has no connection, so none of the modules has one.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None


@_event("connection is back")
class ConnectionIsBack(Record, kw_only=True):
    """All lost connections are back. Not recorded for the first connection."""

    server: Annotated[str, Meta(description="address of the server")]
    away_s: Annotated[float, Meta(description="seconds since the first was lost")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None


# --- the runner ---------------------------------------------------------------------------------


@_event("rules are still being set up")
class SlowStart(Record, kw_only=True):
    """The start takes long, maybe because there is no connection to the server."""

    after_s: Annotated[float, Meta(description="seconds since the start")]


@_event("running")
class Running(Record, kw_only=True):
    """The runner has started, and has set up all rules that could be set up."""

    modules: Annotated[int, Meta(description="number of running modules")]
    folder: Annotated[str, Meta(description="the rules folder")]
    kept: Annotated[int, Meta(description="number of nodes restored from the checkpoint")] = 0
    afresh: Annotated[int, Meta(description="number of nodes that could not be restored")] = 0


@_event("the terminal was closed")
class TerminalClosed(Record, kw_only=True):
    """The runner stops because the terminal in which it was started was closed."""


@_event("stopped")
class Stopped(Record, kw_only=True):
    """The runner has stopped."""


@_event("told to end")
class ToldToEnd(Record, kw_only=True):
    """The runner received a signal to stop, from outside or from a rule."""

    signal: Annotated[str, Meta(description="name of the signal")]


@_event("using the named server", "using a running server", "started the embedded server")
class HouseServer(Record, kw_only=True):
    """The server that the rules use."""

    address: Annotated[str, Meta(description="address of the server")]


@_event("loaded", "reloaded", "unloaded")
class Loaded(Record, kw_only=True):
    """A version of a module was started, has replaced another version, or was stopped."""

    rules: Annotated[list[str], Meta(description="names of its rules, without the module's name")]


@_event("kept old version")
class KeptOldVersion(Record, kw_only=True):
    """A new version was aborted. The running version was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="failed modules that must change together with it")
    ] = None


@_event("import failed", "import failed, kept old version")
class ModuleImportFailed(Record, kw_only=True):
    """A version of a module can't be imported."""

    error: Annotated[str, Meta(description="the error")]
    file: Annotated[str, Meta(description="the file with the error")]
    line: Annotated[int, Meta(description="line number; 0 if the error has no line")]
    source: Annotated[str, Meta(description="the line itself")]


@_event("file excluded")
class FileExcluded(Record, kw_only=True):
    """A file or folder of the rules folder is not loaded."""

    file: Annotated[str, Meta(description="path of the file or folder")]
    why: Annotated[str, Meta(description="why it is not loaded")]


@_event("mended")
class Mended(Record, kw_only=True):
    """A file with an unusable version was changed back to the running version."""


@_event("handed over")
class StateHandedOver(Record, kw_only=True):
    """The result of the hand-over of a rule's state when its module was reloaded."""

    kept: Annotated[list[str], Meta(description="nodes that kept their state")] = []
    migrated: Annotated[list[str], Meta(description="nodes whose state was migrated")] = []
    afresh: Annotated[list[str], Meta(description="nodes without state, and why")] = []
    missed: Annotated[list[str], Meta(description="firings due while the runner was down")] = []
    refused: Annotated[str | None, Meta(description="why the rule refused the hand-over")] = None


@_event("superseded by a newer change")
class SupersededChange(Record, kw_only=True):
    """A reload that was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="the modules that were being prepared")]


@_event("rule failed")
class RuleFailed(Record, kw_only=True):
    """A rule raised an error, in its function or in a node, sink or task that it has created."""

    doing: Annotated[
        str, Meta(description="the operation that failed, such as `set_value of /hall/light`")
    ]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="advice on the error, if there is any")] = None
    again: Annotated[
        int | None, Meta(description="number of failures since the last one that was logged")
    ] = None
    traceback: Annotated[str | None, Meta(description="the lines of the rule in the traceback")] = (
        None
    )


@_event("attempt failed")
class AttemptFailed(RuleFailed, kw_only=True):
    """An attempt of a strategy failed; the strategy may retry. The rule keeps running."""


@_event("works again")
class WorksAgain(Record, kw_only=True):
    """An operation that had failed before has succeeded."""

    doing: Annotated[str, Meta(description="the operation, such as `set_value of /hall/light`")]
    failures: Annotated[int, Meta(ge=1, description="number of failures before")]


@_event("a coroutine was never awaited")
class NeverAwaited(Record, kw_only=True):
    """An `async def` function was called without `await`, so it did not run."""

    coroutine: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str | None, Meta(description="the file with the call")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("a thread has failed")
class ThreadFailed(Record, kw_only=True):
    """A thread that a rule or a library has started ended with an error."""

    thread: Annotated[str, Meta(description="name of the thread")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="advice on the error, if there is any")] = None
    traceback: Annotated[str | None, Meta(description="the lines of the rule in the traceback")] = (
        None
    )


@_event("this looks like a rule, but nothing runs it")
class UnmarkedRule(Record, kw_only=True):
    """A file has no `@rule`, but an `async def` function that looks like a rule."""

    function: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("threads of a rule slow the loop down")
class BusyThreads(Record, kw_only=True):
    """Threads that a rule has started keep the interpreter busy, so the event loop is late."""

    threads: Annotated[list[str], Meta(description="names of the threads, at most 10")]
    file: Annotated[str, Meta(description="the file that they execute")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("what a Value holds is changed in place, which nothing notices")
class ChangedInPlace(Record, kw_only=True):
    """A rule changes the list, dict or set of a Value in place instead of assigning a new one."""

    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("several rules set one path")
class SetBySeveral(Record, kw_only=True):
    """Several rules set the same state or property, so the last one wins. Logged once."""

    path: Annotated[Path, Meta(description="the path")]
    rules: Annotated[list[str], Meta(description="names of the rules")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("paths are provided by others")
class PathsTaken(Record, kw_only=True):
    """Rules wait for paths that another client of the server provides. Logged once."""

    owner: Annotated[str, Meta(description="the client, or the runner that it belongs to")]
    conflicts: Annotated[list[str], Meta(description="path, rule and place of each, at most 10")]
    more: Annotated[int | None, Meta(description="number of further conflicts")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("tasks do not end when cancelled")
class EndlessTasks(Record, kw_only=True):
    """Tasks of an old version were cancelled, but keep running."""

    tasks: Annotated[list[str], Meta(description="names of the tasks")]


@_event("will not survive a restart: it is no plain data")
class NoPlainData(Record, kw_only=True):
    """A part of the state of a rule can't be written to the checkpoint."""

    what: Annotated[str, Meta(description="the part of the rule")]
    why: Annotated[str, Meta(description="the problem")]
    place: Annotated[str | None, Meta(description="file and line where it was created")] = None


@_event("writing the checkpoint takes long")
class CheckpointSlow(Record, kw_only=True):
    """If the runner is killed, more than the last second of state may be lost. Logged once."""

    seconds: Annotated[float, Meta(description="time that it took")]
    bytes: Annotated[int, Meta(description="size of the checkpoint")]


@_event(
    "can't read the checkpoint, starting afresh",
    "can't write the checkpoint",
    "can't set the damaged checkpoint aside",
)
class CheckpointProblem(Record, kw_only=True):
    """The checkpoint could not be read or written."""

    error: Annotated[str, Meta(description="the error")]


@_event(
    "the checkpoint is damaged, starting afresh",
    "a part of the checkpoint is damaged, starting that afresh",
)
class CheckpointDamaged(CheckpointProblem, kw_only=True):
    """The checkpoint, or a part of it, can't be used. The file is set aside."""

    set_aside: Annotated[str, Meta(description="new path of the file, or of a copy of it")]


# --- supervision --------------------------------------------------------------------------------


@_event("rule will be restarted")
class WillRestart(Record, kw_only=True):
    """A rule has failed, and will be restarted after a delay."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]
    pause_s: Annotated[float, Meta(description="seconds until the restart")]


@_event("rule restarted")
class Restarted(Record, kw_only=True):
    """A rule that had failed was set up again."""

    restart: Annotated[int, Meta(ge=1, description="number of the restart within the period")]


@_event("rule stays failed")
class StaysFailed(Record, kw_only=True):
    """A rule is not restarted until its file changes or a command restarts it."""

    why: Annotated[str, Meta(description="why it is not restarted")]
    error: Annotated[str | None, Meta(description="last error, unless `why` contains it")] = None


@_event("rule disabled")
class Disabled(Record, kw_only=True):
    """A rule was stopped, and does not run until it is enabled."""

    why: Annotated[str, Meta(description="why it is disabled")]


@_event("rule blocks the loop", "rule interrupted")
class Blocks(Record, kw_only=True):
    """A rule blocks the event loop, so no other rule runs; later, the rule is interrupted."""

    seconds: Annotated[float, Meta(description="duration up to now")]
    file: Annotated[str | None, Meta(description="the file that is being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    stack: Annotated[str, Meta(description="the call stack")]


@_event("loop is free again")
class FreeAgain(Record, kw_only=True):
    """The event loop is no longer blocked."""

    blocked_s: Annotated[float, Meta(description="seconds for which it was blocked")]


@_event("took back a signal that a rule had taken")
class SignalTaken(Record, kw_only=True):
    """A rule had replaced a signal handler with which the runner stops or watches the loop."""

    signal: Annotated[str, Meta(description="name of the signal")]


@_event("rule stays off")
class StaysOff(Record, kw_only=True):
    """A rule does not run because it ended the process before."""

    why: Annotated[str, Meta(description="the action that ended the process")]
    file: Annotated[str | None, Meta(description="the file that was being executed")] = None
    line: Annotated[int | None, Meta(description="line number")] = None


@_event("safe mode: all rules stay off")
class SafeMode(Record, kw_only=True):
    """The last starts failed: the process exited early each time, and no rule could be blamed."""

    starts: Annotated[int, Meta(description="number of failed starts")]
    why: Annotated[str, Meta(description="the same as a sentence")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("the runner was ended from within")
class EndedFromWithin(Record, kw_only=True):
    """The previous process did not exit normally; its crash file was kept."""

    file: Annotated[str, Meta(description="the crash file")]


@_event("can't write which rules stay off")
class QuarantineProblem(Record, kw_only=True):
    """The list of quarantined rules could not be written."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@_event("something wanted to end the runner")
class WantedToEnd(Record, kw_only=True):
    """A rule raised an exception that would have ended the process, such as SystemExit."""

    error: Annotated[str, Meta(description="the exception")]
    traceback: Annotated[str | None, Meta(description="traceback from the line of the rule on")] = (
        None
    )


@_event("the event loop is broken")
class LoopBroken(Record, kw_only=True):
    """A rule has closed files of the event loop, which can't continue: the process exits."""

    error: Annotated[str, Meta(description="the error")]
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@_event("rules trigger each other")
class RulesTriggerEachOther(Record, kw_only=True):
    """A chain of causes returned to a rule too often. The rule fails, which cuts the cycle."""

    cycle: Annotated[list[str], Meta(description="the paths of the last round, in order")]
    rounds: Annotated[int, Meta(description="number of rounds")]
    seconds: Annotated[float, Meta(description="time that they took")]


@_event("the process was stopped")
class ProcessStopped(Record, kw_only=True):
    """A signal (SIGSTOP), a debugger or the system suspended the process for a time."""

    seconds: Annotated[float, Meta(description="duration")]


@_event("lines of the log were dropped")
class LinesDropped(Record, kw_only=True):
    """The terminal or pipe of the log accepts lines again, after it did not for a time."""

    lines: Annotated[int, Meta(ge=1, description="number of dropped lines; the trail has them")]


@_event("component failed")
class ComponentFailed(Record, kw_only=True):
    """A component of the runner that observes or assists has failed. Rules are not affected."""

    component: Annotated[str, Meta(description="the component, such as `publisher`")]
    pause_s: Annotated[float | None, Meta(description="seconds until it is restarted")] = None
    error: Annotated[str, Meta(description="the error")]
    traceback: Annotated[str | None, Meta(description="traceback of the error")] = None


@_event("can't watch a folder, looking at it again and again")
class NotWatched(Record, kw_only=True):
    """The system does not report changed files, so the folder is scanned at intervals."""

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str, Meta(description="the error of the system")]
    interval_s: Annotated[float, Meta(description="seconds between two scans")]


# --- configuration and control ------------------------------------------------------------------


@_event("configuration is wrong, kept the old one")
class WrongConfiguration(Record, kw_only=True):
    """The configuration file has changed, and can't be used."""

    file: Annotated[str, Meta(description="the configuration file")]
    line: Annotated[int | None, Meta(description="line number")] = None
    key: Annotated[str | None, Meta(description="the key with the mistake")] = None
    error: Annotated[str, Meta(description="the mistake, and the allowed values")]


@_event("configuration reloaded")
class ConfigurationReloaded(Record, kw_only=True):
    """The configuration file has changed, and the changes were applied."""

    modules: Annotated[list[str], Meta(description="the modules that are reloaded for it")]


@_event("a part of the configuration waits for a restart")
class ConfigurationWaits(Record, kw_only=True):
    """Some changes of the configuration only take effect when the runner is restarted."""

    tables: Annotated[list[str], Meta(description="the changed tables")]


@_event("no rule has this name, which is configured")
class NoSuchRule(Record, kw_only=True):
    """A table of the configuration matches no rule."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    near: Annotated[Any, Meta(description="a similar name")] = None


@_event("no rule asks for these parameters, which are configured")
class UnusedParameters(Record, kw_only=True):
    """A table has parameters, but the rules that it matches have no argument named `config`."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    parameters: Annotated[list[str], Meta(description="names of the parameters")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("told to reload")
class ToldToReload(Record, kw_only=True):
    """A command or signal asked the runner to reload modules."""

    modules: Annotated[list[str], Meta(description="the modules")]


@_event("told to restart", "told to enable", "told to disable")
class ToldRules(Record, kw_only=True):
    """A command asked the runner to restart, enable or disable rules."""

    rules: Annotated[list[str], Meta(description="the rules")]


@_event("rule disabled")
class RuleDisabled(Record, kw_only=True):
    """A rule was stopped, and does not run until it is enabled."""

    why: Annotated[str, Meta(description="why it is disabled")]


@_event("refused what it was told", "could not do what it was told")
class NotDone(Record, kw_only=True):
    """A command was not valid, or failed."""

    doing: Annotated[str | None, Meta(description="the operation that failed")] = None
    error: Annotated[str, Meta(description="the error")]
    traceback: Annotated[str | None, Meta(description="traceback within the runner")] = None


@_event("can't publish what the rules do")
class CannotPublish(Record, kw_only=True):
    """The runner can't publish the states of the rules. It tries again every minute."""

    path: Annotated[str, Meta(description="the path to publish under")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="what to do")] = None


@_event("publishing what the rules do")
class Published(Record, kw_only=True):
    """The states of the rules are published, after this had failed before."""

    path: Annotated[str, Meta(description="the path that they are published under")]


@_event("can't read which rules are switched off", "can't write which rules are switched off")
class SwitchesProblem(Record, kw_only=True):
    """The list of rules that were enabled or disabled by command can't be read or written."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@_event("can't show the log")
class CannotShow(Record, kw_only=True):
    """The terminal or pipe of the log accepts no lines. Dropped lines are only in the trail."""

    error: Annotated[str, Meta(description="the reason")]


# --- the trail ----------------------------------------------------------------------------------


@_event("trail begins")
class TrailBegins(Record, kw_only=True):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="version of this schema")]
    runner: Annotated[str, Meta(description="version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without suffixes")] = None


@_event("trail repaired")
class TrailRepaired(Record, kw_only=True):
    """The runner was killed while it wrote a record; the partial record was cut off."""

    cut: Annotated[int, Meta(description="number of bytes")]


@_event("records lost")
class RecordsLost(Record, kw_only=True):
    """A gap in the trail: for a time, it could not be written."""

    lost: Annotated[int, Meta(description="number of lost records")]
    since: Annotated[Time, Meta(description="time of the first lost record")]
    error: Annotated[str, Meta(description="the reason")]


@_event(
    "can't write the trail",
    "the trail was moved or deleted",
    "can't close a file of the trail",
    "can't compress the trail",
    "can't drop the oldest file of the trail",
)
class TrailProblem(Record, kw_only=True):
    """There is a problem with a file of the trail. The rules keep running."""

    error: Annotated[str, Meta(description="the problem")]
    file: Annotated[str, Meta(description="the file")]


@_event(
    "no space for the state folder, so nothing is kept yet",
    "can't take a lock again",
    "took a lock again",
)
class StateFolderProblem(Record, kw_only=True):
    """The state folder or its lock was removed, or the disk is full. The rules keep running."""

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str | None, Meta(description="why it could not be locked again")] = None


@_event("rules folder was renamed", "found the state of a rules folder that is gone")
class RulesFolderRenamed(Record, kw_only=True):
    """There is state of a rules folder with another path: it is used, or may be used by hand."""

    before: Annotated[str, Meta(description="the other path")]
    folder: Annotated[str, Meta(description="the present rules folder")]
    advice: Annotated[str | None, Meta(description="how to use that state")] = None


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
    fields = {name: value for name, value in record.items() if name != "crc"}
    try:
        msgspec.convert(fields, EVENTS[event])
    except msgspec.ValidationError as error:
        raise ValueError(f"{event}: {error}") from None
