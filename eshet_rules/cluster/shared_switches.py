"""Rules that were enabled or disabled by command, for all runners of a cluster.

    PREFIX_switches   CLUSTER.MODULE.RULE   whether the rule was enabled or disabled

So a runner that joins later, or could not be asked, does the same as the others. The last command
holds. Each runner also keeps what it knows in its state folder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError
from eshet.nats.watch import Watch
from eshet_rules.audit.records import ComponentFailed, emit
from eshet_rules.cluster.entries import pack, role_of, unpack

__all__ = ["SharedSwitches"]

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""


class _Switch(msgspec.Struct, frozen=True, kw_only=True):
    """An entry.

    Args:
        rule: the full name of the rule.
        on: whether it was enabled, not disabled.
    """

    rule: str
    on: bool


class _Received(NamedTuple):
    """The last entry of a rule that is not followed yet.

    Args:
        on: see `_Switch`.
        revision: of the entry.
    """

    on: bool
    revision: int


class SharedSwitches:
    """Tells the other runners which rules were enabled or disabled here, and follows them.

    Args:
        bucket: of the switches.
        cluster: the name of the cluster.
        log: receives errors.
    """

    def __init__(self, bucket: Bucket, cluster: str, log: FilteringBoundLogger) -> None:
        self.on_change: Callable[[Mapping[str, bool]], Awaitable[object]] = _ignore
        """Called with rules by their full names, and whether they were enabled or disabled."""
        self._bucket = bucket
        self._cluster = cluster
        self._log = log
        self._received: dict[str, _Received] = {}
        self._unsent: dict[str, bool] = {}
        self._has_received = asyncio.Event()
        self._has_unsent = asyncio.Event()

    def switch(self, rules: Iterable[str], on: bool) -> None:
        """Tell the others, soon, that rules were enabled or disabled."""
        self._unsent.update(dict.fromkeys(rules, on))
        self._has_unsent.set()

    async def open(self) -> Watch:
        """Follow the others from now on; return when all that was stored so far is followed."""
        is_ready = asyncio.Event()
        watch = self._bucket.watch(self._on_entry, is_ready.set, lambda: None)
        await is_ready.wait()
        await self._follow_now()
        return watch

    async def follow(self) -> None:
        """Follow the others whenever something has changed, forever."""
        while True:
            await self._has_received.wait()
            await self._follow_now()

    async def tell(self) -> None:
        """Tell the others whenever something has changed here, forever."""
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            try:
                await self._send_all()
            except NatsError:
                await asyncio.sleep(_RETRY)
                self._has_unsent.set()

    async def _send_all(self) -> None:
        for rule, on in list(self._unsent.items()):
            key = role_of(self._cluster, rule)
            revision = await self._bucket.put(key, pack(_Switch(rule=rule, on=on)), None)
            if self._unsent.get(rule) is on:
                del self._unsent[rule]
            self._note_sent(rule, revision)

    def _note_sent(self, rule: str, revision: int) -> None:
        """Forget what others have stored before, but follow what they have stored since."""
        received = self._received.get(rule)
        if received is not None and received.revision <= revision:
            del self._received[rule]
        elif received is not None:
            self._has_received.set()

    async def _follow_now(self) -> None:
        self._has_received.clear()
        later = {rule: each.on for rule, each in self._received.items() if rule not in self._unsent}
        for rule in later:
            del self._received[rule]
        if not later:
            return
        try:
            await self.on_change(later)
        except Exception as error:
            emit(self._log, ComponentFailed(component="cluster"), error=error)

    def _on_entry(self, entry: Entry) -> None:
        switch = unpack(entry, _Switch)
        if switch is not None and entry.key == role_of(self._cluster, switch.rule):
            self._received[switch.rule] = _Received(switch.on, entry.revision)
            self._has_received.set()


async def _ignore(_: object) -> None:
    """The callback before another is set."""
