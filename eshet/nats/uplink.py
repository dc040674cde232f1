"""The membership of a server: from when it joins the others until it leaves, or is cut off."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet.nats.bucket import Bucket
from eshet.nats.connection import NatsConnection
from eshet.nats.exceptions import NatsError
from eshet.nats.fence import Fence
from eshet.nats.members import Members
from eshet.nats.nodes import KEPT, Nodes
from eshet.nats.relay import Relay
from eshet.server.departed import Departed, Event
from eshet.server.held_events import HeldEvents
from eshet.server.peer import Asked, Lease, Peer
from eshet.server.shared import Claim, SharedRouter
from eshet.server.tree import TreeNode

__all__ = ["TTL", "NatsUplink"]

TTL: Final = 12.0
"""Seconds without a renewal after which a server, or the holder of a lease, is gone."""

_CATCH_UP: Final = 2.0
"""Seconds for which a request waits for the changes of others, as during an election."""

_SWEEP_EVERY: Final = 30.0
"""Seconds between two rounds of deleting the entries of servers that are gone."""

_PAUSE: Final = 0.02
"""Seconds between two looks at the nodes of clients that have left."""

_LAST_REQUESTS: Final = 0.25
"""Seconds in which requests may come of those who do not know the next owners of nodes yet."""

_HANDLED_AFTER: Final = 0.1
"""Seconds after which a client handles the events to which it has begun to listen.

A client that is being set up says when it does; this is for those that listen later."""

_OPEN_EVERY: Final = 20.0
"""Seconds between two attempts to give the buckets all replicas."""

_CHECK_EVERY: Final = 1.0
"""Seconds between two checks for requests whose answers may have been lost, and hidden nodes."""


class NatsUplink:
    """Connects the router of a server with those of the others; see `eshet.server.shared.Uplink`.

    Args:
        connection: to NATS.
        prefix: of the names of buckets and subjects.
        replicas: of each bucket.
        router: of this server.
        details: what this server tells the others about itself.
        ttl: see `TTL`.
        flush: called when there is output for clients.
        log: receives what goes wrong.
    """

    def __init__(
        self,
        connection: NatsConnection,
        prefix: str,
        replicas: int | None,
        router: SharedRouter,
        details: Mapping[str, Any],
        ttl: float,
        flush: Callable[[], object],
        log: logging.Logger,
    ) -> None:
        self._nodes_bucket = Bucket(connection, f"{prefix}_nodes", replicas=replicas)
        self._servers_bucket = Bucket(
            connection, f"{prefix}_servers", max_age=ttl, replicas=replicas
        )
        self._leases_bucket = Bucket(connection, f"{prefix}_leases", replicas=replicas)
        self._buckets = (self._nodes_bucket, self._servers_bucket, self._leases_bucket)
        self._loop = asyncio.get_running_loop()
        self.fence: Final = Fence(log)
        """The newest fencing tokens."""
        self._connection = connection
        self._router = router
        self.id: Final = secrets.token_hex(8)
        """The id of this server, which is new each time that it joins."""
        self._relay = Relay(
            connection,
            prefix,
            self.id,
            router,
            self.fence,
            flush,
            lambda: self.members.others.keys(),
            log,
        )
        self.members: Final = Members(
            connection, self._servers_bucket, self.id, details, ttl, self._relay.ask_subject, log
        )
        """The servers that share the tree."""
        self._nodes = Nodes(self._nodes_bucket, router, self.members, self._relay, flush, log)
        self.members.on_new = self._nodes.on_member
        self.members.on_gone = self._on_gone
        self.fence.on_newer = self._on_newer_token
        self.reset: Final[asyncio.Future[str]] = self._loop.create_future()
        """The reason why this server has to join again, apart from the result of `run`."""
        self._departed: list[Departed] = []
        self._catching_up: asyncio.Task[None] | None = None
        self._waiting: list[Callable[[], None]] = []
        self._watches = contextlib.AsyncExitStack()
        self._flush = flush
        self._log = log

    async def open(self, former_id: str = "") -> None:
        """Get the whole tree, and join the others.

        Args:
            former_id: the id of this server before it was cut off, whose membership ends now.

        Raises:
            NatsError: NATS, or JetStream, does not answer.
        """
        for bucket in self._buckets:
            await bucket.open()
        if former_id:  # its nodes would be taken until the entry expires
            await self._servers_bucket.delete(former_id, None)
        self._router.uplink = self
        self._router.relay = self._relay.peer
        self._relay.open()
        for bucket, on_entry in (
            (self._servers_bucket, self.members.on_entry),
            (self._leases_bucket, self.fence.on_entry),
            (self._nodes_bucket, self._nodes.on_entry),
        ):
            ready = self._loop.create_future()
            watch = bucket.watch(on_entry, _setting(ready), self._on_reset)
            self._watches.push_async_callback(watch.close)
            await ready
        await self.members.join()

    async def run(self) -> str:
        """Keep the membership; return why it has ended."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._every(_SWEEP_EVERY, self._sweep)),
                tasks.create_task(self._every(_CHECK_EVERY, self._check)),
                tasks.create_task(self._every(_OPEN_EVERY, self._open_again)),
                tasks.create_task(self.members.watch_others()),
            ]
            try:
                return await self.members.keep()
            finally:
                for task in background:
                    task.cancel()

    def cut_off(self) -> None:
        """Write nothing more, as the membership has ended."""
        self._nodes.leave()

    async def leave(self) -> None:
        """End the membership, so that the others notice at once.

        What clients with a lease have left is kept until the next holders have taken it.
        """
        end = self._loop.time() + KEPT
        nodes_of = self._router.tree.nodes_of
        # Polled, as nothing notifies of a node that another server has taken.
        taken_at: float | None = None if self._departed else -_LAST_REQUESTS
        while self._loop.time() < end and self.members.others:
            if any(each.events or nodes_of(each) for each in self._departed):
                taken_at = None
            elif taken_at is None:
                taken_at = self._loop.time()
            elif self._loop.time() - taken_at >= _LAST_REQUESTS and not self._relay.is_serving:
                break
            await asyncio.sleep(_PAUSE)
        self._nodes.leave()
        await self.members.leave()

    async def close(self) -> None:
        """Stop, and drop the nodes of all other servers."""
        self._nodes.clear()
        self._relay.end()
        if self._catching_up is not None:
            self._catching_up.cancel()
        await self._watches.aclose()

    def connection_restored(self) -> None:
        """Send what has waited for the connection, and that this server is still there."""
        self._relay.resume()
        self.members.renew_soon()

    def connection_lost(self) -> None:
        """Fail the requests whose answers may be lost."""
        self._relay.fail()

    async def _every(self, seconds: float, run: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await run()
            except NatsError as error:
                self._log.debug("%s", error)

    async def _sweep(self) -> None:
        if self.id == min(self.members.alive, default=""):
            await self._nodes.sweep()

    async def _open_again(self) -> None:
        """Give buckets the replicas for which servers were missing before."""
        if self.id == min(self.members.alive, default=""):
            for bucket in self._buckets:
                await bucket.open()

    async def _check(self) -> None:
        self._relay.check()
        self._nodes.show_hidden()

    def _on_reset(self) -> None:
        """Join again, since NATS has lost entries."""
        if not self.reset.done():
            self.reset.set_result("the buckets in NATS have lost their content")

    def _on_gone(self, server: str) -> None:
        self._nodes.on_gone(server)
        self._relay.fail(server)

    def _on_newer_token(self, role: str, token: int) -> None:
        for peer in list(self._router.peers.values()):
            lease = peer.lease
            if lease is not None and lease.role == role and lease.token < token:
                reason = f"another runner has the lease of {role} (token {token})"
                self._router.cut_off(peer, reason)

    # --- see eshet.server.shared.Uplink -------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """See `Uplink`."""
        self._nodes.claim(claim)

    def change(self, node: TreeNode, asked: Asked) -> None:
        """See `Uplink`."""
        self._nodes.change(node, asked)

    def release(self, path: bytes) -> None:
        """See `Uplink`."""
        self._nodes.release(path)

    def emit(self, peer: Peer, path: bytes, event: Event) -> None:
        """See `Uplink`."""
        self._relay.emit(peer, path, event)

    def emit_elsewhere(self, asked: Asked, path: bytes, event: Event) -> None:
        """See `Uplink`."""
        self._relay.emit_elsewhere(asked, path, event)

    def listening(self, peer: Peer, path: bytes) -> None:
        """See `Uplink`."""
        lease = peer.lease
        if lease is None:
            return
        succession = self._router.succession
        # Also if the last holder was at another server: it may not have listened to this event.
        missed = succession.take_missed(lease.role, lease.token, path)
        before = lease.predecessor
        follows = before is not None and self.members.is_alive(before)
        if not (follows or missed):
            return
        held = succession.hold(peer, path)
        if succession.is_ready(lease):
            self._loop.call_later(_HANDLED_AFTER, self._end_holding, held)
        held.add_missed(missed)
        if before is None or not follows or before == self.id:
            held.note_complete()
        else:
            self._relay.ask_missed(before, lease, path, held)

    def _end_holding(self, held: HeldEvents) -> None:
        held.note_ready()
        self._router.flush_later(held.peer)
        self._flush()

    def departed(self, owner: Departed) -> None:
        """See `Uplink`."""
        self._departed.append(owner)
        self._loop.call_later(KEPT, self._forget, owner)

    def _forget(self, owner: Departed) -> None:
        self._departed.remove(owner)
        self._router.forget(owner)
        self._flush()

    def is_newest(self, lease: Lease) -> bool:
        """See `Uplink`."""
        return not self.fence.is_stale(lease.role, lease.token)

    def joined(self, peer: Peer) -> None:
        """See `Uplink`."""
        self._relay.joined(peer)

    def synchronise(self, then: Callable[[], None]) -> None:
        """See `Uplink`. All calls in one turn of the loop share one request to NATS."""
        self._waiting.append(then)
        if self._catching_up is None:
            self._catching_up = self._loop.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # gather the calls of this turn
            waiting, self._waiting = self._waiting, []
            try:
                async with asyncio.timeout(_CATCH_UP):
                    revision = await self._nodes_bucket.last_revision()
                    await self._nodes.reached(revision)
            except (NatsError, TimeoutError) as error:
                self._log.debug("requests are handled without the newest changes: %s", error)
            for then in waiting:
                try:
                    then()
                except Exception:  # it must not hold up the requests of others
                    self._log.exception("a request could not be handled")
            self._flush()
        self._catching_up = None


def _setting(future: asyncio.Future[None]) -> Callable[[], None]:
    """Return a function that sets the result of a future, once."""

    def set_result() -> None:
        if not future.done():
            future.set_result(None)

    return set_result
