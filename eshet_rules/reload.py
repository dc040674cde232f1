"""Keeps what is alive the same as what is in the files.

A module is reloaded by unloading the old version and starting the new one. The new version is
imported first, beside the old one; if that fails, the old one goes on undisturbed. If a rule of the
new version fails in its set-up, the new version is disposed and the old one is started again.
"""

import asyncio
from collections.abc import Callable, Mapping

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.scope import Reason
from eshet_rules.discovery import Source
from eshet_rules.exceptions import ImportFailed
from eshet_rules.generation import Generation
from eshet_rules.importer import Importer, ModuleVersion

__all__ = ["Reloader"]


class Reloader:
    """Has a generation alive for each module with rules.

    Args:
        importer: of the rules folder.
        make_client: makes a module's client, given the module's name.
        log: where it is logged what was loaded, reloaded, kept and unloaded.
    """

    def __init__(
        self,
        importer: Importer,
        make_client: Callable[[str], Client],
        log: FilteringBoundLogger,
    ) -> None:
        self._importer = importer
        self._make_client = make_client
        self._log = log
        self._alive: dict[str, Generation] = {}
        self._refused: dict[str, ModuleVersion] = {}  # failed in set-up: not tried again as it is

    @property
    def alive(self) -> Mapping[str, Generation]:
        """The generations that are alive, by the names of their modules."""
        return self._alive

    async def update(self, sources: Mapping[str, Source]) -> bool:
        """Load, reload and unload what has changed since the last time.

        Args:
            sources: all that is in the rules folder now.

        Returns:
            Whether all that had to be loaded could be loaded and set up.
        """
        self._importer.sources = sources
        modules = [name for name, source in sources.items() if not source.is_helper]
        imported = [self._import(name) for name in modules]
        await asyncio.gather(*(self._unload(name) for name in self._alive.keys() - sources.keys()))
        replaced = await asyncio.gather(*map(self._replace, filter(self._is_outdated, modules)))
        self._forget_unneeded()
        return all(imported) and all(replaced)

    async def close(self) -> None:
        """Dispose all that is alive, all at once, and forget all modules."""
        await asyncio.gather(*(each.dispose(Reason.SHUTDOWN) for each in self._alive.values()))
        self._alive.clear()
        self._importer.sources = {}
        self._importer.keep_only([])

    def _import(self, name: str) -> bool:
        """Import the module if that gives something new; return whether it is imported."""
        current = self._importer.current.get(name)
        if current is not None and self._importer.is_up_to_date(current):
            return True
        try:
            self._importer.load(name)
        except ImportFailed as error:
            alive = self._alive.get(name)
            self._log.error(
                "import failed" if alive is None else "import failed, kept old version",
                module=name,
                version=alive.version.source.version if alive is not None else None,
                error=error.problem,
                file=str(error.file),
                line=error.line,
                source=error.source,
            )
            return False
        return True

    def _is_outdated(self, name: str) -> bool:
        """Whether another version than the newest imported one is alive."""
        newest, alive = self._importer.current.get(name), self._alive.get(name)
        if newest is None or newest is self._refused.get(name):
            return False
        return bool(newest.rules) if alive is None else alive.version is not newest

    async def _replace(self, name: str) -> bool:
        """Bring the newest version of a module to life; return whether it could be set up."""
        new, old = self._importer.current[name], self._alive.get(name)
        if old is None:
            succeeded = await self._start(new)
            self._tell(new, "loaded")
            return succeeded
        if not new.rules:
            await self._unload(name)
            return True
        await old.dispose(Reason.REPLACED)
        if await self._start(new):
            self._tell(new, "reloaded")
            return True
        await self._alive[name].dispose(Reason.FAILED)
        self._refused[name] = new
        self._importer.show_source(old.version)
        await self._start(old.version)
        self._log.error(
            "kept old version",
            module=name,
            version=old.version.source.version,
            refused=new.source.version,
        )
        return False

    async def _start(self, version: ModuleVersion) -> bool:
        generation = Generation(version, self._make_client, self._log)
        self._alive[version.name] = generation
        return await generation.start()

    async def _unload(self, name: str) -> None:
        generation = self._alive[name]
        await generation.dispose(Reason.UNLOADED)
        del self._alive[name]
        self._tell(generation.version, "unloaded")

    def _tell(self, version: ModuleVersion, event: str) -> None:
        self._log.info(
            event, module=version.name, version=version.source.version, rules=list(version.rules)
        )

    def _forget_unneeded(self) -> None:
        current = self._importer.current
        self._refused = {n: v for n, v in self._refused.items() if current.get(n) is v}
        self._importer.keep_only([each.version for each in self._alive.values()])
