"""The runners of a cluster and the leases of its modules, as their entries say. No I/O.

All runners receive the same entries, so they agree on who is a candidate for a module and who holds
it; except for what is on its way, which compare-and-set decides.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from eshet.nats.entry import Entry
from eshet_rules.cluster.assignment import Assignment, Candidate
from eshet_rules.cluster.entries import (
    LeaseEntry,
    Modules,
    ModulesEntry,
    PresenceEntry,
    role_of,
    runner_key,
    unpack,
    unpack_modules,
)

__all__ = ["KnownLease", "KnownRunner", "Roster"]

_UNSEEN: Final = 2.0
"""Seconds for which a runner may have a server that is not a member yet.

Its entries may arrive before those of its server."""

_AWAITED: Final = 5.0
"""Seconds for which a runner that held a lease is awaited after NATS has lost all leases."""

_MOST_ENDED: Final = 1000
"""Number of runners that are gone of which the last sign of life is known."""


class KnownLease(NamedTuple):
    """The last entry of a lease.

    Args:
        lease: its content.
        token: of its holder.
        revision: of the entry.
        written: when it was stored, in seconds since 1970-01-01 UTC.
        heard: the loop's time at which it was received.
    """

    lease: LeaseEntry
    token: int
    revision: int
    written: float
    heard: float


class KnownRunner:
    """A runner that is present.

    Args:
        entry: its last sign of life.
        presence: the content of the entry.
        now: the loop's time.
    """

    __slots__ = (
        "_serverless_since",
        "_was_joined",
        "heard",
        "modules",
        "number",
        "presence",
        "revision",
        "written",
    )

    def __init__(self, entry: Entry, presence: PresenceEntry, now: float) -> None:
        self.number: Final = presence.number or entry.revision
        """The number of its presence."""
        self.modules: Modules | None = None
        """Its modules; None before they are known."""
        self.forget_server()
        self.renew(entry, presence, now)

    def forget_server(self) -> None:
        """Forget whether its server was a member."""
        self._was_joined = False
        self._serverless_since: float | None = None

    def renew(self, entry: Entry, presence: PresenceEntry, now: float) -> None:
        """Note a further sign of life."""
        if getattr(self, "presence", presence).server != presence.server:
            self.forget_server()
        self.presence: PresenceEntry = presence
        """Its last sign of life."""
        self.revision: int = entry.revision
        """The revision of that entry."""
        self.written: float = entry.written
        """When that was stored, in seconds since 1970-01-01 UTC."""
        self.heard: float = now
        """The loop's time at which it was received."""

    def is_silent(self, now: float) -> bool:
        """Whether the runner has given no sign of life for too long."""
        return now - self.heard > self.presence.ttl

    def is_serverless(self, members: Collection[str], now: float) -> bool:
        """Whether its server is gone, as it seems; then it may be gone as well.

        Args:
            members: the ids of the servers that share the tree.
            now: the loop's time.
        """
        if self.presence.server in members:
            self._was_joined, self._serverless_since = True, None
            return False
        if self._serverless_since is None:
            self._serverless_since = now
        return self._was_joined or now - self._serverless_since > _UNSEEN


class Roster:
    """Knows the runners of a cluster, and who holds the lease of each module.

    Args:
        cluster: its name.
        now: returns the loop's time.
    """

    def __init__(self, cluster: str, now: Callable[[], float]) -> None:
        self.cluster: Final = cluster
        """The name of the cluster."""
        self.assignment: Final = Assignment()
        """Which runner ranks first for each module."""
        self.changes: int = 0
        """The number of entries that may have changed who runs what."""
        self.settled_at: float = now()
        """The loop's time at which a runner has last become a candidate for other modules."""
        self._now: Final = now
        self._runners: dict[str, KnownRunner] = {}
        self._modules: dict[str, ModulesEntry] = {}  # by runner, also before its presence is known
        self._leases: dict[str, KnownLease] = {}  # by role
        self._revisions: dict[str, int] = {}  # by role, also of deleted entries
        self._roles: dict[str, str] = {}  # by module
        self._lost: dict[str, str] = {}  # the last holders of lost leases, by role
        self._lost_at = 0.0  # the loop's time
        self._ended: dict[tuple[str, int], float] = {}  # when its last sign of life was written

    @property
    def runners(self) -> Mapping[str, KnownRunner]:
        """The runners that are present, by name."""
        return self._runners

    def forget_servers(self) -> None:
        """Forget which servers were members: this runner has joined others again, as they may."""
        for known in self._runners.values():
            known.forget_server()

    def reset_runners(self) -> None:
        """Forget all runners: their entries are going to be received again."""
        for runner in list(self._runners):
            self._forget(runner)
        self._modules.clear()
        self.changes += 1

    def reset_leases(self) -> None:
        """Forget all leases: their entries are going to be received again, if they still exist."""
        self._lost.update({role: known.lease.runner for role, known in self._leases.items()})
        self._lost_at = self._now()
        self._leases.clear()
        self._revisions.clear()
        self.changes += 1

    # --- entries ------------------------------------------------------------------------------

    def on_runner_entry(self, entry: Entry) -> None:
        """Process an entry of the bucket of runners."""
        key = runner_key(self.cluster, entry.key)
        if key is None:
            return
        runner = key.runner
        if key.kind == "modules":
            modules = unpack_modules(entry)
            if modules is None:
                self._modules.pop(runner, None)
            else:
                self._modules[runner] = self._shared(modules)
        elif (presence := unpack(entry, PresenceEntry)) is None or presence.runner != runner:
            self._forget(runner)
        else:
            known = self._runners.get(runner)
            if known is not None and known.number == presence.number:
                before = known.presence
                known.renew(entry, presence, self._now())
                if before == presence:
                    return  # as usual
            else:
                self._forget(runner)
                self._runners[runner] = KnownRunner(entry, presence, self._now())
        self.changes += 1
        self._update_candidate(runner)

    def on_lease_entry(self, entry: Entry) -> None:
        """Process an entry of the bucket of leases."""
        if not entry.key.startswith(f"{self.cluster}."):
            return
        self._revisions[entry.key] = entry.revision
        lease = unpack(entry, LeaseEntry)
        if lease is None:
            self._leases.pop(entry.key, None)
        else:
            self._leases[entry.key] = KnownLease(
                lease, lease.token or entry.revision, entry.revision, entry.written, self._now()
            )
        self.changes += 1

    def _forget(self, runner: str) -> None:
        known = self._runners.pop(runner, None)
        if known is not None:
            self.assignment.remove(runner)
            self._ended[runner, known.number] = known.written
            if len(self._ended) > _MOST_ENDED:
                del self._ended[next(iter(self._ended))]

    def _update_candidate(self, runner: str) -> None:
        known, entry = self._runners.get(runner), self._modules.get(runner)
        if known is None:
            return
        is_of_presence = entry is not None and entry.presence == known.number
        known.modules = entry.modules if entry is not None and is_of_presence else None
        if known.modules is None or known.presence.is_draining:
            self.assignment.remove(runner)
        elif self.assignment.put(Candidate(runner, known.presence.weight), known.modules.runs):
            self.settled_at = self._now()

    def _shared(self, modules: ModulesEntry) -> ModulesEntry:
        """Return an entry with the same object as that of another runner, if they are equal.

        So in a large cluster of runners with the same rules, they take the memory of one.
        """
        for other in self._modules.values():
            if other.modules == modules.modules:
                return ModulesEntry(presence=modules.presence, modules=other.modules)
        return modules

    # --- questions ----------------------------------------------------------------------------

    def role_of(self, module: str) -> str:
        """Return the key of the lease of a module; see `eshet_rules.cluster.entries`."""
        role = self._roles.get(module)
        if role is None:
            role = self._roles[module] = role_of(self.cluster, module)
        return role

    @property
    def leases(self) -> Collection[KnownLease]:
        """The last entries of all leases."""
        return self._leases.values()

    def lease_of(self, role: str) -> KnownLease | None:
        """Return the last entry of a lease; None if there never was one."""
        return self._leases.get(role)

    def revision_of(self, role: str) -> int:
        """Return the revision of the last entry of a lease, for compare-and-set; 0 without one."""
        return self._revisions.get(role, 0)

    def is_held(self, lease: LeaseEntry) -> bool:
        """Whether a lease was not released, and its holder is still present."""
        holder = self._runners.get(lease.runner)
        return not lease.released and holder is not None and holder.number == lease.presence

    def is_awaited(self, role: str, now: float) -> bool:
        """Whether the last holder of a lease that NATS has lost may come back to take it.

        That runner has the state of the module, which NATS has probably lost as well.

        Args:
            role: of the module.
            now: the loop's time.
        """
        holder = self._lost.get(role)
        if holder is None or now - self._lost_at >= _AWAITED:
            return False
        known = self._runners.get(holder)
        return known is None or known.modules is None

    def last_sign_of(self, lease: LeaseEntry) -> float | None:
        """Return when the holder of a lease has last given a sign of life, by the wall clock.

        Returns:
            Seconds since 1970-01-01 UTC; None if it is not known.
        """
        return self._ended.get((lease.runner, lease.presence))
