"""Writes what the rules remember to the checkpoint, over and over."""

import asyncio
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_time
from eshet_rules.checkpoint import Checkpoint
from eshet_rules.legacy import Legacy
from eshet_rules.reload import Reloader
from eshet_rules.threads import RunnerThreads

__all__ = ["INTERVAL", "Rememberer", "wall_zero"]

INTERVAL: Final = 1.0
"""Seconds from one checkpoint to the next."""


class Rememberer:
    """Keeps the checkpoint of what is alive up to date.

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
        self._failed = False

    async def run(self) -> None:
        """Write a checkpoint now, and once in each interval, for ever."""
        while True:
            await self.write()
            await asyncio.sleep(INTERVAL)

    async def write(self) -> None:
        """Write a checkpoint now, unless it would be the same again.

        Others run between one module and the next, and while it is written.
        """
        zero = wall_zero()
        legacies: dict[str, Legacy] = {}
        for name in self._reloader.remembered:
            if (legacy := self._reloader.give(name, zero)) is not None:
                legacies[name] = legacy
            await asyncio.sleep(0)
        data = self._checkpoint.pack(legacies)
        if data is None:
            return
        try:
            await self._threads.run(self._checkpoint.write, data)
        except OSError as error:
            if not self._failed:  # once is enough, until it is well again
                self._log.error("can't write the checkpoint", error=str(error))
            self._failed = True
        else:
            self._failed = False


def wall_zero() -> float:
    """Return the loop's time at which the wall clock shows 0."""
    return asyncio.get_running_loop().time() - wall_time()
