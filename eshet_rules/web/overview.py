"""The state of a house on one page: counts, and its problems, the worst first."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from eshet.address import Address
from eshet.clock import wall_now
from eshet.reactive.core.markers import is_same
from eshet.text import safe_repr, shorten
from eshet_rules.audit.query import ENDLESS
from eshet_rules.runner.path_warnings import contested_paths
from eshet_rules.runner.view import RunnerView
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.status import RuleState
from eshet_rules.web.other_runners import OtherRunners
from eshet_rules.web.plain import stamp
from eshet_rules.web.silences import Silences
from eshet_rules.web.tree import Node, Tree
from eshet_rules.why.times import until_text

__all__ = ["Kind", "Overview", "Problem"]

_PATIENCE: Final = 60.0
"""Seconds since the start of the runner, after which a path counts as not provided."""

_MOST: Final = 500

_BY_USER: Final = ("by command", "by the configuration", "by --only")
"""How the reason begins for which a rule is disabled because somebody wants it."""


class Kind(StrEnum):
    """The kinds of problems, the worst first."""

    BROKEN = "broken"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    BRIDGE_DOWN = "bridge_down"
    RETRYING = "retrying"
    OUTPUT_FAILED = "output_failed"
    NOT_PROVIDED = "not_provided"
    UNKNOWN_INPUT = "unknown_input"
    SILENT = "silent"
    CONFLICT = "conflict"
    CONTESTED = "contested"
    ROLLED_BACK = "rolled_back"
    WAITING = "waiting"
    OVERRIDE = "override"
    DISABLED = "disabled"


_ORDER: Final = list(Kind)


@dataclass(frozen=True)
class Problem:
    """Something that a person should know.

    Args:
        kind: its kind.
        subject: the rule, module, path or bridge.
        text: what is the matter, and what to do.
        since: since when, if that is known.
        href: a link within the page.
    """

    kind: Kind
    subject: str
    text: str
    since: str | None
    href: str


class Overview:
    """Finds the problems.

    Args:
        view: the runner.
        tree: the nodes of its server.
        silences: what was regular and has stopped.
        others: the other runners of its cluster, whose rules may have problems as well.
    """

    def __init__(
        self, view: RunnerView, tree: Tree, silences: Silences, others: OtherRunners
    ) -> None:
        self._view = view
        self._tree = tree
        self._silences = silences
        self._others = others

    async def now(self) -> dict[str, Any]:
        """Return the runner, counts and problems."""
        view = self._view
        nodes = await self._tree.nodes()
        others = await self._others.rules()
        reports = view.reloader.reports()
        states = Counter(str(report.status.state) for report in reports)
        problems = sorted(self._problems(reports, others, nodes), key=_severity)
        return {
            "runner": {
                "name": view.name,
                "folder": str(view.folder),
                "since": stamp(view.since),
                "pid": os.getpid(),
                "connected": view.client.connected,
                "server": _server_text(view.client.server),
            },
            "counts": {
                "rules": len(reports),
                **{str(state): states[str(state)] for state in RuleState},
                "modules": len(view.reloader.instances),
                "paths": len(nodes),
                "bridges": len(view.bridges()),
            },
            "recording": view.recorder is not None and view.recorder.trail is not None,
            "problems": [asdict(each) for each in problems[:_MOST]],
            "more": max(0, len(problems) - _MOST),
        }

    def _problems(
        self,
        reports: list[RuleReport],
        others: list[dict[str, Any]],
        nodes: Mapping[str, Node],
    ) -> Iterator[Problem]:
        view = self._view
        of_all = [*(report.plain() for report in reports), *others]
        for module, error in view.reloader.broken.items():
            instance = view.reloader.instances.get(module)
            still = (
                "none of its rules run"
                if instance is None
                else f"version {instance.version.source.version} still runs"
            )
            text = f"its file can't be loaded, {still}: {error}"
            yield _of(Kind.BROKEN, module, self._text(text), None, f"versions/{module}")
        for rule in of_all:
            yield from self._of_rule(rule)
        for bridge in view.bridges():
            if bridge["problem"] or not bridge["connected"]:
                text = bridge["problem"] or f"no connection to {bridge['server']}"
                yield _of(Kind.BRIDGE_DOWN, bridge["bridge"], self._text(text), None, "bridges")
        if nodes:
            yield from self._of_inputs(of_all, nodes)
            yield from self._of_outputs(reports, nodes)
        for what, since in self._silences.latest.items():
            if not view.is_ignored(what):
                text = "it was regular in the last week, and has stopped"
                where = _path_link(what) if what.startswith("/") else f"rules/{what}"
                yield _of(Kind.SILENT, what, text, since, where)
        for path, rules in contested_paths(reports).items():
            if view.is_ignored(path):
                continue
            text = f"{', '.join(rules)} set it: the last one wins each time; see yarp.drive"
            yield _of(Kind.CONFLICT, path, text, None, _path_link(path))
        yield from self._of_drives()
        for module, back in view.control.rolled_back.items():
            text = f"version {back.version} runs, rolled back by {back.by}: {back.why}".rstrip(": ")
            since = stamp(back.since)
            yield _of(Kind.ROLLED_BACK, module, self._text(text), since, f"versions/{module}")
        for module in view.control.waiting:
            text = "a saved change waits for `eshet-rules commit`"
            yield _of(Kind.WAITING, module, text, None, f"versions/{module}")

    def _of_rule(self, rule: Mapping[str, Any]) -> Iterator[Problem]:
        kind = {
            RuleState.FAILED: Kind.FAILED,
            RuleState.RETRYING: Kind.RETRYING,
            RuleState.RESTARTING: Kind.RETRYING,
            RuleState.DISABLED: Kind.DISABLED,
        }.get(rule["state"])
        if kind is None:
            return
        if kind is Kind.DISABLED and not rule["why"].startswith(_BY_USER):
            kind = Kind.QUARANTINED
        text = self._text(rule["why"] or rule["last_error"] or rule["state"])
        if kind is Kind.DISABLED:
            text = f"disabled {text}"
        if "runner" in rule:
            text = f"at {rule['runner']}: {text}"
        yield _of(kind, rule["rule"], text, rule["since"], f"rules/{rule['rule']}")

    @property
    def _is_new(self) -> bool:
        """Whether devices may still be on their way, after a start of the machine."""
        return (wall_now(UTC) - self._view.since).total_seconds() < _PATIENCE

    def _of_outputs(
        self, reports: list[RuleReport], nodes: Mapping[str, Node]
    ) -> Iterator[Problem]:
        recorder = self._view.recorder
        outputs = {} if recorder is None else recorder.last.outputs
        for report in reports:
            for path in report.writes if report.status.state is RuleState.RUNNING else ():
                output, node = outputs.get(path), nodes.get(path)
                if output is None or output.rule != report.rule or output.outcome != "failed":
                    continue
                is_absent = node is None or node.owner is None
                if (is_absent and self._is_new) or self._view.is_ignored(path):
                    continue
                if node is not None and node.is_known and is_same(node.value, output.value):
                    continue  # it shows the value all the same, as a device that is back
                why = (
                    "nothing provides this path" if is_absent else shorten(output.error or "", 500)
                )
                text = f"the last output of {report.rule} to it has failed: {why}"
                yield _of(Kind.OUTPUT_FAILED, path, self._text(text), None, _path_link(path))

    def _of_inputs(
        self, of_all: Iterable[Mapping[str, Any]], nodes: Mapping[str, Node]
    ) -> Iterator[Problem]:
        readers: dict[str, list[str]] = {}
        for rule in of_all:
            for path in rule["reads"]:
                readers.setdefault(path, []).append(rule["rule"])
        for path, rules in sorted(readers.items()):
            node = nodes.get(path)
            by = f"read by {', '.join(rules[:3])}{' and others' if len(rules) > 3 else ''}"
            if node is None or node.owner is None:
                is_event = node is not None and node.kind == "event"
                if not (self._is_new or is_event or self._view.is_ignored(path)):
                    text = f"nothing provides this path, {by}"
                    yield _of(Kind.NOT_PROVIDED, path, text, None, _path_link(path))
            elif node.kind == "state" and not node.is_known:
                text = f"its value is unknown, {by}"
                yield _of(Kind.UNKNOWN_INPUT, path, text, None, _path_link(path))

    def _of_drives(self) -> Iterator[Problem]:
        view = self._view
        now = wall_now(UTC)
        for drive in view.drive_reports.after(""):
            path = drive["path"]
            if drive.get("contested"):
                text = "others change it again and again, so it is set at most once a minute"
                yield _of(Kind.CONTESTED, path, text, None, _path_link(path))
            override = drive.get("override")
            if override is not None and (override["until"] or ENDLESS) > stamp(now):
                until = (
                    f"until {until_text(override['until'], now, None)}"
                    if override["until"]
                    else "until it is released"
                )
                value = view.redaction.value(override["value"])
                text = f"set by hand to {safe_repr(value, 100)}, {until}"
                yield _of(Kind.OVERRIDE, path, text, override.get("since"), _path_link(path))

    def _text(self, text: str) -> str:
        return self._view.redaction.text(text)


def _server_text(server: object) -> str:
    """Return the address of a server, which may run in this process; of a shared tree, its own."""
    addresses = getattr(server, "addresses", None)
    if addresses is None:
        return str(server)
    if (tree := getattr(server, "address", None)) is not None:
        return str(tree)
    return ", ".join(str(Address(*each)) for each in addresses) or "in this process"


def _of(kind: Kind, subject: str, text: str, since: str | None, where: str) -> Problem:
    return Problem(kind, subject, text, since, f"#/{quote(where, safe='/')}")


def _path_link(path: str) -> str:
    return f"path{path}"


def _severity(problem: Problem) -> tuple[int, str]:
    return _ORDER.index(problem.kind), problem.subject
