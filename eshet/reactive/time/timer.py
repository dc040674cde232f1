"""The timer of a node, and its position in the order in which timers were armed."""

import asyncio
import itertools
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Final

from eshet.clock import ClockWatcher, StepListener, clock_watcher
from eshet.interpreter import context_of
from eshet.scope import Scope, current

__all__ = ["NodeTimer"]

_numbers: Final = itertools.count()


class NodeTimer:
    """A timer that is armed again and again; never more than one at a time.

    It is an `eshet.reactive.core.graph.ArmedTimer`.

    Args:
        loop: calls the timer.

    Attributes:
        when: the loop time at which it is due; None if it is not armed.
        is_continued: see `ArmedTimer`.
    """

    __slots__ = (
        "_callback",
        "_handle",
        "_listener",
        "_loop",
        "_number",
        "_watcher",
        "is_continued",
        "when",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._callback: Callable[[float], object] | None = None  # while it is armed
        self._number = 0
        self._watcher: ClockWatcher | None = None
        self._listener: weakref.ref[StepListener] | None = None
        self.when: float | None = None
        self.is_continued: bool = False

    @property
    def number(self) -> int | None:
        """How many timers of this process were armed before it; None if it is not armed."""
        return None if self._handle is None else self._number

    def arm(self, when: float, callback: Callable[[float], object], scope: Scope | None) -> None:
        """Let the loop call the callback with the time at which it is due.

        Args:
            when: the loop time.
            callback: the callback.
            scope: of the node, in which the callback is called, whoever arms the timer: a loop may
                treat callbacks according to their scopes.
        """
        if self._handle is not None:
            self._handle.cancel()
            self.end()  # also if the loop refuses the time
        context = None if scope is None or scope is current.get() else _context_with(scope)
        self._handle = self._loop.call_at(when, callback, when, context=context)
        self._callback = callback
        self.when = when
        self.is_continued = False
        self._number = next(_numbers)

    def arm_again(self) -> None:
        """Become the last of the timers of the same time, in the same context."""
        listener = None if self._listener is None else self._listener()
        if self._watcher is not None and listener is not None and self.is_continued:
            # A step of the wall clock arms the timers of restored times in the order of listeners.
            self._watcher.discard(listener)
            self._watcher.add(listener)
        handle, callback, when = self._handle, self._callback, self.when
        if handle is None or callback is None or when is None:
            return
        handle.cancel()
        self._number = next(_numbers)
        self._handle = self._loop.call_at(when, callback, when, context=context_of(handle))

    def follow_clock(self, listener: StepListener) -> ClockWatcher:
        """Notify the listener of steps of the wall clock, until `stop`; return the watcher."""
        self._listener = weakref.ref(listener)
        self._watcher = clock_watcher()
        self._watcher.add(listener)
        return self._watcher

    def cancel(self) -> None:
        """Cancel the timer, if it is armed."""
        if self._handle is not None:
            self._handle.cancel()
            self.end()

    def end(self) -> None:
        """Note that the loop has called the callback."""
        self._handle = self._callback = self.when = None

    def stop(self) -> None:
        """Cancel the timer, and stop following the clock."""
        self.cancel()
        listener = None if self._listener is None else self._listener()
        if self._watcher is not None and listener is not None:
            self._watcher.discard(listener)


def _context_with(scope: Scope) -> Context:
    """Return a copy of this context with another scope."""
    context = copy_context()
    context.run(current.set, scope)
    return context
