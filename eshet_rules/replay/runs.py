"""The runs of a runner in its trail, and the rules that were disabled by command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

__all__ = ["RUN_EVENTS", "Commands", "Run", "begin_of_last_run", "is_in_set_up", "runs_of"]

Record = Mapping[str, Any]

_SET_UP: Final = ("set-up", "reload", "restart")
"""The beginnings of the triggers of records that rules make in their set-up."""

_SERVERS: Final = frozenset({"server.named", "server.found"})
"""Written once by each runner, before it sets up rules."""

_OWN_SERVER: Final = "server.started"
"""Written instead of those, or later when the found server has stopped."""

_STARTED: Final = "runner.started"
"""Written when the rules are set up."""

_STOPPED: Final = "runner.stopped"

RUN_EVENTS: Final = _SERVERS | {_OWN_SERVER, _STARTED, _STOPPED}
"""The events of which `runs_of` needs the records, beside inputs and outputs."""


@dataclass
class Run:
    """A run of the runner.

    Args:
        records: its inputs and outputs, in order.
        start: when it was started; None if that is not in the records.
        end: its end; None if it is not over. A runner that was killed has no record of its end:
            then it is the time of its last record.
        kept: whether its rules continued with state of an earlier run.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    start: datetime | None = None
    end: datetime | None = None
    kept: bool = False

    @property
    def set_up_at(self) -> datetime | None:
        """When the set-up of its rules has begun; None if that is not in the records."""
        if self.start is not None and self.records and is_in_set_up(self.records[0]):
            return _time(self.records[0])
        return self.start


def runs_of(records: Sequence[dict[str, Any]]) -> list[Run]:
    """Return the runs of a runner, given its inputs, outputs and the records of `RUN_EVENTS`."""
    runs = [Run()]
    is_set_up = False
    for index, record in enumerate(records):
        event = record["event"]
        if event in _SERVERS or (event == _OWN_SERVER and _begins(records, index)):
            runs.append(Run(start=_time(record)))
            is_set_up = False
        elif event == _STARTED:
            if is_set_up or runs[-1].start is None:  # the record of the server is missing
                set_up = _take_set_up(runs[-1].records)
                runs.append(Run(set_up, _time(record)))
            runs[-1].kept = bool(record.get("kept"))
            is_set_up = True
        elif event == _STOPPED:
            runs[-1].end = _time(record)
            is_set_up = False
            runs.append(Run())
        elif event not in RUN_EVENTS:
            runs[-1].records.append(record)
    for run in runs[:-1]:
        if run.end is None and run.records:
            run.end = _time(run.records[-1])
    return [each for each in runs if each.records or each.start or each.end]


def begin_of_last_run(records: Sequence[dict[str, Any]]) -> int:
    """Return where the records of the last run begin, if the last one says that it is started.

    It is 0 if that is not known, or if the run has no input or output yet: see `runs_of`.
    """
    if not records or records[-1]["event"] != _STARTED:
        return 0
    for index in range(len(records) - 2, -1, -1):
        event = records[index]["event"]
        if event in _SERVERS or event == _OWN_SERVER:
            return index if index < len(records) - 2 else 0
        if event in RUN_EVENTS:
            break
    return 0


def _begins(records: Sequence[dict[str, Any]], index: int) -> bool:
    """Whether the record of an embedded server is the beginning of a run."""
    following = (each["event"] for each in records[index + 1 :] if each["event"] in RUN_EVENTS)
    return next(following, None) == _STARTED


def _take_set_up(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove and return the records of a set-up at the end."""
    begin = len(records)
    while begin and is_in_set_up(records[begin - 1]):
        begin -= 1
    taken = records[begin:]
    del records[begin:]
    return taken


class Commands:
    """The times in which rules were disabled by command. This survives restarts of the runner."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}
        self._found: list[tuple[str, datetime, datetime | None]] = []

    def read(self, record: Record) -> None:
        """Read the next record of the trail."""
        event = record["event"]
        if event == "control.disable_requested":
            for rule in record["rules"]:
                self._since.setdefault(rule, _time(record))
        elif not self._since:
            return
        elif event == "control.enable_requested":
            for rule in record["rules"]:
                self._end(rule, _time(record))
        elif (rule := record.get("rule")) in self._since and "path" in record:
            # It runs, although that was not recorded: the file of the disabled rules was deleted.
            begun = _time(record).timestamp() - (record.get("duration") or 0.0)
            if is_in_set_up(record) and begun > self._since[rule].timestamp():
                self._end(rule, _time(record))

    def disabled(self) -> list[tuple[str, datetime, datetime | None]]:
        """Return the rules with the time in which each was disabled; None if that goes on."""
        return [*self._found, *((rule, since, None) for rule, since in self._since.items())]

    def _end(self, rule: str, time: datetime) -> None:
        since = self._since.pop(rule, None)
        if since is not None:
            self._found.append((rule, since, time))


def is_in_set_up(record: Record) -> bool:
    """Whether a rule has made an output, or has read the present value, in its set-up."""
    return (record.get("trigger") or "").startswith(_SET_UP)


def _time(record: Record) -> datetime:
    return datetime.fromisoformat(record["time"])
