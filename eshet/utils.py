"""Strategies for running tasks in the background: what a rule's coroutine and its sinks run under.

A *task* here is an async function without arguments; called again, it does its work again. A
strategy only describes; `build` makes what is called with tasks and runs them:

    run = RunSerially(only_latest=True, retry=True).build()
    run(switch_on)
    run(switch_off)          # takes the place of switch_on, if that is still waiting or failing
    await run.close()

What a strategy runs belongs to the scope in which it was built: it runs in that context, errors
are reported there, and it ends when the scope does. Only the cause is that of the call which gave
the task: it goes with the task through queues and retries.
"""

import abc
import asyncio
import contextvars
import functools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from eshet.cause import causing, current, current_cause
from eshet.scope import current_scope, report_error

__all__ = ["RunInTask", "RunSerially", "TaskStrategy", "in_task"]

Task = Callable[[], Awaitable[object]]

current_attempt: Final[contextvars.ContextVar[int]] = contextvars.ContextVar(
    "eshet.attempt", default=1
)
"""Which attempt of its task it is that runs now."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

_running: Final[set[asyncio.Task[Any]]] = set()  # asyncio itself holds its tasks only weakly


def in_task(f: Callable[_P, Awaitable[_T]]) -> Callable[_P, asyncio.Task[_T]]:
    """Make a function that calls `f` in a task of its own and returns that `asyncio.Task`.

    The task belongs to the scope of the caller and is cancelled with it. An error is reported
    there; who awaits the task gets it as well.
    """

    @functools.wraps(f)
    def start(*args: _P.args, **kwargs: _P.kwargs) -> asyncio.Task[_T]:
        async def call() -> _T:
            try:
                return await f(*args, **kwargs)
            except Exception as error:
                report_error(error, f"task {_name(f)}")
                raise

        task = _start(call, f)
        task.add_done_callback(_retrieve_error)
        if (scope := current_scope()) is not None:
            owned = scope.own(task.cancel)
            task.add_done_callback(lambda _: owned.forget())
        return task

    return start


class Job:
    """A task that a strategy was called with, and the cause of that call.

    A task that has a method `skipped` is told by that, in a word, why it will not be run, or not be
    attempted again: `"superseded"`.
    """

    __slots__ = ("attempts", "cause", "task")

    def __init__(self, task: Task) -> None:
        self.task: Final = task
        self.cause: Final = current_cause()
        self.attempts = 0

    def begin(self) -> None:
        """Let this context, which is that of its worker only, be that of its next attempt."""
        self.attempts += 1
        current_attempt.set(self.attempts)
        current.set(self.cause)

    def skip(self, why: str) -> None:
        """Tell the task why it will not be run; for the cause of its call."""
        skipped = getattr(self.task, "skipped", None)
        if skipped is not None:
            with causing(self.cause):
                skipped(why)


class BuiltStrategy(abc.ABC):
    """A strategy at work: call it with tasks. The base of what `TaskStrategy.build` returns."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        scope = current_scope()
        self._owned = scope.own(self._stop) if scope is not None else None

    def __call__(self, task: Task) -> None:
        """Run the task in the background, as the strategy says; never waits.

        Once this is closed, the task is dropped.
        """
        if not self._closed:
            self._take(Job(task))

    @abc.abstractmethod
    def _take(self, job: Job) -> None:
        """Run the job, now or later."""

    def unfinished(self) -> list[Task]:
        """Return the tasks that are still to be done, and would not be if this were closed.

        One that runs is among them only if its failure would be followed by another attempt: else
        it has been given its only one.
        """
        return []

    async def close(self) -> None:
        """Cancel what runs, drop what waits, and return when all has ended.

        A task may close its own strategy: that one is cancelled too, but not waited for.
        """
        self._stop()
        if self._owned is not None:
            self._owned.forget()
        if others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)

    def _stop(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]], named: Task) -> None:
        """Run `work` in a task, in a copy of the context in which the strategy was built."""
        running = _start(work, named, self._context.copy())
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    async def _attempt(self, job: Job, doing: str) -> bool:
        """Run the job once, report its failure, and return whether it succeeded.

        It is called in a task that `_start` has started.
        """
        job.begin()
        try:
            await job.task()
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # It was not this that was cancelled, but something that the task waited for.
            report_error(error, doing)
        except Exception as error:
            report_error(error, doing)
        else:
            return True
        return False


class TaskStrategy(abc.ABC):
    """A strategy for running tasks in the background."""

    @abc.abstractmethod
    def build(self) -> BuiltStrategy:
        """Make what is called with tasks and runs them, and is closed with `await x.close()`.

        It is closed by itself when the scope in which it was built is disposed.
        """

    def wrap_fn(self, f: Callable[_P, Awaitable[object]]) -> Callable[_P, None]:
        """Make a function that runs `f`, with what it is called with, under this strategy."""
        run = self.build()

        @functools.wraps(f)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
            run(functools.partial(f, *args, **kwargs))

        return call


@dataclass(frozen=True)
class RunInTask(TaskStrategy):
    """Run each task at once, in an `asyncio.Task` of its own. What fails is reported, once."""

    def build(self) -> BuiltStrategy:
        """Make what runs the tasks; see `TaskStrategy.build`."""
        return _InTask()


@dataclass(frozen=True)
class RunSerially(TaskStrategy):
    """Run tasks one after another, in the order in which they came.

    Args:
        only_latest: when a task can start, skip all that wait but the newest; a task that waits
            for its retry gives way too. Right for tasks that set something: only the last setting
            matters.
        retry: attempt a failed task again, until it succeeds. Without `only_latest`, those behind
            it wait so long.
        assume_failed: take each attempt as failed, so that the last task is repeated until a newer
            one comes. For what gets lost without a sign, as on a radio that does not acknowledge;
            needs `retry` and `only_latest`.
        retry_start: seconds from a failure to the second attempt.
        retry_end: the longest time between two attempts, in seconds.
        retry_multiplier: how much longer each wait is than the last. A new task starts afresh.

    Raises:
        ValueError: the arguments do not go together; the message says what to write.
    """

    only_latest: bool = False
    retry: bool = False
    assume_failed: bool = False
    retry_start: float = 2.0
    retry_end: float = 30.0
    retry_multiplier: float = 2.0

    def __post_init__(self) -> None:
        if self.assume_failed and not (self.retry and self.only_latest):
            raise ValueError(
                "assume_failed repeats the last task for ever, which needs both others: write "
                "RunSerially(only_latest=True, retry=True, assume_failed=True)"
            )
        if not 0 < self.retry_start <= self.retry_end < math.inf:
            raise ValueError(
                f"retry_start={self.retry_start} and retry_end={self.retry_end} are no range of "
                "waits: write seconds with 0 < retry_start <= retry_end"
            )
        if not 1 <= self.retry_multiplier < math.inf:
            raise ValueError(
                f"retry_multiplier={self.retry_multiplier} would shorten the waits: "
                "write 1 for equal waits, or more"
            )

    def build(self) -> BuiltStrategy:
        """Make what runs the tasks; see `TaskStrategy.build`."""
        return _Serially(self)


class _InTask(BuiltStrategy):
    def _take(self, job: Job) -> None:
        self._start(functools.partial(self._run, job), job.task)

    async def _run(self, job: Job) -> None:
        await self._attempt(job, f"task {_name(job.task)}")


class _Serially(BuiltStrategy):
    """Invariant: a worker runs exactly while there is a job that waits or is not finished."""

    def __init__(self, strategy: RunSerially) -> None:
        self._strategy = strategy
        self._waiting: deque[Job] = deque()
        self._retried: list[Job] = []  # the one that runs, if that is so until it succeeds
        self._arrival = asyncio.Event()
        self._working = False
        super().__init__()

    def _take(self, job: Job) -> None:
        if self._strategy.only_latest:
            while self._waiting:
                self._waiting.popleft().skip("superseded")
        self._waiting.append(job)
        self._arrival.set()
        if not self._working:
            self._start(self._work, job.task)
            self._working = True

    def unfinished(self) -> list[Task]:
        return [job.task for job in (*self._retried, *self._waiting)]

    def _stop(self) -> None:
        self._waiting.clear()
        super()._stop()

    async def _work(self) -> None:
        try:
            while self._waiting:
                job = self._waiting.popleft()
                self._arrival.clear()
                self._retried = [job] if self._strategy.retry else []
                await self._finish(job)
                self._retried = []
        finally:
            self._working = False

    async def _finish(self, job: Job) -> None:
        """Attempt the job until it is done, or given up, or a newer one takes its place."""
        strategy = self._strategy
        name = _name(job.task)
        for attempt, delay in enumerate(_delays(strategy), start=1):
            succeeded = await self._attempt(job, f"attempt {attempt} of task {name}")
            if not strategy.retry or (succeeded and not strategy.assume_failed):
                return
            if self._closed:
                return
            if await self._replaced_within(delay):
                if not succeeded:
                    job.skip("superseded")
                return

    async def _replaced_within(self, delay: float) -> bool:
        """Wait for the next attempt; return early, with True, if a newer task jumps the queue."""
        if not self._strategy.only_latest:
            await asyncio.sleep(delay)
            return False
        try:
            async with asyncio.timeout(delay):
                await self._arrival.wait()
        except TimeoutError:
            return False
        return True


def _delays(strategy: RunSerially) -> Iterator[float]:
    """Yield the seconds from each attempt to the next: the back-off of one task."""
    delay = strategy.retry_start
    while True:
        yield delay
        delay = min(delay * strategy.retry_multiplier, strategy.retry_end)


def _start(
    work: Callable[[], Coroutine[Any, Any, _T]],
    named: Callable[..., object],
    context: contextvars.Context | None = None,
) -> asyncio.Task[_T]:
    loop = asyncio.get_running_loop()  # raises before there is a coroutine that nobody awaits
    task = loop.create_task(work(), name=_name(named), context=context)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def _is_cancelled() -> bool:
    """Whether somebody asked the current asyncio task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _retrieve_error(task: asyncio.Task[Any]) -> None:
    """Tell asyncio that the error is known: it has been reported already."""
    if not task.cancelled():
        task.exception()


def _name(f: Callable[..., object]) -> str:
    while isinstance(f, functools.partial):
        f = f.func
    return str(getattr(f, "__qualname__", None) or repr(f))
