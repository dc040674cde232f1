"""The outputs and inputs that led to a value, as a tree.

The value of a path is that of the last output of a rule, unless the path has shown another value
since. An output names the inputs from which its value came; the value of each of these is explained
in the same way, as it was at the time of the output. So a tree ends at what came from outside.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from eshet_rules.audit.query import ENDLESS, stamp_of
from eshet_rules.why.sources import Record, Records

__all__ = ["Explanation", "InputOfOutput", "begin_of", "explain"]

_TOLERANCE: Final = timedelta(milliseconds=1)
"""Times of records are those of the wall clock, and durations those of the loop."""

_TIMER_TOLERANCE: Final = timedelta(milliseconds=20)
"""The same, for the lengths of timers, which may be hours."""


@dataclass(frozen=True)
class Explanation:
    """Why a path has, or had, its value.

    Args:
        path: the path.
        shown: the last input at the path: the beginning of its value, or its last emission.
        output: the last output of a rule to the path.
        skipped: how many outputs were skipped since, by the reason.
        inputs: those of the output.
        trigger: the input that led to the output, or has started the timer that did, if it is none
            of `inputs`.
        started_by: the input from outside that has started the timer which led to the output, if
            the tree has a later one at its path.
        is_repeated: whether another part of the tree explains the output already.
        is_needed: whether the explained output would be missing, or another one, without the input
            `from_outside`; None if that is not known.
    """

    path: str
    shown: Record | None = None
    output: Record | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    inputs: "tuple[InputOfOutput, ...]" = ()
    trigger: "Explanation | None" = None
    started_by: Record | None = None
    is_repeated: bool = False
    is_needed: bool | None = None

    @property
    def is_by_rule(self) -> bool:
        """Whether the value is that of the output, as far as is known."""
        return self.output is not None and not self.is_from_outside

    @property
    def is_from_outside(self) -> bool:
        """Whether the value came from outside, after the output if there is one."""
        shown, output = self.shown, self.output
        if shown is None or output is None:
            return shown is not None
        if shown.get("parent") == output.get("cause") is not None:
            return False
        is_later = shown["time"] > output["time"]
        return is_later and shown["kind"] in ("state", "event") and output["outcome"] != "kept"

    @property
    def record(self) -> Record | None:
        """The record of the value: an input or an output."""
        return self.shown if self.is_from_outside else self.output

    @property
    def from_outside(self) -> Record | None:
        """The input from outside that has directly led to the value; None if there is none."""
        shown, output = self.shown, self.output
        if self.is_from_outside or shown is None or output is None:
            return shown or self.started_by
        is_set = shown["kind"] == "set" and shown.get("cause") == output.get("cause")
        return shown if is_set else self.started_by

    def parts(self) -> "Iterator[Explanation]":
        """Iterate over the tree: this explanation, and those of all that led to the value."""
        yield self
        if self.is_from_outside:  # the rest of it has led to an earlier value
            return
        for each in (*(each.explanation for each in self.inputs), self.trigger):
            if each is not None:
                yield from each.parts()

    def with_needed(self, is_needed: Callable[[Record], bool | None]) -> "Explanation":
        """Return the tree with `is_needed` at each input from outside.

        Args:
            is_needed: returns whether an input was needed; None if that is not known.
        """
        outside = self.from_outside
        return replace(
            self,
            inputs=tuple(each.with_needed(is_needed) for each in self.inputs),
            trigger=None if self.trigger is None else self.trigger.with_needed(is_needed),
            is_needed=None if outside is None else is_needed(outside),
        )

    @property
    def since(self) -> str:
        """Since when the path has its value, as far as is known; empty if it has none."""
        record, shown, output = self.record, self.shown, self.output
        if record is None:
            return ""
        if shown is None or output is None or record is shown or shown["kind"] != "state":
            return str(record["time"])
        is_same = shown.get("value") == output.get("value") and not shown.get("unknown")
        return str(min(shown["time"], output["time"]) if is_same else output["time"])

    def plain(self) -> dict[str, Any]:
        """Return the tree as plain data."""
        return {
            "path": self.path,
            "by_rule": self.is_by_rule,
            "shown": self.shown,
            "output": self.output,
            "skipped": dict(self.skipped),
            "inputs": [each.plain() for each in self.inputs],
            "trigger": None if self.trigger is None else self.trigger.plain(),
            "started_by": self.started_by,
            "repeated": self.is_repeated,
            "needed": self.is_needed,
        }


@dataclass(frozen=True)
class InputOfOutput:
    """A value from which the value of an output came.

    Args:
        name: the path, or a description of a Value that has none.
        value: its value at that time; of an event, its last payload.
        is_unknown: whether it was unknown.
        has_changed: whether its change has led to the output.
        explanation: of the value; None for a Value without a path, or beyond the depth.
    """

    name: str
    value: Any
    is_unknown: bool
    has_changed: bool
    explanation: Explanation | None

    def with_needed(self, is_needed: Callable[[Record], bool | None]) -> "InputOfOutput":
        """See `Explanation.with_needed`."""
        if self.explanation is None:
            return self
        return replace(self, explanation=self.explanation.with_needed(is_needed))

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "value": self.value,
            "unknown": self.is_unknown,
            "changed": self.has_changed,
            "explanation": None if self.explanation is None else self.explanation.plain(),
        }


def explain(path: str, records: Records, *, before: str = ENDLESS, depth: int = 10) -> Explanation:
    """Explain the value of a path.

    Args:
        path: the path.
        records: of the runner.
        before: the time of the value, in the format of records; by default the present.
        depth: maximum number of outputs one after another.
    """
    return _Explaining(records).explain(path, before, depth)


class _Explaining:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._explained: set[tuple[str, str]] = set()

    def explain(
        self, path: str, before: str, depth: int, result: Record | None = None
    ) -> Explanation:
        """Explain the value of a path.

        Args:
            path: the path.
            before: the time of the value.
            depth: maximum number of outputs one after another.
            result: the output that the value led to, so neither it nor its effects are a reason.
        """
        records = self._records
        output, shown = records.output(path, before), records.input(path, before)
        while output is not None and _is_of(output.get("cause"), result):
            output = records.output(path, output["time"])
        while shown is not None and _is_of(shown.get("parent"), result):
            shown = records.input(path, shown["time"])
        skipped = records.skipped(path, before)
        if output is None:
            return Explanation(path, shown, None, skipped)
        key = path, output["time"]
        if key in self._explained:
            return Explanation(path, shown, output, skipped, is_repeated=True)
        self._explained.add(key)
        if not depth:
            return Explanation(path, shown, output, skipped)
        inputs = tuple(self._inputs(output, depth - 1))
        after = _path_in(output.get("after_input"))
        is_known = after in ("", path) or any(each.name == after for each in inputs)
        trigger = None if is_known else self.explain(after, _just_after(output), depth - 1, output)
        explanation = Explanation(path, shown, output, skipped, inputs, trigger)
        return replace(explanation, started_by=self._started_by(explanation, output, after))

    def _started_by(self, explanation: Explanation, output: Record, path: str) -> Record | None:
        """Return the input that has started a timer, if it is none of the explanation."""
        if not path or output.get("after_s") is None:
            return None
        moment = datetime.fromisoformat(output["time"]) - timedelta(seconds=output["after_s"])
        found = self._records.input(path, stamp_of(moment + _TIMER_TOLERANCE))
        if found is None or found["time"] < stamp_of(moment - _TIMER_TOLERANCE):
            return None
        named = [each.shown for each in explanation.parts() if each.path == path]
        is_named = any(each is not None and each["time"] == found["time"] for each in named)
        return None if is_named or found.get("parent") is not None else found

    def _inputs(self, output: Record, depth: int) -> Iterator[InputOfOutput]:
        values = [(name, value, False) for name, value in (output.get("inputs") or {}).items()]
        unknown = [(name, None, True) for name in output.get("unknown_inputs") or ()]
        changed = "" if output.get("trigger") else _path_in(output.get("after_input"))
        before = _just_after(output)

        def explained(name: str) -> Explanation | None:
            return self.explain(name, before, depth, output) if name.startswith("/") else None

        for name, value, is_unknown in (*values, *unknown):
            yield InputOfOutput(name, value, is_unknown, name == changed, explained(name))


def begin_of(output: Record) -> datetime:
    """Return when an output was begun; the time of its record is that of its end."""
    end = datetime.fromisoformat(output["time"])
    return end - timedelta(seconds=output.get("duration") or 0.0)


def _just_after(output: Record) -> str:
    """Return a time after everything that led to an output, in the format of records."""
    return stamp_of(begin_of(output) + _TOLERANCE)


def _is_of(cause: str | None, output: Record | None) -> bool:
    """Whether a cause is that of an output."""
    return output is not None and cause is not None and cause == output.get("cause")


def _path_in(text: str | None) -> str:
    """Return the path in the description of an input, such as `event /hall/motion`; else empty."""
    path = (text or "").partition(" ")[2]
    return path if path.startswith("/") else ""
