"""What is not to be told, neither to people nor to files: secrets are taken out of each record."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from fnmatch import translate
from typing import Any, Final

__all__ = ["REDACTED", "Redaction"]

REDACTED: Final = "[redacted]"
"""What stands in the place of what was taken out."""


_PATHS: Final = re.compile(r"(?:/\w+)+", re.ASCII)
_TELLING: Final = frozenset({"error", "result", "traceback", "value"})


class Redaction:
    """Takes out what some paths have as values, and what has some names.

    Args:
        patterns: those that begin with a slash are globs of paths, `*` standing for any text, also
            with slashes: what is sent to, comes from or goes wrong at such a path is taken out.
            The others are names of fields, of a record or within a value.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        patterns = list(patterns)
        globs = [translate(each) for each in patterns if each.startswith("/")]
        self._paths = re.compile("|".join(globs)) if globs else None
        self._names = frozenset(each for each in patterns if not each.startswith("/"))

    def __bool__(self) -> bool:
        return self._paths is not None or bool(self._names)

    def hides(self, path: str) -> bool:
        """Whether nothing is to be told of the values at a path."""
        return self._paths is not None and self._paths.match(path) is not None

    def record(self, record: MutableMapping[str, Any]) -> None:
        """Take what is secret out of a record of a log.

        An error may tell the value for whose path it was raised, so it is taken out as a whole.
        """
        for name in record:
            record[name] = REDACTED if name in self._names else self.value(record[name])
        if self._paths is not None and any(
            self._paths.match(path)
            for name in ("path", "doing", "error")
            for path in _PATHS.findall(str(record.get(name, "")))
        ):
            record.update(dict.fromkeys(_TELLING & record.keys(), REDACTED))

    def value(self, value: Any) -> Any:
        """Return a value without what has one of the names."""
        if not self._names:
            return value
        if isinstance(value, Mapping):
            return {
                key: REDACTED if key in self._names else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value
