"""Records of the log: failures and mistakes of rules."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "AttemptFailed",
    "CoroutineNeverAwaited",
    "EventsDropped",
    "LikelyMistake",
    "LoopSlowedByThreads",
    "RuleFailed",
    "RuleRecovered",
    "TasksNotEnding",
    "ThreadFailed",
    "UnmarkedRule",
    "ValueChangedInPlace",
]


@event("rule.failed", "rule failed", level="error")
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


@event("rule.attempt_failed", "attempt failed", level="error")
class AttemptFailed(RuleFailed, kw_only=True):
    """An attempt of a strategy failed; the strategy may retry. The rule keeps running."""


@event("rule.recovered", "works again")
class RuleRecovered(Record, kw_only=True):
    """An operation that had failed before has succeeded."""

    doing: Annotated[str, Meta(description="the operation, such as `set_value of /hall/light`")]
    failures: Annotated[int, Meta(ge=1, description="number of failures before")]


@event("rule.coroutine_never_awaited", "a coroutine was never awaited", level="warning")
class CoroutineNeverAwaited(Record, kw_only=True):
    """An `async def` function was called without `await`, so it did not run."""

    coroutine: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str | None, Meta(description="the file with the call")] = None
    line: Annotated[int | None, Meta(description="line number")] = None
    advice: Annotated[str, Meta(description="what to do")]


@event("thread.failed", "a thread has failed", level="error")
class ThreadFailed(Record, kw_only=True):
    """A thread that a rule or a library has started ended with an error."""

    thread: Annotated[str, Meta(description="name of the thread")]
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    advice: Annotated[str | None, Meta(description="advice on the error, if there is any")] = None
    traceback: Annotated[str | None, Meta(description="the lines of the rule in the traceback")] = (
        None
    )


@event("rule.unmarked", "this looks like a rule, but nothing runs it", level="warning")
class UnmarkedRule(Record, kw_only=True):
    """A file has no `@rule`, but an `async def` function that looks like a rule."""

    function: Annotated[str, Meta(description="name of the function")]
    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@event(
    "rule.value_changed_in_place",
    "a list or dict in a Value is changed in place, which nothing notices",
    level="warning",
)
class ValueChangedInPlace(Record, kw_only=True):
    """A rule changes the list, dict or set of a Value in place instead of assigning a new one."""

    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@event("rule.likely_mistake", "this is probably a mistake", level="warning")
class LikelyMistake(Record, kw_only=True):
    """Code of a rule file is valid, but probably not what is meant; see `eshet-rules check`.

    Logged once for each version. A comment `# check: ignore` at the line prevents it.
    """

    file: Annotated[str, Meta(description="the file")]
    line: Annotated[int, Meta(description="line number")]
    code: Annotated[str, Meta(description="the kind of mistake, such as `decided-once`")]
    problem: Annotated[str, Meta(description="what is wrong")]
    advice: Annotated[str, Meta(description="what to do")]


@event("loop.slowed_by_threads", "threads of a rule slow the event loop down", level="warning")
class LoopSlowedByThreads(Record, kw_only=True):
    """Threads that a rule has started compute, so the event loop is late."""

    threads: Annotated[list[str], Meta(description="names of the threads")]
    file: Annotated[str, Meta(description="the file that they execute")]
    line: Annotated[int, Meta(description="line number")]
    advice: Annotated[str, Meta(description="what to do")]


@event("input.dropped", "events were dropped", level="error")
class EventsDropped(Record, kw_only=True):
    """So many events waited for a module that the oldest of them were dropped."""

    count: Annotated[int, Meta(description="how many")]
    advice: Annotated[str, Meta(description="what to do")]


@event("rule.tasks_not_ending", "tasks do not end when cancelled", level="error")
class TasksNotEnding(Record, kw_only=True):
    """Tasks of an old version were cancelled, but keep running."""

    tasks: Annotated[list[str], Meta(description="names of the tasks")]
