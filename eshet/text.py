"""Safe text of any object: never raises, is bounded in length, and can be encoded.

A user's object may raise any `BaseException` from `__repr__` or `__str__`, return megabytes or
something other than a string, and contain lone surrogates, which UTF-8 can't encode.
"""

from collections.abc import Callable
from typing import Final

__all__ = [
    "MAX_LENGTH",
    "encodable",
    "first_names",
    "safe_repr",
    "safe_str",
    "shorten",
    "type_name",
]

_name_of_class: Final = type.__dict__["__name__"].__get__

MAX_LENGTH: Final = 1000
"""The default maximum length of an object's text, in characters."""


def safe_repr(value: object, max_length: int = MAX_LENGTH) -> str:
    """Return the repr of an object, or a description of the object if that fails."""
    return _text(repr, value, max_length)


def safe_str(value: object, max_length: int = MAX_LENGTH) -> str:
    """Return the str of an object, or a description of the object if that fails."""
    return _text(str, value, max_length)


def type_name(value: object) -> str:
    """Return the name of an object's class, without running code of its metaclass."""
    return str(_name_of_class(type(value)))


def shorten(text: str, max_length: int = MAX_LENGTH) -> str:
    """Return the text, cut to at most `max_length` characters if it is longer.

    A shortened text keeps its beginning and its end, and states how many characters are missing.
    """
    if len(text) <= max_length:
        return text
    mark = f"… {len(text) - max_length} characters more …"
    kept = max(max_length - len(mark), 0)
    head = kept - kept // 4
    tail = kept - head
    return text[:head] + mark + (text[-tail:] if tail else "")


def first_names(names: list[str], most: int = 10) -> list[str]:
    """Return the first of many names, and as the last item how many more there are."""
    if len(names) <= most:
        return names
    return [*names[:most], f"and {len(names) - most:,} more"]


def encodable(text: str) -> str:
    r"""Return the text with each lone surrogate written as its escape, such as ``\ud800``."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _text(convert: Callable[[object], object], value: object, max_length: int) -> str:
    try:
        # str.__str__: a subclass of str can override slicing and encoding.
        text = str.__str__(convert(value))
    except BaseException as error:
        what = "repr" if convert is repr else "str"
        text = f"<{type_name(value)} whose {what} raised {type_name(error)}>"
    return encodable(shorten(text, max_length))
