"""Disables rules that ended the process, and decides whether a start is in safe mode.

A rule that a crash file is attributed to stays disabled, across restarts, until its file changes or
a command enables it. If the process exits early several times in a row, and no crash file names a
rule, the next start is in safe mode: all rules are disabled.
"""

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_now
from eshet.private_files import make_private_folder, write_privately
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import (
    QuarantineNotWritten,
    RuleQuarantined,
    RunnerKilledByRule,
    SafeMode,
)
from eshet_rules.mistakes.finder import parse
from eshet_rules.modules.discovery import Source
from eshet_rules.regular_files import read_regular
from eshet_rules.supervision.guard.crash import Crash, Spot, read_crash
from eshet_rules.supervision.limits import RuleLimits

__all__ = ["Blame", "Quarantine", "attribute"]

_MAX_BYTES: Final = 16 << 20
"""Maximum size of a file that is read."""

_T = TypeVar("_T")

_CRASH: Final = "crash"
_BLAMED: Final = "blamed.json"
_STARTS: Final = "starts.json"

_MOST_CRASHES: Final = 20
"""Number of crash files that are kept for inspection."""


@dataclass(frozen=True)
class Blame:
    """A crash that is attributed to a rule or module.

    Args:
        module: the module.
        rule: the name of the rule in the module; empty if it may be any rule of the module.
        file: the file that was being executed.
        line: the line number.
        versions: versions of modules, by name; the rule is released when one of them changes.
        time: when the crash was attributed, in UTC.
        at_import: whether the crash happened during the import; then the module is not imported.
        runner: the runner of the cluster that has crashed; empty for this one.
    """

    module: str
    rule: str
    file: str
    line: int
    versions: dict[str, str]
    time: str
    at_import: bool = False
    runner: str = ""

    @property
    def name(self) -> str:
        """The full name of the rule, or the name of the module."""
        return f"{self.module}.{self.rule}" if self.rule else self.module

    @property
    def why(self) -> str:
        """Why the rule is disabled, and what to do."""
        remedy = "" if self.at_import else f", or run `eshet-rules enable {self.name}`"
        runner = f"the runner {self.runner}" if self.runner else "the runner"
        return f"it ended {runner} at {self.file}:{self.line}; fix and save its file{remedy}"

    def holds(self, versions: Mapping[str, str]) -> bool:
        """Whether it concerns these versions of modules, by name."""
        return self.versions.items() <= versions.items()

    def concerns(self, rule: str) -> bool:
        """Whether this concerns a rule, given by its full name."""
        return rule == self.name or rule.startswith(
            f"{self.name}[" if self.rule else f"{self.module}."
        )


class Quarantine:
    """Disables rules, and keeps the list of them in a folder.

    Args:
        folder: an existing folder for its files.
        log: receives a message for each disabled rule.
        limits: which starts count as failed, and how many of them lead to safe mode.
    """

    def __init__(self, folder: Path, log: FilteringBoundLogger, limits: RuleLimits) -> None:
        self._folder = folder
        self._log = log
        self._limits = limits
        self._blames: list[Blame] = []
        self._written: list[Blame] = []
        self._elsewhere: dict[str, Blame] = {}  # by name, also of versions that are not here
        self._versions: dict[str, str] = {}  # of the present sources
        self._safe: str | None = None
        self._released: set[str] = set()  # rules and modules that run in spite of safe mode
        self._at_start: dict[str, str] = {}  # the versions of modules

    @property
    def crash_file(self) -> Path:
        """The crash file, which the next start reads."""
        return self._folder / _CRASH

    @property
    def own(self) -> list[Blame]:
        """The crashes of this runner for which rules are in quarantine."""
        return [each for each in self._blames if not each.runner]

    def begin(self, sources: Mapping[str, Source]) -> None:
        """Read the crash file of the previous process, if there is one, and count this start.

        Args:
            sources: the present content of the rules folder.
        """
        self._at_start = {name: source.version for name, source in sources.items()}
        crash = read_crash(self.crash_file)
        found = [] if crash is None else attribute(crash, sources)
        if crash is not None:
            self._keep_crash_file()
        self._written = self._read(_BLAMED, list[Blame])
        self._blames = [*self._written, *found]
        # A crash that is attributed to a rule resets the count, as that rule is now disabled.
        starts = [] if found else self._read(_STARTS, list[str])
        if len(starts) >= self._limits.max_failed_starts:
            self._begin_safe_mode(len(starts))
        self._write(_STARTS, [*starts, _now()])
        self.admit(sources)
        for each in self._blames:
            self._log_quarantined(each)

    def mark_healthy(self) -> None:
        """Note that this start has succeeded: the process has run for long, or exits normally."""
        self._write(_STARTS, [])

    def admit(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Release rules if their files have changed, and return the sources that may be imported.

        Args:
            sources: the present content of the rules folder.
        """
        self._versions = versions = {name: source.version for name, source in sources.items()}
        if self._blames or self._elsewhere or self._safe is not None:
            self._keep(each for each in self._blames if each.holds(versions))
            self._adopt()
            self._released |= {n for n, v in versions.items() if self._at_start.get(n) != v}
        kept_out = {each.module for each in self._blames if each.at_import}
        return {name: source for name, source in sources.items() if name not in kept_out}

    def disabled_reason(self, rule: str) -> str | None:
        """Return why a rule is disabled, given its full name; None if it may run."""
        for each in self._blames:
            if each.concerns(rule):
                return each.why
        if rule in self._released or rule.rpartition(".")[0] in self._released:
            return None
        return self._safe

    def is_in_safe_mode(self, rule: str) -> bool:
        """Whether a rule, given its full name, does not run because of safe mode."""
        return self._safe is not None and self.disabled_reason(rule) == self._safe

    def release(self, rules: Iterable[str]) -> list[Blame]:
        """Release rules, given their full names, and return why they were in quarantine."""
        rules = list(rules)
        self._released |= set(rules)
        return self._drop(lambda blame: any(map(blame.concerns, rules)))

    def follow(self, blames: Iterable[Blame], released: Mapping[str, str]) -> bool:
        """Disable rules that have ended other runners, in the versions with which they did.

        Args:
            blames: their crashes.
            released: when rules and modules were enabled elsewhere, by name, in UTC.

        Returns:
            Whether other rules are in quarantine now.
        """
        before = self._blames
        self._drop(lambda blame: blame.time <= released.get(blame.name, ""))
        self._elsewhere.update({each.name: each for each in blames})
        self._adopt()
        return self._blames != before

    def write_again(self) -> None:
        """Write the list of disabled rules again after the folder was deleted."""
        self._write(_BLAMED, self._blames)

    def _begin_safe_mode(self, starts: int) -> None:
        self._safe = (
            f"safe mode, as the last {starts} starts failed within "
            f"{self._limits.min_uptime:g} s; save its file, or run `eshet-rules enable`"
        )
        emit(
            self._log,
            SafeMode(
                starts=starts,
                why=f"the last {starts} starts failed within {self._limits.min_uptime:g} s, and no "
                "crash file names a rule",
                advice="save a rule's file, or run `eshet-rules enable RULE`, to run it; the start "
                "after this one runs all rules again",
            ),
        )

    def _adopt(self) -> None:
        """Disable the rules that have ended other runners in the present versions."""
        known = {each.name for each in self._blames}
        found = [
            each
            for each in self._elsewhere.values()
            if each.name not in known and each.holds(self._versions)
        ]
        self._keep([*self._blames, *found])
        for each in found:
            self._log_quarantined(each)

    def _drop(self, is_over: Callable[[Blame], bool]) -> list[Blame]:
        """Release the rules of blames that are over, and return these blames."""
        over = {
            each.name: each for each in (*self._blames, *self._elsewhere.values()) if is_over(each)
        }
        self._elsewhere = {n: each for n, each in self._elsewhere.items() if n not in over}
        self._keep(each for each in self._blames if each.name not in over)
        return list(over.values())

    def _keep(self, blames: Iterable[Blame]) -> None:
        self._blames = list(blames)
        if self._blames != self._written:
            self._written = self._blames
            self._write(_BLAMED, self._blames)

    def _log_quarantined(self, blame: Blame) -> None:
        record = RuleQuarantined(rule=blame.name, why=blame.why, file=blame.file, line=blame.line)
        emit(self._log, record)

    def _keep_crash_file(self) -> None:
        kept = self._folder / f"crash-{_now().replace(':', '')}"
        emit(self._log, RunnerKilledByRule(file=str(kept)))
        with contextlib.suppress(OSError):
            self.crash_file.replace(kept)
            for old in sorted(self._folder.glob("crash-*"))[:-_MOST_CRASHES]:
                old.unlink()

    def _read(self, name: str, kind: type[list[_T]]) -> list[_T]:
        try:
            data, _ = read_regular(self._folder / name, _MAX_BYTES)
            return msgspec.json.decode(data, type=kind)
        except (OSError, ValueError, RecursionError):  # if in doubt, run the rules
            return []

    def _write(self, name: str, content: Sequence[object]) -> None:
        file = self._folder / name
        try:
            make_private_folder(self._folder)
            write_privately(file, msgspec.json.format(msgspec.json.encode(content)))
        except OSError as error:
            emit(self._log, QuarantineNotWritten(file=str(file), error=str(error)))


def attribute(crash: Crash, sources: Mapping[str, Source]) -> list[Blame]:
    """Attribute a crash to the rule or module that was running; return [] if there is none.

    Args:
        crash: the content of the crash file.
        sources: the present content of the rules folder.
    """
    by_path = {str(source.path): source for source in sources.values()}
    spots = [spot for spot in crash.stack if spot.file in by_path]
    if not spots:
        return []
    where = by_path[spots[0].file], spots[0]
    for spot in spots:
        if (rule := _rule_at(by_path[spot.file], spot.line)) is not None:
            return [_blamed(by_path[spot.file], rule, *where)]
    if crash.rule is not None and (source := _source_of(crash.rule, sources)) is not None:
        return [_blamed(source, crash.rule.removeprefix(f"{source.name}."), *where)]
    modules = [spot for spot in spots if not by_path[spot.file].is_helper] or spots
    found = _blamed(by_path[modules[-1].file], "", *where)
    return [replace(found, at_import=modules[-1].function == "<module>")]


def _blamed(source: Source, rule: str, at: Source, spot: Spot) -> Blame:
    """Attribute a crash at a spot, which may be in another file, to a rule of a file."""
    versions = {each.name: each.version for each in (source, at)}
    return Blame(source.name, rule, spot.file, spot.line, versions, _now())


def _source_of(rule: str, sources: Mapping[str, Source]) -> Source | None:
    names = [name for name in sources if rule.startswith(f"{name}.")]
    return sources[max(names, key=len)] if names else None


def _rule_at(source: Source, line: int) -> str | None:
    """Return the name of the rule at a line of a file; None if there is none."""
    module = parse(source.data)
    if module is None:
        return None
    for node in module.body:
        if (
            isinstance(node, ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or node.lineno)
            and (node.decorator_list or node.name == "main")
        ):
            return next(_decorator_names(node), node.name)
    return None


def _decorator_names(function: ast.AsyncFunctionDef) -> Iterator[str]:
    """Iterate over the `name` arguments of a function's decorators."""
    for decorator in function.decorator_list:
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)


def _now() -> str:
    return wall_now(UTC).isoformat(timespec="seconds")
