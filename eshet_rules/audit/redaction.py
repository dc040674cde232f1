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


_OURS: Final = frozenset({"time", "level", "event", "rule", "module", "version", "cause", "parent"})
"""Fields that tell nothing from outside."""

_SHORTEST: Final = 4
"""How many characters a value must have to be looked for in texts."""

_MOST: Final = 256
"""How many values are looked for: the newest."""


class Redaction:
    """Takes out what some paths have as values, and what has some names.

    What was taken out once is also looked for in texts, as those of errors.

    Args:
        patterns: those that begin with a slash are globs of paths, `*` standing for any text, also
            with slashes: what is sent to, comes from or goes wrong at such a path is taken out.
            The others are globs of names of fields, of a record or within a value.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        patterns = list(patterns)
        globs = [translate(each) for each in patterns if each.startswith("/")]
        self._paths = re.compile("|".join(globs)) if globs else None
        names = [translate(each) for each in patterns if not each.startswith("/")]
        self._names = re.compile("|".join(names)) if names else None
        self._taken_out: dict[str, None] = {}  # texts, the newest last
        self._in_texts: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return self._paths is not None or self._names is not None

    def hides(self, path: str) -> bool:
        """Whether nothing is to be told of the values at a path."""
        return self._paths is not None and self._paths.match(path) is not None

    def _is_secret(self, name: Any) -> bool:
        names = self._names
        return names is not None and isinstance(name, str) and names.match(name) is not None

    def hide(self, value: Any) -> str:
        """Return what is told instead of a value, which is taken out of texts from now on."""
        if isinstance(value, Mapping):
            for item in value.values():
                self.hide(item)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self.hide(item)
        elif not isinstance(value, bool) and len(text := str(value)) >= _SHORTEST:
            if text not in self._taken_out:
                self._in_texts = None
            self._taken_out.pop(text, None)
            self._taken_out[text] = None
            if len(self._taken_out) > _MOST:
                del self._taken_out[next(iter(self._taken_out))]
        return REDACTED

    def text(self, text: str) -> str:
        """Return a text without what was taken out elsewhere, nothing of one about a path."""
        if self._paths is not None and any(map(self._paths.match, _PATHS.findall(text))):
            return REDACTED
        return self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        if self._in_texts is None and self._taken_out:
            longest_first = sorted(self._taken_out, key=len, reverse=True)
            secrets = "|".join(map(re.escape, longest_first))
            self._in_texts = re.compile(rf"(?<!\w)(?:{secrets})(?!\w)")
        return text if self._in_texts is None else self._in_texts.sub(REDACTED, text)

    def record(self, record: MutableMapping[str, Any]) -> None:
        """Take what is secret out of a record of a log.

        An error may tell the value for whose path it was raised, so it is taken out as a whole.
        """
        for name in record.keys() - _OURS:
            value = record[name]
            record[name] = self.hide(value) if self._is_secret(name) else self.value(value)
        if self._paths is not None and any(
            self._paths.match(path)
            for name in ("path", "doing", "error")
            for path in _PATHS.findall(str(record.get(name, "")))
        ):
            record.update(dict.fromkeys(_TELLING & record.keys(), REDACTED))
        if self._taken_out:
            for name in record.keys() - _OURS - {"path"}:
                record[name] = self._in_value(record[name])

    def _in_value(self, value: Any) -> Any:
        """Return a value whose texts are without what was taken out."""
        if isinstance(value, str):
            return self._without_secrets(value)
        if isinstance(value, Mapping):
            return {key: self._in_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._in_value(item) for item in value]
        return value

    def value(self, value: Any) -> Any:
        """Return a value without what has one of the names."""
        if self._names is None:
            return value
        if isinstance(value, Mapping):
            return {
                key: self.hide(item) if self._is_secret(key) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value
