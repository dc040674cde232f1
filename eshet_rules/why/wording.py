"""An explanation as text, for people."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from eshet.text import safe_repr
from eshet_rules.audit.records.inputs_outputs import WHYS
from eshet_rules.why.explanation import Explanation, InputOfOutput
from eshet_rules.why.sources import Record
from eshet_rules.why.times import duration, since_text

__all__ = ["Wording"]

_INDENT: Final = "  "

_DONE: Final = {
    "output.set": "set by",
    "output.called": "called by",
    "output.emitted": "emitted by",
    "output.published": "published by",
}

_DID: Final = {
    "output.set": "it set",
    "output.called": "it called this with",
    "output.published": "it published",
}

_SHORTENED: Final = " characters more …"

_OF_DRIVERS: Final = {
    "override": "the value that a person has set",
    "correction": "sent again, as a person or another program had changed it",
    "owner": "sent again, as the owner of the path was away",
    "reconnected": "sent again, as the connection was lost",
    "timer override of": "as the override by a person was over",
}
"""Reasons why the value of a path is sent, or sent again, by the trigger before the path."""

_LONGEST: Final = 100
"""Maximum length of a value, in characters."""


class Wording:
    """Writes explanations.

    Args:
        now: the present.
        zone: of the times; None for the local one.
        place_of: returns the line of a rule that makes an output, such as `hall.py:14`; empty if it
            is not known.
        whose: whose rules are known, such as `this runner`.
    """

    def __init__(
        self,
        now: datetime,
        zone: tzinfo | None = None,
        place_of: Callable[[Record], str] = lambda output: "",
        whose: str = "this runner",
    ) -> None:
        self._now = now
        self._zone = zone
        self._place_of = place_of
        self._whose = whose

    def lines(self, explanation: Explanation) -> Iterator[str]:
        """Iterate over the lines of an explanation."""
        record = explanation.record
        if record is None:
            yield f"{explanation.path}: no rule of {self._whose} has read or written it"
            return
        mark = _mark(explanation) if explanation.is_from_outside else ""
        yield f"{self._headline(explanation.path, {**record, 'time': explanation.since})}{mark}"
        yield from _indented(self._details(explanation))

    def _headline(self, path: str, record: Record) -> str:
        kind = record.get("kind") or record["event"]
        since = self._since(record)
        if kind in ("event", "output.emitted"):
            return f"{path} emitted {_value(record)} at {since}"
        if kind in ("call", "output.called"):
            return f"{path} was called with {_value(record)} at {since}"
        if kind == "set":
            return f"{path} was set to {_value(record)} at {since}"
        if record.get("outcome") in ("failed", "interrupted"):
            return f"{path} could not be set to {_value(record)} at {since}"
        return f"{path} = {_value(record)}, since {since}"

    def _details(self, explanation: Explanation, *, is_nested: bool = False) -> Iterator[str]:
        output = explanation.output
        if output is None or explanation.is_from_outside:
            yield f"from outside: no rule of {self._whose} has done this"
            if output is not None and output["event"] != "output.emitted":
                did, value, at = _DID[output["event"]], _value(output), self._since(output)
                yield f"the last rule was {_who(output)}: {did} {value} at {at}"
            return
        yield self._doer(output)
        if output.get("error"):
            yield f"failed: {output['error']}"
        if explanation.is_repeated:
            yield "see above"
            return
        is_marked = any(each.has_changed for each in explanation.inputs)
        if not is_marked and (because := self._because(output, explanation.trigger)):
            yield f"{because}{_mark(explanation)}"
        for each in explanation.inputs:
            yield from self._input(each)
        if explanation.trigger is not None:
            yield from self.lines(explanation.trigger)
        if explanation.skipped:
            yield _skipped(explanation.skipped)
        if output["event"] == "output.set" and explanation.shown is None and not is_nested:
            yield "no rule observes this path: a change by hand would not be known"

    def _doer(self, output: Record) -> str:
        place = self._place_of(output)
        version = output.get("version")
        where = ", ".join(filter(None, [place, version and f"version {version}"]))
        attempt = output.get("attempt", 1)
        runner = f" at {output['runner']}" if "runner" in output else ""
        who = f"{_who(output)}{runner} ({where})" if where else f"{_who(output)}{runner}"
        how = f", attempt {attempt}" if attempt > 1 else ""
        outcome = "" if output["outcome"] == "done" else f", {output['outcome']}"
        return f"{_DONE[output['event']]} {who}{how}{outcome}"

    def _because(self, output: Record, explained: Explanation | None) -> str:
        trigger, after = output.get("trigger"), output.get("after_input")
        if because := _OF_DRIVERS.get((trigger or "").removesuffix(f" {output['path']}")):
            seconds = output.get("after_s")
            length = "" if seconds is None else f", after {duration(timedelta(seconds=seconds))}"
            return f"{because}{length}"
        if trigger:
            text = f"because of {trigger}"
            seconds = output.get("after_s")
            if after and seconds is not None:
                text += f", {duration(timedelta(seconds=seconds))} after {after}"
            elif after:
                text += f", after {after}"
            return text
        return f"because of {after}" if after and explained is None else ""

    def _input(self, each: InputOfOutput) -> Iterator[str]:
        value = _value_of(each)
        explanation = each.explanation
        is_outside = explanation is not None and explanation.is_from_outside
        mark = _mark(explanation if is_outside else None, has_changed=each.has_changed)
        if explanation is None:
            yield f"{each.name} = {value}{mark}"
            return
        if explanation.record is None:
            yield f"{each.name}: nothing is recorded of it{mark}"
            return
        record = explanation.record
        if (record.get("kind") or record["event"]) in ("event", "output.emitted"):
            yield f"{self._headline(explanation.path, record)}{mark}"
        else:
            yield f"{each.name} = {value}, since {self._since(record)}{mark}"
        if explanation.is_by_rule:
            yield from _indented(self._details(explanation, is_nested=True))

    def _since(self, record: Record) -> str:
        return since_text(record["time"], self._now, self._zone)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"{_INDENT}{line}"


def _mark(explanation: Explanation | None, *, has_changed: bool = False) -> str:
    """Return the mark behind an input, which is explained like this; empty if it has none."""
    marks = ["changed"] if has_changed else []
    if explanation is not None and explanation.is_needed is not None:
        marks.append("needed" if explanation.is_needed else "not needed: the same without it")
    return f"  <- {', '.join(marks)}" if marks else ""


def _who(output: Record) -> str:
    return str(output.get("rule") or output.get("module"))


def _value(record: Record) -> str:
    if record.get("unknown"):
        return "unknown"
    value: Any = record.get("value")
    return safe_repr(value, _LONGEST)


def _value_of(each: InputOfOutput) -> str:
    """Return the value of an input; records have the text of one that is long or no plain value."""
    if each.is_unknown:
        return "unknown"
    value = each.value
    record = None if each.explanation is None else each.explanation.record
    is_text = isinstance(value, str) and (
        _SHORTENED in value or (record is not None and value == safe_repr(record.get("value")))
    )
    return str(value) if is_text else safe_repr(value, _LONGEST)


def _skipped(skipped: Mapping[str, int]) -> str:
    parts = [f"{count} {why} ({WHYS.get(why, '')})" for why, count in sorted(skipped.items())]
    return f"not sent since: {', '.join(parts)}"
