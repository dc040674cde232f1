"""Kept versions of modules, and their differences."""

import difflib
from collections.abc import Iterator
from typing import Any, Final

from eshet_rules.exceptions import VersionNotFound
from eshet_rules.reload.version_store import KeptVersion, VersionStore
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.plain import stamp

__all__ = ["Versions"]

_CONTEXT: Final = 3
"""Unchanged lines around each difference."""

_MOST_LINES: Final = 5000


class Versions:
    """Describes the versions of modules.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view

    async def all(self, module: str = "") -> dict[str, Any]:
        """Return the kept versions of a module, or of all modules."""
        store = self._view.versions
        if store is None:
            return {"modules": []}
        found = await self._view.threads.run(_all_versions, store, module)
        return {"modules": [self._plain(name, versions) for name, versions in found.items()]}

    async def text(self, module: str, version: str) -> dict[str, Any]:
        """Return the source of a version.

        Raises:
            VersionNotFound: it is not kept.
        """
        data = await self._view.threads.run(_source, self._store(module), module, version)
        return {"module": module, "version": version, "text": data}

    async def diff(self, module: str, first: str, second: str) -> dict[str, Any]:
        """Return the differences of two versions.

        Raises:
            VersionNotFound: one of them is not kept.
        """
        store, threads = self._store(module), self._view.threads
        lines = await threads.run(_lines, store, module, first, second)
        return {"lines": lines[:_MOST_LINES], "truncated": len(lines) > _MOST_LINES}

    def _store(self, module: str) -> VersionStore:
        store = self._view.versions
        if store is None:
            raise VersionNotFound(module, "", [], "no versions are kept")
        return store

    def _plain(self, module: str, versions: list[KeptVersion]) -> dict[str, Any]:
        instance = self._view.reloader.instances.get(module)
        live = None if instance is None else instance.version.source.version
        return {
            "module": module,
            "rolled_back": module in self._view.control.rolled_back,
            "versions": [
                {
                    "version": each.version,
                    "since": stamp(each.since),
                    "until": None if each.until is None else stamp(each.until),
                    "size": each.size,
                    "failed": each.failed,
                    "live": each.version == live,
                }
                for each in versions
            ],
        }


def _all_versions(store: VersionStore, module: str) -> dict[str, list[KeptVersion]]:
    names = [module] if module else store.modules()
    return {name: store.versions(name) for name in names}


def _source(store: VersionStore, module: str, version: str) -> str:
    return store.read(store.find(module, version)).decode(errors="replace")


def _lines(store: VersionStore, module: str, first: str, second: str) -> list[list[str]]:
    return list(_differences(_source(store, module, first), _source(store, module, second)))


def _differences(old: str, new: str) -> Iterator[list[str]]:
    """Iterate over lines with their signs: `+`, `-`, a space, or `@` for a gap."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=_CONTEXT)
    for number, line in enumerate(lines):
        if number > 1:  # the names of the files
            yield ["@", line] if line.startswith("@@") else [line[:1], line[1:]]
