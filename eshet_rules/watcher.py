"""What is in the rules folder, again each time that it has changed.

What the system tells of changes is taken as a hint only: it loses some in deep new folders, tells
nothing of what a link points to, and falls silent when the folder itself is replaced. So each hint
starts a scan of the whole tree, and one is due now and then without a hint.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from watchfiles import awatch

from eshet_rules.discovery import Source, discover

__all__ = ["watch"]

_SETTLE_MS: Final = 50  # a save in several steps, or a checkout of many files, is one change
_LONGEST_SETTLE_MS: Final = 500
_RESCAN_MS: Final = 2000
_RETRY: Final = 0.5  # seconds until to look again for a folder that is gone


async def watch(folder: Path) -> AsyncGenerator[dict[str, Source], None]:
    """Iterate over what is in the folder: now, and again after each change."""
    sources = await asyncio.to_thread(discover, folder)
    yield sources
    async with aclosing(_hints(folder)) as hints:
        async for _ in hints:
            new = await asyncio.to_thread(discover, folder, sources)
            changed = _versions(new) != _versions(sources)
            sources = new
            if changed:
                yield sources


async def _hints(folder: Path) -> AsyncGenerator[None, None]:
    """Iterate over the moments at which something may have changed."""
    while True:
        yield  # what changed before the watch begins is told by nobody
        try:
            watched = _identity(folder)
            async with aclosing(
                awatch(
                    folder,
                    step=_SETTLE_MS,
                    debounce=_LONGEST_SETTLE_MS,
                    rust_timeout=_RESCAN_MS,
                    yield_on_timeout=True,
                )
            ) as batches:
                async for _ in batches:
                    yield
                    if _identity(folder) != watched:
                        break
        except FileNotFoundError:
            await asyncio.sleep(_RETRY)


def _identity(folder: Path) -> int:
    """Return what tells a folder from another of the same name: a watch is bound to it."""
    return folder.stat().st_ino


def _versions(sources: dict[str, Source]) -> dict[str, str]:
    return {name: source.version for name, source in sources.items()}
