"""The variables of a template, missing values, limits, and errors."""

from collections.abc import Callable
from typing import Any, Final

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.json_text import parse

__all__ = [
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_TEXT",
    "Expression",
    "MissingValue",
    "TemplateFailed",
    "Undefined",
    "UnsupportedTemplate",
    "Variables",
    "bounded",
    "defined",
    "number",
]

MAX_LENGTH: Final = 4096
"""The maximum length of a template, in characters."""
MAX_DEPTH: Final = 32
"""The maximum depth of nested expressions and conditions."""
MAX_TEXT: Final = 65_536
"""The maximum length of a text in an expression, and of a result, in characters."""
_MAX_READ: Final = 4_000_000
"""Maximum number of characters of the payload that one rendering reads; each use counts."""


class UnsupportedTemplate(BridgeError):
    """A template uses something that is not supported here.

    Args:
        template: its text.
        problem: the unsupported part.
    """

    def __init__(self, template: str, problem: str) -> None:
        self.template = template
        self.problem = problem
        super().__init__(f"{problem} in the template {template[:200]!r}")


class TemplateFailed(BridgeError):
    """The evaluation of a template failed for a payload."""


class MissingValue(TemplateFailed):
    """The payload lacks a value that the template reads; many messages have only some values."""


class Undefined:
    """A value that the payload lacks.

    Args:
        path: its path in the payload.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __bool__(self) -> bool:
        return False


class Variables:
    """The variables of one rendering: `value`, and `value_json`, which is parsed when it is read.

    Args:
        value: the payload as text, or a number that is to be sent.
    """

    def __init__(self, value: str | float) -> None:
        self._value = value
        self._parsed: Any = None
        self._is_parsed = False
        self._left = _MAX_READ

    def get(self, name: str) -> Any:
        """Return a variable; one that does not exist is `Undefined`.

        Raises:
            TemplateFailed: the template has read more than the limit.
        """
        if name == "value":
            self._read()
            return self._value
        if name != "value_json":
            return Undefined(name)
        self._read()
        if not self._is_parsed:
            self._is_parsed = True
            try:
                self._parsed = parse(self._value) if isinstance(self._value, str) else self._value
            except ValueError:
                self._parsed = Undefined(name)
        return self._parsed

    def _read(self) -> None:
        if isinstance(self._value, str):
            self._left -= len(self._value)
        if self._left < 0:
            raise TemplateFailed("too many uses of a large payload")


Expression = Callable[[Variables], Any]
"""Returns the value of an expression."""


def defined(value: Any) -> Any:
    """Return a value.

    Raises:
        MissingValue: the payload lacks it.
    """
    if isinstance(value, Undefined):
        raise MissingValue(f"the payload has no {value.path[:80]}")
    return value


def bounded(value: Any) -> Any:
    """Return a value.

    Raises:
        TemplateFailed: it is a text above the maximum length.
    """
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise TemplateFailed(f"a text of more than {MAX_TEXT} characters")
    return value


def number(value: Any) -> float:
    """Return a number.

    Raises:
        TypeError: it is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:80]!r} is not a number")
    return value
