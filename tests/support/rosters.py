"""A roster, fed with entries as the buckets of a cluster would."""

import itertools
from collections.abc import Iterable

from eshet.nats.entry import Entry
from eshet_rules.cluster.entries import (
    LeaseEntry,
    Modules,
    ModulesEntry,
    PresenceEntry,
    modules_key,
    pack,
    pack_modules,
    presence_key,
)
from eshet_rules.cluster.roster import KnownRunner, Roster

__all__ = ["FedRoster"]


class FedRoster:
    """The roster of a cluster, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.roster = Roster("house", lambda: self.now)
        self._numbers = itertools.count(1)

    def join(
        self,
        runner: str,
        modules: Iterable[str] = (),
        *,
        number: int = 0,
        server: str = "",
        is_draining: bool = False,
    ) -> KnownRunner:
        """Give a sign of life of a runner: its first one, unless its presence has a number."""
        presence = PresenceEntry(
            runner=runner,
            host="machine",
            server=server or f"server of {runner}",
            number=number,
            ttl=12.0,
            weight=1.0,
            is_draining=is_draining,
        )
        self.roster.on_runner_entry(self._entry(presence_key("house", runner), pack(presence)))
        known = self.roster.runners[runner]
        self.announce(runner, known.number, dict.fromkeys(modules, "1"))
        return known

    def announce(self, runner: str, presence: int, runs: dict[str, str], **others: object) -> None:
        modules = Modules(**{"runs": runs, "excluded": {}, "helpers": {}, **others})  # type: ignore[arg-type]
        value = pack_modules(ModulesEntry(presence=presence, modules=modules))
        self.roster.on_runner_entry(self._entry(modules_key("house", runner), value))

    def end(self, runner: str) -> None:
        """End the presence of a runner."""
        entry = self._entry(presence_key("house", runner), b"")
        self.roster.on_runner_entry(entry._replace(is_deleted=True))

    def lease(
        self, module: str, runner: str, *, presence: int = 0, released: bool = False, to: str = ""
    ) -> None:
        """Write the lease of a module."""
        known = self.roster.runners.get(runner)
        lease = LeaseEntry(
            module=module,
            token=0,
            runner=runner,
            server="",
            presence=presence or (known.number if known else 0),
            released=released,
            to=to,
        )
        self.roster.on_lease_entry(self._entry(self.roster.role_of(module), pack(lease)))

    def _entry(self, key: str, value: bytes) -> Entry:
        return Entry(key, value, next(self._numbers), False, self.now)
