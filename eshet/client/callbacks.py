"""User callbacks, each with the context in which it was registered.

A callback runs in that context: the tasks that it starts belong to the scope, and use the default
client, of the rule that registered it. Its errors are reported there, and are not raised further.
Only the cause is that of the input.
"""

import asyncio
import contextvars
import functools
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from eshet.callables import not_callable
from eshet.cause import Cause, current
from eshet.client.observer import ClientObserver
from eshet.exceptions import ErrorAnswer, NotAccepted
from eshet.scope import current_scope, is_contained, report_error
from eshet.tasks.starting import is_failure
from eshet.user_errors import is_error

__all__ = ["Answer", "Callback", "Tasks"]

_VALUES: Final = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})
"""The types of most results: testing whether a result is awaitable takes longer than the call."""

_ANSWERS: Final = (ErrorAnswer, NotAccepted)
"""The errors that a callback raises on purpose, as its answer."""

_KINDS: Final = {
    "listener": "event",
    "observer": "state",
    "action": "call",
    "setter": "set",
    "getter": "get",
}
"""The kind of input that each role of a callback receives."""


class Answer(Protocol):
    """Takes the outcome of a callback, once."""

    def reply(self, result: object) -> None:
        """Reply with a result; raises if the result is not valid, as an error of the callback."""
        ...

    def fail(self, error: BaseException) -> None:
        """Reply with an error."""
        ...


_log: Final = logging.getLogger("eshet.client")

WARN_RUNNING: Final = 10_000
"""A warning is logged when this many callbacks of a client are running, and at each doubling."""


class Tasks:
    """The tasks of one client; it keeps the references that asyncio does not keep."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()
        self._warn_at = WARN_RUNNING

    def start_for(self, coroutine: Coroutine[Any, Any, None], doing: str) -> None:
        """Run the coroutine of a callback in a task; warn when more and more of them run.

        Args:
            coroutine: returned by a callback.
            doing: the name of the callback, such as `"listener of /hall/motion"`.
        """
        _ = self.start(coroutine)
        self._warn_of_many(doing)

    def keep(self, future: asyncio.Future[Any], doing: str) -> None:
        """Keep the result of a callback that is a future, and warn as `start_for` does."""
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        self._warn_of_many(doing)

    def _warn_of_many(self, doing: str) -> None:
        count = len(self._running)
        if count < WARN_RUNNING:
            self._warn_at = WARN_RUNNING
        elif count >= self._warn_at:
            self._warn_at = 2 * count
            text = "%d callbacks are running, the last is the %s: they start faster than they end"
            _log.warning(text, count, doing)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task, in a copy of the current context."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def cancel(self) -> None:
        """Cancel all tasks except the calling one, and wait until they have ended."""
        tasks = {each for each in self._running if each is not asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Callback:
    """A user callback.

    Args:
        function: the function to call; an awaitable result is awaited in a task.
        role: `"listener"`, `"observer"`, `"action"`, `"setter"` or `"getter"`.
        path: the path for which it was registered.
        tasks: the tasks of the client.
        observer: the client's observer, which is notified of each input.

    Raises:
        TypeError: the function can't be called.
    """

    __slots__ = (
        "_in_context",
        "_kind",
        "_observer",
        "_path",
        "_role",
        "_tasks",
        "function",
        "seen",
    )

    def __init__(
        self,
        function: Callable[..., object],
        role: str,
        path: str,
        tasks: Tasks,
        observer: ClientObserver | None = None,
    ) -> None:
        if not callable(function):
            raise not_callable(function, f"the {role} of {path}", TypeError)
        self.function: Callable[..., Any] = function
        self._role = role
        self._kind = _KINDS[role]
        self._path = path
        self._tasks = tasks
        self._observer = observer
        self.seen: int = 0  # see `eshet.client.observer.InputTarget`
        self._reset_seen()
        self._in_context = contextvars.copy_context().run

    def __call__(self, *args: Any) -> None:
        """Call the function, and ignore its result."""
        self._in_context(self._call, current.get(), args)

    def answer(self, args: list[Any], answer: Answer) -> None:
        """Call the function, and pass its result or error to `answer`, now or later."""
        if self._observer is not None:
            value = args if self._role == "action" else args[0] if args else None
            self._in_context(self._notify_input, self._observer, current.get(), value)
        try:
            result = self._in_context(self.function, *args)
            if type(result) in _VALUES or not _is_awaitable(result):
                answer.reply(result)
            elif type(result) is asyncio.Future and not self._in_context(_is_owning_tasks):
                # Bridges answer thousands of sets with futures; a task for each would be slow.
                self._in_context(self._reply_later, result, answer)
            else:
                self._start(self._await_answer(result, answer))
        except BaseException as error:
            answer.fail(error)  # the caller gets an answer in any case
            if not is_contained(error, self._in_context(current_scope)):
                raise
            if not is_error(error, _ANSWERS):
                self._report(error)

    def _call(self, cause: Cause | None, args: tuple[Any, ...]) -> None:
        """See `__call__`; this runs within the callback's own context."""
        observer = self._observer
        if observer is not None and not self._notify_input(observer, cause, args[0]):
            return
        try:
            result = self.function(*args)
        except BaseException as error:
            if not is_contained(error, current_scope()):
                raise
            report_error(error, self._doing)
        else:
            if type(result) not in _VALUES and _is_awaitable(result):
                self._tasks.start_for(self._await(result), self._doing)

    @property
    def _doing(self) -> str:
        return f"{self._role} of {self._path}"

    def _reset_seen(self) -> None:
        if self._observer is not None:
            self.seen = self._observer.first_visible()

    def _notify_input(self, observer: ClientObserver, cause: Cause | None, value: object) -> bool:
        """Notify the client's observer; return False if that disposed the callback's scope."""
        current.set(cause)  # in the callback's own context, until the next input
        observer.on_input(self._kind, self._path, value)
        scope = current_scope()
        return scope is None or not scope.disposed

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._in_context(self._tasks.start_for, coroutine, self._doing)

    async def _await(self, result: Awaitable[object]) -> None:
        try:
            await result
        except BaseException as error:
            if not is_failure(error):
                raise
            report_error(error, self._doing)

    async def _await_answer(self, result: Awaitable[object], answer: Answer) -> None:
        try:
            answer.reply(await result)
        except BaseException as error:
            failed = is_failure(error)
            is_cancelled = is_error(error, asyncio.CancelledError) and not failed
            answer.fail(RuntimeError("cancelled") if is_cancelled else error)
            if not failed:
                raise
            if not is_error(error, _ANSWERS):
                report_error(error, self._doing)

    def _reply_later(self, future: asyncio.Future[Any], answer: Answer) -> None:
        self._tasks.keep(future, self._doing)
        future.add_done_callback(functools.partial(self._on_done, answer))

    def _on_done(self, answer: Answer, future: asyncio.Future[Any]) -> None:
        """Answer with the outcome of a future, as `_await_answer` does."""
        try:
            answer.reply(future.result())
        except BaseException as error:
            answer.fail(RuntimeError("cancelled") if future.cancelled() else error)
            if future.cancelled():
                return
            if not is_failure(error):
                raise
            if not is_error(error, _ANSWERS):
                report_error(error, self._doing)

    def _report(self, error: BaseException) -> None:
        self._in_context(report_error, error, self._doing)


def _is_owning_tasks() -> bool:
    scope = current_scope()
    return scope is not None and scope.root.owns_tasks


def _is_awaitable(value: Any) -> bool:
    """Return whether a value is awaitable, by its type: the value itself may be any user object."""
    kind = type(value)
    return hasattr(kind, "__await__") or (
        kind is types.GeneratorType and bool(value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    )
