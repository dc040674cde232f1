"""Strategies for running tasks in the background: a rule's coroutine, and its sinks.

A *task* here is an async function without arguments, which can be called repeatedly. A strategy is
only a description; `build` returns an object that is called with tasks and runs them:

    run = RunSerially(only_latest=True, retry=True).build()
    run(switch_on)
    run(switch_off)          # replaces switch_on, if that is still waiting or failing
    await run.close()

The tasks belong to the scope in which the strategy was built: they run in that context, their
errors are reported there, and they end with that scope. Only the cause is that of the call with the
task: it stays with the task through queues and retries. `eshet_rules` has more strategies.
"""

import abc
import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from eshet.callables import not_callable
from eshet.scope import current_scope, report_error
from eshet.tasks import (
    Arrival,
    BuiltStrategy,
    Options,
    RetryOptions,
    backoff_of,
    check_retries,
)
from eshet.tasks.starting import is_failure, name_of, retrieve_error, start_task
from eshet.text import type_name
from eshet.user_errors import is_error

__all__ = ["RunInTask", "RunSerially", "TaskStrategy", "in_task"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def in_task(f: Callable[_P, Awaitable[_T]]) -> Callable[_P, asyncio.Task[_T]]:
    """Return a function that calls `f` in a task of its own and returns that `asyncio.Task`.

    The task belongs to the scope of the caller and is cancelled with it. Its error is reported
    there, and also raised to a caller that awaits the task.
    """

    @functools.wraps(f)
    def start(*args: _P.args, **kwargs: _P.kwargs) -> asyncio.Task[_T]:
        async def call() -> _T:
            try:
                return await f(*args, **kwargs)
            except BaseException as error:
                if not is_failure(error):
                    raise
                report_error(error, f"task {name_of(f)}")
                if is_error(error, (SystemExit, KeyboardInterrupt)):
                    # In a task, asyncio would let it end the event loop.
                    raise RuntimeError(f"raised {type_name(error)}") from error
                raise

        task = start_task(call, f)
        task.add_done_callback(retrieve_error)
        if (scope := current_scope()) is not None:
            owned = scope.own(task.cancel)
            task.add_done_callback(lambda _: owned.forget())
        return task

    return start


class TaskStrategy(abc.ABC):
    """A strategy for running tasks in the background."""

    @abc.abstractmethod
    def build(self) -> BuiltStrategy:
        """Return an object that runs the tasks it is called with; close it with `close()`.

        It is closed automatically when the scope in which it was built is disposed.
        """

    def wrap_fn(self, f: Callable[_P, Awaitable[object]]) -> Callable[_P, None]:
        """Return a function that runs `f`, with the same arguments, under this strategy."""
        if not callable(f):
            raise not_callable(f, "an argument of `wrap_fn`", TypeError)
        run = self.build()

        @functools.wraps(f)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
            run(functools.partial(f, *args, **kwargs))

        return call


@dataclass(frozen=True, repr=False)
class RunInTask(RetryOptions, TaskStrategy):
    """Run each task at once, in an `asyncio.Task` of its own. A failure is reported, once.

    Args:
        **options: see `eshet.tasks.RetryOptions`.
    """

    def build(self) -> BuiltStrategy:
        """Return an object that runs tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(self, backoff=backoff_of(self))


@dataclass(frozen=True, repr=False)
class RunSerially(Options, TaskStrategy):
    """Run tasks one after another, in the order of the calls.

    Args:
        only_latest: when a task can start, skip all waiting tasks but the newest; a task that waits
            for its retry is replaced as well. Right for tasks that set something: only the last
            setting matters.
        retry: repeat a failed task until it succeeds. Without `only_latest`, later tasks have to
            wait for that.
        assume_failed: treat each attempt as failed, so that the last task is repeated until there
            is a newer one. For transmissions that may get lost unnoticed, such as by a radio
            without acknowledgement; needs `retry` and `only_latest`.
        retry_start: seconds from a failure to the second attempt.
        retry_end: the longest time between two attempts, in seconds.
        retry_multiplier: the factor from each pause to the next. A new task starts again with
            `retry_start`.
        **options: see `eshet.tasks.Options`.

    Raises:
        ValueError: the arguments are not consistent; the message says what to write.
    """

    only_latest: bool = False
    retry: bool = False
    assume_failed: bool = False
    retry_start: float = 2.0
    retry_end: float = 30.0
    retry_multiplier: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_retries(self)
        if self.assume_failed and not (self.retry and self.only_latest):
            raise ValueError(
                "assume_failed repeats the last task forever, which needs both others: write "
                "RunSerially(only_latest=True, retry=True, assume_failed=True)"
            )

    def build(self) -> BuiltStrategy:
        """Return an object that runs tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(
            self,
            at_once=1,
            arrival=Arrival.SKIPS_WAITING if self.only_latest else Arrival.WAITS,
            backoff=backoff_of(self, assume_failed=self.assume_failed),
        )
