"""Plans a reload: which modules need a new version, and which must change together.

Changed modules are imported beside the running versions. Modules that import the same changed
module, directly or indirectly, are in one group: they are replaced together or not at all.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.modules import ModuleRepaired, ReloadAborted
from eshet_rules.audit.records.schema import emit
from eshet_rules.exceptions import ImportFailed
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer, ModuleVersion
from eshet_rules.reload.groups import connected_components

__all__ = ["Plan", "ReloadPlanner"]

Running = Mapping[str, ModuleVersion]
"""The running versions, by the names of the modules."""


@dataclass(frozen=True)
class Plan:
    """The changes to make.

    Args:
        changed: the modules that do not run their newest version.
        groups: the modules among them to replace, in groups that must change together.
        failed: the modules that could not be imported.
    """

    changed: list[str]
    groups: list[list[str]]
    failed: set[str]


class ReloadPlanner:
    """Imports new versions, and keeps track of those that failed.

    Args:
        importer: the importer of the rules folder.
        log: receives failed imports, and the versions that keep running because of them.
    """

    def __init__(self, importer: Importer, log: FilteringBoundLogger) -> None:
        self._importer = importer
        self._log = log
        self._refused: dict[str, ModuleVersion] = {}  # failed in set-up
        self._waiting: set[str] = set()  # those among them that are tried again unchanged
        self._broken: dict[str, str] = {}

    @property
    def broken(self) -> dict[str, str]:
        """The errors of modules with an unusable newest version, by module."""
        return dict(self._broken)

    def has_failed(self, name: str) -> bool:
        """Whether the newest version of a module was tried, and can't be imported or set up."""
        refused = self._refused.get(name)
        is_refused = refused is not None and refused is self._importer.current.get(name)
        return is_refused or self._importer.is_known_to_fail(name)

    def make(self, sources: Mapping[str, Source], running: Running) -> Plan:
        """Import all changed modules, and return the plan."""
        self._importer.sources = sources
        modules = [name for name, source in sources.items() if not source.is_helper]
        failed = {name for name in modules if not self._import(name, running)}
        changed = [name for name in modules if name in failed or self.is_outdated(name, running)]
        parts = {name: self._changed_parts(name, running) for name in changed}
        groups = connected_components(parts)
        ready = [group for group in groups if not self._is_held_up(group, failed, running)]
        return Plan(changed, ready, failed)

    def is_outdated(self, name: str, running: Running) -> bool:
        """Whether the running version is not the newest imported one."""
        newest, current = self._importer.current.get(name), running.get(name)
        if newest is None:
            return False
        return bool(newest.rules) if current is None else current is not newest

    def refuse(
        self,
        version: ModuleVersion,
        running: Running,
        because: list[str],
        taken_paths: Collection[str] = (),
    ) -> None:
        """Keep the running version, as the set-up of this one, or of another of its group, failed.

        It is not tried again before a file of the group changes, unless paths were taken: then it
        is tried again at the next change of any file.

        Args:
            version: the newest version of its module.
            running: the running versions, which stay.
            because: the other modules that failed.
            taken_paths: paths that other clients provide, if that is the only reason.
        """
        self._refused[version.name] = version
        self._waiting.discard(version.name)
        problem = "failed in set-up"
        if taken_paths:
            self._waiting.add(version.name)
            problem = (
                f"needs {', '.join(sorted(taken_paths))}, which another rule or client provides"
            )
        self._broken[version.name] = f"version {version.source.version} {problem}"
        self._log_kept(version, running, because, taken_paths)

    def withdraw(self, names: Iterable[str]) -> None:
        """Forget the errors of modules, as their failed versions are not to run any more.

        Without this, `settle` logs a repair, although the files have not changed.
        """
        for name in names:
            self._broken.pop(name, None)

    def settle(self, plan: Plan, running: Running) -> None:
        """Drop versions that are not needed any more, after a plan was carried out.

        Args:
            plan: the last plan.
            running: the versions that are running now.
        """
        newest = self._importer.current
        self._refused = {
            name: version
            for name, version in self._refused.items()
            if version is newest.get(name) and version is not running.get(name)
        }
        self._waiting &= self._refused.keys()
        repaired = self._broken.keys() - plan.failed - self._refused.keys()
        for name in sorted(repaired):
            del self._broken[name]
            if name in running and name not in plan.changed:  # else its reload is logged
                emit(self._log, ModuleRepaired(module=name, version=running[name].source.version))
        self._importer.keep_only(running.values())

    def _import(self, name: str, running: Running) -> bool:
        """Import the module if it has changed; return whether its newest version is imported."""
        newest = self._importer.current.get(name)
        if newest is not None and self._importer.is_up_to_date(newest):
            return True
        if name in self._broken and self._importer.is_known_to_fail(name):
            return False
        try:
            self._importer.load(name)
        except ImportFailed as error:
            self._broken[name] = str(error)
            kept = running.get(name)
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

    def _changed_parts(self, name: str, running: Running) -> set[str]:
        """Return the changed modules among those that the new or running version imports."""
        newest, current = self._importer.current.get(name), running.get(name)
        of_newest = {each.name for each in newest.with_imports()} if newest else set()
        of_running = {each.name: each for each in current.with_imports()} if current else {}
        return {
            part
            for part in of_newest | of_running.keys()
            if part not in of_running
            or (source := self._importer.sources.get(part)) is None
            or source.version != of_running[part].source.version
        }

    def _is_held_up(self, group: list[str], failed: Collection[str], running: Running) -> bool:
        """Whether a group can't be tried: a member failed to import, or all were refused before."""
        newest = self._importer.current
        missing = [name for name in group if name in failed and name in running]
        if missing:
            for name in group:
                if name not in failed:
                    self._log_kept(newest[name], running, because=missing)
            return True
        return all(
            newest.get(name) is self._refused.get(name) and name not in self._waiting
            for name in group
        )

    def _log_kept(
        self,
        refused: ModuleVersion,
        running: Running,
        because: list[str],
        taken_paths: Collection[str] = (),
    ) -> None:
        kept = running.get(refused.name)
        if kept is not None:
            emit(
                self._log,
                ReloadAborted(
                    module=refused.name,
                    version=kept.source.version,
                    refused=refused.source.version,
                    because=because or None,
                    taken_paths=sorted(taken_paths) or None,
                ),
            )
