"""Errors for arguments that are functions or coroutines by mistake.

Common mistakes are to call a function where it should only be passed, and to forget an `await`. If
this were not checked at once, it would show at the first event only, or not at all.
"""

import inspect
from types import CoroutineType
from typing import Any, TypeVar

from eshet.text import safe_repr

__all__ = ["check_awaited", "not_callable"]

_E = TypeVar("_E", bound=TypeError)


def not_callable(function: object, use: str, kind: type[_E]) -> _E:
    """Return an error for an argument that can't be called.

    If it is a coroutine, it is closed: otherwise Python would warn that it was never awaited, and
    that is not the mistake.

    Args:
        function: the argument.
        use: its purpose, such as `"the listener of /hall/motion"`.
        kind: the class of the error.
    """
    if inspect.iscoroutine(function) and inspect.getcoroutinestate(function) == "CORO_CREATED":
        function.close()
    return kind(
        f"{use} must be a function, and not {safe_repr(function, 200)}: pass the function itself, "
        "without calling it: write `f` instead of `f()`, or `lambda value: f(value, 100)` to pass "
        "more arguments"
    )


def check_awaited(argument: object, kind: type[_E]) -> None:
    """Raise an error if an argument is a coroutine that was not awaited.

    Args:
        argument: the argument.
        kind: the class of the error.
    """
    if type(argument) is CoroutineType:
        raise _not_awaited(argument, kind)


def _not_awaited(coroutine: "CoroutineType[Any, Any, Any]", kind: type[_E]) -> _E:
    name = coroutine.__name__
    coroutine.close()  # so that Python does not warn about it as well
    return kind(
        f"this is a coroutine: write `await` before {name}(...), as in `value = await {name}(...)`"
    )
