"""Removes secrets from records, before they are shown or written."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from fnmatch import translate
from typing import Any, Final

__all__ = ["REDACTED", "Redaction"]

REDACTED: Final = "[redacted]"
"""Replaces a secret."""


_PATHS: Final = re.compile(r"(?:/\w+)+", re.ASCII)
_REVEALING: Final = frozenset({"error", "result", "shown", "traceback", "value"})


_OURS: Final = frozenset({"time", "level", "event", "rule", "module", "version", "cause", "parent"})
"""Fields without input from outside."""

_SHORTEST: Final = 4
"""Minimum length of a secret that is searched for in texts, in characters."""

_MOST: Final = 256
"""Maximum number of secrets that are searched for: the newest."""


class Redaction:
    """Removes the values of some paths, and of fields with some names.

    A value that was removed once is also removed from texts, such as those of errors.

    Args:
        patterns: patterns that begin with a slash are globs of paths, in which `*` matches any
            text including slashes: the inputs, outputs and errors of such a path are removed.
            The others are globs of names of fields, in a record or within a value.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        patterns = list(patterns)
        globs = [translate(each) for each in patterns if each.startswith("/")]
        self._paths = re.compile("|".join(globs)) if globs else None
        names = [translate(each) for each in patterns if not each.startswith("/")]
        self._names = re.compile("|".join(names)) if names else None
        self._secrets: dict[str, None] = {}  # texts, the newest last
        self._in_texts: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return self._paths is not None or self._names is not None

    def hides(self, path: str) -> bool:
        """Whether the values of a path are secret."""
        return self._paths is not None and self._paths.match(path) is not None

    def _is_secret(self, name: Any) -> bool:
        names = self._names
        return names is not None and isinstance(name, str) and names.match(name) is not None

    def hide(self, value: Any) -> str:
        """Return the replacement of a secret value, and remove it from texts from now on."""
        if isinstance(value, Mapping):
            for item in value.values():
                self.hide(item)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self.hide(item)
        elif not isinstance(value, bool) and len(text := str(value)) >= _SHORTEST:
            if text not in self._secrets:
                self._in_texts = None
            self._secrets.pop(text, None)
            self._secrets[text] = None
            if len(self._secrets) > _MOST:
                del self._secrets[next(iter(self._secrets))]
        return REDACTED

    def text(self, text: str) -> str:
        """Return a text without known secrets; a text that names a secret path is replaced."""
        if self._paths is not None and any(map(self._paths.match, _PATHS.findall(text))):
            return REDACTED
        return self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        if self._in_texts is None and self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            secrets = "|".join(map(re.escape, longest_first))
            self._in_texts = re.compile(rf"(?<!\w)(?:{secrets})(?!\w)")
        return text if self._in_texts is None else self._in_texts.sub(REDACTED, text)

    def record(self, record: MutableMapping[str, Any]) -> None:
        """Remove all secrets from a log record, in place.

        An error may contain the value of the path that it is about, so its whole text is removed.
        """
        for name in record.keys() - _OURS:
            value = record[name]
            record[name] = self.hide(value) if self._is_secret(name) else self.value(value)
        if self._paths is not None and any(
            self._paths.match(path)
            for name in ("path", "doing", "error")
            for path in _PATHS.findall(str(record.get(name, "")))
        ):
            record.update(dict.fromkeys(_REVEALING & record.keys(), REDACTED))
        if self._secrets:
            for name in record.keys() - _OURS - {"path"}:
                record[name] = self._in_value(record[name])

    def _in_value(self, value: Any) -> Any:
        """Return a value with known secrets removed from its texts."""
        if isinstance(value, str):
            return self._without_secrets(value)
        if isinstance(value, Mapping):
            return {key: self._in_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._in_value(item) for item in value]
        return value

    def value(self, value: Any) -> Any:
        """Return a value without its secret fields."""
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
