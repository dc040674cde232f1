"""Takes the leases of modules, gives them up, and knows those that this runner holds."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Final, Literal, NamedTuple

from structlog.typing import FilteringBoundLogger

from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import NatsError, RevisionConflict
from eshet_rules.audit.records.cluster import ModuleGivenUp, ModuleTaken
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.balancing import why_free
from eshet_rules.cluster.entries import LeaseEntry, pack
from eshet_rules.cluster.lease import HeldLease
from eshet_rules.cluster.presence import Presence
from eshet_rules.cluster.roster import KnownLease, Roster

__all__ = ["Leases", "WhyGiven"]

WhyGiven = Literal["moved", "draining", "stopping", "removed", "unfit"]

_RELEASE_TIME: Final = 5.0
"""Seconds for which the release of a lease is tried again."""

_RETRY: Final = 0.2
"""Seconds between two attempts."""


class _Leaving(NamedTuple):
    """A module that is being given up.

    Args:
        to: the runner in whose favour; empty for any.
        why: the reason.
    """

    to: str
    why: WhyGiven


class Leases:
    """The leases that this runner holds.

    Args:
        bucket: of the leases.
        roster: knows the last entry of each lease.
        presence: of this runner; its leases end with it.
        server: returns the id of the server of this runner.
        log: receives each lease that is taken or given up.
    """

    def __init__(
        self,
        bucket: Bucket,
        roster: Roster,
        presence: Presence,
        server: Callable[[], str],
        log: FilteringBoundLogger,
    ) -> None:
        self._bucket = bucket
        self._roster = roster
        self._presence = presence
        self._server = server
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._held: dict[str, HeldLease] = {}
        self._leaving: dict[str, _Leaving] = {}
        self._releasing: set[str] = set()

    @property
    def held(self) -> Mapping[str, HeldLease]:
        """The leases by module, with those that are being given up."""
        return self._held

    @property
    def leaving(self) -> Collection[str]:
        """The modules that are being given up."""
        return self._leaving.keys()

    @property
    def unreleased(self) -> set[str]:
        """Those among them for which `release` was not called yet."""
        return self._leaving.keys() - self._releasing

    def runs(self, module: str) -> bool:
        """Whether this runner is to run a module: it holds the lease, and does not give it up."""
        return module in self._held and module not in self._leaving

    async def take(self, module: str, version: str) -> HeldLease | None:
        """Take the lease of a module, if nobody else does; see `keep`.

        Args:
            module: its name.
            version: its version.

        Returns:
            The lease; None if it was not taken, as far as is known.
        """
        role = self._roster.role_of(module)
        before = self._roster.lease_of(role)
        entry = self._entry(module, version, token=0)
        try:
            token = await self._bucket.put(role, pack(entry), self._roster.revision_of(role))
        except NatsError:
            return None
        lease = HeldLease(
            module,
            role,
            token,
            version,
            self._presence,
            None if before is None else before.lease,
            self._loop.time,
        )
        return lease if lease.is_valid else None

    def keep(self, lease: HeldLease, before: KnownLease | None) -> None:
        """Hold a lease that was taken, and log it.

        Args:
            lease: the lease.
            before: the last entry of it before it was taken.
        """
        self._held[lease.module] = lease
        taken = ModuleTaken(token=lease.token, why=why_free(before))
        if before is not None:
            taken.from_runner = before.lease.runner
            taken.without_s = self.seconds_without(lease, before)
        taken.module, taken.version = lease.module, lease.version
        emit(self._log, taken)

    def seconds_without(self, lease: HeldLease, before: KnownLease) -> float | None:
        """Return how long nobody held a lease before it was taken, by the clock of NATS."""
        now = self._roster.lease_of(lease.role)
        if now is None or now.token != lease.token:
            return None  # the entry was not received yet
        since: float | None = before.written
        if not before.lease.released:
            since = self._roster.last_sign_of(before.lease)
        return None if since is None else round(max(0.0, now.written - since), 3)

    def begin_leaving(self, module: str, to: str, why: WhyGiven) -> None:
        """Begin to give up a lease; call `release` when the module does not run any more.

        Args:
            module: the module.
            to: the runner in whose favour; empty for any.
            why: the reason.
        """
        self._leaving[module] = _Leaving(to, why)

    async def release(self, module: str) -> HeldLease | None:
        """Give up a lease; see `begin_leaving`.

        Returns:
            The lease; None if it was lost already, or another call gives it up.
        """
        lease, leaving = self._held[module], self._leaving[module]
        if module in self._releasing:
            return None
        self._releasing.add(module)
        entry = self._entry(module, lease.version, lease.token, released=True, to=leaving.to)
        try:
            is_released = await self._write(lease, entry)
        finally:
            self._releasing.discard(module)
        lease.end()
        if self._held.get(module) is not lease:
            return None
        del self._held[module], self._leaving[module]
        if not is_released:
            return None
        given_up = ModuleGivenUp(token=lease.token, why=leaving.why, to=leaving.to or None)
        given_up.module, given_up.version = module, lease.version
        emit(self._log, given_up)
        return lease

    async def note_version(self, module: str, version: str) -> None:
        """Write which version of a module runs into its lease."""
        lease = self._held[module]
        lease.version = version
        await self._write(lease, self._entry(module, version, lease.token))

    def lose(self, modules: Collection[str]) -> None:
        """Forget leases that were lost."""
        for module in modules:
            self._held.pop(module).end()
            self._leaving.pop(module, None)

    def stolen(self) -> list[str]:
        """Return the modules whose leases others have taken, as this runner seemed to be gone."""
        found = []
        for module, lease in self._held.items():
            known = self._roster.lease_of(lease.role)
            is_leaving = module in self._leaving  # its successor may be faster than the answer
            if known is not None and known.token > lease.token and not is_leaving:
                found.append(module)
        return found

    def _entry(
        self, module: str, version: str, token: int, *, released: bool = False, to: str = ""
    ) -> LeaseEntry:
        return LeaseEntry(
            module=module,
            token=token,
            runner=self._presence.entry.runner,
            server=self._server(),
            presence=self._presence.number,
            version=version,
            released=released,
            to=to,
        )

    async def _write(self, lease: HeldLease, entry: LeaseEntry) -> bool:
        """Replace the entry of a held lease; return whether it was replaced."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_TIME):
                while lease.is_valid:
                    try:
                        lease.revision = await self._bucket.put(
                            lease.role, pack(entry), lease.revision
                        )
                    except RevisionConflict:
                        return False
                    except NatsError:
                        await asyncio.sleep(_RETRY)
                    else:
                        return True
        return False
