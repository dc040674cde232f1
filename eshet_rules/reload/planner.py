"""What has to be done so that what is alive is the same as what is in the files.

What has changed is imported, beside what is alive. Modules that import the same changed module,
directly or not, are in one group: they have to be brought to life together or not at all.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records import ModuleRepaired, ReloadAborted, emit
from eshet_rules.exceptions import ImportFailed
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer, ModuleVersion
from eshet_rules.reload.groups import connected_components

__all__ = ["Plan", "ReloadPlanner"]

Alive = Mapping[str, ModuleVersion]
"""What is alive, by the names of the modules."""


@dataclass(frozen=True)
class Plan:
    """What to do.

    Args:
        changed: the modules of which what is alive is not the newest.
        groups: those of them to bring to life, in groups that belong together.
        failed: those that could not be imported.
    """

    changed: list[str]
    groups: list[list[str]]
    failed: set[str]


class ReloadPlanner:
    """Imports what is new, and remembers what could not be brought to life.

    Args:
        importer: of the rules folder.
        log: where it is told what could not be imported, and what stays alive therefore.
    """

    def __init__(self, importer: Importer, log: FilteringBoundLogger) -> None:
        self._importer = importer
        self._log = log
        self._refused: dict[str, ModuleVersion] = {}  # failed in set-up: not tried again as it is
        self._broken: dict[str, str] = {}

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong with the newest version of modules of which it is not alive."""
        return dict(self._broken)

    def make(self, sources: Mapping[str, Source], alive: Alive) -> Plan:
        """Import what has changed, and return what is to be done."""
        self._importer.sources = sources
        modules = [name for name, source in sources.items() if not source.is_helper]
        failed = {name for name in modules if not self._import(name, alive)}
        changed = [name for name in modules if name in failed or self.is_outdated(name, alive)]
        groups = connected_components({name: self._changed_parts(name, alive) for name in changed})
        ready = [group for group in groups if not self._is_held_up(group, failed, alive)]
        return Plan(changed, ready, failed)

    def is_outdated(self, name: str, alive: Alive) -> bool:
        """Whether another version than the newest imported one is alive."""
        newest, current = self._importer.current.get(name), alive.get(name)
        if newest is None:
            return False
        return bool(newest.rules) if current is None else current is not newest

    def refuse(self, version: ModuleVersion, alive: Alive, because: list[str]) -> None:
        """Do not try this version again, as it failed in its set-up or belongs to one that did.

        Args:
            version: the newest of its module.
            alive: what is alive, and stays.
            because: the other modules that failed.
        """
        self._refused[version.name] = version
        self._broken[version.name] = f"version {version.source.version} failed in set-up"
        self._tell_kept(version, alive, because)

    def settle(self, plan: Plan, alive: Alive) -> None:
        """Forget what is not needed any more, now that a plan is carried out.

        Args:
            plan: that was made last.
            alive: what is alive now.
        """
        newest = self._importer.current
        self._refused = {n: v for n, v in self._refused.items() if newest.get(n) is v}
        mended = self._broken.keys() - plan.failed - self._refused.keys()
        for name in sorted(mended):
            del self._broken[name]
            if name in alive and name not in plan.changed:  # else its reload tells
                emit(self._log, ModuleRepaired(module=name, version=alive[name].source.version))
        self._importer.keep_only(alive.values())

    def _import(self, name: str, alive: Alive) -> bool:
        """Import the module if that gives something new; return whether it is imported."""
        newest = self._importer.current.get(name)
        if newest is not None and self._importer.is_up_to_date(newest):
            return True
        if name in self._broken and self._importer.is_known_to_fail(name):
            return False
        try:
            self._importer.load(name)
        except ImportFailed as error:
            self._broken[name] = str(error)
            kept = alive.get(name)
            self._log.error(
                "module.import_failed" if kept is None else "module.import_failed_again",
                module=name,
                version=kept.source.version if kept is not None else None,
                error=error.problem,
                file=str(error.file),
                line=error.line,
                source=error.source,
            )
            return False
        return True

    def _changed_parts(self, name: str, alive: Alive) -> set[str]:
        """Return the modules that this one imports, or did, and that are not what they were."""
        newest, current = self._importer.current.get(name), alive.get(name)
        of_newest = {each.name for each in newest.with_imports()} if newest else set()
        of_alive = {each.name: each for each in current.with_imports()} if current else {}
        return {
            part
            for part in of_newest | of_alive.keys()
            if part not in of_alive
            or (source := self._importer.sources.get(part)) is None
            or source.version != of_alive[part].source.version
        }

    def _is_held_up(self, group: list[str], failed: Collection[str], alive: Alive) -> bool:
        """Whether a group is not to be tried: it can't be whole, or was refused as it is."""
        newest = self._importer.current
        missing = [name for name in group if name in failed and name in alive]
        if missing:
            for name in group:
                if name not in failed:
                    self._tell_kept(newest[name], alive, because=missing)
            return True
        return all(newest.get(name) is self._refused.get(name) for name in group)

    def _tell_kept(self, refused: ModuleVersion, alive: Alive, because: list[str]) -> None:
        kept = alive.get(refused.name)
        if kept is not None:
            emit(
                self._log,
                ReloadAborted(
                    module=refused.name,
                    version=kept.source.version,
                    refused=refused.source.version,
                    because=because or None,
                ),
            )
