"""The servers that share a tree, each with an entry that it keeps renewing.

A server is gone when its entry was deleted, or was not renewed for `ttl` seconds by the clock of
the server that watches. To notice a killed process sooner, each server probes the next one, in the
order of the ids: NATS answers at once if nothing listens there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgpack

from eshet.nats.bucket import Bucket
from eshet.nats.connection import NatsConnection
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError, NoAnswer, RevisionConflict

__all__ = ["Member", "Members"]

_TICK: Final = 0.5
"""Seconds between two rounds: renewals, probes and checks."""

_RENEWALS: Final = 6
"""Renewals within the time to live: JetStream may take most of it to elect a leader."""

_MARGIN: Final = 2.0
"""Seconds before the end of its entry at which a server stops counting as a member for itself."""

_PROBE_TIMEOUT: Final = 1.0
"""Seconds for the answer to a probe."""

_UNHEARD: Final = 1.5
"""Seconds for which a probed server may not listen, as while it reconnects."""


class Member(NamedTuple):
    """A server that shares the tree.

    Args:
        id: its id, which is new each time that it joins.
        details: what it tells the others about itself.
    """

    id: str
    details: Mapping[str, Any]


class _Seen:
    """A member as one of the others sees it."""

    __slots__ = ("heard", "member", "revision", "silent_since")

    def __init__(self, member: Member, revision: int, heard: float) -> None:
        self.member = member
        self.revision = revision
        self.heard = heard
        self.silent_since: float | None = None


class Members:
    """The members, and the entry of this server among them.

    Args:
        connection: to NATS.
        bucket: with an entry for each member.
        server: the id of this server.
        details: what this server tells the others about itself.
        ttl: seconds without a renewal after which a member is gone.
        ask_subject: returns the subject on which a server receives requests, given its id.
        log: receives what goes wrong.
    """

    def __init__(
        self,
        connection: NatsConnection,
        bucket: Bucket,
        server: str,
        details: Mapping[str, Any],
        ttl: float,
        ask_subject: Callable[[str], str],
        log: logging.Logger,
    ) -> None:
        self.id: Final = server
        """The id of this server."""
        self.on_change: Callable[[], object] = _do_nothing
        """Called when there are other members than before."""
        self.on_new: Callable[[str], object] = _do_nothing
        """Called with the id of a new member."""
        self.on_gone: Callable[[str], object] = _do_nothing
        """Called with the id of a member that is gone."""
        self.on_renewed: Callable[[], object] = _do_nothing
        """Called when the entry of this server was renewed."""
        self._connection = connection
        self._bucket = bucket
        self._value: Final[bytes] = msgpack.packb(dict(details))
        self._ttl = ttl
        self._ask_subject = ask_subject
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._seen: dict[str, _Seen] = {}
        self._gone: set[str] = set()
        self._revision = 0
        self._renewed = -ttl  # when the last renewal was sent
        self._is_due = asyncio.Event()
        self.renewed_at: float = -ttl
        """The loop's time at which the last renewal was sent that was stored."""
        self.expires: float = self._loop.time()
        """The loop's time from which this server does not count as a member for itself."""

    @property
    def alive(self) -> dict[str, Member]:
        """The members by their ids."""
        return {each: seen.member for each, seen in self._seen.items()}

    @property
    def others(self) -> dict[str, Member]:
        """The other members by their ids."""
        return {each: seen.member for each, seen in self._seen.items() if each != self.id}

    def is_alive(self, server: str) -> bool:
        """Whether a server is a member, as far as is known here."""
        return server in self._seen

    async def is_gone(self, server: str) -> bool:
        """Whether a server is no member; asks NATS about one that is not known here.

        Raises:
            NatsError: NATS does not answer.
        """
        if server in self._seen:
            return False
        if server not in self._gone:
            entry = await self._bucket.get(server)
            if entry is not None and not entry.is_deleted:
                return False
            self._gone.add(server)
        return True

    # --- the entries --------------------------------------------------------------------------

    def on_entry(self, entry: Entry) -> None:
        """Process an entry of the bucket, in their order."""
        if entry.is_deleted:
            self._remove(entry.key)
            return
        seen = self._seen.get(entry.key)
        now = self._loop.time()
        if seen is not None:
            seen.revision, seen.heard, seen.silent_since = entry.revision, now, None
            return
        try:
            details = msgpack.unpackb(entry.value)
            member = Member(entry.key, details if isinstance(details, dict) else {})
        except ValueError:
            self._log.warning("the entry of the server %s can't be read", entry.key)
            return
        self._gone.discard(entry.key)
        self._seen[entry.key] = _Seen(member, entry.revision, now)
        self.on_new(entry.key)
        self.on_change()

    def _remove(self, server: str) -> None:
        self._gone.add(server)
        if self._seen.pop(server, None) is not None:
            self.on_gone(server)
            self.on_change()

    # --- the own entry ------------------------------------------------------------------------

    async def join(self) -> None:
        """Add the entry of this server.

        Raises:
            NatsError: NATS does not answer.
        """
        await self._renew()

    async def leave(self) -> None:
        """Delete the entry of this server, if NATS can be reached."""
        try:
            await self._bucket.delete(self.id, None)
        except NatsError as error:
            self._log.debug("the entry of this server was not deleted: %s", error)

    def renew_soon(self) -> None:
        """Renew the own entry at once, as others may have missed this server meanwhile."""
        self._is_due.set()

    async def keep(self) -> str:
        """Renew the own entry; return why this server is no member any more."""
        why = "NATS does not answer"
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._is_due.wait()
            now = self._loop.time()
            is_due = self._is_due.is_set() or now - self._renewed >= self._ttl / _RENEWALS
            self._is_due.clear()
            try:
                if is_due and now < self.expires:
                    async with asyncio.timeout_at(self.expires):
                        await self._renew()
            except RevisionConflict:
                return "another server has removed this one, as it did not answer"
            except TimeoutError:
                pass
            except NatsError as error:
                why = str(error)
            if self._loop.time() >= self.expires:
                return f"its entry could not be renewed for {self._ttl - _MARGIN:g} s: {why}"

    async def watch_others(self) -> None:
        """Remove members that do not renew their entries, or have ended without leaving."""
        while True:
            await asyncio.sleep(_TICK)
            try:
                await self._check_others()
                await self._probe()
            except NatsError as error:
                self._log.debug("the other servers were not checked: %s", error)

    async def _renew(self) -> None:
        self._renewed = sent = self._loop.time()
        try:
            self._revision = await self._bucket.put(self.id, self._value, self._revision)
        except RevisionConflict:
            # An earlier renewal may have been stored without an answer.
            entry = await self._bucket.get(self.id)
            if entry is None or entry.is_deleted:
                raise
            self._revision = entry.revision
            self._is_due.set()
            return
        self.expires = sent + self._ttl - _MARGIN
        self.renewed_at = sent
        self.on_renewed()

    async def _check_others(self) -> None:
        """Remove the members that have not renewed their entries."""
        silent = self._silent()
        if silent:
            await self._connection.flush()  # renewals may wait to be read
            for server in silent & self._silent():
                self._log.info(
                    "the server %s has not renewed its entry for %g s", server, self._ttl
                )
                self._remove(server)

    def _silent(self) -> set[str]:
        before = self._loop.time() - self._ttl
        return {each for each, seen in self._seen.items() if seen.heard < before} - {self.id}

    async def _probe(self) -> None:
        """Remove the next member if nothing listens at its subject."""
        others = sorted(self._seen.keys() - {self.id})
        if not others:
            return
        server = next((each for each in others if each > self.id), others[0])
        seen = self._seen[server]
        try:
            answer = await self._connection.request(
                self._ask_subject(server), b"", timeout=_PROBE_TIMEOUT
            )
        except NoAnswer:  # it listens; if it hangs, it does not renew its entry
            seen.silent_since = None
            return
        if not answer.is_no_responders:
            seen.silent_since = None
            return
        now = self._loop.time()
        if seen.silent_since is None:
            seen.silent_since = now
        elif now - seen.silent_since >= _UNHEARD and self._seen.get(server) is seen:
            try:
                await self._bucket.delete(server, seen.revision)
            except RevisionConflict:  # it has renewed its entry meanwhile
                seen.silent_since = None
            else:
                self._log.info("the server %s has ended without leaving the tree", server)


def _do_nothing(*_: object) -> None:
    """The callbacks before others are set."""
