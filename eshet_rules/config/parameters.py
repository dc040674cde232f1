"""The parameters that a rule gets as `config`."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from eshet_rules.exceptions import MissingParameter

__all__ = ["Parameters"]


class Parameters(Mapping[str, Any]):
    """The parameters of a rule, as `config["target"]` or `config.target`. Immutable.

    Lists of the file become tuples, and tables become `Parameters`.

    Args:
        values: the parameters by name.
        rule: the name of the rule, for error messages.
        file: the configuration file, for error messages.
        table: the table of the parameters in that file, such as
            `'rules."hall.light".parameters'`, for error messages.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        rule: str = "",
        file: str = "eshet-rules.toml",
        table: str | None = None,
    ) -> None:
        self._rule = rule
        self._file = file
        self._table = f'rules."{rule}".parameters' if table is None else table
        self._values = {name: self._frozen(name, item) for name, item in (values or {}).items()}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            near = difflib.get_close_matches(str(name), self._values, 1)
            raise MissingParameter(name, self._rule, self._file, self._table, *near)
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_values" not in self.__dict__:  # called by copy.copy()
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Parameters({self._values!r})"

    def _frozen(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            table = f"{self._table}.{name}"
            return Parameters(value, rule=self._rule, file=self._file, table=table)
        if isinstance(value, list):
            return tuple(self._frozen(name, item) for item in value)
        return value
