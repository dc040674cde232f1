"""Writes the state of all rules to the checkpoint at intervals."""

import asyncio
import contextlib
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_time
from eshet.text import safe_repr
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import CheckpointNotWritten, CheckpointSlow
from eshet_rules.reload.checkpoint import SnapshotPacker
from eshet_rules.reload.reloader import Reloader
from eshet_rules.threads import RunnerThreads

__all__ = ["MAX_AGE", "CheckpointWriter", "wall_epoch"]

MAX_AGE: Final = 1.0
"""Maximum age of the content of the file while there are changes, in seconds."""

_MARGIN: Final = 0.1
_MIN_INTERVAL: Final = 0.1
_REST: Final = 2
"""Minimum pause after packing a checkpoint, as a multiple of the time that packing took.

If there is much state, such as the queues of an overloaded runner, packing itself takes long:
without a pause, the runner would never catch up."""

_MEASURED: Final = 10
"""Number of the last writes from which the duration of the next one is estimated."""


_EVERY: Final = 60
"""In one of so many writes, a module is packed although no activity of its rules was noted."""


_CLOCK_STEP: Final = 0.1
"""Seconds by which the wall clock may move before times are packed again."""


class CheckpointWriter:
    """Keeps the checkpoint of all running modules up to date.

    A kill loses the changes since the *beginning* of the last complete write. So each write begins
    early enough to be complete, even if it takes twice as long as the last ones, before the content
    of the file is `MAX_AGE` old. But packing uses at most a third of the loop's time. If writes
    take too long for that, it is logged.

    Args:
        reloader: provides the snapshots of the running modules.
        checkpoint: the checkpoint to write; or packs the snapshots without a file.
        log: receives errors and warnings.
        threads: the threads that write the file.
        on_packed: called with the packed snapshots, by module, before the file is written.
    """

    def __init__(
        self,
        reloader: Reloader,
        checkpoint: SnapshotPacker,
        log: FilteringBoundLogger,
        threads: RunnerThreads,
        on_packed: Callable[[Mapping[str, bytes]], object] = lambda packed: None,
    ) -> None:
        self._reloader = reloader
        self._checkpoint = checkpoint
        self._log = log
        self._threads = threads
        self._on_packed = on_packed
        self._writing: asyncio.Future[None] | None = None
        self._durations: deque[float] = deque(maxlen=_MEASURED)
        self._activity = reloader.activity.reader()
        self._packed: dict[str, bytes] = {}  # the snapshot of each module, if it is up to date
        self._epoch = -math.inf  # at which they were made
        self._count = itertools.count()
        self._packing = 0.0  # seconds of the last write in which nothing else could run
        self._has_failed = False  # to write, the last time
        self._is_late = False

    async def run(self) -> None:
        """Write a checkpoint now, and again so often that it is never too old, forever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.write()
            self._durations.append(loop.time() - began)
            rest = began + self._interval - loop.time()
            await asyncio.sleep(max(rest, _REST * self._packing))

    @property
    def _interval(self) -> float:
        """Seconds from the beginning of a write to that of the next."""
        return max(_MIN_INTERVAL, MAX_AGE - _MARGIN - 2 * max(self._durations, default=0.0))

    async def write(self) -> None:
        """Write a checkpoint now, unless its content would not change.

        The event loop runs other code between two modules, and during the write.
        """
        began = asyncio.get_running_loop().time()
        self._packing = 0.0
        names, epoch = self._reloader.with_snapshot, wall_epoch()
        if abs(epoch - self._epoch) >= _CLOCK_STEP:
            self._packed, self._epoch = {}, epoch
        # Outdated ones are removed before the first of them is packed, as this may be cancelled.
        due = names[next(self._count) % _EVERY :: _EVERY]
        for name in self._activity.look().union(due, self._packed.keys() - names):
            self._packed.pop(name, None)
        for name in names:
            if name not in self._packed and (data := self._pack(name, epoch)) is not None:
                self._packed[name] = data
                await asyncio.sleep(0)
        self._on_packed(self._packed)
        with self._measured():
            data = self._checkpoint.pack(self._packed)
        if data is None:
            return
        try:
            await self._write(data)
        except OSError as error:
            if not self._has_failed:  # logged once, until it can be written again
                emit(self._log, CheckpointNotWritten(error=safe_repr(error)))
            self._has_failed = True
        else:
            self._has_failed = False
            self._warn_if_late(asyncio.get_running_loop().time() - began, len(data))

    def _pack(self, name: str, epoch: float) -> bytes | None:
        """Make and pack the snapshot of a module in one step, as rules may change objects in it."""
        with self._measured():
            snapshot = self._reloader.snapshot(name, epoch)
            return None if snapshot is None else self._checkpoint.pack_module(name, snapshot)

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        """Add the duration of the `with` statement to the time of packing."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self._packing += loop.time() - began

    async def _write(self, data: bytes) -> None:
        """Write, after a previous write that may still run because its caller was cancelled."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._writing = self._threads.start(self._checkpoint.write, data)
        self._writing.add_done_callback(_retrieve)
        await asyncio.shield(self._writing)

    def _warn_if_late(self, duration: float, size: int) -> None:
        is_late = 2 * duration + _REST * self._packing > MAX_AGE
        if is_late and not self._is_late:
            emit(self._log, CheckpointSlow(seconds=round(duration, 3), bytes=size))
        self._is_late = is_late


def _retrieve(writing: asyncio.Future[None]) -> None:
    """Mark the error of a write as retrieved, so that asyncio does not log it."""
    if not writing.cancelled():
        writing.exception()


def wall_epoch() -> float:
    """Return the loop's time at which the wall clock shows 0."""
    return asyncio.get_running_loop().time() - wall_time()
