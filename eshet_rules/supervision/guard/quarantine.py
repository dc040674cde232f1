"""Which rules stay off since they ended the process, and when a start is in safe mode.

A rule to which a crash file points stays off, over restarts, until its file changes or somebody
lets it run. If the process does not live long, several times in a row, and no crash file tells of
whom, the next start is in safe mode: all rules stay off in it.
"""

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_now
from eshet.private_files import make_private_folder, write_privately
from eshet_rules.audit.records import (
    QuarantineNotWritten,
    RuleQuarantined,
    RunnerKilledByRule,
    SafeMode,
    emit,
)
from eshet_rules.modules.discovery import Source
from eshet_rules.supervision.guard.crash import Crash, Spot, read_crash
from eshet_rules.supervision.limits import RuleLimits

__all__ = ["Blame", "Quarantine", "attribute"]

_T = TypeVar("_T")

_CRASH: Final = "crash"
_BLAMED: Final = "blamed.json"
_STARTS: Final = "starts.json"

_MOST_CRASHES: Final = 20
"""How many crash files are kept for people."""


@dataclass(frozen=True)
class Blame:
    """What a rule is held to have done.

    Args:
        module: in which it is.
        rule: its name in the module; empty if any rule of the module may have been it.
        file: where it was.
        line: its number there.
        versions: of the modules, by name, of which one has to change before it may run.
        time: when it became known, in UTC.
        at_import: whether it was not even a rule yet: the module is not imported.
    """

    module: str
    rule: str
    file: str
    line: int
    versions: dict[str, str]
    time: str
    at_import: bool = False

    @property
    def name(self) -> str:
        """The full name of what is held off."""
        return f"{self.module}.{self.rule}" if self.rule else self.module

    @property
    def why(self) -> str:
        """What to tell people."""
        remedy = "" if self.at_import else f", or run `eshet-rules enable {self.name}`"
        return (
            f"it ended the runner at {self.file}:{self.line}; save its file when it is mended"
            + remedy
        )

    def is_about(self, rule: str) -> bool:
        """Whether this is about a rule, given by its full name."""
        return rule == self.name or rule.startswith(
            f"{self.name}[" if self.rule else f"{self.module}."
        )


class Quarantine:
    """Keeps rules off, and remembers that in a folder.

    Args:
        folder: for its files; it is there.
        log: where it is told what stays off, why, and how to go on.
        limits: what a short life is, and how many of them are too many.
    """

    def __init__(self, folder: Path, log: FilteringBoundLogger, limits: RuleLimits) -> None:
        self._folder = folder
        self._log = log
        self._limits = limits
        self._blames: list[Blame] = []
        self._written: list[Blame] = []
        self._safe: str | None = None
        self._let_run: set[str] = set()  # in spite of safe mode: rules, and modules
        self._at_start: dict[str, str] = {}  # the versions of modules

    @property
    def crash_file(self) -> Path:
        """The file that the next start reads."""
        return self._folder / _CRASH

    def begin(self, sources: Mapping[str, Source]) -> None:
        """Find out what happened to the process before this one, and count this start.

        Args:
            sources: what is in the rules folder now.
        """
        self._at_start = {name: source.version for name, source in sources.items()}
        crash = read_crash(self.crash_file)
        found = [] if crash is None else attribute(crash, sources)
        if crash is not None:
            self._keep_crash_file()
        self._written = self._read(_BLAMED, list[Blame])
        self._blames = [*self._written, *found]
        # Who is found to blame ends the row: something is done about it.
        starts = [] if found else self._read(_STARTS, list[str])
        if len(starts) >= self._limits.max_failed_starts:
            self._begin_safe_mode(len(starts))
        self._write(_STARTS, [*starts, _now()])
        self.see(sources)
        for each in self._blames:
            emit(
                self._log,
                RuleQuarantined(rule=each.name, why=each.why, file=each.file, line=each.line),
            )

    def mark_healthy(self) -> None:
        """Tell that the process has lived long enough, or that it ends well."""
        self._write(_STARTS, [])

    def see(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Let rules of files that have changed run again.

        Args:
            sources: what is in the rules folder now.

        Returns:
            What of it may be imported.
        """
        versions = {name: source.version for name, source in sources.items()}
        self._keep(each for each in self._blames if each.versions.items() <= versions.items())
        if self._safe is not None:
            self._let_run |= {n for n, v in versions.items() if self._at_start.get(n) != v}
        kept_out = {each.module for each in self._blames if each.at_import}
        return {name: source for name, source in sources.items() if name not in kept_out}

    def disabled_reason(self, rule: str) -> str | None:
        """Return why a rule stays off, given its full name; None if it may run."""
        for each in self._blames:
            if each.is_about(rule):
                return each.why
        if rule in self._let_run or rule.rpartition(".")[0] in self._let_run:
            return None
        return self._safe

    def let_run(self, rules: Iterable[str]) -> None:
        """Let rules run, given their full names."""
        self._let_run |= set(rules)
        self._keep(each for each in self._blames if not any(map(each.is_about, rules)))

    def write_again(self) -> None:
        """Write which rules stay off again, as the folder was deleted."""
        self._write(_BLAMED, self._blames)

    def _begin_safe_mode(self, starts: int) -> None:
        self._safe = (
            f"safe mode, as the last {starts} starts lived shorter than "
            f"{self._limits.min_uptime:g} s; save its file, or run `eshet-rules enable`"
        )
        emit(
            self._log,
            SafeMode(
                starts=starts,
                why=f"none of the last {starts} starts lived for {self._limits.min_uptime:g} s, "
                "and no crash file says whose fault that was",
                advice="save a rule's file, or run `eshet-rules enable RULE`, to let it run; the "
                "next start after this one runs all of them",
            ),
        )

    def _keep(self, blames: Iterable[Blame]) -> None:
        self._blames = list(blames)
        if self._blames != self._written:
            self._written = self._blames
            self._write(_BLAMED, self._blames)

    def _keep_crash_file(self) -> None:
        kept = self._folder / f"crash-{_now().replace(':', '')}"
        emit(self._log, RunnerKilledByRule(file=str(kept)))
        with contextlib.suppress(OSError):
            self.crash_file.replace(kept)
            for old in sorted(self._folder.glob("crash-*"))[:-_MOST_CRASHES]:
                old.unlink()

    def _read(self, name: str, kind: type[list[_T]]) -> list[_T]:
        try:
            return msgspec.json.decode((self._folder / name).read_bytes(), type=kind)
        except (OSError, ValueError):  # it is better to run rules than not to
            return []

    def _write(self, name: str, content: Sequence[object]) -> None:
        file = self._folder / name
        try:
            make_private_folder(self._folder)
            write_privately(file, msgspec.json.format(msgspec.json.encode(content)))
        except OSError as error:
            emit(self._log, QuarantineNotWritten(file=str(file), error=str(error)))


def attribute(crash: Crash, sources: Mapping[str, Source]) -> list[Blame]:
    """Return who is to blame for a crash: the rule in whose code the process was, if in any.

    Args:
        crash: what is known of it.
        sources: what is in the rules folder now.
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
    """Blame a rule of a file for what was at a spot, which may be in another file."""
    versions = {each.name: each.version for each in (source, at)}
    return Blame(source.name, rule, spot.file, spot.line, versions, _now())


def _source_of(rule: str, sources: Mapping[str, Source]) -> Source | None:
    names = [name for name in sources if rule.startswith(f"{name}.")]
    return sources[max(names, key=len)] if names else None


def _rule_at(source: Source, line: int) -> str | None:
    """Return the name of the rule whose function a line of a file is in; None if in none."""
    try:
        module = ast.parse(source.data)
    except (SyntaxError, ValueError):
        return None
    for node in module.body:
        if (
            isinstance(node, ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or node.lineno)
            and (node.decorator_list or node.name == "main")
        ):
            return next(_names_given(node), node.name)
    return None


def _names_given(function: ast.AsyncFunctionDef) -> Iterator[str]:
    """Iterate over the names that decorators give to a function."""
    for decorator in function.decorator_list:
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)


def _now() -> str:
    return wall_now(UTC).isoformat(timespec="seconds")
