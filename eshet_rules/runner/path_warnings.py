"""Warnings about paths: several rules set one, or nothing provides it."""

import asyncio
from collections.abc import Iterable
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.exceptions import EshetError
from eshet.paths import nearest
from eshet_rules.audit.records.paths import PathNotProvided, PathSetBySeveralRules
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import WarningSettings
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.report import RuleReport

__all__ = ["PathWarnings", "contested_paths"]

_PATIENCE: Final = 60.0
"""Seconds after which a path counts as not provided: devices may come later than the rules."""


class PathWarnings:
    """Warns of each path once.

    Args:
        client: the runner's own client.
        reloader: knows the rules.
        log: receives the warnings.
        settings: the paths of which nothing is reported.
    """

    def __init__(
        self,
        client: Client,
        reloader: Reloader,
        log: FilteringBoundLogger,
        settings: WarningSettings,
    ) -> None:
        self._client = client
        self._reloader = reloader
        self._log = log
        self._settings = settings
        self._writers: dict[str, list[str]] = {}  # of paths with several, as last logged
        self._looked_at: set[str] = set()  # paths that were provided, or were reported

    def configure(self, settings: WarningSettings) -> None:
        """Apply new settings to further warnings."""
        self._settings = settings

    def is_ignored(self, path: str) -> bool:
        """Whether nothing is reported of a path."""
        return self._settings.is_ignored(path)

    async def run(self) -> None:
        """Look once a minute for paths that rules read for a minute, and nothing provides."""
        waiting: set[str] = set()
        while True:
            await asyncio.sleep(_PATIENCE)
            read = {path for report in self._reloader.reports() for path in report.reads}
            if due := waiting & read:
                try:
                    await self._look(due)
                except EshetError:
                    continue  # without a connection, or a server without a list of its paths
            waiting = read - self._looked_at

    async def _look(self, paths: set[str]) -> None:
        kinds: dict[str, str] = {}
        provided: set[str] = set()
        async for path, kind, owner in list_nodes(self._client):
            kinds[path] = kind
            if owner is not None:
                provided.add(path)
        self._looked_at |= paths
        for path in sorted(paths - provided):
            alike = [each for each in provided if kinds.get(path) in (None, kinds[each])]
            near = nearest(path, alike)
            # Any client may emit an event, without having announced it.
            if not self._settings.is_ignored(path) and (near or kinds.get(path) != "event"):
                self._warn_of_absent(path, near)

    def _warn_of_absent(self, path: str, near: list[str]) -> None:
        advice = "check its name, and that its device is connected"
        if near:
            advice = f"did you mean {' or '.join(near)}?"
        reports = self._reloader.reports()
        rules = [report.rule for report in reports if path in report.reads]
        emit(self._log, PathNotProvided(path=path, rules=rules, advice=advice))

    def look_at_writers(self, reports: Iterable[RuleReport]) -> None:
        """Warn of each path that several rules set; see `contested_paths`."""
        for path, rules in contested_paths(reports).items():
            if self._writers.get(path) != rules and not self._settings.is_ignored(path):
                self._writers[path] = rules
                self._warn_of_writers(path, rules)

    def _warn_of_writers(self, path: str, rules: list[str]) -> None:
        places = self._reloader.places_of([path])[path]
        emit(
            self._log,
            PathSetBySeveralRules(
                path=path,
                rules=[f"{rule} ({places[rule]})" if rule in places else rule for rule in rules],
                advice="the last one wins each time; let all of them use yarp.drive, with "
                "priorities, or let one rule decide, from all its inputs",
            ),
        )


def contested_paths(reports: Iterable[RuleReport]) -> dict[str, list[str]]:
    """Return the rules that set a path to the values of their Values, if they are several, by path.

    Rules that only drive a path are not rivals of each other.
    """
    writers: dict[str, list[str]] = {}
    drivers: dict[str, list[str]] = {}
    for report in reports:
        for path in report.holds:
            writers.setdefault(path, []).append(report.rule)
        for path in report.drives:
            drivers.setdefault(path, []).append(report.rule)
    all_writers = {
        path: list(dict.fromkeys([*holders, *drivers.get(path, ())]))
        for path, holders in writers.items()
    }
    return {path: rules for path, rules in all_writers.items() if len(rules) > 1}
