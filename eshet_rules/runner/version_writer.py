"""Keeps the sources of versions that have become live, without delaying the event loop."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_now
from eshet.scope import use_scope
from eshet.text import safe_repr
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import VersionsNotKept
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.module_version import ModuleVersion
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.threads import RunnerThreads

__all__ = ["VersionWriter"]

_LONGEST_END: Final = 1.0
"""Seconds for which the end of the runner waits for versions that are not yet written."""


class VersionWriter:
    """Writes versions to a store, one after another, in a thread of the runner.

    Args:
        store: the store.
        log: receives an error if a version can't be written, once until one can be again.
        threads: the threads that write.
    """

    def __init__(
        self, store: VersionStore, log: FilteringBoundLogger, threads: RunnerThreads
    ) -> None:
        self._store = store
        self._log = log
        self._threads = threads
        self._waiting: dict[tuple[str, str], tuple[Source, datetime]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._has_failed = False

    def add(self, version: ModuleVersion) -> None:
        """Keep a version that has become live, and the versions that it imports, soon."""
        now = wall_now(UTC)
        for each in sorted(version.with_imports(), key=_name):
            key = each.name, each.source.version
            self._waiting.pop(key, None)  # so that it comes after others of its module
            self._waiting[key] = each.source, now
        if self._writing is None:
            with use_scope(None):
                self._writing = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Wait until all versions that were added are written, or could not be written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def close(self) -> None:
        """Write the waiting versions, for a second at most."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=_LONGEST_END)
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self) -> None:
        try:
            while self._waiting:
                source, since = self._waiting.pop(next(iter(self._waiting)))
                await self._write_one(source, since)
        finally:
            self._writing = None

    async def _write_one(self, source: Source, since: datetime) -> None:
        try:
            add = self._store.add
            await self._threads.run(add, source.name, source.version, source.data, since)
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            if not self._has_failed:
                folder = str(self._store.folder)
                emit(self._log, VersionsNotKept(folder=folder, error=safe_repr(error)))
            self._has_failed = True
        else:
            self._has_failed = False


def _name(version: ModuleVersion) -> str:
    return version.name
