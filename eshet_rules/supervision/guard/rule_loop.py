"""An event loop that a rule can't end, and that a rule can't flood.

asyncio runs all that is ready in the order in which it became so. A rule that starts 100,000 tasks
in one turn would hold up everybody for seconds, in 100,000 short steps of which none is to blame.
Here, when much is ready, each rule has its turn: a few steps, and then those of the others, and
what came in from outside.
"""

import asyncio
import contextlib
import math
import os
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, NoReturn, TypeVarTuple, Unpack

from eshet.interpreter import HANDLE_RUN, context_of, set_ready_queue
from eshet.scope import Scope, current_scope
from eshet_rules.exceptions import LoopNotStopped, TasksNotChanged
from eshet_rules.supervision.scope import own_tasks_by_scope
from eshet_rules.supervision.supervised_rule import rule_of

__all__ = ["FairQueue", "RuleLoop"]

_Args = TypeVarTuple("_Args")

MUCH: Final = 256
"""From how many steps on that are ready the order is not simply that of coming."""

SHARE: Final = 16
"""How many steps a rule has then before it is the others' turn."""


_MOST_FAILURES: Final = 100
"""How often the loop may fail to go on before it is taken to be broken."""


class FairQueue(deque[asyncio.Handle]):
    """What is ready to run in an asyncio loop, which asks its length and runs so many, in rounds.

    Invariants: what has the same owner stays in order; nothing is lost, and what has no owner never
    waits for more than a share of each owner.

    Args:
        owner_of: returns whose a handle is; None if it is the runner's.
    """

    def __init__(self, owner_of: Callable[[asyncio.Handle], object]) -> None:
        super().__init__()
        self._owner_of = owner_of
        self._later: dict[object, deque[asyncio.Handle]] = {}  # of each owner, after its share

    def __bool__(self) -> bool:
        return super().__len__() > 0 or bool(self._later)

    def __len__(self) -> int:
        """Return how many to run in this round; where there is much, not all of it."""
        if self._later or super().__len__() > MUCH:
            self._share_out()
        return super().__len__()

    def clear(self) -> None:
        """Forget all."""
        self._later.clear()
        super().clear()

    def _share_out(self) -> None:
        """Let only a share of each owner be what is ready, and let the rest wait."""
        runners = self._sort()
        self.extend(runners)
        for owner, waiting in list(self._later.items()):
            for _ in range(min(SHARE, len(waiting))):
                self.append(waiting.popleft())
            if not waiting:
                del self._later[owner]

    def _sort(self) -> list[asyncio.Handle]:
        """Take out all that is ready, put it to what waits of its owner, and return the rest."""
        runners = []
        while super().__len__():  # one by one: another thread may add to it meanwhile
            handle = self.popleft()
            owner = self._owner_of(handle)
            if owner is None:
                runners.append(handle)
            else:
                self._later.setdefault(owner, deque()).append(handle)
        return runners


class RuleLoop(asyncio.SelectorEventLoop):
    """Goes on when something in it calls `sys.exit()`, which asyncio lets end any other loop."""

    def __init__(self) -> None:
        super().__init__()
        self.on_exit_call: Callable[[BaseException, Scope | None], object] | None = None
        """Called with an error that would have ended the loop, and the scope that it comes from;
        while it is None, the error does end the loop."""
        self.on_broken: Callable[[BaseException], object] | None = None
        """Called with an error that comes again each time that the loop is to go on."""
        self._failures = 0  # since a step was run
        set_ready_queue(self, FairQueue(_rule_of_handle))
        self._main: asyncio.Future[Any] | None = None  # which `run_until_complete` waits for
        own_tasks_by_scope(self)
        _loops.add(self)

    def end_in_child(self) -> None:
        """Let the process end when it comes back to this loop; called in a forked child.

        A rule may fork, and do what it likes in the child. But a child that goes on with the loop
        would be a second runner, with the connections of the first.
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

        `call_later`, `asyncio.sleep`, timeouts and all else that waits come here, too. The timers
        are a heap: a time that has no order beside others would hold back or lose those of
        everybody, and one whose comparison raises would end the loop.

        Raises:
            ValueError: the time is not a number (NaN).
            TypeError: it is no number at all.
        """
        exact = float(when)  # a subclass of float may compare as it likes
        if math.isnan(exact):
            raise ValueError(
                "a time to wait is not a number (NaN): check what it is computed from, "
                "as a sensor without a value"
            )
        return super().call_at(exact, callback, *args, context=context)

    def set_task_factory(self, factory: Any) -> None:
        """Set what makes tasks, before rules run.

        Raises:
            TasksNotChanged: rules run, which would lose their tasks to each other.
        """
        if self.on_exit_call is not None:
            raise TasksNotChanged
        super().set_task_factory(factory)

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future is done, and return its result; nothing else can end that."""
        if self.is_running():  # it is a rule that calls this
            return super().run_until_complete(future)  # raises
        self._main = future if isinstance(future, asyncio.Future) else None
        try:
            return super().run_until_complete(future)
        finally:
            self._main = None

    def stop(self) -> None:
        """Stop running, if the main task is done.

        Raises:
            LoopNotStopped: it is not, so that this is not a call of asyncio's own.
        """
        if self.on_exit_call is not None and self._main is not None and not self._main.done():
            raise LoopNotStopped
        super().stop()

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        if self.is_running():  # it is a rule that calls this
            super().run_forever()  # raises
        while True:
            try:
                super().run_forever()
            except BaseException as error:
                # One callback or one step of a task is over, or a signal handler has raised. What
                # else was ready still is.
                if self.on_exit_call is None:
                    raise
                self._go_on(error)
            else:
                return

    def _go_on(self, error: BaseException) -> None:
        """Report what has ended the loop for now; it can go on if some step of it can be run."""
        step = _step_of(error)
        if step is not None:
            self._report_exit(error, current_scope(context_of(step)))
            return
        if not self._failures:
            self.call_soon(self._forget_failures, context=Context())
            self._report_exit(error, None)
        self._failures += 1
        if self._failures > _MOST_FAILURES and self.on_broken is not None:
            self.on_broken(error)

    def _report_exit(self, error: BaseException, scope: Scope | None) -> None:
        with contextlib.suppress(BaseException):  # of a signal handler, or of the log
            if self.on_exit_call is not None:
                self.on_exit_call(error, scope)

    def _forget_failures(self) -> None:
        self._failures = 0


class _EndOfChild(deque[asyncio.Handle]):
    """Stands where a forked child would find its next step, and ends the child."""

    def popleft(self) -> NoReturn:
        self._end()

    def __len__(self) -> NoReturn:
        self._end()

    def __bool__(self) -> NoReturn:
        self._end()

    def append(self, handle: asyncio.Handle) -> None:
        """Forget a step of the child: it never comes to it."""

    def _end(self) -> NoReturn:
        os.write(
            2, b"eshet-rules: ended a process that a rule has forked: leave it with os._exit()\n"
        )
        os._exit(1)


_loops: Final[weakref.WeakSet[RuleLoop]] = weakref.WeakSet()


def _end_loops_in_child() -> None:
    for loop in _loops:
        loop.end_in_child()


os.register_at_fork(after_in_child=_end_loops_in_child)


def _step_of(error: BaseException) -> asyncio.Handle | None:
    """Return the step of the loop that raised an error; None if it came from between two.

    The context of the step is left by then, but its handle is in the frame that ran it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is HANDLE_RUN:
            step: asyncio.Handle = frame.f_locals["self"]
            return step
    return None


def _rule_of_handle(handle: Any) -> object:
    return rule_of(current_scope(context_of(handle)))
