"""Starting an `asyncio.Task` that nobody has to hold."""

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

__all__ = ["name_of", "retrieve_error", "start_task"]

_T = TypeVar("_T")

_running: Final[set[asyncio.Task[Any]]] = set()  # asyncio itself holds its tasks only weakly


def start_task(
    work: Callable[[], Coroutine[Any, Any, _T]],
    named: Callable[..., object],
    context: contextvars.Context | None = None,
) -> asyncio.Task[_T]:
    """Start an `asyncio.Task` that nobody has to hold, named after a function."""
    loop = asyncio.get_running_loop()  # raises before there is a coroutine that nobody awaits
    task = loop.create_task(work(), name=name_of(named), context=context)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def retrieve_error(task: asyncio.Task[Any]) -> None:
    """Tell asyncio that the error is known: it has been reported already."""
    if not task.cancelled():
        task.exception()


def name_of(f: Callable[..., object]) -> str:
    """Return what to call a function or a task in front of people."""
    while isinstance(f, functools.partial):
        f = f.func
    return str(getattr(f, "__qualname__", None) or repr(f))
