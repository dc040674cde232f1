"""Text of objects that may do anything: always returned, bounded in length, and encodable.

An object of a user may raise any `BaseException` from `__repr__` or `__str__`, return megabytes or
something other than a string, and hold lone surrogates, which no UTF-8 file or wire can carry.
"""

from collections.abc import Callable
from typing import Any, Final

__all__ = ["MAX_LENGTH", "encodable", "safe_repr", "safe_str", "shorten", "type_name"]

_name_of_class: Final = type.__dict__["__name__"].__get__

MAX_LENGTH: Final = 1000
"""Default for the longest text of one object, in characters."""


def safe_repr(value: object, max_length: int = MAX_LENGTH) -> str:
    """Return the repr of an object, or a description of the object where it has none."""
    return _text(repr, value, max_length)


def safe_str(value: object, max_length: int = MAX_LENGTH) -> str:
    """Return the str of an object, or a description of the object where it has none."""
    return _text(str, value, max_length)


def type_name(value: object) -> str:
    """Return the name of the class of an object, whatever the class of that class does."""
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


def encodable(text: str) -> str:
    r"""Return the text with each lone surrogate written as its escape, such as ``\ud800``."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _text(convert: Callable[[object], Any], value: object, max_length: int) -> str:
    try:
        # str(): a subclass of str can override what slicing and encoding do.
        text = str.__str__(convert(value))
    except BaseException as error:
        what = "repr" if convert is repr else "str"
        text = f"<{type_name(value)} whose {what} raised {type_name(error)}>"
    return encodable(shorten(text, max_length))
