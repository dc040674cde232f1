"""Watches the rules folder, and reads it again after each change.

Change notifications of the system are only hints: some are lost in deep new folders, there are none
for the target of a link, and none after the folder itself was replaced. So each hint starts a scan
of the whole tree, and without hints there is a scan at intervals, the longer the larger the tree.

Many editors save a file by truncating it or moving it away, and writing it again, maybe in parts.
So if a file is missing, or may be incomplete, it is read a second time after a delay: otherwise the
state of its rules would be lost.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger
from watchfiles import awatch

from eshet.text import safe_str
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import WatcherUnavailable
from eshet_rules.modules.discovery import Source, discover
from eshet_rules.regular_files import read_regular
from eshet_rules.threads import RunnerThreads

__all__ = ["DOUBT", "RESCAN", "SETTLE", "watch", "watch_file"]

SETTLE: Final = 0.05
"""Seconds without a further change before a scan, so that a save in several steps is one change."""

RESCAN: Final = 2.0
"""Seconds between two scans without a hint."""

_PAUSE: Final = 500
"""Minimum time between two scans without a hint, as a multiple of the duration of a scan: with
thousands of files, scans take 0.2 % of the time at most."""

_LONGEST_PAUSE: Final = 30.0
"""Limit of that pause in seconds: a disk may have been slow only once."""

DOUBT: Final = 0.25
"""Seconds before a file that is missing, or may be incomplete, is read a second time."""

_LONGEST_SETTLE: Final = 10
"""Limit for changes that follow each other without a pause, as a multiple of the settle time."""

_LINK_CHECK: Final = 0.2
"""Seconds between two checks of a link to the folder.

The system reports changes in a folder, but not that a link to it was changed.
"""

_MAX_WATCHED: Final = 10 << 20
"""Maximum size of a watched file in bytes; a larger file counts as missing."""

_RETRY: Final = 0.5  # seconds between two attempts to watch a missing folder


async def watch(
    folder: Path,
    log: FilteringBoundLogger,
    *,
    find: Callable[..., dict[str, Source]] | None = None,
    settle: float = SETTLE,
    rescan: float = RESCAN,
    doubt: float = DOUBT,
    threads: RunnerThreads,
) -> AsyncGenerator[dict[str, Source], None]:
    """Iterate over the contents of the folder: the present one, and a new one after each change.

    Args:
        folder: the folder to watch, with all its subfolders.
        log: receives a warning if the system can't watch the folder.
        find: returns the content, given the previous one; `discover` by default.
        settle: see `SETTLE`.
        rescan: see `RESCAN`.
        doubt: see `DOUBT`.
        threads: the threads that scan the folder.
    """
    find = functools.partial(discover, folder) if find is None else find
    sources = await threads.run(find)
    yield sources
    loop = asyncio.get_running_loop()
    rescan_at = loop.time()
    async with aclosing(_hints(folder, log, settle, rescan)) as hints:
        async for is_certain in hints:
            began = loop.time()
            if not is_certain and began < rescan_at:
                continue
            new = await threads.run(find, sources)
            rescan_at = began + min(_PAUSE * (loop.time() - began), _LONGEST_PAUSE)
            if new == sources:  # this is fast: a file that has not changed has the same source
                continue
            if _is_doubtful(new, sources):
                await asyncio.sleep(doubt)
                new = await threads.run(find, sources)
            changed = _versions(new) != _versions(sources)
            sources = new
            if changed:
                yield sources


def _is_doubtful(new: dict[str, Source], old: dict[str, Source]) -> bool:
    """Whether a known file is missing or may be incomplete: maybe it is being saved."""
    return any(
        new.get(name) is not source
        and source.data
        and (name not in new or _may_be_incomplete(new[name].data, source.data))
        for name, source in old.items()
    )


def _may_be_incomplete(new: bytes, old: bytes) -> bool:
    """Whether a file may have been read between two writes.

    That is so if it is empty, mentions rules less often than before, or has lost the newline at its
    end.
    """
    has_less = new.count(b"rule") < old.count(b"rule")
    return not new or has_less or (old.endswith(b"\n") and not new.endswith(b"\n"))


async def watch_file(
    path: Path,
    log: FilteringBoundLogger,
    *,
    settle: float = SETTLE,
    rescan: float = RESCAN,
    doubt: float = DOUBT,
    threads: RunnerThreads,
) -> AsyncGenerator[bytes | None, None]:
    """Iterate over the contents of a file: the present one, and a new one after each change.

    The content of a missing file is None. New content is accepted when the file has had it for
    `doubt` seconds: a file that is saved in two parts may be valid, but different, in between.

    Args:
        path: the path of the file.
        log: receives a warning if the system can't watch the folder.
        settle: see `SETTLE`.
        rescan: see `RESCAN`.
        doubt: see `DOUBT`.
        threads: the threads that read the file.
    """
    content = await threads.run(_read, path)
    yield content
    async with aclosing(_hints(path.parent, log, settle, rescan, deep=False)) as hints:
        async for _ in hints:
            new = await threads.run(_read, path)
            seen = content
            while new != content and new != seen:
                seen = new
                await asyncio.sleep(doubt)
                new = await threads.run(_read, path)
            if new != content:
                content = new
                yield content


def _read(path: Path) -> bytes | None:
    try:
        return read_regular(path, _MAX_WATCHED)[0]
    except OSError:
        return None


async def _hints(
    folder: Path, log: FilteringBoundLogger, settle: float, rescan: float, *, deep: bool = True
) -> AsyncGenerator[bool, None]:
    """Yield whenever something may have changed: whether there is a reason to assume so.

    Without a reason, that is every `rescan` seconds. If the system can't watch the folder (no
    inotify instance is left, a name is not UTF-8), that is always a reason.
    """
    reported = None
    loop = asyncio.get_running_loop()
    while True:
        yield True  # changes before the watch begins cause no hint
        try:
            watched = _identity(folder)
            is_linked = _is_linked(folder)
            timeout = min(rescan, _LINK_CHECK) if is_linked else rescan
            rescan_at = loop.time() + rescan
            async with aclosing(
                awatch(
                    folder,
                    step=_ms(settle),
                    debounce=_ms(settle * _LONGEST_SETTLE),
                    rust_timeout=_ms(timeout),
                    yield_on_timeout=True,
                    recursive=deep,
                )
            ) as batches:
                async for changes in batches:
                    replaced = _is_replaced(folder, watched)
                    if changes or replaced or not is_linked or loop.time() >= rescan_at:
                        rescan_at = loop.time() + rescan
                        yield bool(changes) or replaced
                    if replaced:
                        break
        except FileNotFoundError:
            await asyncio.sleep(_RETRY)
        except Exception as error:
            problem = safe_str(_leaf(error))
            if problem != reported:
                reported = problem
                emit(log, WatcherUnavailable(folder=str(folder), error=problem, interval_s=rescan))
            await asyncio.sleep(rescan)


def _leaf(error: BaseException) -> BaseException:
    """Return the error itself: watchfiles raises it in an exception group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _identity(folder: Path) -> tuple[int, int]:
    """Return the device and inode of a folder: a watch is bound to them, not to the path."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_replaced(folder: Path, watched: tuple[int, int]) -> bool:
    try:
        return _identity(folder) != watched
    except FileNotFoundError:
        return True


def _is_linked(folder: Path) -> bool:
    return folder != folder.resolve()


def _versions(sources: dict[str, Source]) -> dict[str, str]:
    return {name: source.version for name, source in sources.items()}
