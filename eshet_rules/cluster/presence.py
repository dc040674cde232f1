"""Keeps the presence of this runner in its cluster, on which the validity of its leases depends."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import JetStreamRefused, NatsError, RevisionConflict
from eshet.nats.jetstream import ErrorCode, api
from eshet.paths import word
from eshet_rules.audit.records.cluster import RunnerNameTaken
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.entries import PresenceEntry, modules_key, pack, presence_key, unpack
from eshet_rules.cluster.probe import Probe
from eshet_rules.cluster.roster import KnownRunner, Roster

__all__ = ["MARGIN", "Presence", "end_presence", "present_clusters"]

MARGIN: Final = 2.0
"""Seconds before the end of its presence at which a runner stops acting.

Others end it no earlier than its time to live after they have received its last sign of life. The
runner counts from before it has sent that, so the clocks may differ by this much in that time."""

_RENEWALS: Final = 6
"""Number of signs of life in a time to live."""

_RETRY: Final = 0.5
"""Seconds until a sign of life that could not be given is tried again."""

_ADVICE: Final = (
    "give each of them a name of its own: `runner` below [cluster]; "
    "names that differ only in _, . and - are the same in paths"
)

_LOGGED: Final = -1
"""In place of a revision: that the name is taken was logged."""


class Presence:
    """The presence of this runner: it begins, is renewed, and ends.

    Args:
        bucket: of the runners.
        roster: knows the other runners, and an earlier presence of this one.
        entry: the sign of life, without the id of a server.
        probe: finds out whether an earlier runner of this name is gone.
        server: returns the id of the server of this runner; empty while it is cut off.
        log: receives a warning if another runner has the same name.
    """

    def __init__(
        self,
        bucket: Bucket,
        roster: Roster,
        entry: PresenceEntry,
        probe: Probe,
        server: Callable[[], str],
        log: FilteringBoundLogger,
    ) -> None:
        self.number: int = 0
        """Its number; 0 while there is none."""
        self.expires: float = 0.0
        """The loop's time at which it ends for this runner unless it is renewed."""
        self.on_end: Callable[[str], object] = lambda why: None
        """Called in the step of the loop in which it ends, with the reason; not after `leave`."""
        self.on_renewed: Callable[[float], object] = lambda sent: None
        """Called when a sign of life was stored, with the loop's time at which it was sent."""
        self._bucket = bucket
        self._roster = roster
        self._entry = entry
        self._probe = probe
        self._server = server
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._key: Final = presence_key(roster.cluster, entry.runner)
        self._revision = 0
        self._last = 0  # number of the last one
        self._is_due = asyncio.Event()
        self._problem: NatsError | None = None  # of the last sign of life
        self._timer: asyncio.TimerHandle | None = None

    @property
    def entry(self) -> PresenceEntry:
        """The last sign of life, or the next one."""
        return self._entry

    def is_valid(self, number: int) -> bool:
        """Whether this is the number of the present presence, and it has not ended."""
        return number == self.number != 0 and self._loop.time() < self.expires

    def check(self) -> None:
        """End it if its time is over. Call this first when the process may have stood still."""
        if self.number and self._loop.time() >= self.expires:
            seconds = self._entry.ttl - MARGIN
            why = "NATS does not answer" if self._problem is None else str(self._problem)
            self.end(f"no sign of life could be given for {seconds:g} s: {why}")

    def end(self, why: str) -> None:
        """End it for this runner, if there is one; see `on_end`."""
        if self.number:
            self._forget()
            self.on_end(why)

    def renew_soon(self, *, is_draining: bool | None = None) -> None:
        """Give the next sign of life at once.

        Args:
            is_draining: whether this runner is to run no modules; None to leave that unchanged.
        """
        if is_draining is not None:
            self._entry = msgspec.structs.replace(self._entry, is_draining=is_draining)
        self._is_due.set()

    async def begin(self) -> None:
        """Begin it, as soon as an earlier presence of this name has ended.

        Raises:
            NatsError: NATS does not answer.
        """
        await self._wait_for_name()
        sent = self._loop.time()
        last = await self._bucket.get(self._key)
        self._entry = self._next_entry(0)
        revision = await self._bucket.put(
            self._key, pack(self._entry), 0 if last is None else last.revision
        )
        self.number = self._last = self._revision = revision
        self._renewed(sent)

    async def keep(self) -> None:
        """Renew it until it ends; see `on_end`."""
        while self.number:
            try:
                async with asyncio.timeout(self._entry.ttl / _RENEWALS):
                    await self._is_due.wait()
            except TimeoutError:
                pass
            self._is_due.clear()
            await self._renew()
            first = self._like_named()
            if first is not None and first.number < self.number:  # both have begun at once
                self.end(f"{first.presence.runner} has the same name in paths")

    async def drain(self) -> None:
        """Tell the others that this runner is to run no modules, as it is about to leave."""
        if self.number:
            self._entry = msgspec.structs.replace(self._entry, is_draining=True)
            await self._renew()

    async def leave(self) -> None:
        """End it on purpose, so that others notice at once.

        Raises:
            NatsError: NATS does not answer; others notice it later.
        """
        revision, was_present = self._revision, bool(self.number)
        self._forget()
        if was_present:
            await self._bucket.delete(self._key, revision)
            await self._bucket.delete(modules_key(self._roster.cluster, self._entry.runner), None)

    async def _renew(self) -> None:
        sent, number = self._loop.time(), self.number
        self._entry = self._next_entry(number)
        try:
            async with asyncio.timeout_at(self.expires):
                revision = await self._bucket.put(self._key, pack(self._entry), self._revision)
        except RevisionConflict:
            await self._adopt(number)
        except (NatsError, TimeoutError) as error:
            self._problem = error if isinstance(error, NatsError) else None
            self._loop.call_later(_RETRY, self._is_due.set)
        else:
            if self.number == number:
                self._revision = revision
                self._renewed(sent)

    async def _adopt(self, number: int) -> None:
        """Continue with an entry of this presence that was stored without an answer."""
        try:
            last = await self._bucket.get(self._key)
        except NatsError:
            self._is_due.set()
            return
        entry = None if last is None else unpack(last, PresenceEntry)
        if last is not None and entry is not None and (entry.number or last.revision) == number:
            self._revision = last.revision
            self._is_due.set()
        elif self.number == number:
            self.end("another runner has noticed that it was gone, and has ended its leases")

    def _next_entry(self, number: int) -> PresenceEntry:
        server = self._server() or self._entry.server
        return msgspec.structs.replace(self._entry, number=number, server=server)

    def _renewed(self, sent: float) -> None:
        self.expires = sent + self._entry.ttl - MARGIN
        self._problem = None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self.expires, self.check)
        self.on_renewed(sent)

    def _forget(self) -> None:
        self.number = 0
        self._is_due.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait_for_name(self) -> None:
        """Wait until no other runner with this name is present, and end one that is gone."""
        name = self._entry.runner
        revision = 0
        while (known := self._roster.runners.get(name) or self._like_named()) is not None:
            if self._is_own(known) or await self._probe.is_gone(known):
                await end_presence(self._bucket, self._roster.cluster, known)
            elif not revision:
                revision = known.revision
            elif revision not in (known.revision, _LOGGED):
                emit(
                    self._log,
                    RunnerNameTaken(
                        runner=known.presence.runner,
                        host=known.presence.host,
                        advice=_ADVICE,
                    ),
                )
                revision = _LOGGED
            await asyncio.sleep(_RETRY)

    def _like_named(self) -> KnownRunner | None:
        """Return another runner whose name is the same in paths, and so for commands."""
        own = self._entry.runner
        for name, known in self._roster.runners.items():
            if name != own and word(name) == word(own):
                return known
        return None

    def _is_own(self, known: KnownRunner) -> bool:
        """Whether this is an earlier presence of this process."""
        return known.number == self._last or known.presence.server == self._server()


async def end_presence(bucket: Bucket, cluster: str, known: KnownRunner) -> bool:
    """End the presence of a runner that is gone, unless it has given a sign of life meanwhile.

    Args:
        bucket: of the runners.
        cluster: the name of the cluster.
        known: the runner.

    Returns:
        Whether this has ended it.

    Raises:
        NatsError: NATS does not answer.
    """
    try:
        await bucket.delete(presence_key(cluster, known.presence.runner), known.revision)
    except RevisionConflict:
        return False
    return True


async def present_clusters(bucket: Bucket) -> set[str]:
    """Return the names of the clusters that have runners.

    Runners that were all killed at once, so that none could note it, count as present.

    Args:
        bucket: of the runners.

    Raises:
        NatsError: NATS does not answer.
    """
    prefix = f"$KV.{bucket.name}."
    call, asked = f"STREAM.INFO.{bucket.stream}", {"subjects_filter": f"{prefix}*.*.presence"}
    try:
        info = await api(bucket.connection, call, asked, f"read {bucket.name}")
    except JetStreamRefused as error:
        if error.code != ErrorCode.STREAM_NOT_FOUND:
            raise
        return set()
    keys = [each.removeprefix(prefix) for each in info["state"].get("subjects") or {}]
    entries = await asyncio.gather(*(bucket.get(key) for key in keys))
    return {
        key.partition(".")[0]
        for key, entry in zip(keys, entries, strict=True)
        if entry is not None and unpack(entry, PresenceEntry) is not None
    }
