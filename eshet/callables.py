"""The error for an argument that is to be a function, and can't be called.

A common mistake is to call the function where it should only be passed. If this were not checked at
once, it would show at the first event only, or not at all.
"""

import inspect
from typing import TypeVar

from eshet.text import safe_repr

__all__ = ["not_callable"]

_E = TypeVar("_E", bound=TypeError)


def not_callable(function: object, use: str, kind: type[_E]) -> _E:
    """Return an error for an argument that can't be called.

    If it is a coroutine, it is closed: otherwise Python would warn that it was never awaited, and
    an `await` is not what is missing.

    Args:
        function: the argument.
        use: what it is for, such as `"the listener of /hall/motion"`.
        kind: the class of the error.
    """
    if inspect.iscoroutine(function) and inspect.getcoroutinestate(function) == "CORO_CREATED":
        function.close()
    return kind(
        f"{use} must be a function, and not {safe_repr(function, 200)}: pass the function itself, "
        "without calling it: write `f` instead of `f()`, or `lambda value: f(value, 100)` to pass "
        "more arguments"
    )
