"""Finds the line of a key in a TOML file, which `tomllib` does not report.

A file is a sequence of statements. A prefix of the file parses if it ends with a statement, and
does not parse if it ends within one. So the statement that sets a key ends with the shortest prefix
that parses and has the key, and begins after the longest prefix that parses without it.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Lines"]


class Lines:
    """The lines of the keys of a valid file; they are computed at the first call of `of`.

    Args:
        text: the content of the file.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._statements: list[tuple[int, Mapping[str, Any]]] | None = None

    def of(self, keys: Sequence[str]) -> int:
        """Return the line of a key; if the file lacks it, of the innermost of its tables.

        Args:
            keys: the names of its tables, from the outermost on, and last its own name.
        """
        if self._statements is None:
            self._statements = list(_statements(self._text))
        for length in range(len(keys), 0, -1):
            for line, content in self._statements:
                if _has(content, keys[:length]):
                    return line
        return 1


def _statements(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Iterate over the first line of each statement, and the content of the file up to its end."""
    lines = text.split("\n")
    begin = 0
    for end in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        yield begin + 1, content
        begin = end


def _has(content: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return False
        content = content[key]
    return True
