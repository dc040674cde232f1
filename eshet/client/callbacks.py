"""What a user gave us to call, together with the context in which it was given.

A callback runs in that context: the tasks that it starts belong to the scope, and have the default
client, of the rule that registered it. Its errors are reported there too, and go no further.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from eshet.scope import report_error

__all__ = ["Answer", "Callback", "Tasks"]

_VALUES: Final = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})
"""What most callbacks return: to ask whether that can be awaited takes longer than the call."""


class Answer(Protocol):
    """Takes what a callback came to, once."""

    def reply(self, result: Any) -> None:
        """It returned this. What this raises is the callback's error: the result is no good."""
        ...

    def fail(self, error: Exception) -> None:
        """It raised this."""
        ...


class Tasks:
    """The tasks of one client, which nobody else holds on to."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

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
        doing: what it is called for, as `"listener of /hall/motion"`; for reports of errors.
        tasks: where its tasks belong.
    """

    __slots__ = ("_doing", "_in_context", "_tasks", "function")

    def __init__(self, function: Callable[..., Any], doing: str, tasks: Tasks) -> None:
        self.function = function
        self._doing = doing
        self._tasks = tasks
        self._in_context = contextvars.copy_context().run

    def __call__(self, *args: Any) -> None:
        """Call it, and forget what it returns."""
        try:
            result = self._in_context(self.function, *args)
        except Exception as error:
            self._report(error)
        else:
            if type(result) not in _VALUES and inspect.isawaitable(result):
                self._start(self._await(result))

    def answer(self, args: list[Any], answer: Answer) -> None:
        """Call it, and give its result or its error to the answer; now or later."""
        try:
            result = self._in_context(self.function, *args)
            if type(result) not in _VALUES and inspect.isawaitable(result):
                self._start(self._await_answer(result, answer))
            else:
                answer.reply(result)
        except Exception as error:
            self._report(error)
            answer.fail(error)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        _ = self._in_context(self._tasks.start, coroutine)

    async def _await(self, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:
            report_error(error, self._doing)

    async def _await_answer(self, result: Awaitable[Any], answer: Answer) -> None:
        try:
            answer.reply(await result)
        except asyncio.CancelledError:
            answer.fail(RuntimeError("cancelled"))
            raise
        except Exception as error:
            report_error(error, self._doing)
            answer.fail(error)

    def _report(self, error: Exception) -> None:
        self._in_context(report_error, error, self._doing)
