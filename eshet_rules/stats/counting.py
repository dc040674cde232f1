"""Counts the records of rules and of paths."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from eshet_rules.stats.histogram import Histogram
from eshet_rules.stats.silence import Regularity, Silence

__all__ = ["RuleCounts", "Statistics", "count_records"]

_MAX_CAUSES: Final = 10_000
"""How many inputs are remembered while their outputs may still come."""

_ERRORS: Final = ("rule.failed", "rule.attempt_failed")


@dataclass
class RuleCounts:
    """The counts of one rule.

    Args:
        inputs: number of inputs.
        outputs: number of outputs that were sent, by their outcome.
        skipped: number of outputs that were not sent, by the reason.
        retries: number of attempts after the first ones.
        errors: number of errors of its function, nodes and tasks.
        restarts: number of restarts.
        delay: from the input to the end of the output that it led to.
        last: the time of its last input or output; empty if there was none.
    """

    inputs: int = 0
    outputs: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    errors: int = 0
    restarts: int = 0
    delay: Histogram = field(default_factory=Histogram)
    last: str = ""


@dataclass
class Statistics:
    """The statistics of all rules.

    Args:
        rules: by their names.
        reloads: number of reloads, by their outcome.
        silences: paths and rules that were regular and have stopped.
    """

    rules: dict[str, RuleCounts] = field(default_factory=dict)
    reloads: Counter[str] = field(default_factory=Counter)
    silences: list[Silence] = field(default_factory=list)


def count_records(
    records: Iterable[Mapping[str, Any]], since: datetime, until: datetime
) -> Statistics:
    """Count records.

    Args:
        records: in the order of time.
        since: the beginning of their time.
        until: its end.
    """
    counting = _Counting()
    for record in records:
        counting.add(record)
    regular = sorted(counting.regularities.items())
    found = (each.silence(since, until) for _, each in regular)
    counting.statistics.silences += [each for each in found if each is not None]
    return counting.statistics


class _Counting:
    def __init__(self) -> None:
        self.statistics: Final = Statistics()
        self.regularities: Final[dict[str, Regularity]] = {}
        self._began: OrderedDict[str, datetime] = OrderedDict()  # the inputs, by their causes

    def add(self, record: Mapping[str, Any]) -> None:
        event: str = record["event"]
        if event == "module.reloaded":
            self.statistics.reloads["reloaded"] += 1
        elif event == "module.reload_aborted":
            self.statistics.reloads["aborted"] += 1
        rule = record.get("rule")
        if rule is None:
            return
        counts = self.statistics.rules.get(rule)
        if counts is None:
            counts = self.statistics.rules[rule] = RuleCounts()
        if event == "input.received":
            self._add_input(record, counts)
        elif event.startswith("output."):
            self._add_output(record, rule, counts)
        elif event in _ERRORS:
            counts.errors += 1
        elif event == "rule.restarted":
            counts.restarts += 1

    def _add_input(self, record: Mapping[str, Any], counts: RuleCounts) -> None:
        counts.inputs += 1
        counts.last = record["time"]
        moment = datetime.fromisoformat(record["time"])
        if record.get("cause"):
            self._began.setdefault(record["cause"], moment)
            if len(self._began) > _MAX_CAUSES:
                self._began.popitem(last=False)
        if record["kind"] in ("state", "event") and not record.get("trigger"):
            self._note(record["path"], moment)

    def _add_output(self, record: Mapping[str, Any], rule: str, counts: RuleCounts) -> None:
        if record["outcome"] == "skipped":
            counts.skipped[record.get("why") or ""] += 1
            return
        counts.outputs[record["outcome"]] += 1
        counts.last = record["time"]
        counts.retries += record.get("attempt", 1) > 1
        moment = datetime.fromisoformat(record["time"])
        began = self._began.get(record.get("cause") or "")
        if began is not None and record["outcome"] == "done":
            counts.delay.add((moment - began).total_seconds())
        self._note(rule, moment)

    def _note(self, what: str, moment: datetime) -> None:
        known = self.regularities.get(what)
        if known is None:
            self.regularities[what] = Regularity(what, moment)
        else:
            known.add(moment)
