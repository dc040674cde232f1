"""The fields of all records of the log, and how events are defined and logged."""

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
    "Level",
    "Path",
    "Record",
    "Time",
    "check",
    "emit",
    "event",
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


def event(name: str, sentence: str, *, level: Level = "info") -> Callable[[_R], _R]:
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
