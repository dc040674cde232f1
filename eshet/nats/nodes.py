"""All nodes of the shared tree: those of other servers in the router, those of this one in NATS.

Each node is an entry of a bucket, which holds its owner and, for a state, its value. Each write is
conditional on the last revision of the entry. So only one server can become the owner, and a change
of an owner that others have replaced fails.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgpack

from eshet.clock import wall_time
from eshet.exceptions import MessageTooLong, ProtocolError
from eshet.messages import ReplyError
from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError, RevisionConflict
from eshet.nats.members import Members
from eshet.nats.relay import Relay
from eshet.server.departed import Departed
from eshet.server.peer import Asked, Peer
from eshet.server.shared import Claim, RemoteOwner, SharedRouter
from eshet.server.tree import NodeKind, TreeError, TreeNode

__all__ = ["Nodes", "key_of", "path_of"]

_SAME_CLIENT: Final = 1.0
"""Seconds in which another server disconnects a client with the id of a new one."""

_PAUSE: Final = 0.05
"""Seconds between two attempts to write an entry."""

KEPT: Final = 3.0
"""Seconds for which a state keeps its value while one holder of a lease follows another."""

_MAX_WAITING: Final = 100
"""How many changes of one state may wait for NATS; beyond that, the oldest are dropped."""

_ABANDONED: Final = 60.0
"""Seconds after which the entries of a server that is gone are deleted."""

_SWEEP: Final = 200
"""How many entries are deleted in one round."""


class _Record(NamedTuple):
    """An entry, unpacked.

    Args:
        kind: of the node.
        server: the server of its owner.
        client: the id of its owner, packed.
        role: the role of its owner, if that has a lease.
        token: its fencing token.
        value: of a state; None if it has none yet, empty if its owner has made it unknown.
        revision: of the entry.
        written: the wall-clock time when it was written.
    """

    kind: NodeKind
    server: str
    client: bytes
    role: str | None
    token: int
    value: bytes | None
    revision: int
    written: float


class _Own:
    """A node of a client of this server, and what is to be written to its entry.

    Args:
        path: of the node.
    """

    __slots__ = ("content", "path", "revision", "waiting", "writing")

    def __init__(self, path: bytes) -> None:
        self.path: Final = path
        self.revision = 0
        """The revision of the entry, as far as is known."""
        self.content: _Content | None = None
        """The content of the entry, without the value of a state; None if it is not owned."""
        self.waiting: deque[Claim | _Change | None] = deque()
        """What is to be done, in this order; None to delete the entry."""
        self.writing: asyncio.Task[None] | None = None


class _Content(NamedTuple):
    kind: NodeKind
    client: bytes
    role: str | None
    token: int


class _Change(NamedTuple):
    """A change of a state.

    Args:
        node: the state.
        value: its value; None if it is unknown.
        asked: the request.
        before: earlier changes, which are not written.
    """

    node: TreeNode
    value: bytes | None
    asked: Asked
    before: "tuple[_Change, ...]"


class Nodes:
    """Keeps the router's tree and the bucket of nodes in line.

    Args:
        bucket: with an entry for each node.
        router: of this server.
        members: the servers.
        relay: sends requests to other servers.
        flush: called when there is output for clients.
        log: receives what goes wrong.
    """

    def __init__(
        self,
        bucket: Bucket,
        router: SharedRouter,
        members: Members,
        relay: Relay,
        flush: Callable[[], object],
        log: logging.Logger,
    ) -> None:
        self.revision: int = 0
        """The revision up to which the tree has the changes of others."""
        self._bucket = bucket
        self._router = router
        self._members = members
        self._relay = relay
        self._flush = flush
        self._log = log
        self._records: dict[bytes, _Record] = {}
        self._of_server: defaultdict[str, dict[bytes, None]] = defaultdict(dict)
        self._owners: defaultdict[str, dict[bytes, RemoteOwner]] = defaultdict(dict)
        self._own: dict[bytes, _Own] = {}
        self._hidden: dict[bytes, None] = {}
        self._gone_since: dict[str, float] = {}
        self._reached: list[tuple[int, asyncio.Future[None]]] = []
        self._awaited: dict[bytes, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    # --- nodes of other servers ---------------------------------------------------------------

    def on_entry(self, entry: Entry) -> None:
        """Process an entry of the bucket, in their order."""
        self._reach(entry.revision)
        try:
            path = path_of(entry.key)
            record = None if entry.is_deleted else _unpack(entry)
            if record is not None and record.value:
                self._router.check(record.value)
        except (ValueError, ProtocolError) as error:
            self._log.warning("the entry %s can't be read: %s", entry.key, error)
            return
        own = self._own.get(path)
        is_newer = own is not None and own.content is not None and entry.revision > own.revision
        if own is not None and is_newer and (record is None or record.server != self._members.id):
            self._lose(own, entry.revision)
        self._forget(path)
        if (awaited := self._awaited.pop(path, None)) is not None:
            awaited.set_result(None)
        if record is None or record.server == self._members.id:
            if own is None or not own.waiting:  # else a claim has succeeded, and its answer follows
                self._vanish(path)
        else:
            self._records[path] = record
            self._of_server[record.server][path] = None
            if self._members.is_alive(record.server):
                self._show(path, record)
            else:
                self._vanish(path)
        self._flush()

    async def reached(self, revision: int) -> None:
        """Wait until the tree has the changes of others up to a revision."""
        if self.revision < revision:
            reached = self._loop.create_future()
            self._reached.append((revision, reached))
            await reached

    def _reach(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        for entry in self._reached.copy():
            if self.revision >= entry[0]:
                self._reached.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(None)

    def on_member(self, server: str) -> None:
        """Show the nodes of a new member."""
        self._gone_since.pop(server, None)
        for path in list(self._of_server.get(server, ())):
            self._show(path, self._records[path])
        self._flush()

    def on_gone(self, server: str) -> None:
        """Drop the nodes of a member that is gone: their states are unknown."""
        self._gone_since[server] = self._loop.time()
        for owner in self._owners.pop(server, {}).values():
            self._router.remove_all(owner)
        self._flush()

    def clear(self) -> None:
        """Drop the nodes of all other servers, as this one is cut off."""
        self._is_closed = True
        for owners in self._owners.values():
            for owner in owners.values():
                self._router.remove_all(owner)
        self._owners.clear()
        for own in self._own.values():
            if own.writing is not None:
                own.writing.cancel()
        self._flush()

    def _show(self, path: bytes, record: _Record) -> None:
        node = self._router.tree.node_at(path)
        if node is not None and not isinstance(node.owner, RemoteOwner | Departed | None):
            return  # it is claimed here, and that claim will be decided
        since = self._loop.time() - max(0.0, wall_time() - record.written)
        owner = self._owner(record)
        try:
            if node is not None and node.owner is owner and node.kind is record.kind:
                is_change = record.value is not None
                self._router.update(node, record.value or None, since, is_change=is_change)
            else:
                self._router.add(path, record.kind, owner, record.value or None, since)
        except TreeError as error:
            if path not in self._hidden:
                self._log.error(
                    "%s of another server is hidden here: %s, as this server has other nodes there",
                    path.decode(),
                    error.code,
                )
            self._hidden[path] = None
        else:
            self._hidden.pop(path, None)

    def show_hidden(self) -> None:
        """Show the nodes that could not be shown, as other nodes were there, if those are gone."""
        for path in list(self._hidden):
            record = self._records.get(path)
            if record is None or not self._members.is_alive(record.server):
                del self._hidden[path]
            else:
                self._show(path, record)
        self._flush()

    def _vanish(self, path: bytes) -> None:
        node = self._router.tree.node_at(path)
        if node is not None and isinstance(node.owner, RemoteOwner):
            self._router.remove(node)

    def _forget(self, path: bytes) -> None:
        record = self._records.pop(path, None)
        if record is not None:
            paths = self._of_server[record.server]
            del paths[path]
            if not paths:
                del self._of_server[record.server]

    def _owner(self, record: _Record) -> RemoteOwner:
        owners = self._owners[record.server]
        owner = owners.get(record.client)
        if owner is None:
            server = record.server

            def forward(asked: Asked, code: int, rest: bytes) -> None:
                self._relay.ask(server, asked, code, rest)

            owner = owners[record.client] = RemoteOwner(record.client, forward)
        return owner

    # --- nodes of this server -----------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """See `eshet.server.shared.Uplink`."""
        self._put_off(claim.path, claim)

    def change(self, node: TreeNode, asked: Asked) -> None:
        """See `eshet.server.shared.Uplink`."""
        own = self._own.get(node.path)
        if own is None:
            return
        before: tuple[_Change, ...] = ()
        if len(own.waiting) >= _MAX_WAITING and isinstance(last := own.waiting[-1], _Change):
            own.waiting.pop()
            before = (*last.before, last._replace(before=()))
        self._put_off(node.path, _Change(node, node.value, asked, before))

    def release(self, path: bytes) -> None:
        """See `eshet.server.shared.Uplink`."""
        if not self._is_closed and path in self._own:
            self._put_off(path, None)

    def leave(self) -> None:
        """Stop writing entries: those of this server end with its membership."""
        self._is_closed = True

    def _put_off(self, path: bytes, item: "Claim | _Change | None") -> None:
        if self._is_closed:
            return
        own = self._own.get(path)
        if own is None:
            own = self._own[path] = _Own(path)
            record = self._records.get(path)
            own.revision = 0 if record is None else record.revision
        own.waiting.append(item)
        if own.writing is None:
            own.writing = self._loop.create_task(self._write_all(own))

    async def _write_all(self, own: _Own) -> None:
        """Do what is to be done for a node, in order."""
        try:
            while own.waiting:
                try:
                    await self._write(own, own.waiting[0])
                except NatsError as error:
                    # It is done later; after a long outage, all clients are disconnected.
                    self._log.debug("%s: not written yet: %s", own.path.decode(), error)
                    await asyncio.sleep(_PAUSE)
                else:
                    own.waiting.popleft()
        finally:
            own.writing = None
        if own.content is None:
            self._own.pop(own.path, None)

    async def _write(self, own: _Own, item: Claim | _Change | None) -> None:
        match item:
            case Claim():
                await self._write_claim(own, item)
            case _Change():
                await self._write_change(own, item)
            case None:
                await self._delete(own)

    async def _write_claim(self, own: _Own, claim: Claim) -> None:
        lease = claim.peer.lease
        role, token = (None, 0) if lease is None else (lease.role, lease.token)
        content = _Content(claim.kind, claim.client_id, role, token)
        record = self._records.get(own.path)
        while not self._is_owned_here(own.path) and (
            record is None or not await self._is_taken(record, content)
        ):
            node = self._router.tree.node_at(own.path)
            value = None if node is None or not _is_same_role(content, record, own) else node.value
            try:
                own.revision = await self._put(own, content, value)
            except RevisionConflict:
                record = await self._read(own)
                continue
            own.content = content
            if not self._router.decide(claim, keeps_value=value is not None):
                await self._delete(own)
            elif value is not None:
                self._loop.call_later(KEPT, self._end_kept, own, own.revision)
            self._flush()
            return
        is_same_client = record is not None and record.client == content.client
        if is_same_client and await self._is_changed(own.path):
            # Its server has disconnected the client with the same id.
            await self._write_claim(own, claim)
            return
        self._router.decide(claim, "path_already_exists")
        record = self._records.get(own.path)
        if record is not None and self._members.is_alive(record.server):
            self._show(own.path, record)
        self._flush()

    def _end_kept(self, own: _Own, revision: int) -> None:
        """Make a state unknown that has the value of its last owner, and was not changed since."""
        node = self._router.tree.node_at(own.path)
        is_unchanged = own.revision == revision and own.content is not None and not own.waiting
        if node is not None and is_unchanged and not self._is_closed:
            self._router.update(node, None, self._loop.time())
            self._put_off(own.path, _Change(node, None, (self._relay.peer, 0), ()))
            self._flush()

    async def _is_changed(self, path: bytes) -> bool:
        """Wait until the entry of a node is written again; return false after some time."""
        changed = self._awaited.setdefault(path, self._loop.create_future())
        try:
            async with asyncio.timeout(_SAME_CLIENT):
                await asyncio.shield(changed)
        except TimeoutError:
            return False
        return True

    def _is_owned_here(self, path: bytes) -> bool:
        """Whether the claim of another client of this server has succeeded meanwhile."""
        node = self._router.tree.node_at(path)
        return node is not None and isinstance(node.owner, Peer)

    async def _is_taken(self, record: _Record, content: _Content) -> bool:
        """Whether another server may not take a node."""
        if record.server == self._members.id:
            return False
        if record.role is not None and record.role == content.role:
            return record.token >= content.token and not await self._members.is_gone(record.server)
        return not await self._members.is_gone(record.server)

    async def _read(self, own: _Own) -> _Record | None:
        """Return the present entry of a node, and note its revision."""
        entry = await self._bucket.get(key_of(own.path))
        own.revision = 0 if entry is None else entry.revision
        if entry is None or entry.is_deleted:
            return None
        try:
            return _unpack(entry)
        except ValueError:
            return None

    async def _write_change(self, own: _Own, change: _Change) -> None:
        while own.content is not None:
            try:
                own.revision = await self._put(own, own.content, change.value or b"")
            except RevisionConflict:
                record = await self._read(own)
                if record is not None and record.server != self._members.id:
                    self._lose(own, record.revision)
            except MessageTooLong:
                self._refuse(change, _TOO_LONG)
                return
            else:
                for each in (*change.before, change):
                    self._router.changed(each.asked, each.node, each.value)
                self._flush()
                return
        self._refuse(change, _NOT_OWNER)

    def _refuse(self, change: _Change, error: bytes) -> None:
        for each in (*change.before, change):
            self._router.answer(each.asked, ReplyError.code, error)
        self._flush()

    async def _put(self, own: _Own, content: _Content, value: bytes | None) -> int:
        packed = msgpack.packb(
            [
                str(content.kind),
                self._members.id,
                content.client,
                content.role,
                content.token,
                value,
            ]
        )
        return await self._bucket.put(key_of(own.path), packed, own.revision)

    async def _delete(self, own: _Own) -> None:
        if own.content is None:
            return
        own.content = None
        try:
            own.revision = await self._bucket.delete(key_of(own.path), own.revision)
        except RevisionConflict:
            record = await self._read(own)
            if record is not None and record.server == self._members.id:
                own.revision = await self._bucket.delete(key_of(own.path), own.revision)

    def _lose(self, own: _Own, revision: int) -> None:
        """Cut off the client whose node another server has taken."""
        own.content, own.revision = None, revision
        node = self._router.tree.node_at(own.path)
        peer = None if node is None else node.owner
        if isinstance(peer, Peer):
            self._router.cut_off(peer, f"a client of another server has taken {own.path.decode()}")

    # --- entries of servers that are gone -----------------------------------------------------

    async def sweep(self) -> None:
        """Delete entries of servers that have been gone for a while, some at each call.

        Raises:
            NatsError: NATS does not answer.
        """
        before = self._loop.time() - _ABANDONED
        for server in self._of_server.keys() - self._members.alive.keys():
            if self._gone_since.setdefault(server, self._loop.time()) > before:
                continue
            for path in list(self._of_server.get(server, ()))[:_SWEEP]:
                record = self._records.get(path)
                if record is not None and path not in self._own:
                    try:
                        await self._bucket.delete(key_of(path), record.revision)
                    except RevisionConflict:
                        continue


def _is_same_role(content: _Content, record: _Record | None, own: _Own) -> bool:
    """Whether the last owner of a node had the same lease as the new one."""
    if content.role is None:
        return False
    return any(last is not None and last.role == content.role for last in (record, own.content))


_NOT_OWNER: Final = b"\xa9not_owner"
_TOO_LONG: Final = b"\xaevalue_too_long"


def key_of(path: bytes) -> str:
    """Return the key of a path: `/hall/light` is `hall.light`."""
    return path[1:].decode().replace("/", ".")


def path_of(key: str) -> bytes:
    """Return the path of a key."""
    return b"/" + key.replace(".", "/").encode()


def _unpack(entry: Entry) -> _Record:
    """Return what an entry says.

    Raises:
        ValueError: it is not the entry of a node.
    """
    content: Any = msgpack.unpackb(entry.value)
    match content:
        case [str(kind), str(server), bytes(client), (str() | None) as role, int(token), value] if (
            value is None or isinstance(value, bytes)
        ):
            return _Record(
                NodeKind(kind), server, client, role, token, value, entry.revision, entry.written
            )
    raise ValueError("it does not describe a node")
