"""Mistakes in a configuration file."""

from collections.abc import Sequence
from typing import NamedTuple

from eshet.exceptions import EshetError

__all__ = ["Problem", "SettingsError"]


class Problem(NamedTuple):
    """A mistake in a configuration file.

    Args:
        file: the path of the file.
        line: the line number; 0 if the mistake concerns the whole file.
        key: the key with its tables, such as `log.format`; empty if no key is concerned.
        text: the value that was found, and the advice.
    """

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class SettingsError(EshetError):
    """A configuration file has mistakes.

    Args:
        problems: all mistakes, in the order of lines.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, problems)))
