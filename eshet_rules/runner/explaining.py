"""Answers the questions of `eshet-rules why` from the records and rules of a runner."""

import difflib
from pathlib import Path
from typing import Any, Final

from eshet import codec
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.redaction import Redaction
from eshet_rules.exceptions import GraphTooLarge, UnknownName
from eshet_rules.graph.inside import draw_rule
from eshet_rules.reload.reloader import Reloader
from eshet_rules.runner.drive_reports import DriveReports
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.status import RuleState
from eshet_rules.why.memory import recall
from eshet_rules.why_not.writers import rules_that_name

__all__ = ["Explaining"]

_MOST_BYTES: Final = 60_000
"""Maximum size of a graph in a message."""

_MOST_RULES: Final = 50
"""Maximum number of rules in an answer."""


class Explaining:
    """Explains the values of paths by records and rules, as plain data.

    Args:
        reloader: knows the rules.
        last: the last records; None if nothing is recorded.
        redaction: knows the paths with secret values.
        folder: the rules folder.
    """

    def __init__(
        self,
        reloader: Reloader,
        last: LastRecords | None,
        redaction: Redaction | None = None,
        folder: Path = Path(),
    ) -> None:
        self._reloader = reloader
        self._last = last
        self._redaction = redaction or Redaction()
        self._drive_reports = DriveReports(reloader, redaction)
        self._folder = str(folder.resolve())

    def why(self, path: Any) -> dict[str, Any]:
        """Return the last records of a path with their causes, and the rules that use it.

        The result is that of `eshet_rules.why.memory.recall`, with `places`: the lines of the
        rules that make the outputs, as `file:line` by path and rule; `readers` and `writers`: the
        names of rules, each with its state and, if there is one, the reason for it; `stopped`:
        those rules that have made outputs and do not run now; and `naming`: others that do not run
        and name the path. `drive` is the report on a path with
        drivers, see `Publisher`, and else None. `folder` is the rules folder. `is_secret` is
        whether the values of the path are redacted: its drivers are left out then.
        """
        path = str(path)
        recalled = recall(self._last or LastRecords(), path)
        reports = self._reloader.last_reports  # the publisher asks for them twice a second
        idle = [each for each in reports if each.status.state is not RuleState.RUNNING]
        made = {output.get("rule") for output in recalled["outputs"].values()}
        instances = self._reloader.instances.values()
        naming = rules_that_name(instances, path) - made if idle else set()
        return {
            **recalled,
            "drive": self._drive_reports.of(path),
            "folder": self._folder,
            "is_recording": self._last is not None,
            "is_secret": self._redaction.hides(path),
            "places": self._reloader.places_of({path, *recalled["outputs"]}),
            "naming": [_rule(each) for each in idle if each.rule in naming][:_MOST_RULES],
            "readers": [_rule(each) for each in reports if path in each.reads][:_MOST_RULES],
            "stopped": [_rule(each) for each in idle if each.rule in made],
            "writers": [_rule(each) for each in reports if path in each.writes][:_MOST_RULES],
        }

    def inside(self, rule: Any) -> dict[str, Any]:
        """Return the graph of the inside of a rule, as plain data; see `draw_rule`.

        Raises:
            UnknownName: no rule of this name is running.
            GraphTooLarge: it does not fit into a message.
        """
        rule = str(rule)
        scopes = {
            name: scope
            for instance in self._reloader.instances.values()
            for name, scope in instance.scopes().items()
        }
        if rule not in scopes:
            raise UnknownName(rule, difflib.get_close_matches(rule, scopes, 3))
        plain = draw_rule(scopes[rule], self._redaction.hides).plain()
        if len(codec.pack(plain)) > _MOST_BYTES:
            raise GraphTooLarge(rule, len(plain["items"]))
        return plain


def _rule(report: RuleReport) -> list[str]:
    plain = report.plain()
    return [plain["rule"], plain["state"], plain["why"]]
