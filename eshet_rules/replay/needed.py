"""Which of the inputs that an explanation names were needed for its output.

The recorded inputs are replayed once as they were, which must make the output again, and once
without each of the named inputs: it was needed if the output is then missing, at another time or
another one.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from eshet.unknown import Unknown
from eshet_rules.audit.query import Damage
from eshet_rules.audit.redaction import Redaction
from eshet_rules.exceptions import RulesError
from eshet_rules.replay.comparison import SAME_WITHIN, value_key
from eshet_rules.replay.recording import OUTPUT_KINDS, Output, Recording, read_recording
from eshet_rules.replay.replaying import Rules, replay
from eshet_rules.replay.versions import PastRules
from eshet_rules.why.explanation import Explanation, begin_of
from eshet_rules.why.sources import Record

__all__ = ["MOST_INPUTS", "Needed", "NotReplayed", "find_needed"]

MOST_INPUTS: Final = 20
"""Maximum number of inputs that are left out, each in a replay of its own."""

_BEFORE: Final = (timedelta(days=1), timedelta(days=7))
"""How long before the output a replay begins; the next one if it does not make the output."""

_AFTER: Final = timedelta(seconds=1)
"""Up to this time after the output, the replay may make it."""

_SAME_RECORD: Final = 0.002
"""Maximum difference of the times of one record in an explanation and a recording, in seconds."""

_SAME_INPUT: Final = 5.0
"""Maximum difference of the times at which modules have received one input, in seconds."""

_SAME_TIME: Final = 0.1
"""Maximum difference of the times of an output in two replays, in seconds.

Devices answer in the order of the recording: if a request is missing, the later ones get answers
that may take some milliseconds more or less.
"""


class NotReplayed(RulesError):
    """No replay makes the output again, so it is not known which inputs were needed.

    Args:
        problem: why, and what to do.
        reasons: what may have led to it.
    """

    def __init__(self, problem: str, reasons: Sequence[str] = ()) -> None:
        self.problem: str = problem
        self.reasons: tuple[str, ...] = tuple(reasons)
        super().__init__("\n".join([problem, *reasons]))


@dataclass(frozen=True)
class Needed:
    """Which inputs were needed.

    Args:
        explanation: says so at each input from outside, except at those that have not changed
            within the replayed time.
        replayed: the number of inputs that were left out once.
        others: the number of further inputs, for which there were too many.
    """

    explanation: Explanation
    replayed: int = 0
    others: int = 0


def find_needed(
    explanation: Explanation,
    trail: Path,
    rules: PastRules,
    redaction: Redaction | None = None,
    report: Callable[[Damage], object] = lambda damage: None,
) -> Needed:
    """Replay the inputs that led to an output, without each of those that its explanation names.

    Args:
        explanation: of a value. If it came from outside, there is nothing to replay.
        trail: the open file of the trail.
        rules: those that made the output.
        redaction: of the trail.
        report: called with each damaged part of the trail, maybe more than once.

    Raises:
        NotReplayed: no replay makes the output again.
        RulesError: the trail can't be read, a version of a module is not kept, or the rules can't
            be replayed.
    """
    if explanation.output is None or explanation.is_from_outside:
        return Needed(explanation)
    output, redaction = explanation.output, redaction or Redaction()
    return _Finding(explanation, output, trail, rules, redaction, report).find()


class _Finding:
    def __init__(
        self,
        explanation: Explanation,
        output: Record,
        trail: Path,
        rules: PastRules,
        redaction: Redaction,
        report: Callable[[Damage], object],
    ) -> None:
        self._explanation = explanation
        self._output = output
        self._trail = trail
        self._rules = rules
        self._redaction = redaction
        self._report = report
        self._begin = begin_of(output)

    def find(self) -> Needed:
        trigger = self._output.get("trigger") or ""
        if trigger.startswith("command "):
            raise NotReplayed(
                f"{trigger} has led to {self._named}. A replay repeats inputs, not commands; ask "
                "for an output to which an input or a timer has led, with --at for an earlier one"
            )
        if not self._outside():
            return Needed(self._explanation)
        rules, recording, made = self._base()
        named = self._named_inputs(recording)
        needed = {
            index: not _has(replay(rules, recording, without=index).outputs, made)
            for index in named[:MOST_INPUTS]
        }

        def is_needed(record: Record) -> bool | None:
            index = _index_of(record, recording)
            return None if index is None else needed.get(index)

        marked = self._explanation.with_needed(is_needed)
        return Needed(marked, len(needed), len(named) - len(needed))

    def _base(self) -> tuple[Rules, Recording, Output]:
        """Replay all inputs.

        Returns:
            The rules and the recording that make the output, and the output in the replay.
        """
        problems: list[str] = []
        start = None
        for before in _BEFORE:
            recording = self._recording(before)
            if recording.start == start:  # there is nothing earlier
                break
            start = recording.start
            recorded = self._recorded(recording)
            versions = {each["module"]: each["version"] for each in self._outputs()}
            rules = self._rules.at(self._begin, recording.versions, versions)
            replayed = replay(rules, recording)
            made = self._made(replayed.outputs, recorded)
            if made is not None:
                return rules, recording, made
            errors = replayed.errors_of(versions.keys())
            problems = [*recording.lacking, *map(self._redaction.text, errors)]
        raise NotReplayed(
            f"the replay does not make {self._named} again, so it can't show which inputs were "
            "needed: its rules may have had state from before, another configuration, or have read "
            f"something that is not recorded; {self._replay_command()} compares all outputs",
            problems,
        )

    def _recording(self, before: timedelta) -> Recording:
        end = datetime.fromisoformat(self._output["time"]) + _AFTER
        recording = read_recording(self._trail, self._begin, end, before, self._report)
        # A runner that has stopped at once would have ended the recording before the output.
        return changed(recording, end=max(recording.end, end))

    def _recorded(self, recording: Recording) -> Output:
        """Return the output in a recording."""
        kind = OUTPUT_KINDS[self._output["event"]]
        at = (self._begin - recording.start).total_seconds()
        found = [
            each
            for each in recording.outputs
            if (each.kind, each.path) == (kind, self._output["path"])
            and abs(each.at - at) <= _SAME_RECORD
        ]
        if not found:
            raise NotReplayed(
                f"{self._named} is not in the last run of the runner in {self._trail}, so it can't "
                "be replayed; name the trail of the runner that made it with --audit"
            )
        # A runner that is asked shortens long values.
        key = value_key(_value(self._output))
        recorded = max(reversed(found), key=lambda each: value_key(each.value) == key)
        if recorded.in_set_up:
            raise NotReplayed(
                f"{recorded.rule} made {self._named} in its set-up, or in a loop of its function. "
                "A replay does not repeat the moment of that; ask for an output to which an input "
                "or a timer has led"
            )
        return recorded

    def _made(self, outputs: Sequence[Output], recorded: Output) -> Output | None:
        """Return the nearest output of a replay that is the recorded one."""
        key = value_key(recorded.value)
        found = [
            each
            for each in outputs
            if (each.kind, each.path) == (recorded.kind, recorded.path)
            and abs(each.at - recorded.at) <= SAME_WITHIN
            and key in (value_key(each.value), value_key(self._redacted(each)))
        ]
        return min(found, key=lambda each: abs(each.at - recorded.at), default=None)

    def _redacted(self, output: Output) -> Any:
        """Return the value of an output as a trail has it."""
        if self._redaction.hides(output.path):
            return self._redaction.hide(output.value)
        return self._redaction.value(output.value)

    def _named_inputs(self, recording: Recording) -> list[int]:
        """Return the indices of the inputs that the explanation names."""
        found = [_index_of(each, recording) for each in self._outside()]
        return list(dict.fromkeys(each for each in found if each is not None))

    def _outside(self) -> list[Record]:
        """Return the records of the inputs from outside that the explanation names."""
        found = (each.from_outside for each in self._explanation.parts())
        return [each for each in found if each is not None]

    def _outputs(self) -> list[Record]:
        """Return the outputs that the explanation names, in order of time."""
        outputs = [each.output for each in self._explanation.parts() if each.is_by_rule]
        known = (each for each in outputs if each is not None and each.get("version"))
        return sorted(known, key=lambda each: str(each["time"]))

    @property
    def _named(self) -> str:
        return f"the output to {self._explanation.path}"

    def _replay_command(self) -> str:
        end = self._begin + _AFTER
        since = f"{self._begin.astimezone() - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
        until = f"{end.astimezone() + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
        folder = shlex.quote(str(self._rules.folder))
        return f"`eshet-rules replay {folder} --diff --from {since} --to {until}`"


def _has(outputs: Sequence[Output], wanted: Output) -> bool:
    """Whether an output of another replay is among those of this one."""
    key = value_key(wanted.value)
    return any(
        (each.kind, each.path) == (wanted.kind, wanted.path)
        and abs(each.at - wanted.at) <= _SAME_TIME
        and value_key(each.value) == key
        for each in outputs
    )


def _index_of(record: Record, recording: Recording) -> int | None:
    """Return the index of an input in a recording; None if it is not a change in that time."""
    at = (datetime.fromisoformat(record["time"]) - recording.start).total_seconds()
    key = value_key(_value(record))
    found: list[tuple[bool, float, int]] = []
    for index, each in enumerate(recording.inputs):
        if (each.kind, each.path) == (record["kind"], record["path"]):
            later, is_other = at - each.at, value_key(each.value) != key
            # Another module may have received it earlier; a runner that is asked shortens values.
            if -_SAME_RECORD <= later <= (_SAME_RECORD if is_other else _SAME_INPUT):
                found.append((is_other, abs(later), index))
    return min(found)[-1] if found else None


def _value(record: Record) -> Any:
    return Unknown if record.get("unknown") else record.get("value")
