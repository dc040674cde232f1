"""Safe handling of exceptions of user code.

A class of exceptions can override everything: `__cause__` may be a property that raises, and its
metaclass may raise `KeyboardInterrupt` on access to `__name__`. A chain of exceptions may have
100,000 links, and for each of them Python would look up source lines. So code that handles a user's
exception calls `plain_error` on it, and displays it with `error_text` or `bounded_traceback`.
"""

import contextlib
import traceback
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from eshet.text import safe_str, type_name

__all__ = [
    "MAX_ERRORS",
    "UnusableError",
    "bounded_traceback",
    "error_text",
    "is_error",
    "plain_error",
]

MAX_ERRORS: Final = 20
"""The maximum number of exceptions of a chain, or levels of groups, that are displayed."""

_MAX_IN_GROUP: Final = 16
"""How many exceptions of a group are kept: one more than `traceback` shows; it counts the rest."""

_MAX_FRAMES: Final = 2000
"""How many frames of an exception are displayed: the innermost ones."""

_mro: Final = type.__dict__["__mro__"].__get__
_namespace: Final = type.__dict__["__dict__"].__get__
_traceback: Final = BaseException.__dict__["__traceback__"].__get__

_OF_ERRORS: Final = frozenset(
    {
        "__bool__",
        "__cause__",
        "__class__",
        "__context__",
        "__getattribute__",
        "__len__",
        "__notes__",
        "__suppress_context__",
        "__traceback__",
        "exceptions",
    }
)
"""The attributes that an exception class must not override to be considered plain."""

_OF_CLASSES: Final = frozenset({"__getattribute__", "__name__"})
"""The same for a metaclass."""

_PYTHONS: Final = frozenset({BaseException, BaseExceptionGroup, ExceptionGroup, type, object})
"""The classes that may define these."""

Part = tuple[traceback.TracebackException, BaseException]


class UnusableError(Exception):
    """Replaces an exception of a class that overrides special attributes."""


def is_error(error: BaseException, kinds: type[Any] | tuple[type[Any], ...]) -> bool:
    """Whether an exception is of one of these classes, without running code of its own class."""
    return issubclass(type(error), kinds)


def plain_error(error: BaseException) -> BaseException:
    """Return the exception, or a replacement with the same text if its class is not plain."""
    if not _is_not_plain(type(error)):
        return error
    name = type_name(error)
    text = f"{name}: {safe_str(error)} (the class {name} overrides special attributes of errors)"
    return UnusableError(text).with_traceback(_traceback(error))


def error_text(error: BaseException) -> str:
    """Return the last lines of a traceback, the class and the text; never raises."""
    return "".join(_part(plain_error(error), None).format_exception_only()).strip()


def bounded_traceback(error: BaseException) -> tuple[list[Part], bool]:
    """Return an exception with the exceptions in its chain and its groups, itself first.

    They are returned in their displayed form, linked to each other. This never raises, and takes
    little time for any exception.

    Returns:
        The exceptions, and whether there are more of them.
    """
    error = plain_error(error)
    parts = [(_part(error, _traceback(error)), error)]
    todo = deque(parts)
    seen = {id(error)}
    while todo and len(parts) < MAX_ERRORS:
        shown, its_error = todo.popleft()
        for name, other in _linked_errors(its_error):
            if id(other) in seen:
                continue
            seen.add(id(other))
            part = _part(other, _traceback(other)), other
            parts.append(part)
            todo.append(part)
            if name == "exceptions":
                shown.exceptions = [*(shown.exceptions or ()), part[0]]
            else:
                setattr(shown, name, part[0])
    return parts, any(
        id(other) not in seen for _, each in todo for _, other in _linked_errors(each)
    )


def _linked_errors(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """Iterate over the exceptions that another one refers to, with the attribute names."""
    for name in ("__cause__", "__context__"):
        if (other := getattr(error, name)) is not None:
            yield name, plain_error(other)
    if is_error(error, BaseExceptionGroup):
        group: Any = error
        for other in group.exceptions[:_MAX_IN_GROUP]:
            yield "exceptions", plain_error(other)


def _part(error: BaseException, frames: TracebackType | None) -> traceback.TracebackException:
    """Return the displayed form of one exception, without its chain."""
    stand_in = UnusableError(f"{type_name(error)}: {safe_str(error)}")
    for shown in (error, stand_in):
        with contextlib.suppress(BaseException):  # raised by its notes, or by names in frames
            return _checked(shown, frames)
    return _checked(stand_in, None)


def _checked(error: BaseException, frames: TracebackType | None) -> traceback.TracebackException:
    # With `_seen`, it does not follow the chain.
    part = traceback.TracebackException(type(error), error, frames, limit=-_MAX_FRAMES, _seen=set())
    part.__cause__ = part.__context__ = part.exceptions = None
    for line in part.format_exception_only():
        line.encode(errors="replace")
    return part


def _is_not_plain(of: type[BaseException]) -> bool:
    return _overrides(of, _OF_ERRORS) or _overrides(type(of), _OF_CLASSES)


def _overrides(of: type[Any], names: frozenset[str]) -> bool:
    return any(each not in _PYTHONS and not names.isdisjoint(_namespace(each)) for each in _mro(of))
