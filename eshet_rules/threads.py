"""The runner's own threads, for slow work: scans, checkpoints, configuration.

Rules can fill asyncio's default executor (`asyncio.to_thread(time.sleep, 40)`, a dozen times) and
use up the memory that a new thread needs. So only the runner uses these threads, and they are
started before any rule.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple, Unpack

__all__ = ["OneThread", "RunnerThreads", "Threads"]

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

_COUNT: Final = 2
"""One may wait for a slow disk while the other scans for changed files."""


class Threads(Protocol):
    """Runs slow work."""

    async def run(self, function: Callable[[Unpack[_Args]], _T], *args: *_Args) -> _T:
        """Call a function in a thread, and return its result or raise its error."""


class RunnerThreads:
    """A few threads that start immediately and end with `close`."""

    def __init__(self) -> None:
        self._executor: Final = ThreadPoolExecutor(_COUNT, thread_name_prefix="eshet-rules")
        # An executor starts a thread only if all others are busy, so keep each busy for a moment.
        started = threading.Barrier(_COUNT + 1)
        for _ in range(_COUNT):
            self._executor.submit(started.wait)
        started.wait()

    async def run(self, function: Callable[[Unpack[_Args]], _T], *args: *_Args) -> _T:
        """Call a function in one of the threads, and return its result or raise its error."""
        return await self.start(function, *args)

    def start(self, function: Callable[[Unpack[_Args]], _T], *args: *_Args) -> asyncio.Future[_T]:
        """Call a function in one of the threads; it runs to its end even if nothing awaits it."""
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def close(self) -> None:
        """Let the threads end after their present work; pending work is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class OneThread:
    """Uses at most one of the runner's threads at a time, so that the others stay free.

    Work that nothing awaits any more is dropped before it starts. Once it runs, it runs to its end,
    and the next work waits for that.

    Args:
        threads: the runner's.
    """

    def __init__(self, threads: RunnerThreads) -> None:
        self._threads = threads
        self._turn: Final = asyncio.Lock()

    async def run(self, function: Callable[[Unpack[_Args]], _T], *args: *_Args) -> _T:
        """See `Threads`."""
        await self._turn.acquire()
        try:
            working = self._threads.start(function, *args)
        except BaseException:
            self._turn.release()
            raise
        working.add_done_callback(self._end)
        return await asyncio.shield(working)  # a cancelled future would not say when it ends

    def _end(self, working: asyncio.Future[Any]) -> None:
        self._turn.release()
        if not working.cancelled():
            working.exception()  # its caller may have been cancelled
