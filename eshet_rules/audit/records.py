"""The schema of the log: a class for each event, with the types and meanings of its fields.

Messages of rules and libraries are free: they have a field `logger`, and any others. All that the
runner itself tells is one of `EVENTS`. The reference of the log is made of this module.

A field may be added to an event at any time. Where one goes, or changes its type or meaning,
`SCHEMA_VERSION` is raised: it stands at the beginning of each file of the trail.
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
    """What each record has. Those of a module or rule say so; those of a cause name it."""

    time: Annotated[Time, Meta(description="when: UTC, ISO 8601, microseconds")]
    level: Annotated[Level, Meta(description="how much it matters")]
    event: Annotated[str, Meta(description="what happened: which schema the record has")]
    rule: Annotated[str | None, Meta(description="the rule, as `hall.hall_light`")] = None
    module: Annotated[str | None, Meta(description="its module, as `hall`")] = None
    version: Annotated[str | None, Meta(description="of the module: a hash of its source")] = None
    cause: Annotated[str | None, Meta(description="the id of the cause")] = None
    parent: Annotated[str | None, Meta(description="the id of the cause that led to it")] = None


_R = TypeVar("_R", bound=type[Record])


def _event(*names: str) -> Callable[[_R], _R]:
    def add(schema: _R) -> _R:
        EVENTS.update(dict.fromkeys(names, schema))
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


@_event("input received")
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


@_event("value set", "action called", "event emitted", "state published")
class OutputRecord(Record, kw_only=True):
    """A rule did something, or did not: told when it has ended."""

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


@_event("connected")
class Connected(Record, kw_only=True):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="its address")]


@_event("disconnected")
class ConnectionLost(Record, kw_only=True):
    """The connection of a module has ended, or could not be made. It is tried again.

    It is told once, and not before there has been a connection again.
    """

    server: Annotated[str, Meta(description="its address")]
    reason: Annotated[str, Meta(description="why")]


@_event("no connection")
class NoConnection(Record, kw_only=True):
    """The same for people, in one record for all that were lost together.

    If it names no module, there is no server for the runner itself, and so for none of them.
    """

    server: Annotated[str, Meta(description="its address")]
    reason: Annotated[str, Meta(description="why")]
    modules: Annotated[
        list[str] | None, Meta(description="which, if it is not all of them, nor only one")
    ] = None


@_event("connection is back")
class ConnectionIsBack(Record, kw_only=True):
    """All that were lost are there again; not told of what has never been away."""

    server: Annotated[str, Meta(description="its address")]
    away_s: Annotated[float, Meta(description="since the first was lost, in seconds")]
    modules: Annotated[
        list[str] | None, Meta(description="which, if it is not all of them, nor only one")
    ] = None


# --- the runner ---------------------------------------------------------------------------------


@_event("rules are still being set up")
class SlowStart(Record, kw_only=True):
    """The start takes long, maybe as there is no connection to the server."""

    after_s: Annotated[float, Meta(description="how long it has taken so far, in seconds")]


@_event("running")
class Running(Record, kw_only=True):
    """The runner has started, and set up what could be set up."""

    modules: Annotated[int, Meta(description="how many are alive")]
    folder: Annotated[str, Meta(description="of the rules")]
    kept: Annotated[int, Meta(description="how much goes on as before the restart")] = 0
    afresh: Annotated[int, Meta(description="how much does not")] = 0


@_event("the terminal was closed")
class TerminalClosed(Record, kw_only=True):
    """The runner ends, as the terminal has gone in which it was started."""


@_event("stopped")
class Stopped(Record, kw_only=True):
    """The runner has ended."""


@_event("told to end")
class ToldToEnd(Record, kw_only=True):
    """A signal came that ends the runner, from outside or from a rule."""

    signal: Annotated[str, Meta(description="its name")]


@_event("using the named server", "using a running server", "started the embedded server")
class HouseServer(Record, kw_only=True):
    """Which server it is that the rules talk to."""

    address: Annotated[str, Meta(description="of the server")]


@_event("loaded", "reloaded", "unloaded")
class Loaded(Record, kw_only=True):
    """A version of a module is alive, for the first time, in the place of another, or no more."""

    rules: Annotated[list[str], Meta(description="their names, without that of the module")]


@_event("kept old version")
class KeptOldVersion(Record, kw_only=True):
    """A new version was aborted. The one that is alive was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="modules that have to change together with it")
    ] = None


@_event("import failed", "import failed, kept old version")
class ModuleImportFailed(Record, kw_only=True):
    """A version of a module can't be imported."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="where it is")]
    line: Annotated[int, Meta(description="its number; 0 if it is in no line")]
    source: Annotated[str, Meta(description="the line itself")]


@_event("file excluded")
class FileExcluded(Record, kw_only=True):
    """A file or folder of the rules folder is not loaded."""

    file: Annotated[str, Meta(description="its path")]
    why: Annotated[str, Meta(description="why not")]


@_event("mended")
class Mended(Record, kw_only=True):
    """A file of which a version could not be used is again what is alive."""


@_event("handed over")
class StateHandedOver(Record, kw_only=True):
    """What became of the state of a rule when its module was reloaded."""

    kept: Annotated[list[str], Meta(description="what went on")] = []
    migrated: Annotated[list[str], Meta(description="what went on after a change of its own")] = []
    afresh: Annotated[list[str], Meta(description="what started afresh, and why")] = []
    missed: Annotated[list[str], Meta(description="what was due while nobody was there")] = []
    refused: Annotated[str | None, Meta(description="why the rule wanted none of it")] = None


@_event("superseded by a newer change")
class SupersededChange(Record, kw_only=True):
    """What was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="which were prepared")]


@_event("rule failed")
class RuleFailed(Record, kw_only=True):
    """Something of a rule raised an error, in the rule itself or in what it has set up."""

    doing: Annotated[str, Meta(description="what failed, as `set_value of /hall/light`")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="what to do about it, where that is known")] = (
        None
    )
    again: Annotated[
        int | None, Meta(description="how often it has failed since that was shown last")
    ] = None
    traceback: Annotated[str | None, Meta(description="the rule's own lines that had a part")] = (
        None
    )


@_event("attempt failed")
class AttemptFailed(RuleFailed, kw_only=True):
    """An attempt failed, of a strategy that may make another. The rule runs on."""


@_event("works again")
class WorksAgain(Record, kw_only=True):
    """What had failed before has succeeded."""

    doing: Annotated[str, Meta(description="what, as `set_value of /hall/light`")]
    failures: Annotated[int, Meta(ge=1, description="how often it had failed")]


@_event("a coroutine was never awaited")
class NeverAwaited(Record, kw_only=True):
    """An `async def` was called without `await`, so nothing of it was done."""

    coroutine: Annotated[str, Meta(description="its name")]
    file: Annotated[str | None, Meta(description="where it was called")] = None
    line: Annotated[int | None, Meta(description="its number")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("a thread has failed")
class ThreadFailed(Record, kw_only=True):
    """A thread that a rule or a library has started ended with an error."""

    thread: Annotated[str, Meta(description="its name")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="what to do about it, where that is known")] = (
        None
    )
    traceback: Annotated[str | None, Meta(description="the rule's own lines that had a part")] = (
        None
    )


@_event("this looks like a rule, but nothing runs it")
class UnmarkedRule(Record, kw_only=True):
    """A file has no `@rule`, but an `async def` that could be one."""

    function: Annotated[str, Meta(description="its name")]
    file: Annotated[str, Meta(description="where it is")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("threads of a rule slow the loop down")
class BusyThreads(Record, kw_only=True):
    """Threads that a rule has started compute, so the event loop gets its turns late."""

    threads: Annotated[list[str], Meta(description="the names of the threads, at most 10")]
    file: Annotated[str, Meta(description="where they run")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("what a Value holds is changed in place, which nothing notices")
class ChangedInPlace(Record, kw_only=True):
    """A rule changes a list, dict or set that a Value holds, instead of assigning a new one."""

    file: Annotated[str, Meta(description="where")]
    line: Annotated[int, Meta(description="its number")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("several rules set one path")
class SetBySeveral(Record, kw_only=True):
    """Rules set the same state or property, so that the last one wins. It is logged once."""

    path: Annotated[Path, Meta(description="which one")]
    rules: Annotated[list[str], Meta(description="their names")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("paths are provided by others")
class PathsTaken(Record, kw_only=True):
    """Rules wait for paths that another client of the server provides. It is logged once."""

    owner: Annotated[str, Meta(description="the client, or the runner to which it belongs")]
    conflicts: Annotated[list[str], Meta(description="path, rule and place of each, at most 10")]
    more: Annotated[int | None, Meta(description="how many others there are")] = None
    advice: Annotated[str, Meta(description="what to do")]


@_event("tasks do not end when cancelled")
class EndlessTasks(Record, kw_only=True):
    """Tasks of an old version were cancelled, and go on."""

    tasks: Annotated[list[str], Meta(description="their names")]


@_event("will not survive a restart: it is no plain data")
class NoPlainData(Record, kw_only=True):
    """The checkpoint can't hold what a rule remembers."""

    what: Annotated[str, Meta(description="which part of the rule")]
    why: Annotated[str, Meta(description="what is wrong with it")]
    place: Annotated[str | None, Meta(description="where that was made: file and line")] = None


@_event("writing the checkpoint takes long")
class CheckpointSlow(Record, kw_only=True):
    """More than a second may be lost if the runner is killed. It is told once, until it is well."""

    seconds: Annotated[float, Meta(description="how long it took")]
    bytes: Annotated[int, Meta(description="how large it is")]


@_event(
    "can't read the checkpoint, starting afresh",
    "can't write the checkpoint",
    "can't set the damaged checkpoint aside",
)
class CheckpointProblem(Record, kw_only=True):
    """What rules remember could not be read or written."""

    error: Annotated[str, Meta(description="what is wrong")]


@_event(
    "the checkpoint is damaged, starting afresh",
    "a part of the checkpoint is damaged, starting that afresh",
)
class CheckpointDamaged(CheckpointProblem, kw_only=True):
    """What rules remember, or a part of it, is of no use. The file is set aside."""

    set_aside: Annotated[str, Meta(description="where the file is now, or a copy of it")]


# --- supervision --------------------------------------------------------------------------------


@_event("rule will be restarted")
class WillRestart(Record, kw_only=True):
    """A rule has failed. It is restarted after a pause."""

    restart: Annotated[int, Meta(ge=1, description="which one it will be, within the period")]
    pause_s: Annotated[float, Meta(description="until then, in seconds")]


@_event("rule restarted")
class Restarted(Record, kw_only=True):
    """A rule that had failed is set up again."""

    restart: Annotated[int, Meta(ge=1, description="which one it is, within the period")]


@_event("rule stays failed")
class StaysFailed(Record, kw_only=True):
    """A rule is not restarted any more, until its file changes or it is told to."""

    why: Annotated[str, Meta(description="why not")]
    error: Annotated[str | None, Meta(description="the last one, if that does not say it")] = None


@_event("rule disabled")
class Disabled(Record, kw_only=True):
    """A rule is run no more, until it is enabled."""

    why: Annotated[str, Meta(description="by whom")]


@_event("rule blocks the loop", "rule interrupted")
class Blocks(Record, kw_only=True):
    """A rule keeps all others waiting; after a longer while it is interrupted."""

    seconds: Annotated[float, Meta(description="for how long, up to now")]
    file: Annotated[str | None, Meta(description="where it is")] = None
    line: Annotated[int | None, Meta(description="its number")] = None
    stack: Annotated[str, Meta(description="how it came there")]


@_event("loop is free again")
class FreeAgain(Record, kw_only=True):
    """What kept all rules waiting has ended."""

    blocked_s: Annotated[float, Meta(description="how long it took, in seconds")]


@_event("took back a signal that a rule had taken")
class SignalTaken(Record, kw_only=True):
    """A rule had taken a signal by which the runner is told to end, or watches the loop."""

    signal: Annotated[str, Meta(description="its name")]


@_event("rule stays off")
class StaysOff(Record, kw_only=True):
    """A rule is not run, as it has ended the process before."""

    why: Annotated[str, Meta(description="what it did")]
    file: Annotated[str | None, Meta(description="where")] = None
    line: Annotated[int | None, Meta(description="its number")] = None


@_event("safe mode: all rules stay off")
class SafeMode(Record, kw_only=True):
    """The last starts were short, and nobody knows whose fault that was."""

    starts: Annotated[int, Meta(description="how many they were")]
    why: Annotated[str, Meta(description="the same as a sentence")]
    advice: Annotated[str, Meta(description="how to go on")]


@_event("the runner was ended from within")
class EndedFromWithin(Record, kw_only=True):
    """The last process did not end by itself; its crash file was kept."""

    file: Annotated[str, Meta(description="the crash file")]


@_event("can't write which rules stay off")
class QuarantineProblem(Record, kw_only=True):
    """It could not be kept which rules are not to be run."""

    file: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why")]


@_event("something wanted to end the runner")
class WantedToEnd(Record, kw_only=True):
    """A rule raised what would have ended the process."""

    error: Annotated[str, Meta(description="what it was")]
    traceback: Annotated[str | None, Meta(description="from the rule's own line on")] = None


@_event("the event loop is broken")
class LoopBroken(Record, kw_only=True):
    """The event loop can't go on, as a rule has closed files of the runner: the process ends."""

    error: Annotated[str, Meta(description="what is wrong with it")]
    traceback: Annotated[str | None, Meta(description="where it failed")] = None


@_event("rules trigger each other")
class RulesTriggerEachOther(Record, kw_only=True):
    """A chain of causes came back to a rule too often. The rule has failed, which cuts it."""

    cycle: Annotated[list[str], Meta(description="the last round, path by path")]
    rounds: Annotated[int, Meta(description="how often it came back")]
    seconds: Annotated[float, Meta(description="in what time")]


@_event("the process was stopped")
class ProcessStopped(Record, kw_only=True):
    """A signal (SIGSTOP), a debugger or the system stopped the process, and let it go on."""

    seconds: Annotated[float, Meta(description="for how long")]


@_event("lines of the log were dropped")
class LinesDropped(Record, kw_only=True):
    """The terminal or pipe to which the log is written took no lines for a time; it does again."""

    lines: Annotated[int, Meta(ge=1, description="how many; the trail has them")]


@_event("component failed")
class ComponentFailed(Record, kw_only=True):
    """A part of the runner that observes or assists has failed. Rules are not concerned."""

    component: Annotated[str, Meta(description="which part, such as `publisher`")]
    pause_s: Annotated[float | None, Meta(description="until it is started again, in seconds")] = (
        None
    )
    error: Annotated[str, Meta(description="the error")]
    traceback: Annotated[str | None, Meta(description="where it was raised")] = None


@_event("can't watch a folder, looking at it again and again")
class NotWatched(Record, kw_only=True):
    """The system gives no hints of changed files, so the folder is scanned at intervals."""

    folder: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why not")]
    interval_s: Annotated[float, Meta(description="between two scans, in seconds")]


# --- configuration and control ------------------------------------------------------------------


@_event("configuration is wrong, kept the old one")
class WrongConfiguration(Record, kw_only=True):
    """The file of configuration has changed, and can't be used."""

    file: Annotated[str, Meta(description="which one")]
    line: Annotated[int | None, Meta(description="where in it")] = None
    key: Annotated[str | None, Meta(description="what is wrong there")] = None
    error: Annotated[str, Meta(description="what it is, and what is allowed")]


@_event("configuration reloaded")
class ConfigurationReloaded(Record, kw_only=True):
    """The file of configuration has changed, and is followed."""

    modules: Annotated[list[str], Meta(description="which are reloaded for it")]


@_event("a part of the configuration waits for a restart")
class ConfigurationWaits(Record, kw_only=True):
    """What has changed in the configuration can't be followed while the runner runs."""

    tables: Annotated[list[str], Meta(description="which tables")]


@_event("no rule has this name, which is configured")
class NoSuchRule(Record, kw_only=True):
    """A table of the configuration is for no rule that there is."""

    name: Annotated[str, Meta(description="the glob")]
    file: Annotated[str, Meta(description="of the configuration")]
    near: Annotated[Any, Meta(description="what may be meant")] = None


@_event("no rule asks for these parameters, which are configured")
class UnusedParameters(Record, kw_only=True):
    """The rules that a table of the configuration is for have no parameter named `config`."""

    name: Annotated[str, Meta(description="the glob")]
    file: Annotated[str, Meta(description="of the configuration")]
    parameters: Annotated[list[str], Meta(description="their names")]
    advice: Annotated[str, Meta(description="what to do")]


@_event("told to reload")
class ToldToReload(Record, kw_only=True):
    """Somebody wants modules to be loaded again."""

    modules: Annotated[list[str], Meta(description="which")]


@_event("told to restart", "told to enable", "told to disable")
class ToldRules(Record, kw_only=True):
    """Somebody wants something of rules."""

    rules: Annotated[list[str], Meta(description="which")]


@_event("rule disabled")
class RuleDisabled(Record, kw_only=True):
    """A rule has ended, and does not run until it is enabled."""

    why: Annotated[str, Meta(description="by whom or what")]


@_event("refused what it was told", "could not do what it was told")
class NotDone(Record, kw_only=True):
    """Somebody wanted something of the runner that can't be, or failed."""

    doing: Annotated[str | None, Meta(description="what failed")] = None
    error: Annotated[str, Meta(description="why")]
    traceback: Annotated[str | None, Meta(description="where in the runner")] = None


@_event("can't publish what the rules do")
class CannotPublish(Record, kw_only=True):
    """The status of the rules can't be seen in the house. It is tried again every minute."""

    path: Annotated[str, Meta(description="where it would be")]
    error: Annotated[str, Meta(description="why")]
    advice: Annotated[str | None, Meta(description="what to do")] = None


@_event("publishing what the rules do")
class Published(Record, kw_only=True):
    """What could not be published before is."""

    path: Annotated[str, Meta(description="where it is")]


@_event("can't read which rules are switched off", "can't write which rules are switched off")
class SwitchesProblem(Record, kw_only=True):
    """What rules were told to be disabled or enabled could not be read or written."""

    file: Annotated[str, Meta(description="which one")]
    error: Annotated[str, Meta(description="why")]


@_event("can't show the log")
class CannotShow(Record, kw_only=True):
    """The console, or where it goes, takes nothing. What it misses is in the trail only."""

    error: Annotated[str, Meta(description="why")]


# --- the trail ----------------------------------------------------------------------------------


@_event("trail begins")
class TrailBegins(Record, kw_only=True):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="the version of this schema")]
    runner: Annotated[str, Meta(description="the version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without its endings")] = None


@_event("trail repaired")
class TrailRepaired(Record, kw_only=True):
    """The runner had been killed within a record, whose part was cut off."""

    cut: Annotated[int, Meta(description="how many bytes")]


@_event("records lost")
class RecordsLost(Record, kw_only=True):
    """Here is a gap: the trail could not be written for a while, and can be again."""

    lost: Annotated[int, Meta(description="how many records")]
    since: Annotated[Time, Meta(description="when the first of them was made")]
    error: Annotated[str, Meta(description="why")]


@_event(
    "can't write the trail",
    "the trail was moved or deleted",
    "can't close a file of the trail",
    "can't compress the trail",
    "can't drop the oldest file of the trail",
)
class TrailProblem(Record, kw_only=True):
    """The trail is not what it should be. The rules go on."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="with which file")]


@_event(
    "no space for the state folder, so nothing is kept yet",
    "can't take a lock again",
    "took a lock again",
)
class StateFolderProblem(Record, kw_only=True):
    """The state folder or its lock was removed, or there is no space for it. The rules go on."""

    folder: Annotated[str, Meta(description="which one")]
    error: Annotated[str | None, Meta(description="why it could not be taken again")] = None


@_event("rules folder was renamed", "found the state of a rules folder that is gone")
class RulesFolderRenamed(Record, kw_only=True):
    """There is state of a rules folder with another path: it is taken over, or may be by hand."""

    before: Annotated[str, Meta(description="that path")]
    folder: Annotated[str, Meta(description="of the rules now")]
    advice: Annotated[str | None, Meta(description="how to take it over")] = None


def check(record: Mapping[str, Any]) -> None:
    """Check a record against its schema.

    Raises:
        ValueError: it does not have it; the message says where and why.
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
