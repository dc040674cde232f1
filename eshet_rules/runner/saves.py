"""Applies a saved change at once, or lets it wait until a command commits it.

All sources pass through the same filters, in this order, before the reloader gets them: the
committed ones in place of those on disk (here), earlier versions in place of those that were rolled
back, and the guard. So for the others, the committed sources are those of the files.
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.scope import use_scope
from eshet_rules.audit.records.control import CommitRequested
from eshet_rules.audit.records.modules import (
    ChangesWait,
    ModuleImportFailed,
    ModuleImportFailedAgain,
    NoChangeWaits,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import is_meant
from eshet_rules.exceptions import ImportFailed, NotReloaded, UnknownName
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import check_syntax
from eshet_rules.reload.reloader import Reloader
from eshet_rules.runner.committed import Committed, WaitingChange
from eshet_rules.runner.replays import Replays
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.threads import RunnerThreads

__all__ = ["Saves"]

_TRIES: Final = 3
"""Number of reloads for one commit: a change of the configuration may supersede a reload."""


class Saves:
    """Commits a save at once, or keeps it waiting for a command.

    Args:
        reloader: reloads the modules.
        committed: the committed sources; None if each save is committed at once.
        roll_backs: the modules that are rolled back; a commit of a module ends its roll-back.
        replays: compares the versions before and after a save.
        threads: the threads that read and check files.
        log: receives the changes that wait, and each commit.
        find: returns the present content of the rules folder.
        admit: returns the sources to run, given the committed ones.
    """

    def __init__(
        self,
        reloader: Reloader,
        committed: Committed | None,
        roll_backs: RollBacks,
        replays: Replays,
        threads: RunnerThreads,
        log: FilteringBoundLogger,
        *,
        find: Callable[[], Awaitable[dict[str, Source]]],
        admit: Callable[[dict[str, Source]], dict[str, Source]],
    ) -> None:
        self._reloader = reloader
        self._committed = committed
        self._roll_backs = roll_backs
        self._replays = replays
        self._threads = threads
        self._log = log
        self._find = find
        self._admit = admit
        self._reported: Mapping[str, WaitingChange] = {}  # the last ones
        self._compared: Mapping[str, WaitingChange] = {}  # by the last replay
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> Mapping[str, WaitingChange]:
        """The changes that wait, by the names of modules."""
        return {} if self._committed is None else self._committed.waiting

    def of_files(self, found: dict[str, Source]) -> dict[str, Source]:
        """Return the committed sources, given the content of the folder: usually the same."""
        return found if self._committed is None else self._committed.apply(found)

    async def find(self) -> dict[str, Source]:
        """Return the committed sources, after a look at the folder."""
        return self.of_files(await self._find())

    def written(self, source: Source) -> None:
        """Note that a command has written a source to its file, which commits it."""
        if self._committed is not None:
            self._committed.put({source.name: source})

    def write_again(self) -> None:
        """Write the file of committed sources again after it was deleted."""
        if self._committed is not None:
            self._committed.write_again()

    async def close(self) -> None:
        """End the replay that runs, if there is one."""
        await self._replays.close()

    async def on_save(self, found: dict[str, Source]) -> None:
        """Apply a change of the rules folder, or report that it waits.

        Args:
            found: the present content of the folder.
        """
        before = self._reloader.sources
        sources = self._admit(self.of_files(found))
        if self._committed is None:
            await self._reloader.update(sources)
            self._replays.start(before, self._reloader.sources, adds=True)
            return
        if _versions(sources) != _versions(self._reloader.newest):
            await self._reloader.update(sources)
        live, usable = self._reloader.newest, await self.report(found)
        if usable != self._compared:
            self._compared = usable
            unchanged = {name: each for name, each in live.items() if name not in usable}
            changed = {name: found[name] for name in usable if name in found}
            self._replays.start(live, {**unchanged, **changed})

    async def report(self, found: dict[str, Source]) -> Mapping[str, WaitingChange]:
        """Log the new changes that wait, invalid syntax in these, and changes that were undone.

        Args:
            found: the content of the folder.

        Returns:
            The changes that wait without those with invalid syntax.
        """
        waiting, reported = self.waiting, self._reported
        self._reported = waiting
        staged = {} if self._committed is None else self._committed.staged
        if undone := sorted(reported.keys() - waiting.keys() - staged.keys()):
            emit(self._log, NoChangeWaits(modules=undone))
        new = [name for name, change in waiting.items() if reported.get(name) != change]
        if new:
            advice = "`eshet-rules commit` applies them"
            emit(self._log, ChangesWait(modules=list(waiting), advice=advice))
        usable = dict(waiting)
        for name, change in waiting.items():
            if name not in found:
                continue
            failure = await self._threads.run(check_syntax, found[name])
            if failure is not None:
                del usable[name]
                if name in new:
                    self._log_failure(failure, change)
        return usable

    async def commit(self, names: Collection[str]) -> list[str]:
        """Apply the changes that wait, and return the names of the modules.

        A change that can't be used waits on, and the committed version stays.

        Args:
            names: names of modules or rules, or globs of either; none for all changes.

        Raises:
            UnknownName: one of the names matches nothing.
            NotReloaded: a change can't be used; the others are applied.
        """
        if self._committed is None:
            return []
        async with self._turn:
            found = await self._find()
            self._committed.apply(found)
            modules = self._chosen(names, found)
            if not modules:
                return []
            emit(self._log, CommitRequested(modules=modules))
            known = self._reloader.broken
            self._committed.stage(modules, found)
            self._roll_backs.suspend(
                name for name in modules if name in found and not found[name].problem
            )
            try:
                problems = await self._apply(modules, self._committed.apply(found))
                done = [name for name in modules if name not in problems]
                self._keep(done)
                self._reported = {n: c for n, c in self._reported.items() if n not in done}
            finally:
                self._roll_backs.resume(self._committed.unstage())
            if problems:
                broken = self._reloader.broken
                self._reloader.withdraw(n for n in broken if known.get(n) != broken[n])
                await self._reloader.update(self._admit(await self.find()))
                raise NotReloaded(problems, done)
            return modules

    def on_take_over(self) -> None:
        """Commit soon the changes among those of a running `commit` that are live by then.

        Call this when an instance is about to replace another. A `kill -9` before the change is
        live leaves the version before, and later the new one.
        """
        if self._committed is not None and self._committed.staged:
            with use_scope(None):  # after this step of the loop, which replaces a whole group
                asyncio.get_running_loop().call_soon(self._keep_live)

    def _keep_live(self) -> None:
        if self._committed is not None:
            staged = self._committed.staged.items()
            self._keep(
                [
                    name
                    for name, source in staged
                    if self._reloader.running(name) == _version_of(source)
                ]
            )

    def _keep(self, modules: Collection[str]) -> None:
        """Commit staged changes that are live, and then end the roll-backs of their modules.

        In this order: a roll-back without the change would be one to the version that has failed.
        """
        if self._committed is None:
            return
        live = {
            name: source.version
            for name, source in self._committed.staged.items()
            if name in modules and source is not None
        }
        self._committed.keep(modules)
        self._roll_backs.end(live)

    async def _apply(self, modules: list[str], sources: dict[str, Source]) -> dict[str, str]:
        """Reload committed modules, and return those that do not run then, with the reasons.

        Args:
            modules: the names of the modules.
            sources: the committed sources of all modules.
        """
        known = self._reloader.broken
        new: dict[str, str] = {}
        for _ in range(_TRIES):
            is_done = await self._reloader.update(self._admit(sources))
            broken = self._reloader.broken
            new = {
                name: problem
                for name, problem in broken.items()
                if name in modules or known.get(name) != problem
            }
            if is_done or new:
                break
        others = "; ".join(f"{name}: {problem}" for name, problem in new.items())
        return {
            name: new.get(name) or others or "another version still runs"
            for name in modules
            if name in new or not self._runs(name, sources.get(name))
        }

    def _runs(self, name: str, source: Source | None) -> bool:
        """Whether no other version of a module runs than this one; nothing for None."""
        return self._reloader.running(name) <= _version_of(source)

    def _chosen(self, names: Collection[str], found: Collection[str]) -> list[str]:
        """Return the modules with a change that waits that the names match."""
        rules = self._reloader.rules
        modules = sorted({*found, *rules, *self.waiting})

        def matches(module: str, name: str) -> bool:
            of_module = rules.get(module, ())
            return fnmatchcase(module, name) or any(is_meant(rule, name) for rule in of_module)

        for name in names:
            if not any(matches(module, name) for module in modules):
                raise UnknownName(name, difflib.get_close_matches(name, modules, 3))
        return [m for m in self.waiting if not names or any(matches(m, name) for name in names)]

    def _log_failure(self, failure: ImportFailed, change: WaitingChange) -> None:
        event = ModuleImportFailed if change.version is None else ModuleImportFailedAgain
        emit(
            self._log,
            event(
                module=failure.module,
                version=change.version,
                error=failure.problem,
                file=str(failure.file),
                line=failure.line,
                source=failure.source,
            ),
        )


def _version_of(source: Source | None) -> set[str]:
    return set() if source is None else {source.version}


def _versions(sources: Mapping[str, Source]) -> dict[str, str]:
    return {name: source.version for name, source in sources.items()}
