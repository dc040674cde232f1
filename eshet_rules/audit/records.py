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
    "Disconnected",
    "Input",
    "Output",
    "Record",
    "check",
]

SCHEMA_VERSION: Final = 1

Level = Literal["debug", "info", "warning", "error", "critical"]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Path = Annotated[str, Meta(pattern=r"^(/\w+)+$")]

EVENTS: Final[dict[str, type["Record"]]] = {}
"""The class of each event, by its name."""


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
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


@_event("input received")
class Input(Record):
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
class Output(Record):
    """A rule did something, or did not: told when it has ended."""

    path: Annotated[Path, Meta(description="where")]
    value: Annotated[Any, Meta(description="what was sent; of a call its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "skipped"], Meta(description="how it ended")
    ]
    unknown: Annotated[bool, Meta(description="whether the value is unknown")] = False
    result: Annotated[Any | UnsetType, Meta(description="of a call: what it returned")] = UNSET
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[
        Literal["unknown", "unchanged", "superseded", "busy", "queue full", "disabled"] | None,
        Meta(description="why it was skipped"),
    ] = None
    duration: Annotated[float | None, Meta(description="until it was answered, in seconds")] = None
    attempt: Annotated[int, Meta(ge=1, description="which one, if it is not the first")] = 1
    trigger: Annotated[
        str | None, Meta(description="what the cause is, if no input has it: `timer delay at ...`")
    ] = None


@_event("connected")
class Connected(Record):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="its address")]


@_event("disconnected")
class Disconnected(Record):
    """The connection of a module has ended, or could not be made. It is tried again."""

    server: Annotated[str, Meta(description="its address")]
    reason: Annotated[str, Meta(description="why")]


# --- the runner ---------------------------------------------------------------------------------


@_event("running")
class Running(Record):
    """The runner has started, and set up what could be set up."""

    modules: Annotated[int, Meta(description="how many are alive")]
    folder: Annotated[str, Meta(description="of the rules")]


@_event("stopped")
class Stopped(Record):
    """The runner has ended."""


@_event("using a running server", "started the embedded server")
class HouseServer(Record):
    """Which server it is that the rules talk to."""

    address: Annotated[str, Meta(description="of the server")]


@_event("loaded", "reloaded", "unloaded")
class Loaded(Record):
    """A version of a module is alive, for the first time, in the place of another, or no more."""

    rules: Annotated[list[str], Meta(description="their names, without that of the module")]


@_event("kept old version")
class KeptOldVersion(Record):
    """A new version was aborted. The one that is alive was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="modules that have to change together with it")
    ] = None


@_event("import failed", "import failed, kept old version")
class ImportFailed(Record):
    """A version of a module can't be imported."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="where it is")]
    line: Annotated[int, Meta(description="its number; 0 if it is in no line")]
    source: Annotated[str, Meta(description="the line itself")]


@_event("handed over")
class HandedOver(Record):
    """What became of the state of a rule when its module was reloaded."""

    kept: Annotated[list[str], Meta(description="what went on")] = []
    migrated: Annotated[list[str], Meta(description="what went on after a change of its own")] = []
    afresh: Annotated[list[str], Meta(description="what started afresh, and why")] = []
    missed: Annotated[list[str], Meta(description="what was due while nobody was there")] = []
    refused: Annotated[str | None, Meta(description="why the rule wanted none of it")] = None


@_event("superseded by a newer change")
class SupersededChange(Record):
    """What was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="which were prepared")]


@_event("rule failed")
class RuleFailed(Record):
    """Something of a rule raised an error, in the rule itself or in what it has set up."""

    doing: Annotated[str, Meta(description="what failed, as `set_value of /hall/light`")]
    error: Annotated[str, Meta(description="the error, in one line")]
    traceback: Annotated[
        str | None, Meta(description="from the rule's own line on, if it had a part in it")
    ] = None


@_event("tasks do not end when cancelled")
class EndlessTasks(Record):
    """Tasks of an old version were cancelled, and go on."""

    tasks: Annotated[list[str], Meta(description="their names")]


@_event("will not survive a restart: it is no plain data")
class NoPlainData(Record):
    """The checkpoint can't hold what a rule remembers."""

    what: Annotated[str, Meta(description="which part of the rule")]


@_event(
    "can't read the checkpoint, starting afresh",
    "can't write the checkpoint",
    "can't set the damaged checkpoint aside",
)
class CheckpointProblem(Record):
    """What rules remember could not be read or written."""

    error: Annotated[str, Meta(description="what is wrong")]


@_event("the checkpoint is damaged, starting afresh")
class CheckpointDamaged(CheckpointProblem):
    """What rules remember is of no use. The file is set aside."""

    set_aside: Annotated[str, Meta(description="where the file is now")]


# --- the trail ----------------------------------------------------------------------------------


@_event("trail begins")
class TrailBegins(Record):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="the version of this schema")]
    runner: Annotated[str, Meta(description="the version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without its endings")] = None


@_event("trail repaired")
class TrailRepaired(Record):
    """The runner had been killed within a record, whose part was cut off."""

    cut: Annotated[int, Meta(description="how many bytes")]


@_event("records lost")
class RecordsLost(Record):
    """Here is a gap: the trail could not be written for a while, and can be again."""

    lost: Annotated[int, Meta(description="how many records")]
    since: Annotated[Time, Meta(description="when the first of them was made")]
    error: Annotated[str, Meta(description="why")]


@_event(
    "can't write the trail",
    "can't close a file of the trail",
    "can't compress the trail",
    "can't drop the oldest file of the trail",
)
class TrailProblem(Record):
    """The trail is not what it should be. The rules go on."""

    error: Annotated[str, Meta(description="what is wrong")]
    file: Annotated[str, Meta(description="with which file")]


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
