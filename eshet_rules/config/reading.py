"""Reads a configuration file, or reports all mistakes in it at once."""

import dataclasses
import difflib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from eshet.bridges.settings import misspelt, read_bridges
from eshet.settings.kinds import FLAG, show
from eshet.settings.problem import Problem, SettingsError
from eshet.settings.table import Table, TableReader, dotted, kinds_of
from eshet.settings.toml import parse_toml
from eshet.utils import TaskStrategy
from eshet_rules.config.tables import (
    RENAMED,
    AuditSettings,
    ClusterSettings,
    Configuration,
    LogSettings,
    Pattern,
    ReloadSettings,
    ServerSettings,
    StateSettings,
    WarningSettings,
    WatchSettings,
    WebSettings,
)
from eshet_rules.config.where import Where
from eshet_rules.exceptions import (
    ConfigurationError,
    LimitError,
    StrategySettingsError,
    WhereError,
)
from eshet_rules.regular_files import UnusableFile, read_regular
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.strategies import strategy_from

__all__ = ["FILE_NAME", "MAX_BYTES", "ConfigurationFile"]

FILE_NAME: Final = "eshet-rules.toml"

MAX_BYTES: Final = 1 << 20
"""Maximum size of the file, in bytes."""

Overrides = Mapping[str, Mapping[str, Any]]


class ConfigurationFile:
    """A configuration file, which can be read again whenever it changes.

    Args:
        path: the path of the file.
        must_exist: whether a missing file is an error; else it means that all defaults apply.
        overrides: settings of the command line, by table and key; None overrides nothing.
    """

    def __init__(
        self, path: Path, *, must_exist: bool = False, overrides: Overrides | None = None
    ) -> None:
        self.path: Final = path
        self._must_exist = must_exist
        self._overrides = overrides or {}
        self.content: bytes | None = None
        """The content when the file was last read; None if it could not be read."""
        self._may_be_pipe = must_exist
        self.is_pipe: bool = False
        """Whether the file is a pipe: its content is read once and can't change."""

    def read(self) -> Configuration:
        """Read and check the file.

        Raises:
            ConfigurationError: the file has mistakes; the error lists all of them.
        """
        configuration = _read(self._text(), self.path)
        for table, values in self._overrides.items():
            changes = {name: value for name, value in values.items() if value is not None}
            replaced = dataclasses.replace(getattr(configuration, table), **changes)
            configuration = dataclasses.replace(configuration, **{table: replaced})
        return configuration

    def _text(self) -> str:
        if self.is_pipe and self.content is not None:
            return self.content.decode()
        self.content = None
        try:
            # `--config <(…)` of a shell is a pipe. Only the first read may wait for its content.
            pipes, self._may_be_pipe = self._may_be_pipe, False
            self.content, status = read_regular(self.path, MAX_BYTES, pipes=pipes)
            self.is_pipe = stat.S_ISFIFO(status.st_mode)
            return self.content.decode()
        except FileNotFoundError:
            if not self._must_exist:
                return ""
            problem = "there is no such file; write one with `eshet-rules init`"
        except UnicodeDecodeError as error:
            problem = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        except UnusableFile as error:
            problem = f"it {error}; replace it by a file with the configuration"
        except OSError as error:
            problem = f"it can't be read, {error.strerror}; check its type, owner and permissions"
        raise ConfigurationError([Problem(str(self.path), 0, "", problem)])


def _read(text: str, path: Path) -> Configuration:
    try:
        content = parse_toml(text, path)
    except SettingsError as error:
        raise ConfigurationError(error.problems) from None
    reader = _Reader(content, text, path)
    configuration = reader.configuration()
    if reader.problems:
        raise ConfigurationError(sorted(reader.problems, key=lambda problem: problem.line))
    return configuration


class _Reader(TableReader):
    """Reads the tables of a file, and collects all problems.

    Args:
        content: the parsed content of the file.
        text: the text of the file.
        path: the path of the file.
    """

    def __init__(self, content: Table, text: str, path: Path) -> None:
        super().__init__(text, path, RENAMED)
        self._content = content
        self._path = path
        self._supervision = RuleLimits()

    def configuration(self) -> Configuration:
        """Return the configuration, with defaults for all settings that are not valid."""
        limits = self._limits(("supervision",), self._content.get("supervision", {}), RuleLimits())
        self._supervision = RuleLimits(**limits)
        read: dict[str, Callable[[], Any]] = {
            "server": lambda: self.settings(ServerSettings, ("server",), self._content["server"]),
            "log": lambda: self.settings(LogSettings, ("log",), self._content["log"]),
            "audit": lambda: self.settings(AuditSettings, ("audit",), self._content["audit"]),
            "state": lambda: self.settings(StateSettings, ("state",), self._content["state"]),
            "watch": lambda: self.settings(WatchSettings, ("watch",), self._content["watch"]),
            "reload": lambda: self.settings(ReloadSettings, ("reload",), self._content["reload"]),
            "warnings": lambda: self.settings(
                WarningSettings, ("warnings",), self._content["warnings"]
            ),
            "web": lambda: self.settings(WebSettings, ("web",), self._content["web"]),
            "cluster": self._cluster,
            "supervision": lambda: self._supervision,
            "strategy": lambda: self._strategy(("strategy",), self._content["strategy"]),
            "rules": self._patterns,
            "bridges": lambda: read_bridges(self, self._content),
        }
        known = {*read, "alias"}
        for key in self._content.keys() - known:
            self.unknown((key,), known)
        has_bridges = "bridges" in self._content or misspelt(self._content)
        if "alias" in self._content and not has_bridges:
            self.problem(("alias",), "there is no bridge in this file, so these stand for nothing")
        present = {key: make() for key, make in read.items() if key in self._content}
        return Configuration(**present, file=self._path)

    def _cluster(self) -> ClusterSettings:
        keys = ("cluster",)
        table = self.table(keys, self._content["cluster"])
        kinds = kinds_of(ClusterSettings)
        del kinds["where"]
        others = {key: value for key, value in table.items() if key != "where"}
        values = self.values(kinds, keys, others, ["where"])
        return ClusterSettings(**values, where=self._where((*keys, "where"), table))

    def _where(self, keys: tuple[str, ...], cluster: Table) -> tuple[tuple[str, Where], ...]:
        conditions = []
        for glob, text in self.table(keys, cluster.get("where", {})).items():
            try:
                if not isinstance(text, str):
                    raise WhereError(show(text), "is not a text")
                conditions.append((glob, Where(text)))
            except WhereError as error:
                self.problem((*keys, glob), f"found {show(text)}, which {error.problem}")
        return tuple(conditions)

    def _limits(self, keys: tuple[str, ...], table: Any, others: RuleLimits) -> Table:
        """Return the valid limits of a table by name; none if they contradict the others."""
        values = self.values(kinds_of(RuleLimits), keys, table)
        try:
            dataclasses.replace(others, **values)
        except LimitError as error:
            self.problem((*keys, error.name), f"found {error.value} {error.problem}")
            return {}
        return values

    def _patterns(self) -> tuple[Pattern, ...]:
        patterns = self.table(("rules",), self._content["rules"])
        return tuple(self._pattern(glob, ("rules", glob), patterns[glob]) for glob in patterns)

    def _pattern(self, glob: str, keys: tuple[str, ...], table: Any) -> Pattern:
        table = self.table(keys, table, of='a table, such as [rules."hall.*"]')
        if not glob:
            self.problem(
                keys, 'found "", which matches no rule; write a name, such as [rules."hall.*"]'
            )
        known = ("enabled", "strategy", "limits", "parameters")
        for key in table.keys() - set(known):
            if isinstance(table[key], Mapping) and not difflib.get_close_matches(key, known):
                name = show(f"{glob}.{key}")
                self.problem(
                    (*keys, key),
                    f"found the table {dotted((*keys, key))}, but a rule can't be a key of its "
                    f"module; use the full name of the rule: [rules.{name}]",
                )
            else:
                self.unknown((*keys, key), known)
        enabled = {key: table[key] for key in table if key == "enabled"}
        return Pattern(
            glob,
            self.values({"enabled": FLAG}, keys, enabled).get("enabled"),
            self._strategy((*keys, "strategy"), table.get("strategy", {})),
            self._limits((*keys, "limits"), table.get("limits", {}), self._supervision),
            self.table((*keys, "parameters"), table.get("parameters", {})),
        )

    def _strategy(self, keys: tuple[str, ...], table: Any) -> TaskStrategy | None:
        table = self.table(keys, table, of='a table, such as {run = "serially", retry = true}')
        if not table:
            return None
        try:
            return strategy_from(table)
        except StrategySettingsError as error:
            place = (*keys, error.key) if error.key in table else keys
            self.problem(place, f"{show(table)} is not a valid strategy: {error.problem}")
            return None
