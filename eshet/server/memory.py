"""Gives memory back to the system after a flood, when the clients that caused it have gone.

What was freed is kept for the next allocation, at three levels. After a flood nothing needs it, and
the process would keep its largest size:

- a dict or set does not shrink when entries are removed: see `shrunk`;
- a few objects on the free lists of Python keep whole arenas, of 1 MiB each;
- glibc, the C library of most Linux systems, keeps the free pages of its heap.
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["Trimmer", "shrunk"]

_REST: Final = 2.0
"""Seconds until memory is given back: other clients of the same flood may still be leaving."""

_WORTH: Final = 1 << 20
"""Bytes that are worth the time."""

_LARGE: Final = 4096
"""Bytes of the smallest table that is worth a copy."""

_SPARSE: Final = 512
"""Bytes of a table for each of its entries, beyond which it is copied; a copy has up to 150."""

Table = TypeVar("Table", bound=dict[Any, Any] | set[Any])


def shrunk(table: Table) -> Table:
    """Return the table, or a small copy of it if it was large once and has few entries now.

    Called after each removal, that takes a constant time on average.
    """
    size = sys.getsizeof(table)
    if size < _LARGE or size < _SPARSE * len(table):
        return table
    return table.copy()  # type: ignore[return-value]  # the same type, also of a defaultdict


class Trimmer:
    """Gives memory back a while after clients have gone that made the process grow.

    That takes up to 0.1 ms for each MiB of the heap of glibc, so it is not done for each connection
    that ends.

    Args:
        loop: the event loop of the server.
        give_back: gives back what it can.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, give_back: Callable[[], None] | None = None
    ) -> None:
        self._loop = loop
        self._give_back = give_back or _give_back
        self._freed = 0  # bytes since the last time
        self._timer: asyncio.TimerHandle | None = None

    def freed(self, size: int) -> None:
        """Take note of what may have been freed when a connection ended, in bytes."""
        self._freed += size
        if self._freed >= _WORTH and self._timer is None:
            self._timer = self._loop.call_later(_REST, self._trim)

    def close(self) -> None:
        """Give nothing back any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _trim(self) -> None:
        self._timer = None
        self._freed = 0
        self._give_back()


def _give_back() -> None:
    """Give memory that is free back to the system, as far as that is possible."""
    if gc.get_freeze_count() == 0:  # else somebody else has a use for it
        # A full collection clears the free lists. It has nothing else to do, and takes no time,
        # when all objects are out of its sight.
        gc.freeze()
        gc.collect()
        gc.unfreeze()
    malloc_trim = _malloc_trim()
    if malloc_trim is not None:
        malloc_trim(0)


def _malloc_trim() -> Callable[[int], int] | None:
    """Return the function of glibc; None where the C library is another."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
