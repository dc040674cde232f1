"""Shares the modules of a rules folder with other runners.

Each module runs on the runner that holds its lease. The cluster decides which modules this one is
to run, and the reloader loads and unloads them, as when their files come and go; but their state
comes from the runner before, and goes to the next one.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.connection import Connector
from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError
from eshet.nats.joined import JoinedServer
from eshet.nats.watch import Watch
from eshet_rules.audit.records import (
    ClusterJoined,
    ClusterLeft,
    ComponentFailed,
    DrainRequested,
    LeasesLost,
    RunnersChanged,
    emit,
)
from eshet_rules.cluster.balancing import make_plan
from eshet_rules.cluster.checkpoints import SharedCheckpoints
from eshet_rules.cluster.comparison import Comparison
from eshet_rules.cluster.entries import (
    Modules,
    ModulesEntry,
    PresenceEntry,
    modules_key,
    pack_modules,
    role_of,
    trail_subject,
)
from eshet_rules.cluster.lease import HeldLease
from eshet_rules.cluster.leases import Leases, WhyGiven
from eshet_rules.cluster.presence import Presence, end_presence
from eshet_rules.cluster.probe import Probe
from eshet_rules.cluster.roster import Roster
from eshet_rules.cluster.shared_trail import trail_stream
from eshet_rules.cluster.summary import summarize
from eshet_rules.cluster.trail_publisher import TrailPublisher
from eshet_rules.config import ClusterSettings
from eshet_rules.modules.discovery import Source
from eshet_rules.reload.checkpoint import encode_module
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.supervision.guard.rule_loop import RuleLoop
from eshet_rules.threads import Threads

__all__ = ["Cluster"]

_TICK: Final = 0.5
"""Seconds between two looks at what only time changes."""

_VERSIONS_EVERY: Final = 5.0
"""Seconds after which the versions of reloaded modules are written into their leases."""

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""

_AT_ONCE: Final = 256
"""Number of leases that are taken at the same time; then the other runners are looked at again."""

_LOADED_AT_ONCE: Final = 64
"""Number of modules that are loaded in one go: importing them keeps the loop from anything else,
such as giving a sign of life."""

_SAVE_TIME: Final = 5.0
"""Seconds within which the last state of modules is stored that are given up."""


class Cluster:
    """This runner in its cluster.

    Args:
        name: the name of the cluster.
        settings: see `ClusterSettings`.
        server: the ESHET server of this runner.
        log: receives what changes in the cluster.
    """

    def __init__(
        self,
        name: str,
        settings: ClusterSettings,
        server: JoinedServer,
        log: FilteringBoundLogger,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.name: Final = name
        """The name of the cluster."""
        self.runner: Final = settings.runner or socket.gethostname()
        """The name of this runner in it."""
        self.server: Final = server
        """The ESHET server of this runner."""
        self._settings = settings
        self._log = log
        self._now: Final = loop.time
        prefix, replicas = server.address.prefix, server.address.replicas

        def bucket(of: str) -> Bucket:
            return Bucket(server.connection, f"{prefix}_{of}", replicas=replicas)

        self._runners_bucket = bucket("runners")
        self._leases_bucket = bucket("leases")
        self._checkpoints_bucket = bucket("checkpoints")
        self._roster = Roster(name, loop.time)
        self._probe = Probe(server.connection, prefix, name, server)
        presence = PresenceEntry(
            runner=self.runner,
            host=socket.gethostname(),
            server="",
            number=0,
            ttl=settings.ttl,
            weight=settings.weight,
        )
        self._presence = Presence(
            self._runners_bucket,
            self._roster,
            presence,
            self._probe,
            lambda: server.id,
            log,
        )
        self._presence.on_end = self._on_end
        self._leases = Leases(
            self._leases_bucket, self._roster, self._presence, lambda: server.id, log
        )
        self._checkpoints = SharedCheckpoints(self._checkpoints_bucket, log)
        self._comparison = Comparison(self._roster, self.runner, loop.time, log)
        self._reloader: Reloader | None = None
        self._local: dict[str, ModuleSnapshot] = {}
        self._sources: Mapping[str, Source] = {}  # with those of modules of other runners
        self._elsewhere: dict[str, tuple[Source, Source]] = {}
        self._modules = Modules(runs={}, excluded={}, helpers={})
        self._to_load: set[str] = set()  # with those that are loaded
        self._to_inherit: dict[str, ModuleSnapshot] = {}
        self._packed: Mapping[str, bytes] = {}
        self._others: set[str] = set()
        self._watches: list[Watch] = []
        self._trail: TrailPublisher | None = None
        self._has_joined = asyncio.Event()  # for the first time
        self._changed = asyncio.Event()  # something that may change what is to be done
        self._is_due = asyncio.Event()  # modules are to be loaded or unloaded
        self._may_reload = asyncio.Event()
        self._is_unannounced = asyncio.Event()
        self._is_unsaved = asyncio.Event()
        self._progressed = asyncio.Condition()

    def token_of(self, module: str) -> int | None:
        """Return the token of the lease of a module; None if this runner does not hold it."""
        lease = self._leases.held.get(module)
        return None if lease is None else lease.token

    def share_trail(self, file: Path, threads: Threads) -> None:
        """Store the records of this runner for all others, while `run_trail` runs.

        Args:
            file: the open file of its trail.
            threads: read the files.
        """
        settings, server = self._settings, self.server
        prefix = server.address.prefix
        if not settings.trail_days:
            return
        self._trail = TrailPublisher(
            server.connection,
            trail_stream(
                server.connection, prefix, days=settings.trail_days, size=settings.trail_bytes
            ),
            trail_subject(prefix, self.name, self.runner),
            self.name,
            file,
            threads,
            self._log,
        )

    def attach(self, reloader: Reloader, local: Mapping[str, ModuleSnapshot]) -> None:
        """Let a reloader load and unload the modules.

        Args:
            reloader: loads and unloads them.
            local: snapshots of an earlier process of this runner, by module, for modules of which
                the cluster has none.
        """
        self._reloader = reloader
        self._local = dict(local)
        reloader.on_leaving = self._on_leaving
        self.server.on_members = self._on_members
        loop = asyncio.get_running_loop()
        if isinstance(loop, RuleLoop):
            loop.on_wake = self.check

    # --- what the runner asks -----------------------------------------------------------------

    def connector(self, module: str) -> Connector:
        """Return the way to the server for the client of a module, which needs a lease."""
        lease = self._leases.held.get(module)
        return _Refusal(module) if lease is None else self.server.leased(lease)

    def admit(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return the sources to use here: modules that others run are marked; see `Source`.

        Args:
            sources: those of the whole rules folder.
        """
        self._sources = sources
        self._elsewhere = {n: each for n, each in self._elsewhere.items() if n in sources}
        modules = self._modules_of(sources)
        if modules != self._modules:
            self._modules = modules
            self._is_unannounced.set()
            self._changed.set()
        return self._admitted()

    def note_packed(self, snapshots: Mapping[str, bytes]) -> None:
        """Store the snapshots of running modules for other runners, soon; see `encode_module`."""
        self._packed = dict(snapshots)
        self._is_unsaved.set()

    def check(self) -> None:
        """Drop all modules if no sign of life could be given; see `Presence.check`.

        The loop calls this each time that it wakes up, before anything else runs: so after the
        process was stopped for a time, no rule acts that runs elsewhere by now.
        """
        try:
            self._presence.check()
        except Exception as error:
            emit(self._log, ComponentFailed(component="cluster"), error=error)

    def summary(self) -> dict[str, Any]:
        """Return what this runner knows of its cluster, as plain data; see `summarize`."""
        labels = self._settings.labels
        return summarize(self._roster, self._presence.entry, labels, self._modules)

    def is_elsewhere(self, rule: str) -> bool:
        """Whether a full name of a rule may be that of a rule that another runner runs.

        Args:
            rule: the name; the rules of other runners are not known, only their modules.
        """
        parts = rule.split(".")
        modules = (".".join(parts[:number]) for number in range(1, len(parts)))
        return any(self._is_module_elsewhere(each) for each in modules)

    def _is_module_elsewhere(self, module: str) -> bool:
        if self._leases.runs(module):
            return False
        lease = self._roster.lease_of(role_of(self.name, module))
        return module in self._sources or (lease is not None and self._roster.is_held(lease.lease))

    async def drain(self, *, undo: bool = False) -> dict[str, list[str]]:
        """Give all modules up, and take none until this is undone or the runner restarts.

        Args:
            undo: whether to take modules again.

        Returns:
            `modules`: the modules that were given up; `without_runner`: those among them that no
            other runner can run.
        """
        emit(self._log, DrainRequested(undo=undo))
        self._presence.renew_soon(is_draining=not undo)
        modules = [] if undo else sorted(self._leases.held)
        async with self._progressed:
            await self._progressed.wait_for(lambda: undo or not self._leases.held)
        first = self._roster.assignment.first
        return {
            "modules": modules,
            "without_runner": [module for module in modules if module not in first],
        }

    async def close(self, within: float) -> None:
        """Give all modules up, and leave the cluster.

        Args:
            within: the longest time that this may take, in seconds; if it takes longer, others
                notice that this runner is gone.
        """
        was_present = bool(self._presence.number)
        try:
            async with asyncio.timeout(within):
                await self._presence.drain()  # else others would give modules back
                for module in self._leases.held:
                    to = self._roster.assignment.first_without(module, self.runner)
                    self._leases.begin_leaving(module, to or "", "stopping")
                await self._give_all_up()
                await self._presence.leave()
        except (NatsError, TimeoutError):
            pass  # the others will notice
        finally:
            for watch in self._watches:
                await watch.close()
            self._watches.clear()
        if was_present:
            emit(self._log, ClusterLeft(cluster=self.name))

    async def _give_all_up(self) -> None:
        keeping = asyncio.create_task(self._keep_present())
        try:
            while self._leases.held:
                await self._reload()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def run_trail(self) -> None:
        """Store the records of this runner as long as it runs; see `share_trail`."""
        if self._trail is not None:
            await self._has_joined.wait()  # else another runner may have its name
            await self._trail.run()

    async def finish_trail(self) -> None:
        """Store the last records of this runner."""
        if self._trail is not None and self._has_joined.is_set():
            await self._trail.finish()

    async def run(self) -> None:
        """Take part in the cluster, forever."""
        if not self._watches:
            await self._open()
        async with asyncio.TaskGroup() as tasks:
            for run in (
                self._stay_present,
                self._balance,
                self._keep_loaded,
                self._announce,
                self._save,
            ):
                tasks.create_task(run())

    # --- entries ------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Receive the entries of the others from now on."""
        roster = self._roster
        await self._watch(self._runners_bucket, roster.on_runner_entry, roster.reset_runners)
        await self._watch(self._leases_bucket, roster.on_lease_entry, roster.reset_leases)

    async def _watch(
        self,
        bucket: Bucket,
        on_entry: Callable[[Entry], object],
        on_reset: Callable[[], object],
    ) -> None:
        """Receive the entries of a bucket; return when all so far were received."""
        is_ready = asyncio.Event()

        def receive(entry: Entry) -> None:
            on_entry(entry)
            self._changed.set()

        def reset() -> None:
            on_reset()
            self._presence.end("the NATS servers have lost what the runners had stored")

        self._watches.append(bucket.watch(receive, is_ready.set, reset))
        await is_ready.wait()

    def _on_members(self) -> None:
        if self.server.id not in ("", self._presence.entry.server):
            self._roster.forget_servers()
            self._presence.renew_soon()
        self._changed.set()

    async def _announce(self) -> None:
        """Tell the others which modules this runner may run, whenever that changes."""
        while True:
            await self._is_unannounced.wait()
            self._is_unannounced.clear()
            entry = ModulesEntry(presence=self._presence.number, modules=self._modules)
            if not entry.presence:
                continue  # it is announced when that begins
            try:
                key = modules_key(self.name, self.runner)
                await self._runners_bucket.put(key, pack_modules(entry), None)
            except NatsError:
                await asyncio.sleep(_RETRY)
                self._is_unannounced.set()

    def _modules_of(self, sources: Mapping[str, Source]) -> Modules:
        modules = Modules(runs={}, excluded={}, helpers={})
        for name, source in sources.items():
            where = self._settings.where_of(name)
            if source.is_helper:
                modules.helpers[name] = source.version
            elif where is None or where.matches(self.runner, self._settings.labels):
                modules.runs[name] = source.version
            else:
                modules.excluded[name] = source.version
        return modules

    # --- presence -----------------------------------------------------------------------------

    async def _stay_present(self) -> None:
        while True:
            if self._presence.number:  # this method has failed, and runs again
                await self._keep_present()
            await self.server.wait_until_joined()
            try:
                await self._checkpoints_bucket.open()
                await self._presence.begin()
            except NatsError:
                await asyncio.sleep(_RETRY)
                continue
            self._has_joined.set()
            self._others = self._present_others()
            joined = ClusterJoined(
                cluster=self.name,
                runner=self.runner,
                server=str(self.server.address),
                others=sorted(self._others),
            )
            emit(self._log, joined)
            self._is_unannounced.set()
            await self._keep_present()

    async def _keep_present(self) -> None:
        with self._probe.answering(self._presence.number):
            await self._presence.keep()

    def _on_end(self, why: str) -> None:
        """Drop all modules at once, as the presence has ended."""
        modules = sorted(self._leases.held)
        self._lose(modules)
        if modules:
            emit(self._log, LeasesLost(cluster=self.name, modules=modules, why=why))

    def _lose(self, modules: Collection[str]) -> None:
        for module in modules:
            self._checkpoints.forget(self._leases.held[module])
            self._to_inherit.pop(module, None)
        self._leases.lose(modules)
        self._running.cut(modules)
        self._is_due.set()
        self._may_reload.set()

    def _present_others(self) -> set[str]:
        return self._roster.runners.keys() - {self.runner}

    # --- who runs what ------------------------------------------------------------------------

    async def _balance(self) -> None:
        """Take and give up leases, whenever that may be necessary."""
        is_waiting, versions_noted = False, self._now()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._changed.wait()
            has_changed = self._changed.is_set()
            self._changed.clear()
            if not self._presence.number:
                continue
            self._log_others()
            self._comparison.check()
            await self._end_gone()
            if has_changed and (stolen := self._leases.stolen()):
                self._lose(stolen)
                why = "another runner has taken them"
                emit(self._log, LeasesLost(cluster=self.name, modules=stolen, why=why))
            if self._now() - versions_noted >= _VERSIONS_EVERY:
                versions_noted = self._now()
                await self._note_versions()
            if has_changed or is_waiting:
                is_waiting = await self._follow_plan()

    async def _follow_plan(self) -> bool:
        """Do what is to be done now; return whether there may be more to do later."""
        held = self._leases.held
        # Those that were lost and are taken again have to end first.
        ending = self._running.instances.keys() - held.keys()
        own = self._modules.runs.keys() - ending if ending else self._modules.runs
        plan = make_plan(self._roster, self.runner, own, held, self._leases.leaving, self._now())
        for module, to in plan.give.items():
            self._leases.begin_leaving(module, to, self._why_given(module))
        taken = await asyncio.gather(*map(self._take, plan.take[:_AT_ONCE]))
        are_left = len(plan.take) > _AT_ONCE
        if any(taken):
            self._changed.set()
        if plan.give or (any(taken) and not are_left):
            self._is_due.set()
        return plan.is_waiting or are_left or not all(taken)

    def _why_given(self, module: str) -> WhyGiven:
        if self._presence.entry.is_draining:
            return "draining"
        return "moved" if module in self._modules.runs else "removed"

    async def _take(self, module: str) -> bool:
        """Take the lease of a module, and get its state; return whether that has succeeded."""
        before = self._roster.lease_of(self._roster.role_of(module))
        lease = await self._leases.take(module, self._modules.runs[module])
        if lease is None:
            return False
        snapshot = await self._last_snapshot(lease)
        if not lease.is_valid:
            return False
        self._leases.keep(lease, before)
        local = self._local.pop(module, None)
        inherited = local if snapshot is None else snapshot
        if inherited is not None:
            self._to_inherit[module] = inherited
        return True

    async def _last_snapshot(self, lease: HeldLease) -> ModuleSnapshot | None:
        while lease.is_valid:
            try:
                return await self._checkpoints.read(lease)
            except NatsError:
                await asyncio.sleep(_RETRY)
        return None

    async def _end_gone(self) -> None:
        """End the presence of runners that are gone, so that their modules are free."""
        for runner, known in list(self._roster.runners.items()):
            if runner != self.runner and await self._probe.is_gone(known):
                with contextlib.suppress(NatsError):
                    await end_presence(self._runners_bucket, self.name, known)

    def _log_others(self) -> None:
        """Log which other runners have joined the cluster, and which are gone."""
        others = self._present_others()
        if others != self._others:
            changed = RunnersChanged(
                cluster=self.name,
                joined=sorted(others - self._others) or None,
                gone=sorted(self._others - others) or None,
                runners=sorted(self._roster.runners),
            )
            self._others = others
            emit(self._log, changed)

    async def _note_versions(self) -> None:
        """Write into the leases which versions run, after reloads."""
        instances = self._running.instances
        changed = {
            module: instances[module].version.source.version
            for module, lease in self._leases.held.items()
            if module in instances and instances[module].version.source.version != lease.version
        }
        await asyncio.gather(*(self._leases.note_version(*each) for each in changed.items()))

    # --- modules ------------------------------------------------------------------------------

    @property
    def _running(self) -> Reloader:
        if self._reloader is None:
            raise RuntimeError("attach a reloader first")
        return self._reloader

    async def _keep_loaded(self) -> None:
        """Load the modules whose leases were taken, and unload those that are given up or lost."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._is_due.wait()
                self._is_due.clear()
                self._may_reload.clear()
                reloading = tasks.create_task(self._reload())
                reloading.add_done_callback(lambda _: self._may_reload.set())
                # A module that is lost while it is being loaded may never be set up, as its client
                # can't connect. So the reload without it begins at once, and aborts this one.
                await self._may_reload.wait()
                if self._leases.leaving:
                    self._is_due.set()  # another update of the reloader has superseded this one

    async def _reload(self) -> None:
        running = self._running
        held = [module for module in self._leases.held if self._leases.runs(module)]
        self._to_load.intersection_update(held)
        later = [module for module in held if module not in self._to_load]
        self._to_load.update(later[:_LOADED_AT_ONCE])
        if len(later) > _LOADED_AT_ONCE:
            self._is_due.set()
        for module in self._to_inherit.keys() & self._to_load:
            running.inherit(module, self._to_inherit.pop(module))
        await running.update(self._admitted())
        ended = [each for each in self._leases.leaving if each not in running.instances]
        await asyncio.gather(*map(self._release, ended))
        self._changed.set()
        async with self._progressed:
            self._progressed.notify_all()

    async def _release(self, module: str) -> None:
        snapshot = self._to_inherit.pop(module, None)
        if snapshot is not None:  # it was never loaded here
            data = encode_module(snapshot)[0]
            await self._checkpoints.write(self._leases.held[module], data, is_last=True)
        lease = await self._leases.release(module)
        if lease is None:
            return
        is_removed = module not in self._modules.runs
        if is_removed and module not in self._roster.assignment.first:
            with contextlib.suppress(NatsError):
                await self._checkpoints.delete(lease)
        self._checkpoints.forget(lease)

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

    def _on_leaving(self, modules: Collection[str]) -> Awaitable[object]:
        """See `Reloader.on_leaving`."""
        epoch = wall_epoch()
        packed = {}
        for module in modules:
            snapshot = self._running.snapshot(module, epoch)
            if snapshot is not None:
                packed[module] = encode_module(snapshot)[0]
        return self._save_last(packed)

    async def _save_last(self, packed: Mapping[str, bytes]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAVE_TIME):
                await self._checkpoints.write_all(packed, self._leases.held, are_last=True)

    async def _save(self) -> None:
        """Store snapshots whenever there are new ones."""
        while True:
            await self._is_unsaved.wait()
            self._is_unsaved.clear()
            await self._checkpoints.write_all(self._packed, self._leases.held)


class _Refusal:
    """A connector for a module without a lease: it was lost while the module was being loaded.

    Args:
        module: the name of the module.
    """

    is_in_process: Final = True
    """See `eshet.connection.Connector`."""

    def __init__(self, module: str) -> None:
        self._module = module

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Refuse to connect."""
        raise ConnectionError(f"this runner does not hold the lease of {self._module}")
