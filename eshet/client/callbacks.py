"""What a user gave us to call, together with the context in which it was given.

A callback runs in that context: the tasks that it starts belong to the scope, and have the default
client, of the rule that registered it. Its errors are reported there too, and go no further.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from eshet.scope import report_error

__all__ = ["Callback", "Tasks"]


class Tasks:
    """The tasks of one client's callbacks, which nobody else holds on to."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task, in a copy of the present context."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

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

    __slots__ = ("_context", "_doing", "_function", "_tasks")

    def __init__(self, function: Callable[..., Any], doing: str, tasks: Tasks) -> None:
        self._function = function
        self._doing = doing
        self._tasks = tasks
        self._context = contextvars.copy_context()

    def __call__(self, *args: Any) -> None:
        """Call it, and forget what it returns."""
        self._context.run(self._call, args, None)

    def answer(
        self, args: list[Any], reply: Callable[[Any], None], fail: Callable[[Exception], None]
    ) -> None:
        """Call it, and call `reply` with its result, or `fail` with its error; now or later."""
        self._context.run(self._call, args, (reply, fail))

    def _call(self, args: Any, answer: "_Answer | None") -> None:
        try:
            result = self._function(*args)
            if result is not None and inspect.isawaitable(result):
                self._tasks.start(self._await(result, answer))
                return
        except Exception as error:
            self._failed(error, answer)
        else:
            self._done(result, answer)

    async def _await(self, result: Awaitable[Any], answer: "_Answer | None") -> None:
        try:
            value = await result
        except asyncio.CancelledError:
            if answer is not None:
                answer[1](RuntimeError("cancelled"))
            raise
        except Exception as error:
            self._failed(error, answer)
        else:
            self._done(value, answer)

    def _done(self, value: Any, answer: "_Answer | None") -> None:
        if answer is None:
            return
        try:
            answer[0](value)
        except Exception as error:
            self._failed(error, answer)

    def _failed(self, error: Exception, answer: "_Answer | None") -> None:
        report_error(error, self._doing)
        if answer is not None:
            answer[1](error)


_Answer = tuple[Callable[[Any], None], Callable[[Exception], None]]
