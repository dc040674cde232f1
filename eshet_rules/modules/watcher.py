"""What is in the rules folder, again each time that it has changed.

What the system tells of changes is taken as a hint only: it loses some in deep new folders, tells
nothing of what a link points to, and falls silent when the folder itself is replaced. So each hint
starts a scan of the whole tree, and one is due now and then without a hint.

Many an editor saves by emptying a file, or by moving it away, and writing it anew, maybe in parts.
So a file that has gone, or may be incomplete, is looked at once more before that is believed: or
else what its rules remember would be gone with it.
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
from eshet_rules.audit.records import WatcherUnavailable, emit
from eshet_rules.modules.discovery import Source, discover
from eshet_rules.regular_files import read_regular
from eshet_rules.threads import RunnerThreads

__all__ = ["DOUBT", "RESCAN", "SETTLE", "watch", "watch_file"]

SETTLE: Final = 0.05
"""Seconds of silence that end a change: a save in several steps, or a checkout, is one."""

RESCAN: Final = 2.0
"""Seconds after which it is looked without a hint."""

DOUBT: Final = 0.25
"""Seconds after which a file that has gone, or may be incomplete, is believed to be so."""

_LONGEST_SETTLE: Final = 10  # times as long, changes may follow each other until it is looked
_LINK_CHECK: Final = 0.2
"""Seconds from one look at where the folder is to the next, if a link leads there.

The system reports what happens in a folder, not that a link leads to another one now.
"""

_MAX_WATCHED: Final = 10 << 20
"""Bytes of a file; a larger one counts as one that is not there."""

_RETRY: Final = 0.5  # seconds until to look again for a folder that is gone


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
    """Iterate over what is in the folder: now, and again after each change.

    Args:
        folder: which is watched, with all folders in it.
        log: where it is reported that the system gives no hints.
        find: returns what is in it, given what was known before; `discover` if not given.
        settle: see `SETTLE`.
        rescan: see `RESCAN`.
        doubt: see `DOUBT`.
        threads: in which the folder is scanned.
    """
    find = functools.partial(discover, folder) if find is None else find
    sources = await threads.run(find)
    yield sources
    async with aclosing(_hints(folder, log, settle, rescan)) as hints:
        async for _ in hints:
            new = await threads.run(find, sources)
            if _is_doubtful(new, sources):
                await asyncio.sleep(doubt)
                new = await threads.run(find, sources)
            changed = _versions(new) != _versions(sources)
            sources = new
            if changed:
                yield sources


def _is_doubtful(new: dict[str, Source], old: dict[str, Source]) -> bool:
    """Whether a known file has gone, or may be incomplete: it may be being saved."""
    return any(
        source.data and (name not in new or _may_be_incomplete(new[name].data, source.data))
        for name, source in old.items()
    )


def _may_be_incomplete(new: bytes, old: bytes) -> bool:
    """Whether a file was perhaps caught between two writes.

    It is if there is less of rules in it than before, or if its last line has no end any more.
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
    """Iterate over the content of a file, None where there is none: now, and after each change.

    A new content is believed when the file has held it for `doubt` seconds: a file that is being
    saved in two parts may be valid in between, and mean something else.

    Args:
        path: of the file.
        log: where it is reported that the system gives no hints.
        settle: see `SETTLE`.
        rescan: see `RESCAN`.
        doubt: see `DOUBT`.
        threads: in which the file is read.
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
) -> AsyncGenerator[None, None]:
    """Iterate over the moments at which something may have changed.

    Where the system can't watch the folder (no inotify instance is left, a name is not UTF-8), that
    is each `rescan` seconds.
    """
    reported = None
    loop = asyncio.get_running_loop()
    while True:
        yield  # no hint tells of a change before the watch begins
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
                        yield
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
    """Return the error itself, of which watchfiles makes groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _identity(folder: Path) -> tuple[int, int]:
    """Return what tells a folder from another of the same name: a watch is bound to it."""
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
