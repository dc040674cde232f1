"""A watch, and what it has received."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from eshet.nats.bucket import Bucket, Entry

__all__ = ["Seen", "watching"]


class Seen:
    """The entries of a bucket, as a watch reports them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.calls: list[str] = []
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    @property
    def values(self) -> dict[str, bytes]:
        return {entry.key: entry.value for entry in self.entries if not entry.is_deleted}

    @property
    def revisions(self) -> list[int]:
        return [entry.revision for entry in self.entries]

    def on_entry(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._check()

    def on_ready(self) -> None:
        self.calls.append("ready")
        self._check()

    def on_reset(self) -> None:
        self.calls.append("reset")
        self._check()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as a condition holds after a call."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = condition
        self._check()
        await future

    async def until_revision(self, revision: int) -> None:
        await self.until(lambda: bool(self.entries) and self.entries[-1].revision >= revision)

    def _check(self) -> None:
        for future, condition in list(self._waiting.items()):
            if condition():
                del self._waiting[future]
                future.set_result(None)


@asynccontextmanager
async def watching(bucket: Bucket) -> AsyncIterator[Seen]:
    """Watch a bucket, from when it is ready."""
    seen = Seen()
    watch = bucket.watch(seen.on_entry, seen.on_ready, seen.on_reset)
    try:
        await seen.until(lambda: "ready" in seen.calls)
        yield seen
    finally:
        await watch.close()
