"""Starting an `asyncio.Task` without having to hold a reference to it."""

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from eshet.exceptions import Interrupted
from eshet.scope import current_scope, is_contained
from eshet.user_errors import is_error

__all__ = ["is_failure", "name_of", "retrieve_error", "start_task"]

_T = TypeVar("_T")

_running: Final[set[asyncio.Task[Any]]] = set()  # asyncio itself holds its tasks only weakly


def start_task(
    work: Callable[[], Coroutine[Any, Any, _T]],
    named: Callable[..., object],
    context: contextvars.Context | None = None,
) -> asyncio.Task[_T]:
    """Start an `asyncio.Task`, named after a function; the caller need not hold a reference."""
    loop = asyncio.get_running_loop()  # may raise, so before creating a coroutine
    task = loop.create_task(work(), name=name_of(named), context=context)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def is_failure(error: BaseException) -> bool:
    """Whether awaited user code failed with this error; else the error must be raised further.

    It must be raised further if the current task is being cancelled, if its coroutine is being
    closed (which happens outside of its task), or if the watchdog of the event loop interrupts it.
    Otherwise the same holds as for callbacks; see `eshet.scope.is_contained`.
    """
    task = _current_task()
    if is_error(error, asyncio.CancelledError):
        return task is not None and not task.cancelling()
    if is_error(error, GeneratorExit) and task is None:
        return False
    return not is_error(error, Interrupted) and is_contained(error, current_scope())


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop is running any more
        return None


def retrieve_error(task: asyncio.Task[Any]) -> None:
    """Mark the error of a task as retrieved: it has been reported already."""
    if not task.cancelled():
        task.exception()


def name_of(f: Callable[..., object]) -> str:
    """Return the name of a function or a task for messages."""
    while isinstance(f, functools.partial):
        f = f.func
    return str(getattr(f, "__qualname__", None) or repr(f))
