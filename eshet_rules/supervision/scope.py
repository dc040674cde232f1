"""A scope that owns all asyncio tasks that are created in it.

A task that a rule starts with plain `asyncio.create_task`, or that a library starts for it, belongs
to the rule. The task factory of the loop ensures this: it finds the scope of the context in which
the task is going to run.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context
from typing import Any, Final, TypeVar

from eshet.interpreter import running_loop
from eshet.scope import Reason, Scope, current_scope
from eshet.tasks.starting import is_failure
from eshet_rules.supervision.owned_task import OwnedTask, report_unhandled

__all__ = ["SHUTDOWN_TIME", "HandOverWish", "RuleScope", "TaskScope", "own_tasks_by_scope"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[[], object])

SHUTDOWN_TIME: Final = 5.0
"""Time that a cancelled task has to end, in seconds."""


class TaskScope(Scope):
    """A scope that also cancels the tasks that were created in it when it is disposed.

    A task belongs to the innermost `TaskScope`; the outer ones wait for its end as well. Tasks that
    are started for clean-up during `close` run to their end; a task that is started later is
    cancelled before it begins.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own_tasks: dict[asyncio.Task[Any], None] = {}
        self._all_tasks: dict[asyncio.Task[Any], None] = {}
        self._closing = False
        self.owns_tasks = True
        self.own(self._cancel_tasks)

    async def close(
        self, reason: Reason = Reason.UNLOADED, *, shutdown_time: float = SHUTDOWN_TIME
    ) -> list[str]:
        """Dispose the scope, and wait until its tasks have ended.

        It does not wait for the task that calls this.

        Args:
            reason: why it is disposed.
            shutdown_time: maximum time to wait, in seconds.

        Returns:
            The names of tasks that have not ended in time.
        """
        self.begin_close(reason)
        try:
            await self._wait_for_tasks(shutdown_time)
        finally:
            self._closing = False
        return sorted(_describe(task) for task in self._others())

    @property
    def has_unbegun_tasks(self) -> bool:
        """Whether a task waits for its first step: its work would be lost by a cancellation."""
        return any(
            inspect.iscoroutine(coroutine := task.get_coro())
            and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
            for task in self._all_tasks
        )

    def begin_close(self, reason: Reason) -> None:
        """Do the part of `close` that does not wait; the caller must call `close` soon."""
        self._closing = True
        self.dispose(reason)

    def own_task(self, task: asyncio.Task[Any]) -> None:
        """Own a task until it ends."""
        if not self.disposed:  # tasks of a disposed scope are clean-up, and are not cancelled
            self._own_tasks[task] = None
            task.add_done_callback(self._own_tasks.pop)
        for scope in self._lineage():
            scope._all_tasks[task] = None
            task.add_done_callback(scope._all_tasks.pop)
        if self.disposed and not any(scope._closing for scope in self._lineage()):
            task.cancel()

    def on_dispose(self, undo: F) -> F:
        """Call `undo`, without arguments, when the scope ends. Can be used as a decorator.

        The last one that was added is called first. If it returns a coroutine, that is awaited.
        """
        self.own(lambda: self._run_clean_up(undo()))
        return undo

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Enter a context manager until the scope ends; return the value that `as` would bind."""
        entered = manager.__enter__()
        self.on_dispose(lambda: manager.__exit__(None, None, None))
        return entered

    async def enter_async(self, manager: AbstractAsyncContextManager[T]) -> T:
        """Enter an asynchronous context manager until the scope ends; see `enter`."""
        entered = await manager.__aenter__()
        self.on_dispose(lambda: manager.__aexit__(None, None, None))
        return entered

    def _run_clean_up(self, result: Any) -> None:
        if asyncio.iscoroutine(result):
            with self.active():  # so that the scope owns the task, and `close` waits for it
                clean_up: Any = self._await_clean_up(result)
                clean_up.__qualname__ = getattr(
                    result, "__qualname__", "clean-up"
                )  # the name under which it is reported
                _ = asyncio.get_running_loop().create_task(clean_up)

    async def _await_clean_up(self, coroutine: Coroutine[Any, Any, object]) -> None:
        try:
            await coroutine
        except BaseException as error:
            if not is_failure(error):
                raise
            self.report(error, f"disposing scope {self.name}")

    async def _wait_for_tasks(self, shutdown_time: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + shutdown_time
        while (tasks := self._others()) and (left := deadline - loop.time()) > 0:
            await asyncio.wait(tasks, timeout=left)

    def _others(self) -> set[asyncio.Task[Any]]:
        return self._all_tasks.keys() - {asyncio.current_task()}

    def _cancel_tasks(self) -> None:
        for task in self._own_tasks.keys() - {_current_task()}:
            task.cancel()

    def _lineage(self) -> "Iterator[TaskScope]":
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope, TaskScope):
                yield scope
            scope = scope.parent


class HandOverWish:
    """A rule's choice about the hand-over from its old version to this one."""

    def __init__(self) -> None:
        self.refused: str | None = None
        """Why the rule refuses the hand-over; None if it accepts it."""

    def refuse(self, why: str) -> None:
        """Refuse the hand-over: start without the state of the old version, and log the reason."""
        self.refused = why


class RuleScope(TaskScope):
    """The argument `scope` of a rule: the scope of one attempt to run it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handover: Final = HandOverWish()


def own_tasks_by_scope(loop: asyncio.AbstractEventLoop) -> None:
    """Make the scope of its context own each task that is created in the loop.

    Unhandled errors of tasks and callbacks are reported to that scope.
    """
    loop.set_task_factory(_make_task)
    loop.set_exception_handler(report_unhandled)


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None, **kwargs: Any
) -> asyncio.Task[Any]:
    task = OwnedTask(coro, loop=loop, context=context, **kwargs)
    task.scope = scope = current_scope(context)
    while scope is not None and not isinstance(scope, TaskScope):
        scope = scope.parent
    if scope is not None:
        scope.own_task(task)
    return task


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if running_loop() is not None else None


def _describe(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", coroutine))
