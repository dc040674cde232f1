"""An event loop that a rule can neither end nor flood.

asyncio runs all ready steps in the order in which they became ready. A rule that starts 100,000
tasks in one turn would delay all other rules for seconds, in 100,000 short steps. In this loop, if
many steps are ready, the rules take turns: a few steps of each, and then new input from outside.
Rules can also be suspended for a time, in which everything else goes on.
"""

import asyncio
import contextlib
import math
import os
import selectors
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic, sleep
from typing import Any, Final, NoReturn, TypeVarTuple, Unpack

from eshet.interpreter import HANDLE_RUN, context_of, set_ready_queue, task_of
from eshet.scope import Scope, current, current_scope
from eshet.tasks.starting import retrieve_error
from eshet_rules.exceptions import LoopNotStopped, TasksNotChanged
from eshet_rules.supervision.scope import own_tasks_by_scope
from eshet_rules.supervision.supervised_rule import rule_of

__all__ = ["FairQueue", "RuleLoop"]

_Args = TypeVarTuple("_Args")

MUCH: Final = 256
"""Number of ready steps above which the rules take turns."""

SHARE: Final = 16
"""Number of steps that a rule then has in each turn, while others have some as well."""


_PAUSE: Final = 0.01
"""Seconds between two looks for input while there is some for suspended rules."""

_MOST_FAILURES: Final = 100
"""Number of failures to continue after which the loop counts as broken."""


class FairQueue(deque[asyncio.Handle]):
    """The ready handles of an asyncio loop. In each round, the loop runs `len()` of them.

    Invariants: handles of the same owner stay in order; none is lost; a handle without an owner
    waits for at most one share of each owner.

    Args:
        owner_of: returns the owner of a handle; None if it is the runner's.
    """

    def __init__(self, owner_of: Callable[[asyncio.Handle], object]) -> None:
        super().__init__()
        self._owner_of = owner_of
        self._later: dict[object, deque[asyncio.Handle]] = {}  # the rest of each owner's handles
        self._last: asyncio.Handle | None = None  # of the present round, if rules take turns
        self._is_interrupted = False
        self._are_suspended = False
        self._suspended: set[int] = set()  # the ids of the handles that wait as rules are suspended
        self.has_unread_input: bool = False
        """Whether there is input for suspended rules, of which the system tells again and again."""

    def append(self, handle: asyncio.Handle) -> None:
        """Add a handle, and note that its scope is going to be active."""
        scope = context_of(handle).get(current)
        if scope is not None and not scope.root.is_active:
            scope.note_activity()
        super().append(handle)

    def __bool__(self) -> bool:
        return super().__len__() > 0 or bool(self._later and not self._are_suspended)

    def __len__(self) -> int:
        """Return how many handles to run in this round; if there are many, not all of them."""
        if self._are_suspended:
            super().extend(self._sort())
            return super().__len__()
        if self._is_interrupted:
            self._is_interrupted = False
            if left := self._left_of_round():
                return left
        if self._later or super().__len__() > MUCH:
            self._share_out()
        return super().__len__()

    def suspend(self) -> None:
        """Let the handles of all owners wait until `resume`; each only once."""
        self._are_suspended = True
        self._is_interrupted = False

    def resume(self) -> None:
        """Let them run again, in their order."""
        self._are_suspended = self.has_unread_input = False
        self._suspended.clear()

    def continue_round(self) -> None:
        """Let the next round be the rest of the present one, which an exception has left."""
        self._is_interrupted = not self._are_suspended

    def _left_of_round(self) -> int:
        for number, handle in enumerate(self, 1):
            if handle is self._last:
                return number
        return 0

    def clear(self) -> None:
        """Remove all handles."""
        self._later.clear()
        super().clear()

    def _share_out(self) -> None:
        """Keep only a share of each owner's handles ready, and let the rest wait."""
        runners = self._sort()
        self._last = runners[-1] if runners else None
        super().extend(runners)
        share = SHARE if len(self._later) > 1 else MUCH
        for owner, waiting in list(self._later.items()):
            _note_activity(waiting[0])  # again: they may have waited for many rounds
            for _ in range(min(share, len(waiting))):
                self._last = waiting.popleft()
                super().append(self._last)
            if not waiting:
                del self._later[owner]

    def _sort(self) -> list[asyncio.Handle]:
        """Move all ready handles to the waiting ones of their owners; return those without one."""
        runners = []
        while super().__len__():  # one by one: another thread may add to it meanwhile
            handle = self.popleft()
            owner = self._owner_of(handle)
            if owner is None:
                runners.append(handle)
            elif not (self._are_suspended and self._is_repeated(handle)):
                self._later.setdefault(owner, deque()).append(handle)
        return runners

    def _is_repeated(self, handle: asyncio.Handle) -> bool:
        """Whether a handle waits already: that of a reader of input, as nothing is read."""
        if id(handle) in self._suspended:
            self.has_unread_input = True
            return True
        self._suspended.add(id(handle))
        return False


class RuleLoop(asyncio.SelectorEventLoop):
    """An event loop that keeps running when a callback calls `sys.exit()`, unlike asyncio's."""

    counts_activity: Final = True
    """It notes the activity of scopes when it runs their callbacks; see `Scope.note_activity`."""

    time: Callable[[], float] = staticmethod(monotonic)
    """Returns the time in seconds, as asyncio's method does: each input asks for it several times,
    and this is one call of Python less."""

    def __init__(self) -> None:
        self._selector_of_rules: Final = _Selector()
        super().__init__(self._selector_of_rules)
        self.on_exit_call: Callable[[BaseException, Scope | None], object] | None = None
        """Called with an error that would have ended the loop, and the scope that it comes from;
        while it is None, the error ends the loop."""
        self.on_broken: Callable[[BaseException], object] | None = None
        """Called with an error that occurs again each time that the loop tries to continue."""
        self._failures = 0  # failures to continue since a step was run
        self._queue = FairQueue(_rule_of_handle)
        self._selector_of_rules.queue = self._queue
        set_ready_queue(self, self._queue)
        self._main: asyncio.Future[Any] | None = None  # which `run_until_complete` waits for
        own_tasks_by_scope(self)
        _loops.add(self)

    @property
    def on_wake(self) -> Callable[[], object] | None:
        """Called whenever the loop has waited for input, before any step; it must not raise.

        The process may have been stopped meanwhile, for any time.
        """
        return self._selector_of_rules.on_wake

    @on_wake.setter
    def on_wake(self, callback: Callable[[], object] | None) -> None:
        self._selector_of_rules.on_wake = callback

    def suspend_rules(self) -> None:
        """Let the steps of rules wait until `resume_rules`; everything else goes on."""
        self._queue.suspend()

    def resume_rules(self) -> None:
        """Let rules go on, with all that has become ready meanwhile, in its order."""
        self._queue.resume()

    def end_in_child(self) -> None:
        """End the process when it returns to this loop; called in a forked child.

        A rule may fork, and run any code in the child. But a child that continued with the loop
        would be a second runner that shares the connections of the first.
        """
        set_ready_queue(self, _EndOfChild())

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Args]], object],
        *args: *_Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call the callback at a time of this loop, as asyncio does.

        `call_later`, `asyncio.sleep`, timeouts and everything else that waits use this as well. The
        timers are in a heap: a time that can't be ordered would delay or lose the timers of all
        rules, and one that raises when it is compared would end the loop.

        Raises:
            ValueError: the time is NaN.
            TypeError: the time is not a number.
        """
        exact = float(when)  # a subclass of float may have any comparison
        if math.isnan(exact):
            raise ValueError(
                "a time to wait is not a number (NaN): check the values that it is computed from, "
                "such as a sensor without a value"
            )
        return super().call_at(exact, callback, *args, context=context)

    def set_task_factory(self, factory: Any) -> None:
        """Set the task factory, before rules run.

        Raises:
            TasksNotChanged: rules are running; their scopes would no longer own their tasks.
        """
        if self.on_exit_call is not None:
            raise TasksNotChanged
        super().set_task_factory(factory)

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future is done, and return its result; nothing else ends the loop."""
        if self.is_running():  # a rule calls this
            return super().run_until_complete(future)  # raises
        self._main = future if isinstance(future, asyncio.Future) else None
        try:
            return super().run_until_complete(future)
        finally:
            self._main = None

    def stop(self) -> None:
        """Stop running, if the main task is done.

        Raises:
            LoopNotStopped: it is not, so a rule calls this, not asyncio.
        """
        if self.on_exit_call is not None and self._main is not None and not self._main.done():
            raise LoopNotStopped
        super().stop()

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        if self.is_running():  # a rule calls this
            # Python 3.13.0 raises this error as well, but ends the running loop while doing so.
            raise RuntimeError("This event loop is already running")
        while True:
            try:
                super().run_forever()
            except BaseException as error:
                # A callback, a step of a task or a signal handler has raised. All other ready
                # handles are still ready.
                if self.on_exit_call is None:
                    raise
                self._continue(error)
            else:
                return

    def _continue(self, error: BaseException) -> None:
        """Report an error that has ended the loop; call `on_broken` if the loop can't continue."""
        self._queue.continue_round()
        step = _step_of(error)
        if step is not None:
            self._report_exit(error, current_scope(context_of(step)))
            task = task_of(step)
            if task is not None and task.done():
                retrieve_error(task)  # or it would be reported again when the task is freed
            return
        if not self._failures:
            self.call_soon(self._reset_failures, context=Context())
            self._report_exit(error, None)
        self._failures += 1
        if self._failures > _MOST_FAILURES and self.on_broken is not None:
            self.on_broken(error)

    def _report_exit(self, error: BaseException, scope: Scope | None) -> None:
        with contextlib.suppress(BaseException):  # raised by a signal handler, or by the log
            if self.on_exit_call is not None:
                self.on_exit_call(error, scope)

    def _reset_failures(self) -> None:
        self._failures = 0


class _Selector(selectors.DefaultSelector):
    """Calls a function each time that it has waited; see `RuleLoop.on_wake`."""

    def __init__(self) -> None:
        super().__init__()
        self.on_wake: Callable[[], object] | None = None
        self.queue: FairQueue | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        if timeout != 0 and self.queue is not None and self.queue.has_unread_input:
            sleep(_PAUSE)  # else this would return at once, again and again
        ready = super().select(timeout)
        if self.on_wake is not None:
            self.on_wake()
        return ready


class _EndOfChild(deque[asyncio.Handle]):
    """Replaces the ready handles in a forked child, and ends the child when they are used."""

    def popleft(self) -> NoReturn:
        self._end()

    def __len__(self) -> NoReturn:
        self._end()

    def __bool__(self) -> NoReturn:
        self._end()

    def append(self, handle: asyncio.Handle) -> None:
        """Drop a handle of the child: it never runs."""

    def _end(self) -> NoReturn:
        os.write(
            2, b"eshet-rules: ended a process that a rule has forked: end it with os._exit()\n"
        )
        os._exit(1)


_loops: Final[weakref.WeakSet[RuleLoop]] = weakref.WeakSet()


def _end_loops_in_child() -> None:
    for loop in _loops:
        loop.end_in_child()


os.register_at_fork(after_in_child=_end_loops_in_child)


def _step_of(error: BaseException) -> asyncio.Handle | None:
    """Return the handle that raised an error; None if none did.

    The context of the handle was left already, but the handle is in the frame that ran it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is HANDLE_RUN:
            step: asyncio.Handle = frame.f_locals["self"]
            return step
    return None


def _note_activity(handle: asyncio.Handle) -> None:
    """Note that the scope of a handle is going to be active."""
    scope = current_scope(context_of(handle))
    if scope is not None:
        scope.note_activity()


def _rule_of_handle(handle: Any) -> object:
    return rule_of(current_scope(context_of(handle)))
