"""Reads the tables of a configuration file, and collects all mistakes in them."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final, TypeVar

from eshet.settings.kinds import ValueKind, seconds, show, whole_number
from eshet.settings.lines import Lines
from eshet.settings.problem import Problem

__all__ = ["Table", "TableReader", "dotted", "kinds_of", "setting"]

Table = Mapping[str, Any]
T = TypeVar("T")


def setting(kind: ValueKind, default: T) -> T:
    """Declare a key of a table in a dataclass, with the kind of its values and its default."""
    declared: T = field(default=default, metadata={"kind": kind})
    return declared


def kinds_of(of: type[Any]) -> dict[str, ValueKind]:
    """Return the kind of the values of each key, derived from the default if not declared."""
    return {
        each.name: each.metadata.get("kind") or _figure(each.default)
        for each in dataclasses.fields(of)
    }


class TableReader:
    """Reads the tables of one file.

    Args:
        text: the text of the file.
        path: the path of the file.
        renamed: the present names of keys of earlier versions, dotted.
    """

    def __init__(self, text: str, path: Path, renamed: Mapping[str, str] | None = None) -> None:
        self.problems: Final[list[Problem]] = []
        """All mistakes so far."""
        self._lines = Lines(text)
        self._path = path
        self._renamed = renamed or {}

    def settings(self, of: type[T], keys: tuple[str, ...], table: Any) -> T:
        """Return the settings in a table, with defaults for those that are not valid."""
        return of(**self.values(kinds_of(of), keys, table))

    def values(
        self,
        kinds: Mapping[str, ValueKind],
        keys: tuple[str, ...],
        table: Any,
        others: Iterable[str] = (),
    ) -> Table:
        """Return the valid values of a table by key, and add a problem for each other value.

        Args:
            kinds: the kinds of the values, by key.
            keys: of the table.
            table: its content.
            others: keys that the table may have as well, which the caller has taken out.
        """
        values = {}
        for key, value in self.table(keys, table).items():
            if key not in kinds:
                self.unknown((*keys, key), [*kinds, *others])
                continue
            try:
                values[key] = self._in_folder(kinds[key].read(value))
            except ValueError:
                self.unfit((*keys, key), value, kinds[key])
        return values

    def table(self, keys: tuple[str, ...], table: Any, of: str = "") -> Table:
        """Return a table; any other value counts as an empty one, and adds a problem."""
        if isinstance(table, Mapping):
            return table
        wanted = of or f"a table: [{dotted(keys)}] on a line of its own, and its keys below"
        self.problem(keys, f"found {show(table)}; write {wanted}")
        return {}

    def unknown(self, keys: tuple[str, ...], known: Iterable[str]) -> None:
        """Add the problem of an unknown key."""
        *tables, key = keys
        of = f"[{dotted(tables)}]" if tables else "this file"
        if (renamed := self._present_name(keys)) is not None:
            self.problem(keys, f"this key is now called {renamed}: write that instead")
            return
        near = difflib.get_close_matches(key, known, 1)
        advice = f'did you mean "{near[0]}"? ' if near else ""
        self.problem(
            keys,
            f'{of} has no key "{key}"; {advice}Write one of: {", ".join(sorted(known))}',
        )

    def unfit(self, keys: tuple[str, ...], value: Any, kind: ValueKind) -> None:
        """Add the problem of a value that is not of its kind."""
        near = difflib.get_close_matches(str(value).lower(), kind.words, 1)
        advice = f'; did you mean "{near[0]}"?' if near else ""
        self.problem(keys, f"found {show(value)}; write {kind.allowed}{advice}")

    def problem(self, keys: Sequence[str], text: str) -> None:
        """Add a problem at a key."""
        self.problems.append(Problem(str(self._path), self._lines.of(keys), dotted(keys), text))

    def _in_folder(self, value: Any) -> Any:
        """Resolve a path relative to the file's folder, and return any other value unchanged."""
        return self._path.parent / value if isinstance(value, Path) else value

    def _present_name(self, keys: Sequence[str]) -> str | None:
        """Return the present name of a key of an earlier version; None if it is not such a key."""
        match keys:
            case ("rules", _, "limits", limit):
                renamed = self._renamed.get(f"supervision.{limit}")
                return renamed and dotted((*keys[:-1], renamed.removeprefix("supervision.")))
            case _:
                return self._renamed.get(dotted(keys))


def _figure(default: Any) -> ValueKind:
    return whole_number("times", 0) if isinstance(default, int) else seconds()


def dotted(keys: Sequence[str]) -> str:
    """Return a key with its tables as in TOML."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else show(key) for key in keys)
