"""A file to what is configured by it, or to all that is wrong in it, at once."""

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
    Configuration,
    LogSettings,
    Pattern,
    ServerSettings,
    StateSettings,
    WatchSettings,
)
from eshet_rules.exceptions import ConfigurationError, Problem, StrategySettingsError
from eshet_rules.regular_files import UnusableFile, read_ordinary
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.strategies import strategy_from

__all__ = ["FILE_NAME", "MAX_BYTES", "ConfigurationFile"]

FILE_NAME: Final = "eshet-rules.toml"

MAX_BYTES: Final = 1 << 20
"""How large the file may be."""

Table = Mapping[str, Any]
Overrides = Mapping[str, Mapping[str, Any]]
T = TypeVar("T")

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_SYNTAX: Final = {
    "Invalid value": 'a text stands in quotes, as format = "json"; else write a number, true or '
    "false, a [list] or a {table}",
    "Cannot overwrite a value": "this key is there already; keep one of both",
    "Cannot declare": "this table is there already; write its keys below the first one",
    "Expected '=' after a key": "write KEY = VALUE; a name with other characters than A-Z, a-z, "
    '0-9, _ and - stands in quotes, as [rules."hall.*"]',
    "Invalid initial character": "a name with a * or other characters than A-Z, a-z, 0-9, _ and - "
    'stands in quotes, as [rules."hall.*"]',
    'Expected "\'"': "close the quotes",
    "Expected ']'": 'close the table as [rules."hall.*"]; a name with a * stands in quotes',
    "Unclosed array": "close the list with ]",
    "Expected newline": "write each key on a line of its own",
    "Illegal character": "close the quotes on the same line",
    "Unterminated string": "close the quotes",
    "Unescaped '\\'": "write a backslash twice, or the text in single quotes",
}


class ConfigurationFile:
    """A file of configuration, to be read as often as it changes.

    Args:
        path: of the file.
        must_exist: whether it is an error if it does not; else all is as by default then.
        overrides: by the command line, as the file's tables would be read: those of its keys that
            are None are left as they are.
    """

    def __init__(
        self, path: Path, *, must_exist: bool = False, overrides: Overrides | None = None
    ) -> None:
        self.path: Final = path
        self._must_exist = must_exist
        self._overrides = overrides or {}
        self.content: bytes | None = None
        """What was in it when it was read last; None if it was not there."""
        self._may_be_pipe = must_exist
        self.is_pipe = False
        """Whether it is a pipe, whose content is read once, and can't change."""

    def read(self) -> Configuration:
        """Read the file, and check all that is in it.

        Raises:
            ConfigurationError: something in it is wrong; the error has all that is.
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
            # A pipe is what a shell gives for `--config <(…)`. It is waited for at the start only.
            pipes, self._may_be_pipe = self._may_be_pipe, False
            self.content, status = read_ordinary(self.path, MAX_BYTES, pipes=pipes)
            self.is_pipe = stat.S_ISFIFO(status.st_mode)
            return self.content.decode()
        except FileNotFoundError:
            if not self._must_exist:
                return ""
            problem = "there is no such file; write one with `eshet-rules init`"
        except UnicodeDecodeError as error:
            problem = f"byte {error.start} is no UTF-8; save the file as UTF-8"
        except UnusableFile as error:
            problem = f"it {error}; put one with the configuration in its place"
        except OSError as error:
            problem = f"it can't be read, {error.strerror}; check what it is and whose"
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
        problem = "found lists or tables within each other too deep to be read; write them flat"
        raise ConfigurationError([Problem(str(path), 0, "", problem)]) from None
    reader = _Reader(content, text, path)
    configuration = reader.configuration()
    if reader.problems:
        raise ConfigurationError(sorted(reader.problems, key=lambda problem: problem.line))
    return configuration


class _Reader:
    """Reads the tables of a file, and collects what is wrong.

    Args:
        content: of the file.
        text: of the file.
        path: of the file.
    """

    def __init__(self, content: Table, text: str, path: Path) -> None:
        self.problems: Final[list[Problem]] = []
        self._content = content
        self._lines = Lines(text)
        self._path = path
        self._supervision = RuleLimits()

    def configuration(self) -> Configuration:
        """Return what is configured, which has defaults where something is wrong."""
        limits = self._limits(("supervision",), self._content.get("supervision", {}), RuleLimits())
        self._supervision = RuleLimits(**limits)
        read: dict[str, Callable[[], Any]] = {
            "server": lambda: self._settings(ServerSettings, "server"),
            "log": lambda: self._settings(LogSettings, "log"),
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
        """Return the values of a table that are right, by their keys."""
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
        """Return the limits of a table that are right, by name, if they fit to the others."""
        values = self._values(_kinds(RuleLimits), keys, table)
        try:
            dataclasses.replace(others, **values)
        except ValueError as error:  # which begins with the name and the value of one of them
            key, _, found = str(error).partition("=")
            self._problem((*keys, key), f"found {found}")
            return {}
        return values

    def _in_folder(self, value: Any) -> Any:
        """Return a path as one that is relative to the file's folder; and all else as it is."""
        return self._path.parent / value if isinstance(value, Path) else value

    def _patterns(self) -> tuple[Pattern, ...]:
        patterns = self._table(("rules",), self._content["rules"])
        return tuple(self._pattern(glob, ("rules", glob), patterns[glob]) for glob in patterns)

    def _pattern(self, glob: str, keys: tuple[str, ...], table: Any) -> Pattern:
        table = self._table(keys, table, of='a table, as [rules."hall.*"]')
        if not glob:
            self._problem(keys, 'found "", which is no rule; write its name, as [rules."hall.*"]')
        known = ("enabled", "strategy", "limits", "parameters")
        for key in table.keys() - set(known):
            if isinstance(table[key], Mapping) and not difflib.get_close_matches(key, known):
                name = show(f"{glob}.{key}")
                self._problem(
                    (*keys, key),
                    f"found the table {_dotted((*keys, key))}, in which a rule is no key of its "
                    f"module; the name of a rule has a dot in it, so write [rules.{name}]",
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
        table = self._table(keys, table, of='a table, as {run = "serially", retry = true}')
        if not table:
            return None
        try:
            return strategy_from(table)
        except StrategySettingsError as error:
            place = (*keys, error.key) if error.key in table else keys
            self._problem(place, f"{show(table)} is no strategy: {error.problem}")
            return None

    def _table(self, keys: tuple[str, ...], table: Any, of: str = "") -> Table:
        if isinstance(table, Mapping):
            return table
        wanted = of or f"a table: [{_dotted(keys)}] on a line of its own, and its keys below"
        self._problem(keys, f"found {show(table)}; write {wanted}")
        return {}

    # --- what is wrong ------------------------------------------------------------------------

    def _unknown(self, keys: tuple[str, ...], known: Iterable[str]) -> None:
        *tables, key = keys
        of = f"[{_dotted(tables)}]" if tables else "this file"
        if (renamed := RENAMED.get(key, "")) in tuple(known):
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


def _kinds(of: type[Any]) -> dict[str, ValueKind]:
    """Return of which kind the values of each key are; a figure is above 0, unless it is said."""
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
