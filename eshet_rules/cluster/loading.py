"""Loads the modules whose leases this runner holds, and unloads those that it gives up or loses.

To the reloader, a module that another runner runs is one that is only imported. The state of a
module comes from the runner before, and goes to the next one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from eshet.clock import wall_time
from eshet.nats.exceptions import NatsError
from eshet.nats.joined import JoinedServer
from eshet_rules.cluster.checkpoints import SharedCheckpoints
from eshet_rules.cluster.lease import HeldLease
from eshet_rules.cluster.leases import Leases
from eshet_rules.cluster.roster import KnownLease
from eshet_rules.modules.discovery import Source
from eshet_rules.reload.checkpoint import decode_module, encode_module
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot

__all__ = ["ModuleLoader"]

_AT_ONCE: Final = 64
"""Number of modules that are loaded in one go: importing them keeps the loop from anything else,
such as giving a sign of life."""

_MOVED_WITHIN: Final = 3.0
"""Seconds without a holder of a lease after which its module counts as not having run."""

_SAVE_TIME: Final = 5.0
"""Seconds within which the last state of modules is stored that are given up."""

_STATE_TIME: Final = 10.0
"""Seconds to wait for the last state of a module; then it runs without it."""

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""


class _Packed(NamedTuple):
    """Snapshots of modules, by name; and when they were noted, in seconds since 1970-01-01 UTC."""

    snapshots: Mapping[str, bytes]
    written: float


class ModuleLoader:
    """Keeps the loaded modules in line with the leases.

    Args:
        reloader: loads and unloads the modules.
        local: snapshots of an earlier process of this runner, by module.
        is_in_safe_mode: whether a rule, given its full name, does not run here as the last starts
            have failed.
        leases: of this runner.
        checkpoints: the snapshots of all modules of the cluster.
        server: of this runner.
        is_wanted: whether any runner of the cluster may run a module.
        on_reloaded: called after each reload.
    """

    def __init__(
        self,
        reloader: Reloader,
        local: Mapping[str, ModuleSnapshot],
        is_in_safe_mode: Callable[[str], bool],
        leases: Leases,
        checkpoints: SharedCheckpoints,
        server: JoinedServer,
        is_wanted: Callable[[str], bool],
        on_reloaded: Callable[[], object],
    ) -> None:
        self.reloader: Final = reloader
        """Loads and unloads the modules."""
        self._local = dict(local)
        self._is_in_safe_mode = is_in_safe_mode
        self._leases = leases
        self._checkpoints = checkpoints
        self._server = server
        self._is_wanted = is_wanted
        self._on_reloaded = on_reloaded
        self._sources: Mapping[str, Source] = {}  # with those of modules of other runners
        self._elsewhere: dict[str, tuple[Source, Source]] = {}
        self._to_load: set[str] = set()  # with those that are loaded
        self._to_inherit: dict[str, ModuleSnapshot] = {}
        self._packed = _Packed({}, 0.0)
        self._lost: dict[str, _Packed] = {}  # what holds the last snapshot of modules lost since
        self._is_due = asyncio.Event()
        self._may_reload = asyncio.Event()
        self._is_unsaved = asyncio.Event()
        reloader.on_live = self._on_live
        reloader.on_leaving = self._on_leaving
        reloader.on_left = self._on_left

    # --- sources ------------------------------------------------------------------------------

    def admit(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return the sources to use here: modules that others run are marked; see `Source`.

        Args:
            sources: those of the whole rules folder.
        """
        self._sources = sources
        self._elsewhere = {n: each for n, each in self._elsewhere.items() if n in sources}
        self._lost = {n: each for n, each in self._lost.items() if n in sources}
        return self._admitted()

    def has(self, module: str) -> bool:
        """Whether a module is in the rules folder."""
        return module in self._sources

    def unfit(self) -> set[str]:
        """Return the modules whose leases this runner holds, but which it can't run.

        Either one can't be loaded, and no earlier version runs; or this runner is in safe mode.
        """
        reloader = self.reloader
        failed = reloader.failed(self._sources)
        kept_safe = {
            module
            for module, rules in reloader.rules.items()
            if rules and all(map(self._is_in_safe_mode, rules))
        }
        return (failed | kept_safe) & self._to_load & self._leases.held.keys()

    def _admitted(self) -> dict[str, Source]:
        return {
            name: source
            if source.is_helper or (name in self._to_load and self._leases.runs(name))
            else self._marked(name, source)
            for name, source in self._sources.items()
        }

    def _marked(self, name: str, source: Source) -> Source:
        known = self._elsewhere.get(name)
        if known is None or known[0] is not source:
            known = self._elsewhere[name] = source, replace(source, is_elsewhere=True)
        return known[1]

    # --- loading ------------------------------------------------------------------------------

    async def inherit(self, lease: HeldLease, before: KnownLease | None) -> None:
        """Get the last state of a module, whose lease was just taken, for when it is loaded.

        Args:
            lease: the lease.
            before: its last entry before it was taken.
        """
        snapshot = await self._last_snapshot(lease)
        if snapshot is not None and before is not None and before.lease.released:
            seconds = self._leases.seconds_without(lease, before)
            if seconds is not None and seconds < _MOVED_WITHIN:
                snapshot = replace(snapshot, was_down=False)  # so nothing that was due is missed
        if lease.is_valid:
            local = self._local_snapshot(lease.module)
            inherited = local if snapshot is None else snapshot
            if inherited is not None:
                self._to_inherit[lease.module] = inherited

    def _local_snapshot(self, module: str) -> ModuleSnapshot | None:
        """Return the last snapshot of a module that ran here, and forget it.

        It is only needed if NATS has lost its content: else the cluster has the same, or that of a
        runner that has run the module since.
        """
        local, lost = self._local.pop(module, None), self._lost.pop(module, None)
        if lost is None:
            return local
        return decode_module(lost.snapshots[module], wall_epoch(), lost.written)

    def reload_soon(self) -> None:
        """Load and unload modules as soon as possible, as leases were taken or are given up."""
        self._is_due.set()

    def lose(self, modules: Collection[str]) -> None:
        """End modules at once, whose leases are about to be lost; see `Reloader.cut`."""
        for module in modules:
            self._checkpoints.forget(self._leases.held[module])
            if (snapshot := self._to_inherit.pop(module, None)) is not None:
                self._local[module] = snapshot
            elif module in self._packed.snapshots:
                self._lost[module] = self._packed
        self._leases.lose(modules)
        self.reloader.cut(modules)
        self._is_due.set()
        self._may_reload.set()

    async def keep_loaded(self) -> None:
        """Load and unload modules whenever that is necessary, forever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._is_due.wait()
                self._is_due.clear()
                self._may_reload.clear()
                reloading = tasks.create_task(self.reload())
                reloading.add_done_callback(lambda _: self._may_reload.set())
                # A module that is lost while it is being loaded may never be set up, as its client
                # can't connect. So the reload without it begins at once, and aborts this one.
                await self._may_reload.wait()
                if self._leases.unreleased:
                    self._is_due.set()  # another update of the reloader has superseded this one

    async def reload(self) -> None:
        """Load and unload modules now, and give up the leases of those that are unloaded."""
        held = [module for module in self._leases.held if self._leases.runs(module)]
        self._to_load.intersection_update(held)
        later = [module for module in held if module not in self._to_load]
        self._to_load.update(later[:_AT_ONCE])
        if len(later) > _AT_ONCE:
            self._is_due.set()
        for module in self._to_inherit.keys() & self._to_load:
            self.reloader.inherit(module, self._to_inherit.pop(module))
        await self._set_leaving_aside()
        await self.reloader.update(self._admitted())
        never_ran = self._leases.unreleased - self.reloader.instances.keys()
        await asyncio.gather(*map(self._release, never_ran))
        self._on_reloaded()

    async def _set_leaving_aside(self) -> None:
        """Let what others send to the modules that are given up wait for the next holders."""
        aside: set[str] = set()
        while leaving := set(self._leases.unreleased) - aside:  # more may follow meanwhile
            roles = [self._leases.held[module].role for module in leaving]
            await asyncio.gather(*map(self._server.set_aside, roles))
            aside |= leaving

    async def _last_snapshot(self, lease: HeldLease) -> ModuleSnapshot | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STATE_TIME):
                while lease.is_valid:
                    try:
                        return await self._checkpoints.read(lease)
                    except NatsError:
                        await asyncio.sleep(_RETRY)
                return None
        self._checkpoints.log_unread(lease.module)
        return None

    async def _release(self, module: str) -> None:
        snapshot = self._to_inherit.pop(module, None)
        if snapshot is not None:  # it was never loaded here
            data = encode_module(snapshot)[0]
            await self._checkpoints.write(self._leases.held[module], data, is_last=True)
        lease = await self._leases.release(module)
        if lease is None:
            return
        if not self.has(module) and not self._is_wanted(module):
            with contextlib.suppress(NatsError):
                await self._checkpoints.delete(lease)
        self._checkpoints.forget(lease)

    # --- state --------------------------------------------------------------------------------

    def note_packed(self, snapshots: Mapping[str, bytes]) -> None:
        """Store the snapshots of running modules for other runners, soon; see `encode_module`."""
        self._packed = _Packed(dict(snapshots), wall_time())
        self._is_unsaved.set()

    async def save(self) -> None:
        """Store snapshots whenever there are new ones, forever."""
        while True:
            await self._is_unsaved.wait()
            self._is_unsaved.clear()
            await self._checkpoints.write_all(self._packed.snapshots, self._leases.held)

    def _on_live(self, module: str) -> None:
        """See `Reloader.on_live`."""
        if (lease := self._leases.held.get(module)) is not None:
            self._server.end_holding(lease)

    def _on_leaving(self, module: str) -> Awaitable[object]:
        """See `Reloader.on_leaving`."""
        snapshot = self.reloader.snapshot(module, wall_epoch())
        return self._save_last({} if snapshot is None else {module: encode_module(snapshot)[0]})

    async def _on_left(self, module: str) -> None:
        """See `Reloader.on_left`."""
        if module in self._leases.unreleased:
            await self._release(module)

    async def _save_last(self, packed: Mapping[str, bytes]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAVE_TIME):
                await self._checkpoints.write_all(packed, self._leases.held, are_last=True)
