"""Warns of runners with different versions of the rules, and of modules that none may run. No I/O.

The files of several machines do not change at the same moment, so only differences that last count.
"""

from collections.abc import Callable, Iterator
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.cluster import ModulesWithoutRunner, VersionsDiffer
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.entries import Modules
from eshet_rules.cluster.roster import Roster

__all__ = ["Comparison"]

_LASTING: Final = 10.0
"""Seconds after which a difference is logged."""

_MOST_LISTED: Final = 10
"""Maximum number of modules in a message."""


class Comparison:
    """Compares the modules of this runner with those of the others.

    Args:
        roster: knows the modules of all runners.
        runner: the name of this one.
        now: returns the loop's time.
        log: receives the differences.
    """

    def __init__(
        self,
        roster: Roster,
        runner: str,
        now: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._roster = roster
        self._runner = runner
        self._now = now
        self._log = log
        self._since: dict[str, tuple[list[str], float]] = {}  # by other runner, or empty
        self._logged: dict[str, list[str]] = {}
        self._compared = -1  # changes of the roster at the last comparison

    def check(self) -> None:
        """Log differences that have lasted; call it at intervals."""
        now = self._now()
        if self._compared != self._roster.changes:
            self._compared = self._roster.changes
            present = {other: names for other, names in self._differences() if names}
            before = self._since
            self._since = {
                other: (names, before[other][1] if other in before else now)
                for other, names in present.items()
            }
            self._logged = {other: n for other, n in self._logged.items() if other in present}
        for other, (names, since) in self._since.items():
            if now - since >= _LASTING and self._logged.get(other) != names:
                self._logged[other] = names
                self._log_difference(other, names)

    def _differences(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each other runner with the modules that differ, and last those without runner."""
        own = self._roster.runners.get(self._runner)
        if own is None or own.modules is None:
            return
        for name, other in self._roster.runners.items():
            if other is not own and other.modules is not None:
                yield name, _differing(own.modules, other.modules)
        first = self._roster.assignment.first
        yield "", sorted(own.modules.excluded.keys() - first.keys())

    def _log_difference(self, other: str, names: list[str]) -> None:
        if not other:
            emit(
                self._log,
                ModulesWithoutRunner(
                    cluster=self._roster.cluster,
                    modules=names,
                    advice="start a runner with such a label, or change [cluster.where]",
                ),
            )
            return
        emit(
            self._log,
            VersionsDiffer(
                cluster=self._roster.cluster,
                runners=sorted([self._runner, other]),
                modules=names[:_MOST_LISTED],
                more=max(0, len(names) - _MOST_LISTED) or None,
                advice="give all runners of the cluster the same files",
            ),
        )


def _differing(one: Modules, other: Modules) -> list[str]:
    if one is other:
        return []
    versions, others = one.versions, other.versions
    return sorted(name for name in versions if others.get(name, versions[name]) != versions[name])
