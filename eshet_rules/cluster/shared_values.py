"""Values by rule in a bucket, which all runners of a cluster write and follow.

    PREFIX_NAME   CLUSTER.MODULE.RULE   the last written value of the rule

So a runner that joins later, or could not be asked, knows the same as the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError
from eshet.nats.watch import Watch
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import ComponentFailed
from eshet_rules.cluster.entries import pack, role_of, unpack

__all__ = ["SharedValue", "SharedValues"]

_RETRY: Final = 0.5
"""Seconds until something that NATS has not answered is tried again."""


class SharedValue(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a rule.

    Args:
        rule: its full name; or the name of a module, if the value is that of all its rules.
    """

    rule: str


_V = TypeVar("_V", bound=SharedValue)


class _Received(NamedTuple, Generic[_V]):
    """The last entry of a rule that is not followed yet.

    Args:
        value: its content.
        revision: of the entry.
    """

    value: _V
    revision: int


class SharedValues(Generic[_V]):
    """Tells the other runners the values that were set here, and follows theirs.

    Args:
        bucket: of the values.
        cluster: the name of the cluster.
        kind: the class of the values.
        log: receives errors.
    """

    def __init__(
        self, bucket: Bucket, cluster: str, kind: type[_V], log: FilteringBoundLogger
    ) -> None:
        self.on_change: Callable[[Mapping[str, _V]], Awaitable[object]] = _ignore
        """Called with the values that others have set, by rule."""
        self._bucket = bucket
        self._cluster = cluster
        self._kind = kind
        self._log = log
        self._received: dict[str, _Received[_V]] = {}
        self._unsent: dict[str, _V] = {}
        self._has_received = asyncio.Event()
        self._has_unsent = asyncio.Event()

    def tell_soon(self, values: Iterable[_V]) -> None:
        """Tell the others, soon, the values of some rules."""
        self._unsent.update({value.rule: value for value in values})
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
        for rule, value in list(self._unsent.items()):
            revision = await self._bucket.put(role_of(self._cluster, rule), pack(value), None)
            if self._unsent.get(rule) is value:
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
        later = {n: each.value for n, each in self._received.items() if n not in self._unsent}
        for rule in later:
            del self._received[rule]
        if not later:
            return
        try:
            await self.on_change(later)
        except Exception as error:
            emit(self._log, ComponentFailed(component="cluster"), error=error)

    def _on_entry(self, entry: Entry) -> None:
        value = unpack(entry, self._kind)
        if value is not None and entry.key == role_of(self._cluster, value.rule):
            self._received[value.rule] = _Received(value, entry.revision)
            self._has_received.set()


async def _ignore(_: object) -> None:
    """The callback before another is set."""
