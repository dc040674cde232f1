"""Finds calls of coroutine functions that a test has forgotten to await."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from eshet.interpreter import get_frame

__all__ = ["Calls", "checked"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound="HasCalls")


class HasCalls(Protocol):
    """An object with methods that are `checked`."""

    @property
    def calls_made(self) -> "Calls":
        """Where the calls of its methods are noted."""


class Calls:
    """The calls with a coroutine that has not begun to run."""

    def __init__(self) -> None:
        self._made: Final[list[tuple[CoroutineType[Any, Any, Any], str, str]]] = []

    def add(self, coroutine: "CoroutineType[Any, Any, Any]", name: str, place: str) -> None:
        """Note a call."""
        self._made[:] = [each for each in self._made if _is_waiting(each[0])]
        self._made.append((coroutine, name, place))

    def forgotten(self) -> list[str]:
        """Return a text for each call that was never awaited, and forget all of them."""
        waiting = [each for each in self._made if _is_waiting(each[0])]
        self._made.clear()
        for coroutine, _, _ in waiting:
            coroutine.close()  # so that Python does not warn as well
        return [
            f"{place}: {name}(...) was never awaited, so it did nothing: write `await` before it, "
            "in an `async def` test"
            for _, name, place in waiting
        ]


def checked(
    method: Callable[Concatenate[_S, _P], Coroutine[Any, Any, _R]],
) -> Callable[Concatenate[_S, _P], Coroutine[Any, Any, _R]]:
    """Let an object note the calls of one of its methods, until they are awaited."""

    @functools.wraps(method)
    def call(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _R]:
        coroutine = method(self, *args, **kwargs)
        frame = get_frame(1)
        place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        if isinstance(coroutine, CoroutineType):
            self.calls_made.add(
                coroutine, f"{type(self).__name__.lower()}.{method.__name__}", place
            )
        return coroutine

    return call


def _is_waiting(coroutine: "CoroutineType[Any, Any, Any]") -> bool:
    return inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
