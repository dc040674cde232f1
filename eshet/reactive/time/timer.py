"""The timer of a node, and its position in the order in which timers were armed."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from eshet.interpreter import context_of

__all__ = ["NodeTimer"]

_numbers: Final = itertools.count()


class NodeTimer:
    """A timer that is armed again and again; never more than one at a time.

    Args:
        loop: calls the timer.

    Attributes:
        when: the loop time at which it is due; None if it is not armed.
        is_continued: see `eshet.reactive.core.graph.ArmedTimer`.
    """

    __slots__ = ("_handle", "_loop", "_number", "is_continued", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._number = 0
        self.when: float | None = None
        self.is_continued: bool = False

    @property
    def number(self) -> int | None:
        """How many timers of this process were armed before it; None if it is not armed."""
        return None if self._handle is None else self._number

    def arm(self, when: float, callback: Callable[[float], object]) -> None:
        """Let the loop call the callback with the time at which it is due."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = self.when = None  # also if the loop refuses the time
        self._handle = self._loop.call_at(when, callback, when)
        self.when = when
        self.is_continued = False
        self._number = next(_numbers)

    def arm_again(self, callback: Callable[[float], object]) -> None:
        """Become the last of the timers of the same time, in the same context."""
        handle, when = self._handle, self.when
        if handle is None or when is None:
            return
        handle.cancel()
        self._number = next(_numbers)
        self._handle = self._loop.call_at(when, callback, when, context=context_of(handle))

    def cancel(self) -> None:
        """Cancel the timer, if it is armed."""
        if self._handle is not None:
            self._handle.cancel()
            self.end()

    def end(self) -> None:
        """Note that the loop has called the callback."""
        self._handle = self.when = None
