"""The inputs and outputs of rules in a part of an audit trail."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from eshet.unknown import Unknown
from eshet_rules.audit.query import Damage, Filter, Reader, stamp_of
from eshet_rules.audit.redaction import REDACTED
from eshet_rules.audit.trail import file_to_read
from eshet_rules.exceptions import NothingRecorded
from eshet_rules.replay.alignment import Received, merged
from eshet_rules.replay.runs import (
    RUN_EVENTS,
    Commands,
    Run,
    begin_of_last_run,
    is_in_set_up,
    runs_of,
)

__all__ = [
    "OUTPUT_KINDS",
    "Answer",
    "Disabled",
    "Input",
    "Output",
    "Recording",
    "read_recording",
    "read_runs",
    "recording_of",
]

OUTPUT_KINDS: Final = {
    "output.set": "set",
    "output.called": "call",
    "output.emitted": "emit",
    "output.published": "state",
}
"""The kinds of outputs, by the events of their records."""

_SHARED: Final = ("event", "kind", "module", "outcome", "path", "rule", "trigger", "version")
_FIELDS: Final = (
    *("time", "cause", "parent", "value", "unknown", "duration", "error", "result", "kept"),
    *_SHARED,
)
"""The fields that are needed of a record; the texts of the shared ones occur again and again."""

_LONG_SET_UP: Final = 10.0
"""Seconds after which outputs of the function of a rule are those of a loop in it."""

_WARM_UP: Final = timedelta(days=1)
"""For this time before, rules run to get into their state."""


@dataclass(frozen=True)
class Input:
    """An input from outside.

    Args:
        at: seconds since the start of the recording.
        kind: `"state"`, `"event"`, `"call"` or `"set"`.
        path: where it arrived.
        value: the value, or the arguments of a call.
    """

    at: float
    kind: str
    path: str
    value: Any


@dataclass(frozen=True)
class Output:
    """An output of a rule.

    Args:
        at: seconds since the start of the recording.
        rule: its full name; empty if it is not known.
        kind: `"state"`, `"set"`, `"call"` or `"emit"`.
        path: of the node.
        value: the value, or the arguments of a call.
        failed: why it failed; empty if it did not.
        in_set_up: whether the rule did it in its set-up.
    """

    at: float
    rule: str
    kind: str
    path: str
    value: Any
    failed: str = ""
    in_set_up: bool = False

    @property
    def module(self) -> str:
        """The module of the rule; empty if it is not known."""
        return self.rule.rpartition(".")[0]


@dataclass(frozen=True)
class Answer:
    """How the owner of a path has answered a set or a call.

    Args:
        error: why it has failed; empty if it has not.
        result: of a call.
        took: seconds until the answer.
        shown_after: seconds until the state showed the value; None if it did not.
    """

    error: str = ""
    result: Any = None
    took: float = 0.0
    shown_after: float | None = None


@dataclass(frozen=True)
class Disabled:
    """A time in which a rule was disabled by command.

    Args:
        rule: its full name.
        begin: seconds since the start of the recording.
        end: seconds since the start of the recording.
    """

    rule: str
    begin: float
    end: float

    def text(self, start: datetime) -> str:
        """Return it as a person reads it, given the start of the recording."""
        begin, end = (_local(start + timedelta(seconds=each)) for each in (self.begin, self.end))
        return f"{self.rule} was disabled by command from {begin} to {end}"


@dataclass
class Recording:
    """A part of a trail.

    Args:
        start: its beginning, from which on rules run.
        end: its end.
        compared_from: seconds from the beginning in which rules only get into their state.
        inputs: those from outside, in order.
        outputs: of rules, in order, without skipped ones.
        answers: the answers to sets and calls by their kind and path, in order.
        first: the values of states at the beginning, by path.
        owned: the paths that rules have registered.
        disabled: the times in which rules were disabled by command.
        is_new: whether the rules began at its start without the state of an earlier run.
        versions: the last version of each module that its records name.
        lacking: a text for each part that the trail does not have.
    """

    start: datetime
    end: datetime
    compared_from: float = 0.0
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    disabled: list[Disabled] = field(default_factory=list)
    is_new: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


def recording_of(place: Path, start: datetime, end: datetime) -> Recording:
    """Read a part of the trail at a place, with up to a day before it for the state of rules.

    Args:
        place: the file or folder of the trail.
        start: the beginning.
        end: the end, exclusive.

    Raises:
        NoTrail: the trail does not exist, or can't be read.
        NothingRecorded: it has no input and no output of a rule in this time.
    """
    recording = read_recording(file_to_read(place), start, end, _WARM_UP)
    if not recording.inputs and not recording.outputs:
        raise NothingRecorded(start, end)
    return recording


def read_recording(
    file: Path,
    start: datetime,
    end: datetime,
    warm_up: timedelta = timedelta(),
    report: Callable[[Damage], object] | None = None,
) -> Recording:
    """Read a part of a trail.

    The records before it are read as well, for the values of states at its beginning. The recording
    is limited to the last run of the runner: the state that its rules had before is not in the
    trail.

    Args:
        file: the open file of the trail; see `eshet_rules.audit.trail.open_file`.
        start: the beginning.
        end: the end, exclusive.
        warm_up: how much of the time before `start` rules run to get into their state, if the
            runner ran then.
        report: called with each damaged part; by default, `lacking` names them.
    """
    wanted_from, start = start, start - warm_up
    content = _read(file, start, end, report, last_run_only=True)
    run = next((each for each in reversed(content.runs) if each.records), Run())
    recording = Recording(start, end, first=content.first)
    if run.set_up_at is not None:
        recording.start = run.set_up_at
    elif run.records:
        # Without records before that, there is nothing to warm up with.
        first = datetime.fromisoformat(run.records[0]["time"])
        recording.start = min(max(start, first), wanted_from)
    recording.end = run.end or end
    recording.compared_from = max(0.0, (wanted_from - recording.start).total_seconds())
    recording.lacking += _limits(run, recording, wanted_from)
    recording.disabled = content.disabled_in(recording.start, recording.end)
    recording.lacking += [
        f"{text}: it is off in the replay as well"
        for each in recording.disabled
        if (text := each.text(recording.start)) and each.end > recording.compared_from
    ]
    _Reading(recording, run.records).read()
    recording.lacking += content.damages
    return recording


def read_runs(file: Path, start: datetime, end: datetime) -> list[Recording]:
    """Read the outputs of all runs of the runner in a part of a trail; see `read_recording`.

    A run that has no record of its end, as the runner was killed, ends with its last record.
    """
    content = _read(file, start, end)
    found: list[Recording] = []
    for run in content.runs:
        recording = Recording(run.set_up_at or start, run.end or end)
        recording.is_new = run.start is not None and not run.kept
        if run.start is not None:
            recording.lacking.append(f"the runner was started at {_local(recording.start)}")
        recording.disabled = content.disabled_in(recording.start, recording.end)
        _Reading(recording, run.records).read()
        found.append(recording)
    if found:
        found[-1].lacking += content.damages
    return found


def _limits(run: Run, recording: Recording, wanted_from: datetime) -> Iterator[str]:
    """Yield a text for each limit of a recording that comes from its run."""
    if run.end is not None:
        yield f"the runner was stopped at {_local(run.end)}: the replay ends there"
    if run.start is not None:
        text = f"the runner was started at {_local(recording.start)}"
        is_late = recording.start > wanted_from
        if is_late:
            text += ": the replay begins there"
        if run.kept:
            text += f"{', and' if is_late else ': there'} its rules continued with state that is "
            yield text + "not in the trail, so outputs that depend on it may differ"
        elif is_late:
            yield text


@dataclass
class _Content:
    """The records of a part of a trail.

    Args:
        runs: of the runner, in order.
        first: the values of states at the beginning, by path.
        disabled: the times in which rules were disabled by command.
        damages: a text for each damaged part.
    """

    runs: list[Run]
    first: dict[str, Any]
    disabled: list[tuple[str, datetime, datetime | None]]
    damages: list[str]

    def disabled_in(self, start: datetime, end: datetime) -> list[Disabled]:
        """Return the times within a part in which rules were disabled, from its start on."""
        found = []
        for rule, since, until in self.disabled:
            begin, last = max(since, start), min(until or end, end)
            if begin < last:
                at = (begin - start).total_seconds()
                found.append(Disabled(rule, at, (last - start).total_seconds()))
        return found


def _read(
    file: Path,
    start: datetime,
    end: datetime,
    report: Callable[[Damage], object] | None = None,
    *,
    last_run_only: bool = False,
) -> _Content:
    """Read a part of a trail.

    A day may have a million records, so no more of them is kept than is needed.
    """
    damages: list[Damage] = []
    reader = Reader(file, Filter(until=stamp_of(end)), report or damages.append)
    wanted: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    commands = Commands()
    since = stamp_of(start)
    for record in reader.records():
        event = record["event"]
        commands.read(record)
        if record["time"] >= since:
            if event in OUTPUT_KINDS or event == "input.received" or event in RUN_EVENTS:
                wanted.append(_compact(record))
                if last_run_only and (begin := begin_of_last_run(wanted)):
                    del wanted[:begin]
        elif event == "input.received" and record["kind"] == "state":
            first[record["path"]] = _value(record)
    problems = [f"{each.file}: {each.problem}" for each in damages]
    return _Content(runs_of(wanted), first, commands.disabled(), problems)


def _compact(record: dict[str, Any]) -> dict[str, Any]:
    """Return the needed fields of a record."""
    compact: dict[str, Any] = {name: record[name] for name in _FIELDS if name in record}
    for name in _SHARED:
        if type(compact.get(name)) is str:
            compact[name] = sys.intern(compact[name])
    return compact


class _Reading:
    """Turns records into a recording.

    Args:
        recording: to be filled.
        records: of its time, in the order of the trail.
    """

    def __init__(self, recording: Recording, records: list[dict[str, Any]]) -> None:
        self._recording = recording
        self._records = records
        self._origin = recording.start.timestamp()
        self._loops: set[str] = set()  # rules with a function that does not return

    def read(self) -> None:
        """Fill the recording."""
        self._recording.versions.update(
            (each["module"], each["version"])
            for each in self._records
            if each.get("module") and each.get("version")
        )
        causes = self._read_outputs()
        self._read_inputs(causes)
        self._find_gaps()

    def _at(self, record: Mapping[str, Any]) -> float:
        return datetime.fromisoformat(record["time"]).timestamp() - self._origin

    def _read_outputs(self) -> dict[str, list[tuple[float, str, str, int]]]:
        """Read the outputs; return those that others may answer, by their cause."""
        recording = self._recording
        by_cause: dict[str, list[tuple[float, str, str, int]]] = defaultdict(list)
        found: list[tuple[float, Output, dict[str, Any]]] = []
        begun: dict[str, float] = {}  # the first output of each set-up, by its cause
        for record in self._records:
            kind = OUTPUT_KINDS.get(record["event"])
            if kind is None or record["outcome"] == "skipped":
                continue
            at = self._at(record) - (record.get("duration") or 0.0)
            output = Output(
                at,
                record.get("rule") or record.get("module") or "",
                kind,
                record["path"],
                _value(record),
                record.get("error") or "",
                is_in_set_up(record),
            )
            if (
                output.in_set_up
                and at - begun.setdefault(record.get("cause") or "", at) > _LONG_SET_UP
            ):
                self._loops.add(output.rule)
            found.append((at, output, record))
        found.sort(key=lambda each: each[0])
        for at, output, record in found:
            recording.outputs.append(output)
            if output.kind == "state":
                recording.owned.add(output.path)
            elif output.kind in ("set", "call"):
                answers = recording.answers.setdefault((output.kind, output.path), [])
                took = record.get("duration") or 0.0
                error = output.failed.removeprefix(f"{output.kind} {output.path}: ")
                answers.append(Answer(error, record.get("result"), took))
                if (cause := record.get("cause")) is not None:
                    by_cause[cause].append((at, output.kind, output.path, len(answers) - 1))
        return by_cause

    def _read_inputs(self, outputs: Mapping[str, list[tuple[float, str, str, int]]]) -> None:
        recording = self._recording
        by_path: dict[tuple[str, str], dict[str, list[Received]]] = defaultdict(
            lambda: defaultdict(list)
        )
        seen: set[tuple[str, str]] = set()
        for index, record in enumerate(self._records):
            if record["event"] != "input.received":
                continue
            kind, path, cause = record["kind"], record["path"], record.get("cause") or ""
            if kind in ("call", "set", "get"):
                recording.owned.add(path)
            if (cause, path) in seen or kind == "get":
                continue  # another rule of the module has received it, too
            seen.add((cause, path))
            received = Received(self._at(record), _key(record), index)
            by_path[kind, path][record.get("module") or ""].append(received)
        for (kind, path), by_module in by_path.items():
            sequence = merged(list(by_module.values()))
            self._read_path(kind, path, sequence, outputs)
        recording.inputs.sort(key=lambda each: each.at)

    def _read_path(
        self,
        kind: str,
        path: str,
        sequence: Iterable[Received],
        outputs: Mapping[str, list[tuple[float, str, str, int]]],
    ) -> None:
        recording = self._recording
        last = _key_of(recording.first[path]) if path in recording.first else None
        for received in sequence:
            record = self._records[received.number]
            if kind == "state":
                if received.key == last and is_in_set_up(record):
                    continue  # the present value, which a new version has read
                last = received.key
            parent = record.get("parent")
            answered = _find_answered(outputs.get(parent or "", ()), path, received.at)
            if answered is not None and kind == "state":
                sent_at, answer_kind, index = answered
                answers = recording.answers[answer_kind, path]
                if answers[index].shown_after is None:
                    shown_after = max(0.0, received.at - sent_at)
                    answers[index] = replace(answers[index], shown_after=shown_after)
                continue
            if parent is not None and not is_in_set_up(record):
                continue  # an effect of rules, which the rules will have again
            if kind == "state" and path not in recording.first and is_in_set_up(record):
                recording.first[path] = _value(record)
                continue
            recording.inputs.append(Input(received.at, kind, path, _value(record)))

    def _find_gaps(self) -> None:
        recording = self._recording
        redacted = sorted(
            {each.path for each in recording.inputs if each.value == REDACTED}
            | {each.path for each in recording.outputs if each.value == REDACTED}
        )
        recording.lacking += [f"the values of {path} are redacted" for path in redacted]
        if self._loops:
            recording.lacking.append(
                f"what the functions of {', '.join(sorted(self._loops))} do in their loops is not "
                "compared, as its times depend on the moment of the start"
            )


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _find_answered(
    outputs: Iterable[tuple[float, str, str, int]], path: str, at: float
) -> tuple[float, str, int] | None:
    """Return the time, kind and index of the first set of a path that led to its change."""
    for sent_at, kind, sent_to, index in outputs:
        if kind == "set" and sent_to == path and sent_at <= at:
            return sent_at, kind, index
    return None


def _value(record: Mapping[str, Any]) -> Any:
    return Unknown if record.get("unknown") else record.get("value")


def _key(record: Mapping[str, Any]) -> object:
    return _key_of(_value(record))


def _key_of(value: Any) -> object:
    """Return a key that equal values share; True and 1 are not equal."""
    return value if value is Unknown else json.dumps(value, sort_keys=True)
