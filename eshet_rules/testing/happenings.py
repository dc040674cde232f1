"""The inputs and outputs of rules in a test, and the messages of the log, in order."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import msgspec

from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet_rules.audit.recorder import LEVELS, Recorder
from eshet_rules.audit.records.inputs_outputs import (
    ActionCalled,
    EventEmitted,
    FunctionCalled,
    Input,
    Output,
    StatePublished,
    ValueSet,
)
from eshet_rules.audit.records.schema import EVENTS

__all__ = ["Happening", "Happenings"]

_VERBS: Final = {
    "output.set": "sets",
    "output.called": "calls",
    "output.emitted": "emits",
    "output.published": "shows",
}
_HIDDEN: Final = frozenset(
    {"time", "level", "event", "rule", "module", "version", "cause", "parent", "trigger"}
)


@dataclass(frozen=True)
class Happening:
    """A record of a house.

    Args:
        at: seconds since the start of the test.
        wall: the virtual wall clock, in seconds since 1970-01-01 UTC.
        record: a record of the audit trail (see `eshet_rules.audit.records`), or the fields of a
            message of the log.
    """

    at: float
    wall: float
    record: Any

    @property
    def is_error(self) -> bool:
        """Whether it is an error: one that the log would show, or a repetition of such an error."""
        if isinstance(self.record, Mapping):
            level, repeats = self.record["level"], "again" in self.record
        else:
            level, repeats = self.record.level, False
        return repeats or LEVELS.get(level, 0) >= LEVELS["error"]

    @property
    def error(self) -> str:
        """The text of an error; empty if there is none."""
        if isinstance(self.record, Mapping):
            return str(self.record.get("error") or "")
        return getattr(self.record, "error", None) or ""

    @property
    def traceback(self) -> str:
        """The traceback of an error; empty if it has none."""
        return self.record.get("traceback", "") if isinstance(self.record, Mapping) else ""

    def plain(self) -> Mapping[str, Any]:
        """Return the record as plain data."""
        record = self.record
        return record if isinstance(record, Mapping) else msgspec.structs.asdict(record)

    def line(self, zone: tzinfo | None) -> str:
        """Return a line of text, with the time of day in a time zone; None for the local one."""
        moment = datetime.fromtimestamp(self.wall, UTC).astimezone(zone)
        clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
        return f"{clock}  {_line(self.record)}"


class Happenings(Recorder):
    """Keeps all records in memory, in order.

    Args:
        time: returns the time of the loop.
        wall_time: returns the virtual wall clock; see `Happening`.
    """

    def __init__(self, time: Callable[[], float], wall_time: Callable[[], float]) -> None:
        super().__init__()
        self.last.is_complete = True
        self.all: Final[list[Happening]] = []
        self.paths: Final[set[str]] = set()
        """The paths of all inputs and outputs."""
        self._time = time
        self._wall_time = wall_time

    @property
    def last_rule(self) -> str | None:
        """The rule that has received the last input; None if there was none."""
        inputs = (each.record for each in reversed(self.all) if isinstance(each.record, Input))
        return next((record.rule for record in inputs if record.rule), None)

    @property
    def wants_debug(self) -> bool:
        """See `Recorder`: all of them."""
        return True

    def record(self, record: Any, *, at_once: bool = False) -> None:
        """See `Recorder`."""
        self.all.append(Happening(self._time(), self._wall_time(), record))
        if isinstance(record, Input | Output):
            self.paths.add(record.path)

    def keep(self, record: Mapping[str, Any]) -> None:
        """See `Recorder`."""
        self.record(dict(record))

    def outputs(self, kind: type[Output], path: str) -> Iterator[tuple[float, Any]]:
        """Iterate over the outputs of a kind to a path, with their times."""
        for each in self.all:
            record = each.record
            if isinstance(record, kind) and record.path == path and record.outcome != "skipped":
                yield each.at, record

    def sets(self, path: str) -> list[Any]:
        """Return the values to which rules have set a path."""
        return [record.value for _, record in self.outputs(ValueSet, path)]

    def calls(self, path: str) -> list[list[Any]]:
        """Return the arguments of all calls of an action by rules."""
        return [record.value for _, record in self.outputs(ActionCalled, path)]

    def called(self, folder: str) -> Iterator[tuple[str, list[Any]]]:
        """Iterate over the paths below a folder, and the arguments, of calls that succeeded."""
        for each in self.all:
            record = each.record
            is_below = isinstance(record, ActionCalled) and record.path.startswith(folder)
            if is_below and record.outcome == "done":
                yield record.path, record.value

    def emitted(self, path: str) -> list[Any]:
        """Return the payloads of all emissions of an event."""
        return [record.value for _, record in self.outputs(EventEmitted, path)]

    def acted(self, function: str) -> list[list[Any]]:
        """Return the arguments of all calls of a function by `yarp.act`, also pretended ones."""
        return [
            each.record.value
            for each in self.all
            if isinstance(each.record, FunctionCalled)
            and each.record.function.rpartition(".")[2] == function
            and each.record.why in (None, "pretended")
        ]

    def published(self, path: str) -> list[tuple[float, Any]]:
        """Return the values of a state, with the times of their changes."""
        return [
            (at, Unknown if record.unknown else record.value)
            for at, record in self.outputs(StatePublished, path)
        ]


def _line(record: Any) -> str:
    """Return a record as one line of text."""
    if isinstance(record, Input):
        value = Unknown if record.unknown else record.value
        return f"{_who(record.rule)}gets {record.kind} {record.path} = {_short(value)}"
    if isinstance(record, Output):
        return _output_line(record)
    fields = record if isinstance(record, Mapping) else _fields(record)
    who = fields.get("rule") or fields.get("module")
    schema = EVENTS.get(fields["event"])
    event = fields["event"] if schema is None else schema.SENTENCE
    rest = ", ".join(
        f"{name}={value if isinstance(value, str) else _short(value)}"
        for name, value in fields.items()
        if name not in _HIDDEN and name != "traceback" and value is not None
    )
    return f"{_who(who)}{event}{': ' if rest else ''}{rest}"


def _output_line(record: Any) -> str:
    value = Unknown if getattr(record, "unknown", False) else record.value
    line = f"{_who(record.rule)}{_VERBS[record.event]} {record.path} = {_short(value)}"
    if record.outcome == "skipped":
        line += f" (not sent: {record.why})"
    elif record.outcome != "done":
        line += f" ({record.outcome}: {record.error})" if record.error else f" ({record.outcome})"
    if record.trigger:
        line += f", because of {record.trigger}"
    return line


def _who(rule: object) -> str:
    return f"{rule} " if isinstance(rule, str) else ""


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _short(value: object) -> str:
    return safe_repr(value, 100)
