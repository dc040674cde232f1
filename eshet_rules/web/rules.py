"""The rules of a runner, and all about one of them."""

import asyncio
import difflib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from eshet.reactive.core.event import ListenedNode
from eshet.reactive.core.graph import Node, ScopeNodes
from eshet.reactive.core.value import ObservedNode
from eshet.scope import Scope
from eshet.unknown import Unknown
from eshet.yarp.outputs import HeldOutput
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.query import Filter
from eshet_rules.exceptions import UnknownName
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.runner.view import RunnerView
from eshet_rules.supervision.report import RuleReport
from eshet_rules.web.plain import LONGEST_VALUE, seen, stamp_at
from eshet_rules.web.trail import Trail
from eshet_rules.web.tree import Tree

__all__ = ["MOST", "Rules", "is_meant"]

MOST: Final = 500
"""Maximum number of rows in an answer."""

_RUNS: Final = 50
"""How many of the last records of a rule are shown."""


class Rules:
    """Describes rules.

    Args:
        view: the runner.
        tree: the nodes of its server.
        trail: the records of its trail.
    """

    def __init__(self, view: RunnerView, tree: Tree, trail: Trail) -> None:
        self._view = view
        self._tree = tree
        self._trail = trail

    def all(
        self, search: str = "", state: str = "", after: str = "", limit: int = MOST
    ) -> dict[str, Any]:
        """Return rules in the order of their names.

        Args:
            search: a part of a name or path, or a glob of a name.
            state: of the rules; empty for any.
            after: the name after which the answer starts.
            limit: the maximum number of rules.
        """
        found = [
            report
            for report in self._view.reloader.reports()
            if (not state or report.status.state == state)
            and is_meant(report.rule, (*report.reads, *report.writes), search)
        ]
        page = [report for report in found if report.rule > after]
        last_runs = _last_runs(page[:limit], self._last)
        return {
            "rules": [self.plain(each, last_runs) for each in page[:limit]],
            "total": len(found),
            "next": page[limit - 1].rule if len(page) > limit else None,
        }

    def plain(self, report: RuleReport, last_runs: Mapping[str, str]) -> dict[str, Any]:
        """Return a report as plain data, with the time of the last input or output of the rule."""
        plain = dict(report.plain())
        for name in ("last_error", "why"):
            if plain[name]:
                plain[name] = self._view.redaction.text(plain[name])
        return plain | {"last_run": last_runs.get(report.rule)}

    def changed(self, reports: list[RuleReport]) -> list[dict[str, Any]]:
        """Return reports as plain data; see `plain`."""
        last_runs = _last_runs(reports, self._last)
        return [self.plain(each, last_runs) for each in reports]

    async def one(self, name: str) -> dict[str, Any]:
        """Return all about one rule.

        Raises:
            UnknownName: there is no such rule.
        """
        report, instance = self.find(name)
        scope = instance.scopes().get(name)
        used = _used_nodes(scope)
        nodes = await self._tree.nodes()
        reports = self._view.reloader.reports()
        runs = await self._trail.newest(Filter(rule=name), _RUNS)
        return {
            "rule": self.changed([report])[0],
            "file": str(instance.version.source.path),
            "source": self._source(report, instance),
            "inputs": [
                self._input(path, used, nodes.get(path))
                | {"shared_by": [r.rule for r in reports if path in r.reads and r.rule != name]}
                for path in report.reads
            ],
            "outputs": [
                self._output(name, each) for each in instance.sinks().get(name, ()) if each.path
            ],
            "timers": list(_timers(scope)),
            "runs": runs["records"],
        }

    def find(self, name: str) -> tuple[RuleReport, ModuleInstance]:
        """Return the report on a rule, and the running instance of its module.

        Raises:
            UnknownName: there is no such rule.
        """
        reports = {each.rule: each for each in self._view.reloader.reports()}
        report = reports.get(name)
        if report is None:
            raise UnknownName(name, difflib.get_close_matches(name, reports, 3))
        instance = self._view.reloader.instances[report.module]
        return report, instance

    @property
    def _last(self) -> LastRecords:
        recorder = self._view.recorder
        return LastRecords() if recorder is None else recorder.last

    def _source(self, report: RuleReport, instance: ModuleInstance) -> dict[str, Any]:
        supervised = (each for each in instance.supervised if each.name == report.rule)
        lines = [each.line for each in supervised if each.file == str(instance.version.source.path)]
        failing = report.status.error_line
        return {
            "version": instance.version.source.version,
            "text": instance.version.source.data.decode(errors="replace"),
            "line": failing if report.status.last_error else None,
            "rule_line": lines[0] if lines else None,
        }

    def _input(self, path: str, used: Mapping[str, Node], node: Any) -> dict[str, Any]:
        value: object = Unknown
        if path in used:
            value = used[path].value
        elif node is not None:
            value = node.value
        plain, known = seen(path, value, self._view.redaction)
        return {
            "path": path,
            "kind": None if node is None else node.kind,
            "value": plain,
            "known": known,
            "since": self._last.since(path),
            "owner": None if node is None else node.owner,
        }

    def _output(self, rule: str, output: HeldOutput) -> dict[str, Any]:
        last = self._last.outputs.get(output.path)
        if last is not None and last.rule != rule:
            last = None
        sent: object = Unknown
        if output.last:
            sent = output.last[0]
        elif last is not None and not last.unknown:  # a driver keeps what it has sent elsewhere
            sent = last.value
        value, known = seen(output.path, sent, self._view.redaction)
        due = output.next_attempt
        return {
            "path": output.path,
            "function": output.function,
            "place": output.place,
            "value": value,
            "known": known,
            "outcome": None if last is None else last.outcome,
            "time": None if last is None else last.time,
            "attempts": None if last is None else last.attempt,
            "error": None if last is None or last.error is None else last.error[:LONGEST_VALUE],
            "next_attempt": None if due is None else stamp_at(due),
            "skipped": dict(self._last.skipped.get(output.path, {})),
        }


def is_meant(rule: str, paths: Sequence[str], search: str) -> bool:
    """Whether somebody who searches means a rule.

    Args:
        rule: its full name.
        paths: those that it reads and writes.
        search: a part of a name or path, or a glob of a name; empty for all rules.
    """
    if not search:
        return True
    wanted = search.lower()
    texts = (rule, *paths)
    return any(wanted in each.lower() for each in texts) or fnmatchcase(rule, search)


def _last_runs(reports: list[RuleReport], last: LastRecords) -> dict[str, str]:
    """Return the time of the last input or output of each rule that has had one."""
    by_rule: dict[str, str] = {}
    for output in last.outputs.values():
        if output.rule is not None:
            by_rule[output.rule] = max(by_rule.get(output.rule, ""), str(output.time))
    found = {}
    for report in reports:
        inputs = [str(last.inputs[path].time) for path in report.reads if path in last.inputs]
        if times := [*inputs, *filter(None, [by_rule.get(report.rule)])]:
            found[report.rule] = max(times)
    return found


def _used_nodes(scope: Scope | None) -> dict[str, Node]:
    """Return the nodes of the paths that a rule observes or listens to, by path."""
    if scope is None or scope.disposed:
        return {}
    nodes = (
        each for each in scope.get(ScopeNodes) if isinstance(each, ObservedNode | ListenedNode)
    )
    return {each.describe(): each for each in nodes}


def _timers(scope: Scope | None) -> Iterator[dict[str, Any]]:
    """Iterate over the timers of a rule that are set."""
    if scope is None or scope.disposed:
        return
    for node in list(scope.get(ScopeNodes)):
        timer = node.timer()
        if timer is not None and timer.when is not None:
            due = timer.when
            yield {"name": node.describe(), "at": stamp_at(due), "in_s": _left(due)}


def _left(due: float) -> float:
    return round(max(0.0, due - asyncio.get_running_loop().time()), 3)
