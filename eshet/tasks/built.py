"""Runs tasks under a strategy: when each task runs, its attempts, and its outcome.

    arrival ──> waiting ──> running ──> attempt ──> ended: succeeded, failed or interrupted
       │           │           ^           │ failed
       └───────────┴──> skipped └── pause ─┘

A task that only sends a request may start its attempt without an `asyncio.Task`, see `SendingTask`.
If its first attempt succeeds, as most do, it never needs one.

Invariants: at most `at_once` tasks run; a waiting task starts as soon as it may; each task ends
once, and its ending is reported once.
"""

import asyncio
import contextvars
import enum
import functools
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from eshet.cause import current, use_cause
from eshet.scope import Reason, current_scope, report_error
from eshet.tasks.options import Backoff, Options
from eshet.tasks.starting import is_failure, name_of, retrieve_error, start_task
from eshet.tasks.workload import Workload
from eshet.user_errors import plain_error

__all__ = ["Arrival", "BuiltStrategy", "End", "Ending", "SendingTask", "Task", "current_attempt"]

Task = Callable[[], Awaitable[object]]


class SendingTask:
    """The base of tasks that send one request in each attempt and receive its reply."""

    __slots__ = ()

    def __call__(self) -> Awaitable[object]:
        """Run an attempt in an asyncio task, where it can wait."""
        raise NotImplementedError

    def send(self) -> asyncio.Future[Any] | None:
        """Start an attempt by sending the request; return a future of the reply.

        Return None if it can't be sent at the moment: then the task is run like any other one. An
        error that this raises is that of the attempt.
        """
        raise NotImplementedError

    def receive(self, reply: asyncio.Future[Any]) -> None:
        """End the attempt, with the reply or its error; raise the error of the attempt, if any."""
        raise NotImplementedError


_log: Final = logging.getLogger("eshet")

_WARN_AGAIN: Final = 60.0
"""Seconds after a warning about many tasks before one about no more of them."""

current_attempt: Final[contextvars.ContextVar[int]] = contextvars.ContextVar(
    "eshet.attempt", default=1
)
"""The number of the running attempt of a task."""


class End(enum.StrEnum):
    """The outcome of a task."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its last attempt failed."""
    INTERRUPTED = "interrupted"
    """It was cancelled during an attempt, which may or may not have taken effect."""
    SKIPPED = "skipped"
    """It was dropped between attempts, or before the first."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The ending of a task.

    Args:
        task: the task.
        end: its outcome.
        attempts: the number of attempts that were started.
        error: the error of the last attempt, if that failed.
        why: it was skipped or interrupted: `"superseded"`, `"busy"`, `"queue full"`; the reason
            why the scope of its strategy has ended, or `"closed"` if the strategy was closed.
    """

    task: Task
    end: End
    attempts: int
    error: BaseException | None = None
    why: str = ""


class Arrival(enum.Enum):
    """How a new task affects those that are already there."""

    WAITS = enum.auto()
    """It waits for its turn."""
    SKIPS_WAITING = enum.auto()
    """Waiting tasks are skipped, including those that wait for their next attempt."""
    CANCELS_RUNNING = enum.auto()
    """Waiting tasks are skipped, and the running one is cancelled."""
    GIVES_WAY = enum.auto()
    """The new task is skipped while another one is running."""


class _Job:
    """A task under way, and the cause of the call that passed it."""

    __slots__ = (
        "arrived",
        "attempting",
        "attempts",
        "cause",
        "error",
        "next_at",
        "replaced",
        "reply",
        "task",
        "waking",
        "worker",
    )

    def __init__(self, task: Task, arrived: float) -> None:
        self.task: Final = task
        self.arrived: Final = arrived
        self.cause: Final = current.get()
        self.attempting = False
        self.attempts = 0
        self.error: BaseException | None = None
        self.next_at: float | None = None  # the loop time of the next attempt during a pause
        self.replaced = False
        self.waking: asyncio.Event | None = None  # set when it is replaced during a pause
        self.worker: asyncio.Task[None] | None = None
        self.reply: asyncio.Future[Any] | None = None  # of an attempt without a worker

    def replace(self, *, cancels: bool) -> None:
        """Let a newer task replace this one; `cancels` its attempt, or lets that end."""
        self.replaced = True
        if self.waking is not None:
            self.waking.set()
        if cancels and self.attempting:
            self.cancel()

    def cancel(self) -> None:
        """Cancel the running attempt."""
        if self.reply is not None:
            self.reply.cancel()
        elif self.worker is not None:
            self.worker.cancel()

    def begin(self) -> None:
        """Prepare this context, which belongs to the job, for its next attempt.

        Before its first attempt, the context is a copy of that of the strategy.
        """
        self.attempting = True
        self.attempts += 1
        if self.attempts > 1:
            current_attempt.set(self.attempts)
        current.set(self.cause)

    def ending(self, why: str = "") -> "Ending":
        """Return the ending of the task, according to its last attempt.

        Args:
            why: the reason if it was skipped, else empty.
        """
        failed = self.error is not None
        end = End.SKIPPED if why else End.FAILED if failed else End.SUCCEEDED
        return Ending(self.task, end, self.attempts, self.error, why)

    def skip(self, why: str) -> "Ending":
        """Notify the task, with its cause, that it will not be run; return its ending."""
        skipped = getattr(self.task, "skipped", None)
        if skipped is not None:
            with use_cause(self.cause):
                skipped(why)
        return self.ending(why)


class BuiltStrategy:
    """A strategy that runs tasks: call it with a task.

    Its tasks belong to the scope in which it was built: they run in that context, their errors are
    reported there, and they end with that scope. Only the cause is that of the call.

    If a task has a method `skipped`, that is called with the reason when the task will not be run,
    or not be attempted again; see `Ending.why`. If another version replaces the scope, `unfinished`
    tasks are not notified: the replacing code continues or notifies them.

    Args:
        options: of the strategy.
        at_once: how many tasks may run at the same time.
        arrival: how a new task affects the others.
        backoff: how a failed task is repeated; None if it is not.
    """

    def __init__(
        self,
        options: Options,
        *,
        at_once: float = math.inf,
        arrival: Arrival = Arrival.WAITS,
        backoff: Backoff | None = None,
    ) -> None:
        self.on_end: Callable[[Ending], object] | None = None
        """Called with the ending of each task."""
        self._options = options
        self._at_once = at_once
        self._arrival = arrival
        self._backoff = backoff
        self._supersedes = arrival in (Arrival.SKIPS_WAITING, Arrival.CANCELS_RUNNING)
        # If newer tasks supersede older ones, sending at once would also send the older ones.
        self._sends = options.timeout is None and not self._supersedes
        self._waiting: OrderedDict[_Job, None] = OrderedDict()  # smaller than a deque
        self._active: dict[_Job, None] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._sent = 0  # the number of active jobs without a worker
        self._failing: dict[str, None] = {}  # the names of tasks that failed last time
        self._warn_at = options.warn_queue
        self._warned = -math.inf  # the time of the last warning
        self._closed = False
        self._context = contextvars.copy_context()
        self._context.run(current_attempt.set, 1)  # this may be within an attempt of a rule
        scope = current_scope()
        workload = None if scope is None else scope.find(Workload)
        self._leave_workload = workload.add(self) if workload is not None else lambda: None
        self._scope = scope
        self._owned = scope.own(self._stop) if scope is not None else None

    @property
    def running(self) -> int:
        """The number of tasks that run, or pause between two attempts."""
        return len(self._active)

    @property
    def queued(self) -> int:
        """The number of tasks that wait for their first attempt."""
        return len(self._waiting)

    def __call__(self, task: Task) -> None:
        """Run the task in the background, as the strategy describes; never waits.

        After `close`, the task is skipped.
        """
        if self._scope is not None:
            self._scope.note_activity()  # a Value of another module may have changed
        job = _Job(task, asyncio.get_running_loop().time())
        if self._closed:
            self._skip(job, self._why_closed)
        elif self._arrival is Arrival.GIVES_WAY and (self._workers or self._sent):
            self._skip(job, "busy")
        elif self._is_full():
            self._skip(job, "queue full")
        else:
            if self._supersedes:
                self._replace_others()
            can_send = self._sends and not self._waiting and self._has_place()
            if not (can_send and isinstance(task, SendingTask) and self._send(job, task)):
                self._waiting[job] = None
                self._keep_queue_short()
                self._start_worker()

    def unfinished(self) -> list[Task]:
        """Return the tasks that would be left undone if this were closed.

        A running task is included only if it would get another attempt after a failure: otherwise
        it has had its only one.
        """
        retried = [job for job in self._active if self._has_attempts_left(job)]
        return [job.task for job in (*retried, *self._waiting)]

    @property
    def next_attempt(self) -> float | None:
        """The loop time at which a failed task is attempted again; None if none is pending."""
        times = [job.next_at for job in self._active if job.next_at is not None]
        return min(times, default=None)

    async def close(self) -> None:
        """Cancel running tasks, skip waiting ones, and return when all have ended.

        A task may close its own strategy: then it is cancelled too, but not waited for.
        """
        replies = self._replies()
        self._stop()
        if self._owned is not None:
            self._owned.forget()
        if others := [*(self._workers - {asyncio.current_task()}), *replies]:
            await asyncio.wait(others)

    def _next_waiting(self) -> _Job:
        """Remove and return the job that has waited longest."""
        return self._waiting.popitem(last=False)[0]

    def _stop(self) -> None:
        self._closed = True
        self._leave_workload()
        while self._waiting:
            self._notify_end(self._drop(self._next_waiting()))
        for job in [each for each in self._active if each.worker is each.reply is None]:
            del self._active[job]  # its worker, which was to make the next attempt, never begins
            self._notify_end(self._drop(job))
        for worker in self._workers:
            worker.cancel()
        for reply in self._replies():
            reply.cancel()

    def _replies(self) -> list[asyncio.Future[Any]]:
        """Return the pending replies to the jobs without a worker."""
        return [job.reply for job in self._active if job.reply is not None]

    def _drop(self, job: _Job) -> Ending:
        """Return the ending of a task that waits while this is closed, and notify the task."""
        why = self._why_closed
        return job.ending(why) if why == Reason.REPLACED else job.skip(why)

    @property
    def _why_closed(self) -> str:
        reason = None if self._scope is None else self._scope.reason
        return "closed" if reason is None else str(reason)

    # --- arrival ------------------------------------------------------------------------------

    def _has_place(self) -> bool:
        return len(self._workers) + self._sent < self._at_once

    def _is_full(self) -> bool:
        """Whether the limit of running tasks is reached; for strategies without a queue."""
        if self._at_once < math.inf:
            return False
        running = len(self._workers) + self._sent
        if running >= self._warn_at or running < self._options.warn_queue < self._warn_at:
            self._warn_of(running, "run at once")
        limit = self._options.max_queue
        return limit is not None and running >= limit

    def _replace_others(self) -> None:
        while self._waiting:
            self._skip(self._next_waiting(), "superseded")
        for job in self._active:
            if not job.replaced:  # cancelling a second time would interrupt its clean-up
                job.replace(cancels=self._arrival is Arrival.CANCELS_RUNNING)

    def _keep_queue_short(self) -> None:
        limit = self._options.max_queue
        if limit is not None and len(self._waiting) > limit + self._free_places():
            self._skip(self._next_waiting(), "queue full")
        if self._at_once < math.inf:
            self._warn_of(len(self._waiting), "wait")

    def _free_places(self) -> int:
        """The number of waiting tasks that are about to start."""
        return int(self._at_once) - len(self._active) if self._at_once < math.inf else 0

    def _warn_of(self, count: int, what: str) -> None:
        now = asyncio.get_running_loop().time()
        if count < self._options.warn_queue:
            if now - self._warned >= _WARN_AGAIN:
                self._warn_at = self._options.warn_queue
        elif count >= self._warn_at:
            self._warn_at, self._warned = 2 * count, now
            oldest = self._oldest_active() or next(iter(self._waiting))
            age = now - oldest.arrived
            text = "%d tasks %s, the oldest (%s) for %.1f s: they start faster than they end"
            named = name_of(oldest.task)
            self._context.copy().run(_log.warning, text, count, what, named, age)

    def _oldest_active(self) -> _Job | None:
        """Return the longest-running task; for strategies without a queue."""
        return next(iter(self._active), None) if self._at_once == math.inf else None

    def _skip(self, job: _Job, why: str) -> None:
        self._notify_end(job.skip(why))

    # --- attempts without a worker --------------------------------------------------------------

    def _send(self, job: _Job, task: SendingTask) -> bool:
        """Start a task by sending its request; return False if it needs a worker for that."""
        return self._context.copy().run(self._send_in_context, job, task)

    def _send_in_context(self, job: _Job, task: SendingTask) -> bool:
        job.begin()
        try:
            reply = task.send()
        except BaseException as error:
            if not is_failure(error):
                raise
            job.error = self._report(plain_error(error), job)
            self._end_attempt(job)
            return True
        if reply is None:
            job.attempting = False
            job.attempts = 0
            return False
        job.reply = reply
        self._sent += 1
        self._active[job] = None
        reply.add_done_callback(functools.partial(self._receive, job, task))
        return True

    def _receive(self, job: _Job, task: SendingTask, reply: asyncio.Future[Any]) -> None:
        if self._scope is not None:
            self._scope.note_activity()  # now, when it ends, not only when this was scheduled
        try:
            task.receive(reply)  # it may ask whether this would be attempted again
            failure = None
        except BaseException as error:
            failure = error
        del self._active[job]
        self._sent -= 1
        job.reply = None
        if failure is not None:
            if reply.cancelled():
                self._notify_end(self._ending_of_cancelled(job))
                self._start_next()
                return
            job.error = self._report(plain_error(failure), job)
            del failure  # see `_finish`
        elif self._failing:
            self._report_success(job)
        self._end_attempt(job)

    def _end_attempt(self, job: _Job) -> None:
        """End a job after its only attempt, or let a worker continue with it."""
        job.attempting = False
        if self._should_retry(job):
            self._active[job] = None
            self._add_worker(functools.partial(self._finish, job), job.task, continues=job)
        else:
            if self.on_end is not None:
                self.on_end(job.ending())
            job.error = None  # see `_finish`
            if self._waiting:
                self._start_next()

    # --- work ---------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        """Start a worker for the task that has waited longest, if there is a place for it."""
        if self._has_place():
            self._add_worker(self._work, next(iter(self._waiting)).task)

    def _start_next(self) -> None:
        # Each worker that is about to start takes one of the waiting tasks. One worker more would
        # find none, and start yet another one at its end, as long as tasks arrive.
        starting = len(self._workers) + self._sent - len(self._active)
        if len(self._waiting) > starting and not self._closed:
            self._start_worker()

    def _add_worker(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        named: Task,
        continues: _Job | None = None,
    ) -> None:
        worker = start_task(work, named, self._context.copy())
        self._workers.add(worker)
        worker.add_done_callback(functools.partial(self._on_worker_end, continues))

    def _on_worker_end(self, continued: _Job | None, worker: asyncio.Task[None]) -> None:
        retrieve_error(worker)
        self._workers.discard(worker)
        if continued in self._active:  # the worker was cancelled before its first step
            del self._active[continued]
            self._notify_end(self._ending_of_cancelled(continued))
            continued.error = None  # see `_finish`
        self._start_next()

    async def _work(self) -> None:
        """Run the task that has waited longest, until it ends."""
        if self._waiting:
            await self._finish(self._next_waiting())

    async def _finish(self, job: _Job) -> None:
        """Attempt a task, or continue after its first attempt, until it ends."""
        job.worker = asyncio.current_task()
        self._active[job] = None
        try:
            ending = await self._attempt_repeatedly(job)
        except BaseException:  # cancelled, or interrupted by the watchdog
            ending = self._ending_of_cancelled(job)
            raise
        finally:
            del self._active[job]
            self._notify_end(ending)
            # The frames of the error refer to this one, to the job, and to all objects of the task:
            # without this, that memory would only be freed by the cyclic garbage collector.
            job.error = None
            del ending

    def _ending_of_cancelled(self, job: _Job) -> Ending:
        """Return the ending of a task after cancelling its worker; notify it if it was waiting."""
        if self._closed and not job.attempting:
            return self._drop(job)
        why = self._why_closed if self._closed else "superseded" if job.replaced else ""
        end = End.INTERRUPTED if job.attempting else End.SKIPPED
        return Ending(job.task, end, job.attempts, job.error, why)

    async def _attempt_repeatedly(self, job: _Job) -> Ending:
        """Attempt the task until it succeeds, is given up, or is superseded."""
        pauses = self._backoff.pauses() if self._backoff is not None else iter(())
        if not job.attempts:
            await self._attempt(job)
        while self._should_retry(job):
            pause = next(pauses) * (1 - self._options.jitter * self._options.randomness())
            if await self._is_superseded_within(pause, job):
                return job.ending() if job.error is None else job.skip("superseded")
            await self._attempt(job)
        return job.ending()

    async def _attempt(self, job: _Job) -> None:
        """Run the task once, and report its failure."""
        job.begin()
        job.error = None
        try:
            await self._within_timeout(job.task)
        except BaseException as error:
            if not is_failure(error):
                raise
            job.error = self._report(plain_error(error), job)
        else:
            if self._failing:
                self._report_success(job)
        job.attempting = False

    async def _within_timeout(self, task: Task) -> None:
        seconds = self._options.timeout
        if seconds is None:
            await task()
            return
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await task()
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"it took longer than {seconds:g} s (timeout)") from error
            raise

    def _report_success(self, job: _Job) -> None:
        task = f"task {name_of(job.task)}"
        if task in self._failing:
            del self._failing[task]
            if self._scope is not None:
                self._scope.report_success(task)

    def _report(self, error: BaseException, job: _Job) -> BaseException:
        task = f"task {name_of(job.task)}"
        self._failing[task] = None
        report_error(error, f"attempt {job.attempts} of {task}" if self._backoff else task)
        return error

    def _should_retry(self, job: _Job) -> bool:
        if self._closed or self._backoff is None or not self._has_attempts_left(job):
            return False
        error, options = job.error, self._options
        if error is None:
            return self._backoff.assume_failed
        return not _is_or_holds(error, options.give_up_on) and (
            _is_or_holds(error, options.retry_on) or not isinstance(error, Exception)
        )

    def _has_attempts_left(self, job: _Job) -> bool:
        most = self._options.max_attempts
        return self._backoff is not None and (most is None or job.attempts < most)

    async def _is_superseded_within(self, pause: float, job: _Job) -> bool:
        """Wait for the next attempt; return early, with True, if a newer task supersedes it."""
        if job.replaced:
            return True
        job.waking = asyncio.Event()
        job.next_at = asyncio.get_running_loop().time() + pause
        try:
            async with asyncio.timeout(pause):
                await job.waking.wait()
        except TimeoutError:
            return False
        finally:
            job.waking = job.next_at = None
        return True

    def _notify_end(self, ending: Ending) -> None:
        if self.on_end is not None:
            self.on_end(ending)


def _is_or_holds(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an error is of one of these kinds, or a group that contains one."""
    if isinstance(error, kinds):
        return True
    return isinstance(error, BaseExceptionGroup) and any(
        _is_or_holds(each, kinds) for each in error.exceptions
    )
