"""Tells the other runners of a cluster which modules this one may run."""

import asyncio
from collections.abc import Iterable, Mapping
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
        self._sources: Mapping[str, Source] = {}
        self._unfit: dict[str, object] = {}  # on what it depends that they are
        self._is_due = asyncio.Event()

    def note(self, sources: Mapping[str, Source]) -> bool:
        """Note the present sources of the rules folder; return whether the modules have changed."""
        self._sources = sources
        return self._update()

    def note_unfit(self, modules: Iterable[str]) -> bool:
        """Note modules that this runner can't run as they are now, so that others do.

        That holds until their files, or those of helpers, have changed; or see `forget_unfit`.

        Returns:
            Whether the modules have changed.
        """
        versions, helpers = self.modules.versions, self.modules.helpers
        self._unfit.update({each: (versions.get(each), helpers) for each in modules})
        return self._update()

    def forget_unfit(self) -> bool:
        """Try to run all modules again; return whether the modules have changed."""
        self._unfit.clear()
        return self._update()

    def is_unfit(self, module: str) -> bool:
        """Whether this runner can't run a module as it is now; see `note_unfit`."""
        modules = self.modules
        return self._unfit.get(module) == (modules.versions.get(module), modules.helpers)

    def _update(self) -> bool:
        modules = self._modules_of(self._sources)
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
        for name, reason in self._unfit.items():
            if reason == (modules.runs.get(name), modules.helpers):
                modules.excluded[name] = modules.runs.pop(name)
        return modules
