"""Tells the other runners of a cluster which modules this one may run."""

import asyncio
from collections.abc import Mapping
from typing import Final

from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import NatsError
from eshet_rules.cluster.entries import Modules, ModulesEntry, modules_key, pack_modules
from eshet_rules.cluster.presence import Presence
from eshet_rules.config import ClusterSettings
from eshet_rules.modules.discovery import Source

__all__ = ["Announcement"]

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""


class Announcement:
    """The modules that this runner may run, which it tells the others whenever they change.

    Args:
        bucket: of the runners.
        cluster: the name of the cluster.
        runner: the name of this runner.
        settings: see `ClusterSettings`.
        presence: of this runner.
    """

    def __init__(
        self,
        bucket: Bucket,
        cluster: str,
        runner: str,
        settings: ClusterSettings,
        presence: Presence,
    ) -> None:
        self.modules: Modules = Modules(runs={}, excluded={}, helpers={})
        """The modules of this runner."""
        self._bucket = bucket
        self._runner = runner
        self._settings = settings
        self._presence = presence
        self._key: Final = modules_key(cluster, runner)
        self._is_due = asyncio.Event()

    def note(self, sources: Mapping[str, Source]) -> bool:
        """Note the present sources of the rules folder; return whether the modules have changed."""
        modules = self._modules_of(sources)
        if modules == self.modules:
            return False
        self.modules = modules
        self.repeat()
        return True

    def repeat(self) -> None:
        """Tell the others again, as a new presence has begun."""
        self._is_due.set()

    async def run(self) -> None:
        """Tell the others, forever."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            entry = ModulesEntry(presence=self._presence.number, modules=self.modules)
            if not entry.presence:
                continue  # it is repeated when that begins
            try:
                await self._bucket.put(self._key, pack_modules(entry), None)
            except NatsError:
                await asyncio.sleep(_RETRY)
                self._is_due.set()

    def _modules_of(self, sources: Mapping[str, Source]) -> Modules:
        modules = Modules(runs={}, excluded={}, helpers={})
        for name, source in sources.items():
            where = self._settings.where_of(name)
            if source.is_helper:
                modules.helpers[name] = source.version
            elif where is None or where.matches(self._runner, self._settings.labels):
                modules.runs[name] = source.version
            else:
                modules.excluded[name] = source.version
        return modules
