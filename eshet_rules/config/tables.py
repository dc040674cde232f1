"""What can be configured: a dataclass for each table of the file, with all defaults."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeVar

from eshet.utils import TaskStrategy
from eshet_rules.config.kinds import (
    ADDRESS,
    FLAG,
    NAME,
    PATH,
    PATH_OR_FLAG,
    TEXTS,
    ValueKind,
    one_of,
    seconds,
    whole_number,
)
from eshet_rules.config.parameters import Parameters
from eshet_rules.supervision.limits import RuleLimits

__all__ = [
    "RENAMED",
    "Configuration",
    "LogSettings",
    "Pattern",
    "RuleSettings",
    "ServerSettings",
    "StateSettings",
    "WatchSettings",
    "is_meant",
]

T = TypeVar("T")

RENAMED: Final[Mapping[str, str]] = {
    "first_pause": "backoff_initial",
    "longest_pause": "backoff_max",
    "short_life": "min_uptime",
    "short_lives": "max_failed_starts",
}
"""Keys of earlier versions, and what they are called now."""


def setting(kind: ValueKind, default: T) -> T:
    """Declare a key of a table: which values it may have, and which it has if it is not there."""
    declared: T = field(default=default, metadata={"kind": kind})
    return declared


@dataclass(frozen=True)
class ServerSettings:
    """`[server]`: the house that the rules run in.

    Args:
        address: of the server, as `--server`; found or started, if not given.
        name: under which the runner publishes what it does, in `/eshet_rules/NAME`; that of the
            rules folder, if not given.
    """

    address: str | None = setting(ADDRESS, None)
    name: str | None = setting(NAME, None)


@dataclass(frozen=True)
class LogSettings:
    """`[log]`: what is told, and where.

    Args:
        format: lines for people, or JSON lines for machines.
        level: from which on it is shown.
        audit: the file or folder of the audit trail; whether there is one, in the state folder.
        redact: paths and fields whose values are never written, as globs.
        file_bytes: the size from which on a file of the trail is closed, and another begun.
        total_bytes: all files of the trail together are not to be larger: the oldest go.
    """

    format: str = setting(one_of("console", "json"), "console")
    level: str = setting(one_of("debug", "info", "warning", "error"), "info")
    audit: Path | bool = setting(PATH_OR_FLAG, True)
    redact: tuple[str, ...] = setting(TEXTS, ())
    file_bytes: int = setting(whole_number("bytes", 4096), 64 * 1024 * 1024)
    total_bytes: int = setting(whole_number("bytes", 4096), 4 * 1024 * 1024 * 1024)


@dataclass(frozen=True)
class StateSettings:
    """`[state]`: what is kept over a restart.

    Args:
        folder: for it, which is made if it is not there; see `--state` for the default.
    """

    folder: Path | None = setting(PATH, None)


@dataclass(frozen=True)
class WatchSettings:
    """`[watch]`: how changes of files are followed.

    Args:
        reload: whether they are.
        settle: for so long, in seconds, nothing must change until it is looked at.
        rescan: after so long, in seconds, it is looked at without a hint that it has changed.
        exclude: globs of files and folders of the rules folder that are not loaded.
    """

    reload: bool = setting(FLAG, True)
    settle: float = setting(seconds(), 0.05)
    rescan: float = setting(seconds(), 2.0)
    exclude: tuple[str, ...] = setting(TEXTS, ())


def is_meant(rule: str, name: str) -> bool:
    """Whether a rule, given by its full name, is meant by a name that people write.

    Args:
        rule: as `hall.hall_light`.
        name: that of a rule, or of a module, or a glob of either.
    """
    names = (rule, rule.rpartition(".")[0])
    return name in names or any(fnmatchcase(each, name) for each in names)


@dataclass(frozen=True)
class RuleSettings:
    """What is configured of one rule.

    Args:
        disabled: why it does not run; None if it does.
        strategy: under which it runs if it chooses none itself; None for the default one.
        limits: of what it may do.
        parameters: what it is given as `config`.
    """

    disabled: str | None = None
    strategy: TaskStrategy | None = None
    limits: RuleLimits = RuleLimits()
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True)
class Pattern:
    """`[rules."GLOB"]`: what is configured of the rules, or of all rules of the modules, of a name.

    Args:
        glob: of full names of rules, as `hall.*`, or of modules.
        enabled: see `RuleSettings`; None where it is not said.
        strategy: likewise.
        limits: those that are others than in `[supervision]`, by name.
        parameters: by name.
    """

    glob: str
    enabled: bool | None = None
    strategy: TaskStrategy | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, rule: str) -> bool:
        """Whether it is about a rule, given by its full name, `MODULE.RULE`."""
        return is_meant(rule, self.glob)

    def limited(self, limits: RuleLimits) -> RuleLimits:
        """Return limits with those of this pattern, unless they do not fit to each other."""
        try:
            return dataclasses.replace(limits, **self.limits)
        except ValueError:
            return limits


@dataclass(frozen=True)
class Configuration:
    """All that is configured.

    Args:
        server: see `ServerSettings`.
        log: see `LogSettings`.
        state: see `StateSettings`.
        watch: see `WatchSettings`.
        supervision: how much rules may do before they are stopped.
        strategy: of rules that have no other, by `[strategy]`.
        rules: see `Pattern`, in the order of the file. Where several are about a rule, the last
            one that says something counts; parameters and limits each on their own.
        file: where it is read from, or would be.
    """

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    state: StateSettings = StateSettings()
    watch: WatchSettings = WatchSettings()
    supervision: RuleLimits = RuleLimits()
    strategy: TaskStrategy | None = None
    rules: tuple[Pattern, ...] = ()
    file: Path = Path("eshet-rules.toml")

    def for_rule(self, rule: str) -> RuleSettings:
        """Return what is configured of a rule, given by its full name, as `hall.hall_light`."""
        enabled, strategy = True, self.strategy
        limits = self.supervision
        parameters: dict[str, Any] = {}
        for pattern in self._about(rule):
            enabled = enabled if pattern.enabled is None else pattern.enabled
            strategy = pattern.strategy or strategy
            limits = pattern.limited(limits)
            parameters |= pattern.parameters
        return RuleSettings(
            None if enabled else "by the configuration",
            strategy,
            limits,
            Parameters(parameters, rule=rule, file=str(self.file)),
        )

    def _about(self, rule: str) -> Iterator[Pattern]:
        return (pattern for pattern in self.rules if pattern.matches(rule))
