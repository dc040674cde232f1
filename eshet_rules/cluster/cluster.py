"""Shares the modules of a rules folder with other runners.

Each module runs on the runner that holds its lease. The cluster decides which modules this one is
to run, and the reloader loads and unloads them, as when their files come and go; but their state
comes from the runner before, and goes to the next one.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.connection import Connector
from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError
from eshet.nats.joined import JoinedServer
from eshet.nats.watch import Watch
from eshet.text import encodable, shorten
from eshet_rules.audit.records.cluster import ClusterJoined, ClusterLeft, LeasesLost, RunnersChanged
from eshet_rules.audit.records.control import DrainRequested
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import ComponentFailed
from eshet_rules.cluster.announcement import Announcement
from eshet_rules.cluster.balancing import make_plan
from eshet_rules.cluster.checkpoints import SharedCheckpoints
from eshet_rules.cluster.comparison import Comparison
from eshet_rules.cluster.entries import (
    RUNNERS,
    PresenceEntry,
    role_of,
    trail_subject,
)
from eshet_rules.cluster.leases import Leases, WhyGiven
from eshet_rules.cluster.loading import ModuleLoader
from eshet_rules.cluster.presence import Presence, end_presence
from eshet_rules.cluster.probe import Probe
from eshet_rules.cluster.published_folder import PublishedFolder
from eshet_rules.cluster.published_rules import PublishedRules
from eshet_rules.cluster.publishing import RULES, Publishing
from eshet_rules.cluster.roster import Roster
from eshet_rules.cluster.shared_quarantine import SharedQuarantine
from eshet_rules.cluster.shared_switches import SharedSwitches
from eshet_rules.cluster.shared_trail import trail_stream
from eshet_rules.cluster.summary import summarize
from eshet_rules.cluster.suspension import Suspension, time_with_sleep
from eshet_rules.cluster.trail_publisher import TrailPublisher
from eshet_rules.config import ClusterSettings
from eshet_rules.modules.discovery import Source
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.supervision.guard.guard import Guard
from eshet_rules.supervision.guard.rule_loop import RuleLoop
from eshet_rules.threads import Threads

__all__ = ["Cluster"]

_TICK: Final = 0.5
"""Seconds between two looks at what only time changes."""

_VERSIONS_EVERY: Final = 5.0
"""Seconds after which the versions of reloaded modules are written into their leases."""

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""

_OPEN_EVERY: Final = 20.0
"""Seconds between two looks at the buckets."""

_AT_ONCE: Final = 256
"""Number of leases that are taken at the same time; then the other runners are looked at again."""


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

        self._runners_bucket = bucket(RUNNERS)
        self._leases_bucket = bucket("leases")
        self._checkpoints_bucket = bucket("checkpoints")
        self._rules_bucket = bucket(RULES)
        switches, quarantine = bucket("switches"), bucket("quarantine")
        self._buckets = [
            self._runners_bucket,
            self._leases_bucket,
            self._checkpoints_bucket,
            switches,
            quarantine,
        ]
        if settings.rules == "published":
            self._buckets.append(self._rules_bucket)
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
        self._announcement = Announcement(
            self._runners_bucket, name, self.runner, settings, self._presence
        )
        self.switches: Final = SharedSwitches(switches, name, log)
        """The rules that were enabled or disabled by command."""
        self.quarantine: Final = SharedQuarantine(quarantine, name, self.runner, log)
        """The rules that have ended a runner."""
        self._guard: Guard | None = None
        self._attached: ModuleLoader | None = None
        self._suspension: Suspension | None = None
        self._others: set[str] = set()
        self._watches: list[Watch] = []
        self._trail: TrailPublisher | None = None
        self._published: PublishedRules | None = None
        self._changed = asyncio.Event()  # something that may change what is to be done
        self._reloaded = asyncio.Event()

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

    def published_rules(
        self, folder: Path, exclude: Sequence[str], turn: Lock, threads: Threads
    ) -> PublishedRules | None:
        """Return what keeps the rules folder equal to what is published; None if nothing is to.

        Args:
            folder: the rules folder.
            exclude: see `PublishedFolder`.
            turn: see `PublishedFolder`.
            threads: read and write the files.
        """
        if self._settings.rules != "published":
            return None
        publishing = Publishing(self._rules_bucket, self.name)
        files = PublishedFolder(folder, exclude, turn)
        self._published = PublishedRules(publishing, files, threads, self._log)
        return self._published

    def attach(
        self,
        reloader: Reloader,
        local: Mapping[str, ModuleSnapshot],
        guard: Guard | None,
    ) -> None:
        """Let a reloader load and unload the modules.

        Args:
            reloader: loads and unloads them.
            local: see `ModuleLoader`.
            guard: knows which rules have ended this runner, and whether it is in safe mode.
        """
        self._guard = guard
        self._attached = ModuleLoader(
            reloader,
            local,
            lambda rule: guard is not None and guard.is_in_safe_mode(rule),
            self._leases,
            self._checkpoints,
            self.server,
            is_wanted=lambda module: module in self._roster.assignment.first,
            on_reloaded=self._on_reloaded,
        )
        self.server.on_members = self._on_members
        loop = asyncio.get_running_loop()
        if isinstance(loop, RuleLoop):
            self._suspension = suspension = Suspension(
                loop,
                self.server,
                presence=self._presence,
                sure_since=lambda: self.server.sure_since,
                now=loop.time,
                elapsed=time_with_sleep,
                log=self._log,
            )
            self._presence.on_renewed = suspension.renewed
            self.server.on_renewed = suspension.server_renewed
            loop.on_wake = self.check

    # --- what the runner asks -----------------------------------------------------------------

    def connector(self, module: str) -> Connector:
        """Return the way to the server for the client of a module, which needs a lease."""
        lease = self._leases.held.get(module)
        return _Refusal(module) if lease is None else self.server.leased(lease)

    def admit(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return the sources to use here; see `ModuleLoader.admit`."""
        if self._announcement.note(sources):
            self._changed.set()
        return self._loader.admit(sources)

    def note_packed(self, snapshots: Mapping[str, bytes]) -> None:
        """Store the snapshots of running modules for other runners, soon; see `encode_module`."""
        self._loader.note_packed(snapshots)

    def check(self) -> None:
        """Drop all modules if no sign of life could be given, or suspend the rules.

        The loop calls this each time that it wakes up, before anything else runs: so after the
        process was stopped for a time, no rule acts that runs elsewhere by now; see
        `Presence.check` and `Suspension`.
        """
        try:
            self._presence.check()
            if self._suspension is not None:
                self._suspension.check()
        except Exception as error:
            emit(self._log, ComponentFailed(component="cluster"), error=error)

    def summary(self) -> dict[str, Any]:
        """Return what this runner knows of its cluster, as plain data; see `summarize`.

        In addition, `publication`: the short hash of the publication that its folder has; None if
        it takes none over; and `publication_problem`: why it has not the present one.
        """
        known = summarize(
            self._roster, self._presence.entry, self._settings, self._announcement.modules
        )
        if self._published is None:
            return {**known, "publication": None, "publication_problem": ""}
        return {
            **known,
            "publication": self._published.publication,
            "publication_problem": shorten(encodable(self._published.problem), 500),
        }

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
        return self._loader.has(module) or (lease is not None and self._roster.is_held(lease.lease))

    async def drain(self, *, undo: bool = False) -> dict[str, Any]:
        """Give all modules up, and take none until this is undone or the runner restarts.

        Args:
            undo: whether to take modules again.

        Returns:
            `modules`: the modules that were given up; `without_runner`: those among them that no
            other runner can run; `was_draining`: whether this was drained before.
        """
        was_draining = self._presence.entry.is_draining
        emit(self._log, DrainRequested(undo=undo))
        self._presence.renew_soon(is_draining=not undo)
        modules = [] if undo else sorted(self._leases.held)
        while self._leases.held and not undo:
            self._reloaded.clear()
            await self._reloaded.wait()
        first = self._roster.assignment.first
        return {
            "modules": modules,
            "without_runner": [module for module in modules if module not in first],
            "was_draining": was_draining,
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
            self._resume()
            for watch in self._watches:
                await watch.close()
            self._watches.clear()
        if was_present:
            emit(self._log, ClusterLeft(cluster=self.name))

    async def _give_all_up(self) -> None:
        keeping = asyncio.create_task(self._keep_present())
        try:
            while self._leases.held:
                await self._loader.reload()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def run_trail(self) -> None:
        """Store the records of this runner as long as it runs; see `share_trail`."""
        if self._trail is not None:
            await self._trail.run()

    async def finish_trail(self) -> None:
        """Store the last records of this runner."""
        if self._trail is not None:
            await self._trail.finish()

    async def run(self) -> None:
        """Take part in the cluster, forever."""
        if not self._watches:
            await self._open()
        async with asyncio.TaskGroup() as tasks:
            for run in (
                self._stay_present,
                self._balance,
                self._loader.keep_loaded,
                self._loader.save,
                self._announcement.run,
                self._keep_buckets,
                self.switches.tell,
                self.switches.follow,
                self.quarantine.tell,
                self.quarantine.follow,
            ):
                tasks.create_task(run())

    # --- entries ------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Receive the entries of the others from now on."""
        roster = self._roster
        await self._watch(self._runners_bucket, roster.on_runner_entry, roster.reset_runners)
        await self._watch(self._leases_bucket, roster.on_lease_entry, roster.reset_leases)
        self._watches.append(await self.switches.open())
        self._watches.append(await self.quarantine.open())
        self.quarantine.add([] if self._guard is None else self._guard.own_blames)

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

    async def _keep_buckets(self) -> None:
        """Create buckets that were deleted, and give them the replicas that were missing before."""
        while True:
            await asyncio.sleep(_OPEN_EVERY)
            if self.runner == min(self._roster.runners, default=""):
                for bucket in self._buckets:
                    with contextlib.suppress(NatsError):
                        await bucket.open()

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
            if self._trail is not None:
                self._trail.begin()
            self._others = self._present_others()
            joined = ClusterJoined(
                cluster=self.name,
                runner=self.runner,
                server=str(self.server.address),
                others=sorted(self._others),
            )
            emit(self._log, joined)
            self._announcement.repeat()
            await self._keep_present()

    async def _keep_present(self) -> None:
        with self._probe.answering(self._presence.number):
            await self._presence.keep()

    def _on_end(self, why: str) -> None:
        """Drop all modules at once, as the presence has ended."""
        if self._trail is not None:
            self._trail.end()
        self._lose(sorted(self._leases.held), why)
        self._resume()

    def _resume(self) -> None:
        if self._suspension is not None:
            self._suspension.end()

    def _lose(self, modules: list[str], why: str) -> None:
        self._loader.lose(modules)
        if modules:
            emit(self._log, LeasesLost(cluster=self.name, modules=modules, why=why))

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
                self._lose(stolen, "another runner has taken them")
            if self._now() - versions_noted >= _VERSIONS_EVERY:
                versions_noted = self._now()
                await self._note_versions()
            if has_changed or is_waiting:
                is_waiting = await self._follow_plan()

    async def _follow_plan(self) -> bool:
        """Do what is to be done now; return whether there may be more to do later."""
        held, runs = self._leases.held, self._announcement.modules.runs
        self._note_unfit()
        # Those that were lost and are taken again have to end first.
        ending = self._loader.reloader.instances.keys() - held.keys()
        own = runs.keys() - ending if ending else runs
        plan = make_plan(self._roster, self.runner, own, held, self._leases.leaving, self._now())
        for module, to in plan.give.items():
            self._leases.begin_leaving(module, to, self._why_given(module))
        taken = await asyncio.gather(*map(self._take, plan.take[:_AT_ONCE]))
        are_left = len(plan.take) > _AT_ONCE
        if any(taken):
            self._changed.set()
        if plan.give or (any(taken) and not are_left):
            self._loader.reload_soon()
        return plan.is_waiting or are_left or not all(taken)

    def _note_unfit(self) -> None:
        """Give up the modules that can't be run here, if another runner may run them."""
        others = self._roster.assignment.first_without
        unfit = {each for each in self._loader.unfit() if others(each, self.runner) is not None}
        if unfit and self._announcement.note_unfit(unfit):
            self._changed.set()

    def _why_given(self, module: str) -> WhyGiven:
        if self._presence.entry.is_draining:
            return "draining"
        if self._announcement.is_unfit(module):
            return "unfit"
        return "moved" if module in self._announcement.modules.runs else "removed"

    async def _take(self, module: str) -> bool:
        """Take the lease of a module, and get its state; return whether that has succeeded."""
        before = self._roster.lease_of(self._roster.role_of(module))
        lease = await self._leases.take(module, self._announcement.modules.runs[module])
        if lease is not None:
            await self._loader.inherit(lease, before)
        if lease is None or not lease.is_valid:
            return False
        self._leases.keep(lease, before)
        return True

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
        instances = self._loader.reloader.instances
        changed = {
            module: instances[module].version.source.version
            for module, lease in self._leases.held.items()
            if module in instances and instances[module].version.source.version != lease.version
        }
        await asyncio.gather(*(self._leases.note_version(*each) for each in changed.items()))

    # --- modules ------------------------------------------------------------------------------

    @property
    def _loader(self) -> ModuleLoader:
        if self._attached is None:
            raise RuntimeError("attach a reloader first")
        return self._attached

    def _on_reloaded(self) -> None:
        self._reloaded.set()
        self._changed.set()

    def try_again(self) -> None:
        """Try again to run the modules that this runner could not run."""
        if self._announcement.forget_unfit():
            self._changed.set()


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
