"""Returns memory to the system after a flood, when the clients that caused it are gone.

Freed memory is kept for the next allocation, at three levels. After a flood it is not needed, and
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
"""Seconds until memory is returned: other clients of the same flood may still be leaving."""

_WORTH: Final = 1 << 20
"""The number of freed bytes from which trimming is worth its time."""

_LARGE: Final = 4096
"""The size in bytes from which a table is worth copying."""

_SPARSE: Final = 512
"""Bytes per entry above which a table is copied; a copy has up to 150."""

Table = TypeVar("Table", bound=dict[Any, Any] | set[Any])


def shrunk(table: Table) -> Table:
    """Return the table, or a copy if it is much larger than its entries need.

    When called after each removal, this takes constant time on average.
    """
    size = sys.getsizeof(table)
    if size < _LARGE or size < _SPARSE * len(table):
        return table
    return table.copy()  # type: ignore[return-value]  # the same type, also of a defaultdict


class Trimmer:
    """Returns memory some time after the end of clients that made the process grow.

    This takes up to 0.1 ms per MiB of the heap of glibc, so it is not done for each connection.

    Args:
        loop: the event loop of the server.
        trim_heap: returns memory to the system.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, trim_heap: Callable[[], None] | None = None
    ) -> None:
        self._loop = loop
        self._trim_heap = trim_heap or _trim_heap
        self._freed = 0  # bytes since the last trim
        self._timer: asyncio.TimerHandle | None = None

    def freed(self, size: int) -> None:
        """Record how many bytes may have been freed at the end of a connection."""
        self._freed += size
        if self._freed >= _WORTH and self._timer is None:
            self._timer = self._loop.call_later(_REST, self._trim)

    def close(self) -> None:
        """Stop returning memory."""
        if self._timer is not None:
            self._timer.cancel()

    def _trim(self) -> None:
        self._timer = None
        self._freed = 0
        self._trim_heap()


def _trim_heap() -> None:
    """Return free memory to the system, as far as that is possible."""
    if gc.get_freeze_count() == 0:  # otherwise other code uses gc.freeze
        # A full collection clears the free lists. With all objects frozen it has nothing else to
        # do, and takes no time.
        gc.freeze()
        gc.collect()
        gc.unfreeze()
    malloc_trim = _malloc_trim()
    if malloc_trim is not None:
        malloc_trim(0)


def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's function; None with another C library."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
