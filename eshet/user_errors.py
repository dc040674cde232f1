"""Errors of users' code, made safe to look at.

Python lets a class of errors override all that is asked of an error: `__cause__` may be a property
that raises, its metaclass may raise `KeyboardInterrupt` when it is asked for `__name__`. A chain of
errors may have 100,000 links, for each of which Python would look up lines of files. So whoever
handles an error of a user takes `plain_error` of it, and shows it by `error_text` or
`bounded_traceback`.
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
"""How many errors of a chain, or levels of groups, are shown."""

_MAX_IN_GROUP: Final = 16
"""How many errors of a group are shown: one more than `traceback` shows, which counts the rest."""

_MAX_FRAMES: Final = 2000
"""How many frames of an error are shown, the innermost."""

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
"""What a class of errors must not override to be looked at as it is."""

_OF_CLASSES: Final = frozenset({"__getattribute__", "__name__"})
"""The same for a metaclass."""

_PYTHONS: Final = frozenset({BaseException, BaseExceptionGroup, ExceptionGroup, type, object})
"""Where these are defined as they should be."""

Part = tuple[traceback.TracebackException, BaseException]


class UnusableError(Exception):
    """Stands for an error whose class overrides what Python asks of each error."""


def is_error(error: BaseException, kinds: type[Any] | tuple[type[Any], ...]) -> bool:
    """Whether an error is of one of these classes, which runs no code of its own class."""
    return issubclass(type(error), kinds)


def plain_error(error: BaseException) -> BaseException:
    """Return the error, or another one of the same text if its class can't be looked at."""
    if not _is_odd(type(error)):
        return error
    name = type_name(error)
    text = f"{name}: {safe_str(error)} (the class {name} overrides what Python asks of an error)"
    return UnusableError(text).with_traceback(_traceback(error))


def error_text(error: BaseException) -> str:
    """Return what is the end of a traceback: the class and the text; never raises."""
    return "".join(_part(plain_error(error), None).format_exception_only()).strip()


def bounded_traceback(error: BaseException) -> tuple[list[Part], bool]:
    """Return an error and those that it came of, or consists of, the error itself first.

    Each is there as it is shown, linked to those that are shown with it. It never raises, and takes
    little time whatever the error is.

    Returns:
        The errors, and whether there are more of them.
    """
    error = plain_error(error)
    parts = [(_part(error, _traceback(error)), error)]
    todo = deque(parts)
    seen = {id(error)}
    while todo and len(parts) < MAX_ERRORS:
        shown, its_error = todo.popleft()
        for name, other in _others(its_error):
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
    return parts, any(id(other) not in seen for _, each in todo for _, other in _others(each))


def _others(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """Iterate over the errors that another one has, and the names of the attributes."""
    for name in ("__cause__", "__context__"):
        if (other := getattr(error, name)) is not None:
            yield name, plain_error(other)
    if is_error(error, BaseExceptionGroup):
        group: Any = error
        for other in group.exceptions[:_MAX_IN_GROUP]:
            yield "exceptions", plain_error(other)


def _part(error: BaseException, frames: TracebackType | None) -> traceback.TracebackException:
    """Return how one error is shown, without those that it came of."""
    stand_in = UnusableError(f"{type_name(error)}: {safe_str(error)}")
    for shown in (error, stand_in):
        with contextlib.suppress(BaseException):  # whatever its notes and the names in frames do
            return _checked(shown, frames)
    return _checked(stand_in, None)


def _checked(error: BaseException, frames: TracebackType | None) -> traceback.TracebackException:
    # With `_seen`, it leaves the chain to us.
    part = traceback.TracebackException(type(error), error, frames, limit=-_MAX_FRAMES, _seen=set())
    part.__cause__ = part.__context__ = part.exceptions = None
    for line in part.format_exception_only():
        line.encode(errors="replace")
    return part


def _is_odd(of: type[BaseException]) -> bool:
    return _overrides(of, _OF_ERRORS) or _overrides(type(of), _OF_CLASSES)


def _overrides(of: type[Any], names: frozenset[str]) -> bool:
    return any(each not in _PYTHONS and not names.isdisjoint(_namespace(each)) for each in _mro(of))
