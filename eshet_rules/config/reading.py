"""Reads a configuration file, or reports all mistakes in it at once."""

import dataclasses
import difflib
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from eshet.utils import TaskStrategy
from eshet_rules.config.kinds import FLAG, ValueKind, seconds, show, whole_number
from eshet_rules.config.lines import Lines
from eshet_rules.config.tables import (
    RENAMED,
    AuditSettings,
    Configuration,
    LogSettings,
    Pattern,
    ServerSettings,
    StateSettings,
    WatchSettings,
)
from eshet_rules.exceptions import ConfigurationError, LimitError, Problem, StrategySettingsError
from eshet_rules.regular_files import UnusableFile, read_regular
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.strategies import strategy_from

__all__ = ["FILE_NAME", "MAX_BYTES", "ConfigurationFile"]

FILE_NAME: Final = "eshet-rules.toml"

MAX_BYTES: Final = 1 << 20
"""Maximum size of the file, in bytes."""

Table = Mapping[str, Any]
Overrides = Mapping[str, Mapping[str, Any]]
T = TypeVar("T")

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_SYNTAX: Final = {
    "Invalid value": 'a string needs quotes, as in format = "json"; other values are numbers, true '
    "or false, a [list] or a {table}",
    "Cannot overwrite a value": "this key occurs twice; keep one of them",
    "Cannot declare": "this table occurs twice; move its keys below the first one",
    "Expected '=' after a key": "write KEY = VALUE; a name with other characters than A-Z, a-z, "
    '0-9, _ and - needs quotes, as in [rules."hall.*"]',
    "Invalid initial character": "a name with a * or other characters than A-Z, a-z, 0-9, _ and - "
    'needs quotes, as in [rules."hall.*"]',
    'Expected "\'"': "close the quotes",
    "Expected ']'": 'close the table, as in [rules."hall.*"]; a name with a * needs quotes',
    "Unclosed array": "close the list with ]",
    "Expected newline": "write each key on a line of its own",
    "Illegal character": "close the quotes on the same line",
    "Unterminated string": "close the quotes",
    "Unescaped '\\'": "write the backslash twice, or use single quotes",
}


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
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_problem(str(error), text, path)]) from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise ConfigurationError(
            [Problem(str(path), 0, "", f"{error}; write it shorter")]
        ) from None
    except RecursionError:
        problem = "lists or tables are nested too deeply; write them flat"
        raise ConfigurationError([Problem(str(path), 0, "", problem)]) from None
    reader = _Reader(content, text, path)
    configuration = reader.configuration()
    if reader.problems:
        raise ConfigurationError(sorted(reader.problems, key=lambda problem: problem.line))
    return configuration


class _Reader:
    """Reads the tables of a file, and collects all problems.

    Args:
        content: the parsed content of the file.
        text: the text of the file.
        path: the path of the file.
    """

    def __init__(self, content: Table, text: str, path: Path) -> None:
        self.problems: Final[list[Problem]] = []
        self._content = content
        self._lines = Lines(text)
        self._path = path
        self._supervision = RuleLimits()

    def configuration(self) -> Configuration:
        """Return the configuration, with defaults for all settings that are not valid."""
        limits = self._limits(("supervision",), self._content.get("supervision", {}), RuleLimits())
        self._supervision = RuleLimits(**limits)
        read: dict[str, Callable[[], Any]] = {
            "server": lambda: self._settings(ServerSettings, "server"),
            "log": lambda: self._settings(LogSettings, "log"),
            "audit": lambda: self._settings(AuditSettings, "audit"),
            "state": lambda: self._settings(StateSettings, "state"),
            "watch": lambda: self._settings(WatchSettings, "watch"),
            "supervision": lambda: self._supervision,
            "strategy": lambda: self._strategy(("strategy",), self._content["strategy"]),
            "rules": self._patterns,
        }
        for key in self._content.keys() - read.keys():
            self._unknown((key,), read)
        present = {key: make() for key, make in read.items() if key in self._content}
        return Configuration(**present, file=self._path)

    def _settings(self, of: type[T], key: str) -> T:
        return of(**self._values(_kinds(of), (key,), self._content[key]))

    def _values(self, kinds: Mapping[str, ValueKind], keys: tuple[str, ...], table: Any) -> Table:
        """Return the valid values of a table by key, and note a problem for each other one."""
        values = {}
        for key, value in self._table(keys, table).items():
            if key not in kinds:
                self._unknown((*keys, key), kinds)
                continue
            try:
                values[key] = self._in_folder(kinds[key].read(value))
            except ValueError:
                self._unfit((*keys, key), value, kinds[key])
        return values

    def _limits(self, keys: tuple[str, ...], table: Any, others: RuleLimits) -> Table:
        """Return the valid limits of a table by name; none if they contradict the others."""
        values = self._values(_kinds(RuleLimits), keys, table)
        try:
            dataclasses.replace(others, **values)
        except LimitError as error:
            self._problem((*keys, error.name), f"found {error.value} {error.problem}")
            return {}
        return values

    def _in_folder(self, value: Any) -> Any:
        """Resolve a path relative to the file's folder, and return any other value unchanged."""
        return self._path.parent / value if isinstance(value, Path) else value

    def _patterns(self) -> tuple[Pattern, ...]:
        patterns = self._table(("rules",), self._content["rules"])
        return tuple(self._pattern(glob, ("rules", glob), patterns[glob]) for glob in patterns)

    def _pattern(self, glob: str, keys: tuple[str, ...], table: Any) -> Pattern:
        table = self._table(keys, table, of='a table, such as [rules."hall.*"]')
        if not glob:
            self._problem(
                keys, 'found "", which matches no rule; write a name, such as [rules."hall.*"]'
            )
        known = ("enabled", "strategy", "limits", "parameters")
        for key in table.keys() - set(known):
            if isinstance(table[key], Mapping) and not difflib.get_close_matches(key, known):
                name = show(f"{glob}.{key}")
                self._problem(
                    (*keys, key),
                    f"found the table {_dotted((*keys, key))}, but a rule can't be a key of its "
                    f"module; use the full name of the rule: [rules.{name}]",
                )
            else:
                self._unknown((*keys, key), known)
        enabled = {key: table[key] for key in table if key == "enabled"}
        return Pattern(
            glob,
            self._values({"enabled": FLAG}, keys, enabled).get("enabled"),
            self._strategy((*keys, "strategy"), table.get("strategy", {})),
            self._limits((*keys, "limits"), table.get("limits", {}), self._supervision),
            self._table((*keys, "parameters"), table.get("parameters", {})),
        )

    def _strategy(self, keys: tuple[str, ...], table: Any) -> TaskStrategy | None:
        table = self._table(keys, table, of='a table, such as {run = "serially", retry = true}')
        if not table:
            return None
        try:
            return strategy_from(table)
        except StrategySettingsError as error:
            place = (*keys, error.key) if error.key in table else keys
            self._problem(place, f"{show(table)} is not a valid strategy: {error.problem}")
            return None

    def _table(self, keys: tuple[str, ...], table: Any, of: str = "") -> Table:
        if isinstance(table, Mapping):
            return table
        wanted = of or f"a table: [{_dotted(keys)}] on a line of its own, and its keys below"
        self._problem(keys, f"found {show(table)}; write {wanted}")
        return {}

    # --- problems -----------------------------------------------------------------------------

    def _unknown(self, keys: tuple[str, ...], known: Iterable[str]) -> None:
        *tables, key = keys
        of = f"[{_dotted(tables)}]" if tables else "this file"
        if (renamed := _present_name(keys)) is not None:
            self._problem(keys, f"this key is now called {renamed}: write that instead")
            return
        near = difflib.get_close_matches(key, known, 1)
        advice = f'did you mean "{near[0]}"? ' if near else ""
        self._problem(
            keys,
            f'{of} has no key "{key}"; {advice}Write one of: {", ".join(sorted(known))}',
        )

    def _unfit(self, keys: tuple[str, ...], value: Any, kind: ValueKind) -> None:
        near = difflib.get_close_matches(str(value).lower(), kind.words, 1)
        advice = f'; did you mean "{near[0]}"?' if near else ""
        self._problem(keys, f"found {show(value)}; write {kind.allowed}{advice}")

    def _problem(self, keys: Sequence[str], text: str) -> None:
        self.problems.append(Problem(str(self._path), self._lines.of(keys), _dotted(keys), text))


def _present_name(keys: Sequence[str]) -> str | None:
    """Return the present name of a key of an earlier version; None if it is not such a key."""
    match keys:
        case ("rules", _, "limits", limit):
            renamed = RENAMED.get(f"supervision.{limit}")
            return renamed and _dotted((*keys[:-1], renamed.removeprefix("supervision.")))
        case _:
            return RENAMED.get(_dotted(keys))


def _kinds(of: type[Any]) -> dict[str, ValueKind]:
    """Return the kind of the values of each key, derived from the default if not declared."""
    return {
        each.name: each.metadata.get("kind") or _figure(each.default)
        for each in dataclasses.fields(of)
    }


def _figure(default: Any) -> ValueKind:
    return whole_number("times", 0) if isinstance(default, int) else seconds()


def _dotted(keys: Sequence[str]) -> str:
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else show(key) for key in keys)


def _syntax_problem(message: str, text: str, path: Path) -> Problem:
    place = _PLACE.search(message)
    what = _PLACE.sub("", message)
    line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
    remedy = next((advice for start, advice in _SYNTAX.items() if what.startswith(start)), None)
    lines = text.split("\n")
    written = lines[line - 1].strip() if line <= len(lines) else ""
    advice = remedy or "write it as TOML, KEY = VALUE on each line"
    return Problem(
        str(path), line, "", f"found `{written}`, {what[:1].lower()}{what[1:]}; {advice}"
    )
