"""Writes what the rules remember to the checkpoint, over and over."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_time
from eshet.text import safe_repr
from eshet_rules.audit.records import CheckpointNotWritten, CheckpointSlow, emit
from eshet_rules.reload.checkpoint import Checkpoint
from eshet_rules.reload.reloader import Reloader
from eshet_rules.threads import RunnerThreads

__all__ = ["MAX_AGE", "CheckpointWriter", "wall_epoch"]

MAX_AGE: Final = 1.0
"""How old, in seconds, what is in the file may get while something changes."""

_MARGIN: Final = 0.1
_MIN_INTERVAL: Final = 0.1
_REST: Final = 2
"""How long the loop is left alone after it has packed a checkpoint, in terms of how long that took.

Where much waits to be remembered, as the work that a busy house is behind with, packing takes long
itself: without a rest, the house would never catch up."""

_MEASURED: Final = 10
"""How many of the last writes tell how long the next may take."""


class CheckpointWriter:
    """Keeps the checkpoint of what is alive up to date.

    What is lost by a kill is what has changed since the last write *began* that had ended by then.
    So the next one begins early enough to end, if it takes twice as long as the last ones, when
    what that one wrote is `MAX_AGE` old. But packing takes a third of the loop's time at most.
    Where a write takes too long for that, the log says so.

    Args:
        reloader: has what is alive.
        checkpoint: to write to.
        log: where it is told that it can't be written.
        threads: in which it is written.
    """

    def __init__(
        self,
        reloader: Reloader,
        checkpoint: Checkpoint,
        log: FilteringBoundLogger,
        threads: RunnerThreads,
    ) -> None:
        self._reloader = reloader
        self._checkpoint = checkpoint
        self._log = log
        self._threads = threads
        self._writing: asyncio.Future[None] | None = None
        self._durations: deque[float] = deque(maxlen=_MEASURED)
        self._packing = 0.0  # seconds of the last write in which nothing else could run
        self._has_failed = False  # to write, the last time
        self._is_late = False

    async def run(self) -> None:
        """Write a checkpoint now, and again so often that it is never too old, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.write()
            self._durations.append(loop.time() - began)
            rest = began + self._interval - loop.time()
            await asyncio.sleep(max(rest, _REST * self._packing))

    @property
    def _interval(self) -> float:
        """The seconds from the beginning of a write to that of the next."""
        return max(_MIN_INTERVAL, MAX_AGE - _MARGIN - 2 * max(self._durations, default=0.0))

    async def write(self) -> None:
        """Write a checkpoint now, unless it would be the same again.

        Others run between one module and the next, and while it is written.
        """
        began = asyncio.get_running_loop().time()
        epoch = wall_epoch()
        modules: dict[str, bytes] = {}
        self._packing = 0.0
        for name in self._reloader.remembered:
            self._pack(name, epoch, modules)
            await asyncio.sleep(0)
        with self._measured():
            data = self._checkpoint.pack(modules)
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

    def _pack(self, name: str, epoch: float, modules: dict[str, bytes]) -> None:
        """Pack at once what a module gives: some of it is the rules', which may change it."""
        with self._measured():
            snapshot = self._reloader.snapshot(name, epoch)
            if snapshot is not None:
                modules[name] = self._checkpoint.pack_module(name, snapshot)

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        """Add to the time of packing what the body of the `with` statement takes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self._packing += loop.time() - began

    async def _write(self, data: bytes) -> None:
        """Write after what is being written still: this may have been cancelled meanwhile."""
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
    """Let nobody complain of an error that nobody has waited for."""
    if not writing.cancelled():
        writing.exception()


def wall_epoch() -> float:
    """Return the loop's time at which the wall clock shows 0."""
    return asyncio.get_running_loop().time() - wall_time()
