"""On which line of a TOML file a key stands, which `tomllib` does not tell.

A file is a row of statements. What is read up to the end of one parses, what is read up to the
middle of one does not. So the statement that brings a key ends where the shortest beginning of the
file ends that parses and has the key, and begins after the longest that parses without it.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Lines"]


class Lines:
    """The lines of the keys of a file that parses; it is parsed line by line only if asked.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._statements: list[tuple[int, Mapping[str, Any]]] | None = None

    def of(self, keys: Sequence[str]) -> int:
        """Return the line of a key, or of what brings the innermost table of it that is there.

        Args:
            keys: its name, below the names of its tables, from the outermost on.
        """
        if self._statements is None:
            self._statements = list(_statements(self._text))
        for length in range(len(keys), 0, -1):
            for line, content in self._statements:
                if _has(content, keys[:length]):
                    return line
        return 1


def _statements(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Iterate over the lines that statements begin on, and what is in the file after each."""
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
