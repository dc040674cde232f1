"""What a user gave us to call, together with the context in which it was given.

A callback runs in that context: the tasks that it starts belong to the scope, and have the default
client, of the rule that registered it. Its errors are reported there too, and go no further. Only
the cause is that of what it is told.
"""

import asyncio
import contextvars
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from eshet.cause import Cause, current
from eshet.client.observer import ClientObserver
from eshet.scope import current_scope, is_contained, report_error
from eshet.tasks.starting import is_failure
from eshet.user_errors import is_error

__all__ = ["Answer", "Callback", "Tasks"]

_VALUES: Final = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})
"""What most callbacks return: to ask whether that can be awaited takes longer than the call."""

_KINDS: Final = {
    "listener": "event",
    "observer": "state",
    "action": "call",
    "setter": "set",
    "getter": "get",
}
"""Which kind of input each role of a callback hears."""


class Answer(Protocol):
    """Takes what a callback came to, once."""

    def reply(self, result: Any) -> None:
        """It returned this. What this raises is the callback's error: the result is no good."""
        ...

    def fail(self, error: BaseException) -> None:
        """It raised this."""
        ...


_log: Final = logging.getLogger("eshet.client")

WARN_RUNNING: Final = 10_000
"""How many callbacks of one client run at once when a warning is logged, and at each doubling."""


class Tasks:
    """The tasks of one client, which nobody else holds on to."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._warn_at = WARN_RUNNING

    def start_for(self, coroutine: Coroutine[Any, Any, None], doing: str) -> None:
        """Run what a callback returned in a task; warn when ever more of these run.

        Args:
            coroutine: of a callback.
            doing: what it is, as `"listener of /hall/motion"`.
        """
        _ = self.start(coroutine)
        count = len(self._running)
        if count < WARN_RUNNING:
            self._warn_at = WARN_RUNNING
        elif count >= self._warn_at:
            self._warn_at = 2 * count
            text = "%d callbacks run at once, the last is the %s: they come faster than they end"
            _log.warning(text, count, doing)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task, in a copy of the present context."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def cancel(self) -> None:
        """Cancel all that run, but for the one that calls this, and wait until they have ended."""
        tasks = self._running - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Callback:
    """A callback of a user.

    Args:
        function: what to call; if it returns something awaitable, that is awaited in a task.
        role: what it is there as: `"listener"`, `"observer"`, `"action"`, `"setter"` or `"getter"`.
        path: where.
        tasks: where its tasks belong.
        witness: is told of what it hears, if there is one.
    """

    __slots__ = ("_in_context", "_observer", "_path", "_role", "_tasks", "function", "seen")

    def __init__(
        self,
        function: Callable[..., Any],
        role: str,
        path: str,
        tasks: Tasks,
        observer: ClientObserver | None = None,
    ) -> None:
        self.function = function
        self._role = role
        self._path = path
        self._tasks = tasks
        self._observer = observer
        self.seen = 0  # see `eshet.client.observer.Endpoint`
        self._see_from_now()
        self._in_context = contextvars.copy_context().run

    def __call__(self, *args: Any) -> None:
        """Call it, and forget what it returns."""
        if self._observer is not None and not self._in_context(
            self._hear, self._observer, current.get(), args[0]
        ):
            return
        try:
            result = self._in_context(self.function, *args)
        except BaseException as error:
            if not is_contained(error, self._in_context(current_scope)):
                raise
            self._report(error)
        else:
            if type(result) not in _VALUES and _is_awaitable(result):
                self._start(self._await(result))

    def answer(self, args: list[Any], answer: Answer) -> None:
        """Call it, and give its result or its error to the answer; now or later."""
        if self._observer is not None:
            value = args if self._role == "action" else args[0] if args else None
            self._in_context(self._hear, self._observer, current.get(), value)
        try:
            result = self._in_context(self.function, *args)
            if type(result) not in _VALUES and _is_awaitable(result):
                self._start(self._await_answer(result, answer))
            else:
                answer.reply(result)
        except BaseException as error:
            answer.fail(error)  # the caller gets an answer in any case
            if not is_contained(error, self._in_context(current_scope)):
                raise
            self._report(error)

    @property
    def _doing(self) -> str:
        return f"{self._role} of {self._path}"

    def _see_from_now(self) -> None:
        if self._observer is not None:
            self.seen = self._observer.first_visible(_KINDS[self._role], self._path.encode())

    def _hear(self, observer: ClientObserver, cause: Cause | None, value: Any) -> bool:
        """Tell the witness, and return whether who is to hear is still there after that."""
        current.set(cause)  # of this context, which is the callback's own, until it hears again
        observer.on_input(_KINDS[self._role], self._path, value)
        scope = current_scope()
        return scope is None or not scope.disposed

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._in_context(self._tasks.start_for, coroutine, self._doing)

    async def _await(self, result: Awaitable[Any]) -> None:
        try:
            await result
        except BaseException as error:
            if not is_failure(error):
                raise
            report_error(error, self._doing)

    async def _await_answer(self, result: Awaitable[Any], answer: Answer) -> None:
        try:
            answer.reply(await result)
        except BaseException as error:
            failed = is_failure(error)
            is_cancelled = is_error(error, asyncio.CancelledError) and not failed
            answer.fail(RuntimeError("cancelled") if is_cancelled else error)
            if not failed:
                raise
            report_error(error, self._doing)

    def _report(self, error: BaseException) -> None:
        self._in_context(report_error, error, self._doing)


def _is_awaitable(value: Any) -> bool:
    """Return whether a value can be awaited, without asking the value: it may be anything."""
    kind = type(value)
    return hasattr(kind, "__await__") or (
        kind is types.GeneratorType and bool(value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    )
