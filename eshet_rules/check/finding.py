"""A finding of the check."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eshet_rules.mistakes.mistake import Code

__all__ = ["CODES", "Finding", "Severity", "sorted_findings"]


class Severity(enum.StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """A rule can't run, or does not work as written."""
    WARNING = "warning"
    """Probably a mistake."""
    NOTE = "note"
    """Something could not be checked."""


CODES: Final[Mapping[str, str]] = {
    "import": "a file can't be imported",
    "set-up": "a rule fails in its set-up",
    "fails": "a callback or function of a rule fails, with the inputs that are there at the start",
    "blocks": "an import or a set-up blocks",
    "not-set-up": "a set-up waits for something outside, and has not ended in time",
    "path-taken": "a rule provides a path that another rule provides already",
    "wrong-kind": "a path is used as a state, but is an event, or the like",
    "two-writers": "several rules, or one rule twice, set a path to the values of Values",
    "no-provider": "nothing provides a path, which may be misspelt",
    "writes-what-it-reads": "a rule sets a path to a Value that follows the same path",
    "events-joined": "an operator joins two Events, and never emits",
    "not-checked": "a set-up can't be checked to its end, as it depends on an answer of the house",
    Code.NO_RULE: "an `async def` looks like a rule, but has no `@rule`",
    Code.TEXT_OF_VALUE: "a Value is formatted as text, which does not follow it",
    Code.VALUE_NOT_SETTABLE: "`.value` is set of a Value that observes a path or follows others",
    Code.DECIDED_ONCE: "`if value.value` in a set-up decides only once",
    Code.CHANGED_IN_PLACE: "the list, dict or set in a Value is changed in place",
    Code.KEPT_TWICE: "two `keep` Values of a rule have the same name",
    Code.NEVER_AWAITED: "a coroutine is never awaited",
    Code.ASYNC_CALLBACK: "an `async def` is passed to something that does not await it",
    Code.BLOCKING_SLEEP: "`time.sleep` in a rule stops all rules",
    Code.EVENT_AND_VALUE: "`&` joins the payloads of an Event and a Value",
    Code.HIDDEN_INPUT: "a function of Values reads another Value, which it does not follow",
    Code.DEAD_NODE: "a Value or Event follows others, but nothing uses it",
}
"""All codes of findings, with their meanings."""


_FAILURES: Final = ("fails", "set-up")


@dataclass(frozen=True)
class Finding:
    """Something that the check reports.

    Args:
        severity: how bad it is.
        code: its kind, one of `CODES`.
        file: the file.
        line: the line, from 1; 0 if it has none.
        problem: the mistake.
        remedy: the correction; may be empty.
        rule: the full name of the rule, such as `hall.light`; None if it is not known.
    """

    severity: Severity
    code: str
    file: Path
    line: int
    problem: str
    remedy: str = ""
    rule: str | None = None

    @property
    def text(self) -> str:
        """The problem and the remedy."""
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem

    def plain(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {
            "severity": str(self.severity),
            "code": str(self.code),
            "file": str(self.file),
            "line": self.line,
            "rule": self.rule,
            "problem": self.problem,
            "remedy": self.remedy,
        }


def sorted_findings(found: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of files and lines, each once.

    Of several at one line, a failure is left out if another one that is as severe gives its reason.
    """
    unique: dict[tuple[Path, int, str, str], Finding] = {}
    for each in found:
        key = each.file, each.line, str(each.code), each.problem if not each.line else ""
        if key not in unique or (unique[key].rule is None and each.rule is not None):
            unique[key] = each
    reasons = {
        (each.file, each.line, each.severity)
        for each in unique.values()
        if each.code not in _FAILURES
    }
    return sorted(
        (
            each
            for each in unique.values()
            if each.code not in _FAILURES or (each.file, each.line, each.severity) not in reasons
        ),
        key=lambda each: (str(each.file), each.line, str(each.code)),
    )
