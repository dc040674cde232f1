"""The rules of a folder with earlier versions of modules, as the runner has kept them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eshet_rules.config import Configuration
from eshet_rules.exceptions import RulesError, VersionNotFound
from eshet_rules.modules.discovery import Source, discover
from eshet_rules.reload.version_store import KeptVersion, VersionStore
from eshet_rules.replay.replaying import Rules

__all__ = ["PastRules", "VersionNotKept", "kept_source"]


class VersionNotKept(RulesError):
    """A version of a module that a replay needs is neither in the rules folder nor kept.

    Args:
        module: the name of the module.
        version: the hash of its source.
        folder: the rules folder.
    """

    def __init__(self, module: str, version: str, folder: Path) -> None:
        self.module = module
        self.version = version
        self.folder = folder
        super().__init__(
            f"the version {version} of {module} is neither in {folder} nor kept: name a folder "
            "that has it with --rules, and the trail with --audit"
        )


@dataclass(frozen=True)
class PastRules:
    """The rules of a folder, now and before.

    Args:
        folder: the rules folder.
        store: the versions that were live.
        configuration: the settings of the rules.
    """

    folder: Path
    store: VersionStore
    configuration: Configuration

    def at(self, moment: datetime, known: Mapping[str, str], needed: Mapping[str, str]) -> Rules:
        """Return the rules as they were at a time, as far as their versions are kept.

        A module without a known version has the one that was kept as live at that time, or else
        the present one. It is left out if it became live later.

        Args:
            moment: the time.
            known: the versions of modules then, by name.
            needed: those of them without which the rules are of no use.

        Raises:
            VersionNotKept: a needed version is neither present nor kept.
        """
        present = discover(self.folder)
        sources = dict(present)
        for name in {**present, **known, **needed}:
            version = needed.get(name) or known.get(name)
            if name in present and version == present[name].version:
                continue
            source = self._earlier(name, version, moment, present)
            if source is not None:
                sources[name] = source
            elif name in needed:
                raise VersionNotKept(name, needed[name], self.folder)
            elif name in present and self._is_later(present[name], version):
                del sources[name]
        return Rules(self.folder, sources, self.configuration)

    def _earlier(
        self, name: str, version: str | None, moment: datetime, present: Mapping[str, Source]
    ) -> Source | None:
        try:
            if version is None:
                kept = self.store.live_at(name, moment)
            else:
                kept = self.store.find(name, version)
            return None if kept is None else kept_source(kept, self.store, self.folder, present)
        except VersionNotFound:
            return None

    def _is_later(self, source: Source, version: str | None) -> bool:
        """Whether a module, of which no version was live then, became live later."""
        is_unknown = version is None and not source.is_helper
        return is_unknown and bool(self.store.versions(source.name))


def kept_source(
    kept: KeptVersion, store: VersionStore, folder: Path, present: Mapping[str, Source]
) -> Source:
    """Return the source of a kept version.

    Args:
        kept: the version.
        store: where it is kept.
        folder: the rules folder.
        present: its present content.

    Raises:
        VersionNotFound: its file is missing or damaged.
    """
    name = kept.module
    path = present[name].path if name in present else folder / f"{name.replace('.', '/')}.py"
    return Source(name, path, store.read(kept), kept.version, ())
