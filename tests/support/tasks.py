"""Tasks that tell what becomes of them."""

import asyncio

from eshet.scope import Scope

__all__ = ["Recorder"]


class Recorder:
    """Tasks that note when they ran, and the scope that their errors are reported to."""

    def __init__(self):
        self.log = []
        self.reports = []
        self.scope = Scope("recorder", on_error=lambda e, doing: self.reports.append((e, doing)))

    def now(self):
        return asyncio.get_running_loop().time()

    def build(self, strategy):
        with self.scope.active():
            return strategy.build()

    def follow(self, strategy):
        """Build a strategy; return it with a list of how its tasks have ended."""
        run = self.build(strategy)
        endings = []
        run.on_end = endings.append
        return run, endings

    def task(self, name, *, lasts=0.0, fails=0, error=OSError):
        """Make a task that takes some time, and whose first attempts fail."""
        attempts = iter(range(1, 1_000_000))

        async def work():
            try:
                await asyncio.sleep(lasts)
            except asyncio.CancelledError:
                self.log.append((self.now(), name, "cancelled"))
                raise
            self.log.append((self.now(), name))
            if next(attempts) <= fails:
                raise error(name)

        work.__qualname__ = str(name)
        return work
