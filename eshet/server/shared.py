"""A router that shares its tree with the routers of other servers. No I/O.

Its tree has the nodes of all servers. A node of another server has an owner that forwards requests
to that server. A client of this server becomes the owner of a node when the other servers agree:
until then its registration is a claim, which keeps the messages that wait for the decision, and
owns the node unless another server has it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from eshet import codec, messages
from eshet.exceptions import ProtocolError, TooManyRequests
from eshet.messages import EventNotify, NotifyKnown, NotifyUnknown
from eshet.protocol.framing import MAX_PAYLOAD, frame_without_id
from eshet.protocol.payload import only_path
from eshet.server.departed import Departed, Event, WaitingRequest
from eshet.server.limits import Limits
from eshet.server.peer import Asked, Lease, Owner, Peer, TookLong
from eshet.server.router import Handler, Router
from eshet.server.succession import Succession
from eshet.server.tree import NodeKind, TreeError, TreeNode

__all__ = ["Claim", "RemoteOwner", "SharedRouter", "Uplink"]

_NO_OWNER: Final = codec.pack("no_owner")
_HEAD: Final = 3  # the code and the id of a message
_META: Final = b"/meta/"
_READING_TREE: Final = frozenset({b"/meta/ls", b"/meta/tree"})


class Claim:
    """A registration that waits for the decision of the other servers.

    Args:
        peer: the client.
        request_id: of its request.
        path: of the node.
        kind: of the node.
    """

    __slots__ = ("asked", "deferred", "kind", "path", "peer", "request_id")

    def __init__(self, peer: Peer, request_id: int, path: bytes, kind: NodeKind) -> None:
        self.peer: Final = peer
        self.request_id: Final = request_id
        self.path: Final = path
        self.kind: Final = kind
        self.asked: Final[list[WaitingRequest]] = []
        """Requests to the owner."""
        self.deferred: Final[list[tuple[Handler, int, bytes]]] = []
        """Later messages of the client about the node."""

    @property
    def client_id(self) -> bytes:
        """See `eshet.server.peer.Owner`."""
        return self.peer.client_id

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `eshet.server.peer.Owner`."""
        self.asked.append(WaitingRequest(asked, code, rest))


class RemoteOwner:
    """An owner of nodes at another server.

    Args:
        client_id: its id, packed.
        forward: sends a request to its server; called with the arguments of `ask`.
    """

    __slots__ = ("ask", "client_id")

    def __init__(self, client_id: bytes, forward: Callable[[Asked, int, bytes], None]) -> None:
        self.client_id: Final = client_id
        self.ask: Final = forward


class Uplink(Protocol):
    """The other servers, as the router sees them."""

    def claim(self, claim: Claim) -> None:
        """Ask the others to agree to a registration, and pass the answer to `decide`."""
        ...

    def change(self, node: TreeNode, asked: Asked) -> None:
        """Publish the value of a state of a client of this server, then answer its request."""
        ...

    def synchronise(self, then: Callable[[], None]) -> None:
        """Call back when the tree has all that the others have changed before this call."""
        ...

    def release(self, path: bytes) -> None:
        """Give up a node, or a claim, of a client of this server."""
        ...

    def emit(self, peer: Peer, path: bytes, event: Event) -> None:
        """Emit an event at the other servers."""
        ...

    def emit_elsewhere(self, asked: Asked, path: bytes, event: Event) -> None:
        """Emit an event that only other servers may know, and answer the client."""
        ...

    def listening(self, peer: Peer, path: bytes) -> None:
        """Hold the events for a client that follows another one; see `Succession.hold`."""
        ...

    def is_newest(self, lease: Lease) -> bool:
        """Whether this is the newest lease of its role, as far as is known."""
        ...

    def joined(self, peer: Peer) -> None:
        """Note a new client; one of another server with the same id is to be disconnected."""
        ...

    def departed(self, owner: Departed) -> None:
        """Call `SharedRouter.forget` with it after a while."""
        ...


class SharedRouter(Router):
    """Carries messages between the clients of this server and those of others.

    Args:
        now: see `Router`.
        limits: see `Router`.
    """

    uplink: Uplink
    """The other servers; set before the first client connects, and again after a time without."""

    def __init__(self, now: Callable[[], float], limits: Limits) -> None:
        super().__init__(now, limits)
        self._passing_errors_back = super()._pass_back(messages.ReplyError.code)
        self._nodes = limits.nodes
        self.relay: Peer | None = None
        """The other servers, as a client of this router: they ask only for its own nodes."""
        self._claims: defaultdict[Peer, dict[bytes, Claim]] = defaultdict(dict)
        self.succession: Final = Succession(self.tree)
        """The events for clients that follow one another in a role."""

    def _table(self) -> dict[type[messages.WithId], Handler]:
        table = super()._table()
        for message in (
            messages.ActionCall,
            messages.Get,
            messages.Set,
            messages.StateObserve,
            messages.StateObserveT,
        ):
            reads = message not in (messages.ActionCall, messages.Set)
            table[message] = self._current(table[message], reads_state=reads)
        return table

    # --- clients of this server ---------------------------------------------------------------

    def join(self, peer: Peer) -> None:
        """See `Router.join`."""
        super().join(peer)
        self.uplink.joined(peer)

    def leave(self, peer: Peer) -> None:
        """See `Router.leave`."""
        if self.peers.get(peer.client_id) is not peer:
            return
        for claim in self._claims.pop(peer, {}).values():
            self._drop(claim)
            self.uplink.release(claim.path)
        nodes = self.tree.nodes_of(peer)
        departed = self.succession.leave(peer)
        if peer.lease is not None and (nodes or departed is not None):
            departed = departed or Departed(peer.client_id, peer.lease)
            for node in nodes:
                self.tree.pass_on(node, departed)
            self.uplink.departed(departed)
            nodes = []
        super().leave(peer)
        for node in nodes:
            self.uplink.release(node.path)

    def set_aside(self, role: str) -> None:
        """Let events for the clients in a role wait for those that follow; see `Lease`."""
        for peer in self.peers.values():
            if peer.lease is not None and peer.lease.role == role:
                self.succession.set_aside(peer)

    def awaits_answers(self, role: str) -> bool:
        """Whether clients in a role have not answered all requests."""
        peers = self.peers.values()
        return any(peer.asked for peer in peers if peer.lease and peer.lease.role == role)

    def end_holding(self, lease: Lease) -> None:
        """Send the clients with a lease their waiting events, as they can handle events now."""
        self._to_flush |= dict.fromkeys(self.succession.end_holding(lease))

    def forget(self, departed: Departed) -> None:
        """Drop the nodes and requests of a departed client, except those taken by others."""
        for node in self.tree.nodes_of(departed):
            self.remove(node)
            self.uplink.release(node.path)
        self.succession.forget(departed)
        for (asker, request_id), _, _ in departed.take_requests():
            asker.fail(request_id, _NO_OWNER)
            self._to_flush[asker] = None

    def flush_later(self, peer: Peer) -> None:
        """Send a client its waiting messages when `flush` is called."""
        self._to_flush[peer] = None

    def cut_off(self, peer: Peer, reason: str) -> None:
        """Drop a client and all that it owns, and end its connection."""
        self.leave(peer)
        peer.line.close(reason)

    def withdraw(self, peer: Peer, path: bytes) -> None:
        """See `Router.withdraw`."""
        node = self.tree.find(path)
        claim = self._claim_of(peer, path)
        if claim is not None:
            del self._claims[peer][path]
            self._drop(claim)
            peer.fail(claim.request_id, codec.pack("unregistered"))
            self.uplink.release(path)
            if peer not in node.listeners:
                return
        is_owner = node.owner is peer
        departed = self.succession.stop_listening(peer, path)
        super().withdraw(peer, path)
        if is_owner:
            self.uplink.release(path)
        if departed is not None:
            self.uplink.departed(departed)

    def handle(self, peer: Peer, payloads: Iterable[bytes]) -> bool:
        """See `Router.handle`. If the lease of the client has ended, it is cut off instead."""
        lease = peer.lease
        if lease is not None and not (lease.is_valid and self.uplink.is_newest(lease)):
            self.cut_off(peer, f"its lease of {lease.role} (token {lease.token}) has ended")
            for _ in payloads:  # they are dropped: a caller with more would call again, forever
                pass
            return True
        return super().handle(peer, payloads)

    # --- claims -------------------------------------------------------------------------------

    def _register(self, kind: NodeKind) -> Handler:
        def register(peer: Peer, request_id: int, rest: bytes) -> None:
            path = self._new_path(peer, rest)
            claims = self._claims[peer]
            if self.tree.owned_by(peer) + self.tree.listened_by(peer) + len(claims) >= self._nodes:
                raise TreeError("too_many_nodes")
            claim = Claim(peer, request_id, path, kind)
            node = self.tree.node_at(path)
            # Whether a node passes from another owner to this client is decided later.
            owner = None if node is None or node.kind is not kind else node.owner
            if not isinstance(owner, RemoteOwner | Departed):
                self.tree.register(path, kind, claim, self.now())
            elif path in claims:
                raise TreeError("path_already_exists")
            claims[path] = claim
            self.uplink.claim(claim)

        return register

    def decide(self, claim: Claim, error: str | None = None, *, keeps_value: bool = False) -> bool:
        """Carry out the decision about a claim, and then the messages that have waited for it.

        Args:
            claim: the claim.
            error: why the client can't have the node, as the error value of the protocol.
            keeps_value: whether the state keeps the value that it has from its last owner.

        Returns:
            Whether the client owns the node now; false as well if it has left meanwhile.
        """
        peer = claim.peer
        if self._claims.get(peer, {}).get(claim.path) is not claim:
            return False
        del self._claims[peer][claim.path]
        if error is None:
            self._fulfil(claim, keeps_value=keeps_value)
            peer.reply(claim.request_id)
            self._forward(claim.asked, peer)
        else:
            self._drop(claim)
            peer.fail(claim.request_id, codec.pack(error))
        for handler, request_id, rest in claim.deferred:
            self._carry_out(handler, peer, request_id, rest)
        self._to_flush[peer] = None
        return error is None

    def _fulfil(self, claim: Claim, *, keeps_value: bool) -> None:
        """Make the client the owner of the node."""
        node = self.tree.node_at(claim.path)
        if node is None or node.owner is None:
            self.tree.register(claim.path, claim.kind, claim.peer, self.now())
            return
        if not keeps_value and isinstance(node.owner, RemoteOwner | Departed):
            self.update(node, None, self.now())
        if isinstance(node.owner, Departed):
            claim.asked[:0] = node.owner.take_requests(claim.path)
        self.tree.pass_on(node, claim.peer)

    def _forward(self, requests: Iterable[WaitingRequest], owner: Owner) -> None:
        """Forward requests that have waited to the owner."""
        for asked, code, rest in requests:
            try:
                owner.ask(asked, code, rest)
            except TooManyRequests:
                error = "too_many_requests"
            except TreeError as refused:
                error = refused.code
            else:
                continue
            asked[0].fail(asked[1], codec.pack(error))
            self._to_flush[asked[0]] = None

    def _drop(self, claim: Claim) -> None:
        """Undo a claim in the tree, and answer the requests that have waited."""
        node = self.tree.node_at(claim.path)
        if node is not None and node.owner is claim:
            self.tree.disown(node)
        for (asker, request_id), _, _ in claim.asked:
            asker.fail(request_id, _NO_OWNER)
            self._to_flush[asker] = None

    def _state_changed(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        claim = self._claim_of(peer, path)
        if claim is None:
            self.check(value)
            self._change_state(peer, request_id, path, value)
        else:
            claim.deferred.append((self._state_changed, request_id, rest))

    def _state_unknown(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path = only_path(rest)
        claim = self._claim_of(peer, path)
        if claim is None:
            self._change_state(peer, request_id, path, None)
        else:
            claim.deferred.append((self._state_unknown, request_id, rest))

    def _claim_of(self, peer: Peer, path: bytes) -> Claim | None:
        claims = self._claims.get(peer)
        return claims.get(path) if claims else None

    # --- messages that not every client accepts -----------------------------------------------

    def notify(self, node: TreeNode, code: int, rest: bytes) -> None:
        """See `Router.notify`. A value that is too long for a listener is unknown to it."""
        if len(rest) < MAX_PAYLOAD:
            super().notify(node, code, rest)
            return
        whole, unknown = frame_without_id(code, rest), node.path + b"\0"
        for listener, send in node.listeners.items():
            if len(rest) < listener.max_payload:
                send(whole)
            elif code == NotifyKnown.code:
                send(frame_without_id(NotifyUnknown.code, unknown))
        self._notified[node] = None

    def _ask(self, peer: Peer, request_id: int, node: TreeNode, code: int, rest: bytes) -> None:
        owner = node.owner
        if isinstance(owner, Peer) and len(rest) + _HEAD > owner.max_payload:
            raise TreeError("value_too_long")
        waiting: Departed | Claim | None = self.succession.departed(owner)
        if peer is self.relay and isinstance(owner, RemoteOwner):
            waiting = waiting or self._claim_at(node.path)  # others know of its success already
        if waiting is None:
            super()._ask(peer, request_id, node, code, rest)
        else:
            waiting.ask((peer, request_id), code, rest)

    def _claim_at(self, path: bytes) -> Claim | None:
        """Return the claim of a path that waits for the decision."""
        return next((each[path] for each in self._claims.values() if path in each), None)

    def _pass_back(self, code: int) -> Handler:
        pass_back = super()._pass_back(code)

        def checked(peer: Peer, request_id: int, value: bytes) -> None:
            asked = peer.asked.get(request_id)
            if asked is not None and len(value) + _HEAD > asked[0].max_payload:
                value = codec.pack("reply_too_long")
                self._passing_errors_back(peer, request_id, value)
            else:
                pass_back(peer, request_id, value)

        return checked

    # --- to other servers ---------------------------------------------------------------------

    def _change_state(self, peer: Peer, request_id: int, path: bytes, value: bytes | None) -> None:
        """Change a state here at once; the reply comes when the others have the value, too."""
        node = self._own_state(peer, path)
        self._change(node, value)
        self.uplink.change(node, (peer, request_id))
        # An owner that observes its own state receives the reply first; see `changed`.
        if (send := node.listeners.get(peer)) is not None:
            node.listeners[peer] = _ignore
        self._notify_of_change(node, value)
        if send is not None:
            node.listeners[peer] = send

    def changed(self, asked: Asked, node: TreeNode, value: bytes | None) -> None:
        """Answer an owner's change of a state, which the others have now, too."""
        peer, request_id = asked
        if self.peers.get(peer.client_id) is not peer:
            return
        peer.reply(request_id)
        if (send := node.listeners.get(peer)) is not None:
            others, node.listeners = node.listeners, {peer: send}
            self._notify_of_change(node, value)
            node.listeners = others
        self._to_flush[peer] = None

    def _notify_of_change(self, node: TreeNode, value: bytes | None) -> None:
        if value is None:
            self.notify(node, NotifyUnknown.code, node.path + b"\0")
        else:
            self.notify(node, NotifyKnown.code, node.path + b"\0" + value)

    def _current(self, handler: Handler, *, reads_state: bool) -> Handler:
        """Return a handler that first lets the tree catch up with changes by other servers.

        Args:
            handler: handles a message about a node.
            reads_state: whether it uses the value of a state of another server.
        """

        def handle(peer: Peer, request_id: int, rest: bytes) -> None:
            path = rest.partition(b"\0")[0]
            node = self.tree.node_at(path)
            owner = None if node is None else node.owner
            is_old = (
                (owner is None and self.tree.may_be(path))
                or (reads_state and isinstance(owner, RemoteOwner))
                or path in _READING_TREE
            )
            if is_old and peer is not self.relay:
                self.uplink.synchronise(lambda: self._carry_out(handler, peer, request_id, rest))
            else:
                handler(peer, request_id, rest)

        return handle

    def _carry_out(self, handler: Handler, peer: Peer, request_id: int, rest: bytes) -> None:
        """Handle a message in a later turn."""
        if self.peers.get(peer.client_id) is not peer:
            return
        try:
            handler(peer, request_id, rest)
        except TreeError as error:
            peer.fail(request_id, codec.pack(error.code))
        except ProtocolError as error:
            self.cut_off(peer, f"the peer broke the protocol: it sent {error}")
        except TookLong:
            pass
        self._to_flush[peer] = None

    def answer(self, asked: Asked, code: int, value: bytes) -> None:
        """Answer a request of a client, unless it has left, or of another server."""
        peer, request_id = asked
        if peer is self.relay or self.peers.get(peer.client_id) is peer:
            peer.answer(code, request_id, value)
            self._to_flush[peer] = None

    # --- events -------------------------------------------------------------------------------

    def _event_listen(self, peer: Peer, request_id: int, rest: bytes) -> None:
        super()._event_listen(peer, request_id, rest)
        path = only_path(rest)
        if peer.lease is not None and not path.startswith(_META):  # each server has its own
            self.uplink.listening(peer, path)

    def _event_emit(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        event = self.succession.new_event(value)
        self.succession.begin(event)
        try:
            super()._event_emit(peer, request_id, rest)
        except TreeError as error:
            if error.code != "path_not_found":
                raise
            if not self.succession.is_missed(path):
                self.uplink.emit_elsewhere((peer, request_id), path, event)
                return
            peer.reply(request_id)
        self.succession.note_missed(path, event)
        self.uplink.emit(peer, path, event)

    def emitted(self, path: bytes, event: Event) -> None:
        """Notify the listeners of an event that another server has emitted.

        Raises:
            ProtocolError: its payload is not a value.
        """
        self.check(event.value)
        self.succession.note_missed(path, event)
        self.succession.begin(event)
        node = self.tree.node_at(path)
        if node is not None and node.kind is NodeKind.EVENT:
            self.notify(node, EventNotify.code, path + b"\0" + event.value)

    def knows_event(self, path: bytes) -> bool:
        """Whether a client here has registered an event, listens to it, or is going to."""
        return self.tree.node_at(path) is not None or self.succession.is_missed(path)

    # --- from other servers -------------------------------------------------------------------

    def check(self, value: bytes) -> None:
        """Check a value of another server: a client would end its connection if it were none.

        Raises:
            ProtocolError: it is not exactly one value.
        """
        if value not in self._checked:
            self._checked.check(value)

    def add(
        self, path: bytes, kind: NodeKind, owner: Owner, value: bytes | None, since: float
    ) -> None:
        """Add a node of another server, or give it to another owner, and notify its observers.

        Args:
            path: its path.
            kind: its kind.
            owner: its owner, which forwards requests to the other server.
            value: of a state; None if it is unknown.
            since: when the state last changed.

        Raises:
            TreeError: the path can't be added, given the other nodes; see `Tree.register`.
        """
        node = self.tree.node_at(path)
        if node is not None and node.kind is kind and node.owner is not None:
            before = node.owner
            self.tree.pass_on(node, owner)
            if isinstance(before, Departed):
                self._forward(before.take_requests(path), owner)
        else:
            node = self.tree.register(path, kind, owner, self.now())
        self.update(node, value, since)

    def update(
        self, node: TreeNode, value: bytes | None, since: float, *, is_change: bool = False
    ) -> None:
        """Set the value of a state of another server, and notify its observers.

        Args:
            node: the state.
            value: its value; None if it is unknown.
            since: when it last changed.
            is_change: whether to notify observers even if it had this value before.
        """
        before, node.value, node.since = node.value, value, since
        if is_change or value != before:
            self._notify_of_change(node, value)

    def remove(self, node: TreeNode) -> None:
        """Remove a node of another server; its state is unknown then."""
        if self.tree.disown(node):
            self.notify(node, NotifyUnknown.code, node.path + b"\0")

    def remove_all(self, owner: Owner) -> None:
        """Remove all nodes of another server's owner."""
        for node in self.tree.nodes_of(owner):
            self.remove(node)


def _ignore(_: bytes) -> None:
    """Replaces the sending to a listener that is notified later."""
