"""Objects and values of rules at their worst: made of each kind that has ended something once."""

from collections.abc import Callable
from typing import Any

__all__ = ["ERRORS", "EXPANDING", "HOSTILE", "ODD_ERRORS", "Own", "hostile_object"]


class Own(BaseException):
    """An error that is no `Exception`, as some test frameworks have."""


ERRORS: list[type[BaseException]] = [
    ValueError,
    RecursionError,
    MemoryError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    Own,
]


def hostile_object(error: type[BaseException], *methods: str) -> Any:
    """Return an object of which these methods raise an error."""

    def fail(self: Any, *args: Any) -> Any:
        raise error("of a method")

    return type("Hostile", (), dict.fromkeys(methods, fail))()


def _nested(kind: Callable[[Any], Any], depth: int = 5000) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = kind(value)
    return value


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


HOSTILE: dict[str, Callable[[], Any]] = {
    "deep tuples": lambda: _nested(lambda inner: (1, inner)),
    "deep lists": lambda: _nested(lambda inner: [inner]),
    "deep dicts": lambda: _nested(lambda inner: {"inner": inner}),
    "deep keys": lambda: _nested(lambda inner: (inner,), 1000),
    "cycle": _cycle,
    "huge number": lambda: 10**10000,
    "object": object,
    "class": lambda: Own,
    "function": lambda: _cycle,
    "generator": lambda: (each for each in ()),
    "long repr": lambda: type("Long", (), {"__repr__": lambda self: "x" * 70_000})(),
    "repr of another type": lambda: type("Odd", (), {"__repr__": lambda self: 7})(),
    **{
        f"{method} raises {error.__name__}": lambda e=error, m=method: hostile_object(e, m)
        for error in ERRORS
        for method in ("__repr__", "__eq__", "__hash__", "__getattribute__", "__bool__")
    },
}
"""What can't be packed, by the names of its kinds."""

EXPANDING: dict[str, Callable[[], Any]] = {
    "lists of one list, again and again": lambda: _nested(lambda inner: [inner, inner], 200),
    "dicts of one dict, again and again": lambda: _nested(lambda inner: {1: inner, 2: inner}, 60),
    "one long list, many times": lambda: [[[0] * 1000] * 1000] * 1000,
    "one long text, many times": lambda: ["x" * 10**6] * 10**4,
}
"""What takes little memory, and no end of bytes once it is written out."""


def _odd_error(name: str, error: type[BaseException]) -> BaseException:
    def fail(self: Any, *args: Any) -> Any:
        raise error("of an attribute")

    is_method = name in {"__bool__", "__len__", "__str__", "__getattribute__"}
    return type("Odd", (Exception,), {name: fail if is_method else property(fail)})("odd")


def _odd_class(name: str, error: type[BaseException]) -> BaseException:
    def fail(self: Any, *args: Any) -> Any:
        raise error("of a class")

    kind = type("Kind", (type,), {name: fail if name == "__getattribute__" else property(fail)})
    return kind("Odd", (Exception,), {})("odd")


def _with(**attributes: Any) -> BaseException:
    error = SyntaxError("odd", ("hall.py", 1, 1, "text"))
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


ODD_ERRORS: dict[str, Callable[[], BaseException]] = {
    **{
        f"{name} raises {error.__name__}": lambda n=name, e=error: _odd_error(n, e)
        for error in (ValueError, KeyboardInterrupt, Own)
        for name in (
            "__bool__",
            "__cause__",
            "__class__",
            "__context__",
            "__getattribute__",
            "__notes__",
            "__str__",
            "__suppress_context__",
            "__traceback__",
        )
    },
    **{
        f"{name} of its class raises {error.__name__}": lambda n=name, e=error: _odd_class(n, e)
        for error in (ValueError, KeyboardInterrupt, Own)
        for name in ("__getattribute__", "__module__", "__name__")
    },
    "notes that are no list": lambda: _with(__notes__=hostile_object(Own, "__getattribute__")),
    "a note that has no text": lambda: _with(__notes__=[hostile_object(Own, "__str__")]),
    "a line that is no text": lambda: _with(text=5),
    "a file that is no text": lambda: _with(filename=hostile_object(Own, "__str__", "__format__")),
}
"""Errors of classes that override what Python asks of an error, by what they do."""
