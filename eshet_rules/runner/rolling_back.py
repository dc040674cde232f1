"""Rolls modules back to earlier versions, through an ordinary reload."""

import asyncio
import contextlib
import dataclasses
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, use_cause
from eshet.clock import wall_now
from eshet_rules.audit.records.modules import FileWritten, ModuleRolledBack, NotTakenBack
from eshet_rules.audit.records.schema import Level, emit
from eshet_rules.exceptions import NotReloaded, NotRolledBack, NotWritten, VersionNotFound
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES, Source, version_of
from eshet_rules.regular_files import read_regular
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.reload.version_store import VersionStore, split_target
from eshet_rules.runner.roll_backs import RollBack, RollBacks
from eshet_rules.threads import RunnerThreads

__all__ = ["RollingBack"]

_TRIES: Final = 3
"""Number of reloads for one roll-back: a change of another file may supersede a reload."""


class RollingBack:
    """Rolls modules back, one after another.

    Args:
        reloader: reloads the modules.
        roll_backs: the modules that are rolled back.
        store: the versions that were live; None if none are kept.
        threads: the threads that read and write files.
        log: receives each roll-back.
        find: returns the committed content of the rules folder, without roll-backs.
        admit: returns the sources that may be imported, with roll-backs.
        on_written: called with the source of a version that was written to its file.
        kept: waits until all versions that were live so far are in the store.
    """

    def __init__(
        self,
        reloader: Reloader,
        roll_backs: RollBacks,
        store: VersionStore | None,
        threads: RunnerThreads,
        log: FilteringBoundLogger,
        *,
        find: Callable[[], Awaitable[dict[str, Source]]],
        admit: Callable[[dict[str, Source]], dict[str, Source]],
        on_written: Callable[[Source], object] = lambda source: None,
        kept: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._reloader = reloader
        self._roll_backs = roll_backs
        self._store = store
        self._threads = threads
        self._log = log
        self._find = find
        self._admit = admit
        self._on_written = on_written
        self._kept = kept
        self._turn = asyncio.Lock()

    def all(self) -> Mapping[str, RollBack]:
        """Return the modules that are rolled back."""
        return self._roll_backs.all()

    async def roll_back(
        self, target: str, *, write: bool = False, by: str = "", why: str = ""
    ) -> dict[str, Any]:
        """Run an earlier version of a module until its file changes.

        The version of the file itself ends a roll-back.

        Args:
            target: the module, with the first digits of the version, as `hall@3f2a`. Without
                digits, it is the version that was live last, apart from the one that runs, the
                one of the file, and those that failed on probation; with `write`, it is the one
                that runs if the module is rolled back already.
            write: whether to write the version to the file, which then has changed.
            by: who asks for it.
            why: the reason.

        Returns:
            The `module`, the `version` that runs now, the one that it `replaced` (None if none
            ran), the path of the `file`, whether that has the version now (`is_of_file`), and
            whether it was `written`.

        Raises:
            VersionNotFound: no version matches, or several do.
            NotRolledBack: the module can't be rolled back.
            NotReloaded: the version can't be used; the running one keeps running.
            NotWritten: the version runs, but the file could not be written.
        """
        async with self._turn:
            with use_cause(Cause("command", "rollback")):
                return await self._roll_back(target, write, by, why)

    async def _roll_back(self, target: str, write: bool, by: str, why: str) -> dict[str, Any]:
        module, prefix = split_target(target)
        if self._store is None:
            raise NotRolledBack(
                module, "without a state folder, no versions are kept: run without --no-state"
            )
        on_disk = (await self._find()).get(module)
        running = self._reloader.running(module)
        before = self._roll_backs.get(module)
        if write and before is not None and not prefix:
            version, data = before.version, before.data
        else:
            if self._kept is not None:
                await self._kept()
            others = {*running, *([] if on_disk is None else [on_disk.version])}
            try:
                choosing = self._threads.run(_chosen, self._store, module, prefix, others)
                version, data = await choosing
            except VersionNotFound as error:
                if before is None or prefix:
                    raise
                raise _already_rolled_back(error, before) from None
        if on_disk is None or on_disk.problem:
            problem = "has no file" if on_disk is None else f"its file {on_disk.problem}"
            raise NotRolledBack(
                module, f"{problem}; `eshet-rules show {module}@{version}` prints the version"
            )
        is_of_file = version == on_disk.version
        roll_back = RollBack(on_disk.version, version, wall_now(UTC), by, why, data)
        self._roll_backs.put(module, None if is_of_file else roll_back)
        if problems := await self._reload({module: version}):
            self._roll_backs.put(module, before)
            await self._reloader.update(self._admit(await self._find()))
            raise NotReloaded(problems)
        if running != {version}:
            self._log_roll_back(module, version, running, by, why)
        if write and not is_of_file:
            await self._threads.run(_write, on_disk, data)
            self._on_written(dataclasses.replace(on_disk, version=version, data=data))
            self._roll_backs.put(module, None)
            emit(self._log, FileWritten(module=module, version=version, file=str(on_disk.path)))
        return {
            "module": module,
            "version": version,
            "replaced": min(running - {version}, default=None),
            "file": str(on_disk.path),
            "is_of_file": is_of_file or write,
            "written": write and not is_of_file,
        }

    async def take_back(
        self,
        module: str,
        replaced: Mapping[str, Source],
        versions: Mapping[str, str],
        snapshot: ModuleSnapshot,
        why: str,
    ) -> None:
        """Take a version back of which a rule has failed, with the state of the replaced one.

        If that fails, it is logged, and the version stays.

        Args:
            module: the module of the rule.
            replaced: the sources to run again, by the names of their modules.
            versions: the versions of these modules to take back. If a file has another one by
                now, nothing is done.
            snapshot: the state of the replaced version of `module`.
            why: the reason.
        """
        async with self._turn:
            with use_cause(Cause("probation", module)):
                await self._take_back(module, replaced, versions, snapshot, why)

    async def _take_back(
        self,
        module: str,
        replaced: Mapping[str, Source],
        versions: Mapping[str, str],
        snapshot: ModuleSnapshot,
        why: str,
    ) -> None:
        on_disk = await self._find()
        if any(n not in on_disk or on_disk[n].version != versions[n] for n in versions):
            return
        running = {name: self._reloader.running(name) for name in replaced}
        earlier = {name: source.version for name, source in replaced.items()}
        for name, source in replaced.items():
            roll_back = RollBack(
                versions[name], source.version, wall_now(UTC), "probation", why, source.data
            )
            self._roll_backs.put(name, roll_back)
        with self._reloader.restoring(module, earlier, snapshot):
            problems = await self._reload(earlier)
        if problems:
            for name in replaced:
                self._roll_backs.put(name, None)
            await self._reloader.update(self._admit(await self._find()))
            error = str(NotReloaded(problems))
            emit(self._log, NotTakenBack(module=module, why=why, error=error))
            return
        if self._store is not None:
            for name, failed in versions.items():
                with contextlib.suppress(OSError):  # the version writer has logged it
                    await self._threads.run(self._store.mark_failed, name, failed)
        for name, version in earlier.items():
            self._log_roll_back(name, version, running[name], "probation", why, level="warning")

    async def _reload(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Reload, and return why these versions do not run then; nothing if they run.

        Args:
            versions: the versions by the names of their modules.
        """
        for _ in range(_TRIES):
            before = self._reloader.broken
            await self._reloader.update(self._admit(await self._find()))
            if all(self._reloader.running(name) == {versions[name]} for name in versions):
                return {}
            problems = {
                name: problem
                for name, problem in self._reloader.broken.items()
                if name in versions or before.get(name) != problem
            }
            if problems:
                return problems
        return dict.fromkeys(versions, "no running module uses this version")

    def _log_roll_back(
        self,
        module: str,
        version: str,
        replaced: set[str],
        by: str,
        why: str,
        level: Level | None = None,
    ) -> None:
        emit(
            self._log,
            ModuleRolledBack(
                module=module,
                version=version,
                replaced=min(replaced - {version}, default=None),
                by=by or None,
                why=why or None,
            ),
            level=level,
        )


def _chosen(store: VersionStore, module: str, prefix: str, others: set[str]) -> tuple[str, bytes]:
    """Return the version to run, and its source."""
    kept = store.find(module, prefix) if prefix else store.find_earlier(module, others)
    return kept.version, store.read(kept)


def _already_rolled_back(error: VersionNotFound, present: RollBack) -> VersionNotFound:
    """Return the error for a module that is rolled back, and has no further version."""
    return VersionNotFound(
        error.module,
        "",
        error.candidates,
        f"there is no earlier version; it is rolled back to {present.version} already, and "
        f"`eshet-rules rollback {error.module}@{present.version} --write` writes that to the file",
    )


def _write(source: Source, data: bytes) -> None:
    """Replace the content of a module's file, which keeps its permissions.

    Raises:
        NotWritten: it can't be written, or has changed meanwhile.
    """
    path = Path(os.path.realpath(source.path))  # a link stays a link
    # Discovery skips hidden files.
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        content, status = read_regular(path, MAX_SOURCE_BYTES)
        if version_of(content) != source.version:
            raise NotWritten(path, "has changed meanwhile, so it was not written")
        with contextlib.ExitStack() as undo:
            undo.callback(new.unlink, missing_ok=True)
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(OSError):
                        os.fchown(number, status.st_uid, status.st_gid)
                os.fchmod(number, status.st_mode & 0o7777)
                file.write(data)
                file.flush()
                os.fsync(number)
            new.replace(path)
    except OSError as error:
        problem = (
            f"can't be written, {error.strerror or error}: the version runs until the file changes"
        )
        raise NotWritten(path, problem) from None
