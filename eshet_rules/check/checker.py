"""Checks a rules folder: loads its rules, and gathers all findings."""

import linecache
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eshet_rules.check.finding import Finding, Severity, sorted_findings
from eshet_rules.check.kinds import find_wrong_kinds
from eshet_rules.check.loading import REAL_TIME, load_rules
from eshet_rules.check.paths import find_in_paths
from eshet_rules.check.records import find_in_records
from eshet_rules.check.source import find_in_source
from eshet_rules.config import Configuration
from eshet_rules.mistakes.finder import ignored_codes
from eshet_rules.modules.discovery import Discovery
from eshet_rules.supervision.report import RuleReport

__all__ = ["Check", "check_folder_of_rules"]


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Args:
        findings: in the order of files and lines.
        files: the number of files.
        rules: a report on each rule, with the paths that it reads and writes.
    """

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    rules: list[RuleReport] = field(default_factory=list)

    def number_of(self, severity: Severity) -> int:
        """Return how many findings have a severity."""
        return sum(each.severity is severity for each in self.findings)

    def plain(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "findings": [each.plain() for each in self.findings],
            "files": self.files,
            "rules": [
                {"rule": each.rule, "reads": list(each.reads), "writes": list(each.writes)}
                for each in self.rules
            ],
        }


def check_folder_of_rules(
    folder: Path,
    configuration: Configuration,
    *,
    house: Mapping[str, str] | None = None,
    real_time: float = REAL_TIME,
) -> Check:
    """Check all modules of a rules folder.

    Args:
        folder: the rules folder, as an absolute path.
        configuration: its configuration, with the parameters of rules.
        house: the kinds of the paths that the real house provides; None if it was not asked.
        real_time: maximum real time without progress, in seconds.
    """
    sources = Discovery(folder, configuration.watch.exclude)()
    loaded = load_rules(folder, sources, configuration, real_time=real_time)
    files = {source.path for source in sources.values()}
    found = [
        *find_in_source(sources),
        *find_in_records(loaded, files),
        *find_wrong_kinds(loaded, house or {}),
        *find_in_paths(loaded, house),
    ]
    return Check(sorted_findings(_without_ignored(found)), len(files), loaded.reports)


def _without_ignored(found: Iterable[Finding]) -> Iterable[Finding]:
    """Iterate over the findings, except for those that a comment at their line ignores."""
    for each in found:
        line = linecache.getline(str(each.file), each.line) if each.line else ""
        if not ignored_codes(line)(str(each.code)):
            yield each
