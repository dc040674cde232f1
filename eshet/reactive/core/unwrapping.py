"""Calling the function of a node, and the treatment of absent arguments."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from eshet.reactive.core.markers import NoChange, NoValue
from eshet.unknown import Unknown

__all__ = ["Lifted"]


class Lifted:
    """A function, in the forms in which nodes call it.

    Args:
        function: called with the values or emissions of its arguments.
        propagates_absent: return an argument that is `NoValue` or `Unknown` instead of calling the
            function; an Event does not emit `NoValue`. Operators work this way.
    """

    __slots__ = ("emitting", "function", "many", "one", "propagates_absent", "two")

    def __init__(self, function: Callable[..., object], *, propagates_absent: bool = False) -> None:
        self.function: Callable[..., object] = function
        self.one: Callable[..., object] = function
        self.two: Callable[..., object] = function
        self.many: Callable[..., object] = function
        self.emitting: Callable[..., object] = function
        self.propagates_absent: bool = propagates_absent
        if propagates_absent:
            self.one = _propagating_one(function)
            self.two = _propagating_two(function)
            self.many = _propagating_many(function)
            self.emitting = _never_novalue(self.many)

    def with_names(self, names: Sequence[str]) -> "Lifted":
        """Return the same function with its last arguments passed by these names."""
        function = self.function

        @functools.wraps(function)
        def named(*args: object) -> object:
            unnamed = len(args) - len(names)
            return function(*args[:unnamed], **dict(zip(names, args[unnamed:], strict=True)))

        return Lifted(named, propagates_absent=self.propagates_absent)

    @property
    def name(self) -> str:
        """The name of the function for messages."""
        return getattr(self.function, "__name__", None) or repr(self.function)


def _propagating_one(function: Callable[..., object]) -> Callable[[Any], object]:
    def propagating(a: object) -> object:
        if a is NoValue or a is Unknown:
            return a
        return function(a)

    return propagating


def _propagating_two(function: Callable[..., object]) -> Callable[[Any, Any], object]:
    def propagating(a: object, b: object) -> object:
        if a is NoValue or a is Unknown:
            return a
        if b is NoValue or b is Unknown:
            return b
        return function(a, b)

    return propagating


def _propagating_many(function: Callable[..., object]) -> Callable[..., object]:
    def propagating(*args: object) -> object:
        for argument in args:
            if argument is NoValue or argument is Unknown:
                return argument
        return function(*args)

    return propagating


def _never_novalue(function: Callable[..., object]) -> Callable[..., object]:
    def emitting(*args: object) -> object:
        result = function(*args)
        return NoChange if result is NoValue else result

    return emitting
