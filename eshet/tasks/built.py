"""A strategy at work: when each task runs, how often it is attempted, and what became of it.

    arrival ──> waiting ──> running ──> attempt ──> ended: succeeded, failed or interrupted
       │           │           ^           │ failed
       └───────────┴──> skipped └── pause ─┘

Invariants: at most `at_once` tasks run; one that waits begins as soon as it may; each task ends
once, which is told once.
"""

import asyncio
import contextvars
import enum
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from eshet.cause import current, current_cause, use_cause
from eshet.scope import Reason, current_scope, report_error
from eshet.tasks.options import BackOff, Options
from eshet.tasks.starting import is_failure, name_of, retrieve_error, start_task
from eshet.tasks.workload import Workload
from eshet.user_errors import plain_error

__all__ = ["Arrival", "BuiltStrategy", "End", "Ending", "Task", "current_attempt"]

Task = Callable[[], Awaitable[object]]

_log: Final = logging.getLogger("eshet")

current_attempt: Final[contextvars.ContextVar[int]] = contextvars.ContextVar(
    "eshet.attempt", default=1
)
"""Which attempt of its task it is that runs now."""


class End(enum.StrEnum):
    """What became of a task."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its last attempt has failed, and there is none any more."""
    INTERRUPTED = "interrupted"
    """It was cancelled in the midst of an attempt: what it was doing may be done or not."""
    SKIPPED = "skipped"
    """It was given up between attempts, or before the first."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task has ended.

    Args:
        task: which.
        end: what became of it.
        attempts: how many were begun.
        error: of the last attempt, if that failed.
        why: it was skipped or interrupted: `"superseded"`, `"busy"`, `"queue full"`; the reason for
            which the scope of its strategy has ended, or `"closed"` if it was closed by hand.
    """

    task: Task
    end: End
    attempts: int
    error: BaseException | None = None
    why: str = ""


class Arrival(enum.Enum):
    """What a task that arrives means for those that are there already."""

    WAITS = enum.auto()
    """It waits for its turn."""
    SKIPS_WAITING = enum.auto()
    """Those that wait are skipped, also for their next attempt."""
    CANCELS_RUNNING = enum.auto()
    """The same, and the one that runs is cancelled."""
    GIVES_WAY = enum.auto()
    """It is skipped itself while another one runs."""


class _Job:
    """A task on its way, and the cause of the call that gave it."""

    __slots__ = (
        "arrived",
        "attempting",
        "attempts",
        "cause",
        "error",
        "replaced",
        "runner",
        "task",
    )

    def __init__(self, task: Task, arrived: float) -> None:
        self.task: Final = task
        self.arrived: Final = arrived
        self.cause: Final = current_cause()
        self.attempting = False
        self.attempts = 0
        self.error: BaseException | None = None
        self.replaced = asyncio.Event()
        self.runner: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Let this context, which is that of its worker only, be that of its next attempt."""
        self.attempting = True
        self.attempts += 1
        current_attempt.set(self.attempts)
        current.set(self.cause)

    def ending(self, why: str = "") -> "Ending":
        """Return how the task has ended, going by its last attempt.

        Args:
            why: it was skipped; empty if it was not.
        """
        failed = self.error is not None
        end = End.SKIPPED if why else End.FAILED if failed else End.SUCCEEDED
        return Ending(self.task, end, self.attempts, self.error, why)

    def skip(self, why: str) -> "Ending":
        """Tell the task why it will not be run, for the cause of its call; return its ending."""
        skipped = getattr(self.task, "skipped", None)
        if skipped is not None:
            with use_cause(self.cause):
                skipped(why)
        return self.ending(why)


class BuiltStrategy:
    """A strategy at work: call it with tasks.

    What it runs belongs to the scope in which it was built: it runs in that context, errors are
    reported there, and it ends when the scope does. Only the cause is that of the call.

    A task that has a method `skipped` is told by that why it will not be run, or not be attempted
    again; see `Ending.why`. Where another version takes the place of the scope, the tasks that are
    `unfinished` are not told: whoever does that lets it go on with them, or tells them.

    Args:
        options: of the strategy.
        at_once: how many tasks may run at the same time.
        arrival: what a task that arrives means for the others.
        back_off: how a failed task is attempted again; None if it is not.
    """

    def __init__(
        self,
        options: Options,
        *,
        at_once: float = math.inf,
        arrival: Arrival = Arrival.WAITS,
        back_off: BackOff | None = None,
    ) -> None:
        self.on_end: Callable[[Ending], object] | None = None
        """Called with the ending of each task, when it is known."""
        self._options = options
        self._at_once = at_once
        self._arrival = arrival
        self._back_off = back_off
        self._waiting: deque[_Job] = deque()
        self._under_way: dict[_Job, None] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()  # the names of tasks whose last attempt has failed
        self._warn_at = options.warn_queue
        self._closed = False
        self._context = contextvars.copy_context()
        scope = current_scope()
        workload = None if scope is None else scope.find(Workload)
        self._count_out = workload.add(self) if workload is not None else lambda: None
        self._scope = scope
        self._owned = scope.own(self._stop) if scope is not None else None

    @property
    def running(self) -> int:
        """How many tasks run, or pause between two attempts."""
        return len(self._under_way)

    @property
    def queued(self) -> int:
        """How many tasks wait for their first attempt."""
        return len(self._waiting)

    def __call__(self, task: Task) -> None:
        """Run the task in the background, as the strategy says; never waits.

        Once this is closed, the task is skipped.
        """
        job = _Job(task, asyncio.get_running_loop().time())
        if self._closed:
            self._skip(job, self._why_closed)
        elif self._has_to_give_way():
            self._skip(job, "busy")
        elif self._is_full(running=len(self._workers)):
            self._skip(job, "queue full")
        else:
            self._replace_others()
            self._waiting.append(job)
            self._keep_queue_short()
            self._start_worker(task)

    def unfinished(self) -> list[Task]:
        """Return the tasks that are still to be done, and would not be if this were closed.

        One that runs is among them only if its failure would be followed by another attempt: else
        it has been given its only one.
        """
        retried = [job for job in self._under_way if self._has_attempts_left(job)]
        return [job.task for job in (*retried, *self._waiting)]

    async def close(self) -> None:
        """Cancel what runs, drop what waits, and return when all has ended.

        A task may close its own strategy: that one is cancelled too, but not waited for.
        """
        self._stop()
        if self._owned is not None:
            self._owned.forget()
        if others := self._workers - {asyncio.current_task()}:
            await asyncio.wait(others)

    def _stop(self) -> None:
        self._closed = True
        self._count_out()
        while self._waiting:
            self._tell(self._drop(self._waiting.popleft()))
        for worker in self._workers:
            worker.cancel()

    def _drop(self, job: _Job) -> Ending:
        """Return how a task ends that waits while this is closed, and tell it."""
        why = self._why_closed
        return job.ending(why) if why == Reason.REPLACED else job.skip(why)

    @property
    def _why_closed(self) -> str:
        reason = None if self._scope is None else self._scope.reason
        return "closed" if reason is None else str(reason)

    # --- arrival ------------------------------------------------------------------------------

    def _has_to_give_way(self) -> bool:
        return self._arrival is Arrival.GIVES_WAY and bool(self._workers)

    def _is_full(self, running: int) -> bool:
        """Whether all run at once, and one more would be too many."""
        if self._at_once < math.inf:
            return False
        self._warn_of(running, "run at once")
        limit = self._options.max_queue
        return limit is not None and running >= limit

    def _replace_others(self) -> None:
        if self._arrival not in (Arrival.SKIPS_WAITING, Arrival.CANCELS_RUNNING):
            return
        while self._waiting:
            self._skip(self._waiting.popleft(), "superseded")
        for job in self._under_way:
            if job.replaced.is_set():  # once: a second time would cut its clean-up short
                continue
            job.replaced.set()
            if self._arrival is Arrival.CANCELS_RUNNING and job.attempting and job.runner:
                job.runner.cancel()

    def _keep_queue_short(self) -> None:
        limit = self._options.max_queue
        if limit is not None and len(self._waiting) > limit + self._free_places():
            self._skip(self._waiting.popleft(), "queue full")
        if self._at_once < math.inf:
            self._warn_of(len(self._waiting), "wait")

    def _free_places(self) -> int:
        """How many of those that wait are about to begin."""
        return int(self._at_once) - len(self._under_way) if self._at_once < math.inf else 0

    def _warn_of(self, count: int, what: str) -> None:
        if count < self._options.warn_queue:
            self._warn_at = self._options.warn_queue
        elif count >= self._warn_at:
            self._warn_at = 2 * count
            oldest = self._oldest_under_way() or self._waiting[0]
            age = asyncio.get_running_loop().time() - oldest.arrived
            text = "%d tasks %s, the oldest (%s) for %.1f s: they come faster than they end"
            named = name_of(oldest.task)
            self._context.copy().run(_log.warning, text, count, what, named, age)

    def _oldest_under_way(self) -> _Job | None:
        """Return, where all run at once, the task that has done so for longest."""
        return next(iter(self._under_way), None) if self._at_once == math.inf else None

    def _skip(self, job: _Job, why: str) -> None:
        self._tell(job.skip(why))

    # --- work ---------------------------------------------------------------------------------

    def _start_worker(self, named: Task) -> None:
        if len(self._workers) < self._at_once:
            worker = start_task(self._work, named, self._context.copy())
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_end)

    def _on_worker_end(self, worker: asyncio.Task[None]) -> None:
        retrieve_error(worker)
        self._workers.discard(worker)
        if self._waiting and not self._closed:
            self._start_worker(self._waiting[0].task)

    async def _work(self) -> None:
        """Run the task that has waited longest to its end."""
        if not self._waiting:
            return
        job = self._waiting.popleft()
        job.runner = asyncio.current_task()
        self._under_way[job] = None
        try:
            ending = await self._finish(job)
        except BaseException:  # cancelled, or cut short by whoever guards the loop
            ending = self._cut_short(job)
            raise
        finally:
            del self._under_way[job]
            self._tell(ending)
            # The frames of the error hold the job, and all that the task had made: without this,
            # that memory would not be free before Python looks for circles.
            job.error = None

    def _cut_short(self, job: _Job) -> Ending:
        """Return how a task has ended whose worker was cancelled, and tell it if it was waiting."""
        if self._closed and not job.attempting:
            return self._drop(job)
        why = self._why_closed if self._closed else "superseded" if job.replaced.is_set() else ""
        end = End.INTERRUPTED if job.attempting else End.SKIPPED
        return Ending(job.task, end, job.attempts, job.error, why)

    async def _finish(self, job: _Job) -> Ending:
        """Attempt the task until it is done, or given up, or a newer one takes its place."""
        pauses = self._back_off.pauses() if self._back_off is not None else iter(())
        while True:
            job.begin()
            job.error = await self._attempt(job)
            job.attempting = False
            if not self._is_to_be_repeated(job):
                return job.ending()
            pause = next(pauses) * (1 - self._options.jitter * self._options.randomness())
            if await self._is_replaced_within(pause, job):
                return job.ending() if job.error is None else job.skip("superseded")

    async def _attempt(self, job: _Job) -> BaseException | None:
        """Run the task once, report its failure, and return it."""
        try:
            await self._within_timeout(job.task)
        except BaseException as error:
            if not is_failure(error):
                raise
            return self._report(plain_error(error), job)
        if self._failing:
            self._report_success(job)
        return None

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
            self._failing.remove(task)
            if self._scope is not None:
                self._scope.report_success(task)

    def _report(self, error: BaseException, job: _Job) -> BaseException:
        task = f"task {name_of(job.task)}"
        self._failing.add(task)
        report_error(error, f"attempt {job.attempts} of {task}" if self._back_off else task)
        return error

    def _is_to_be_repeated(self, job: _Job) -> bool:
        if self._closed or self._back_off is None or not self._has_attempts_left(job):
            return False
        error, options = job.error, self._options
        if error is None:
            return self._back_off.assume_failed
        return not _is_or_holds(error, options.give_up_on) and (
            _is_or_holds(error, options.retry_on) or not isinstance(error, Exception)
        )

    def _has_attempts_left(self, job: _Job) -> bool:
        most = self._options.max_attempts
        return self._back_off is not None and (most is None or job.attempts < most)

    async def _is_replaced_within(self, pause: float, job: _Job) -> bool:
        """Wait for the next attempt; return early, with True, if a newer task took the place."""
        try:
            async with asyncio.timeout(pause):
                await job.replaced.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self, ending: Ending) -> None:
        if self.on_end is not None:
            self.on_end(ending)


def _is_or_holds(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an error is of one of these kinds, or a group in which one is."""
    if isinstance(error, kinds):
        return True
    return isinstance(error, BaseExceptionGroup) and any(
        _is_or_holds(each, kinds) for each in error.exceptions
    )
