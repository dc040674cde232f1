"""Carries out the messages of clients on the tree, and notifies other clients.

The router works on raw payloads. Most of its output is a new head (a code, and an id if there is
one) before the rest of the received message: a call is forwarded to the owner with its path and
arguments, a change to the observers with its path and value. So values are checked, but never
unpacked; see `eshet.messages` for the fields of each message.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from eshet import codec, messages
from eshet.exceptions import ProtocolError, TooManyRequests
from eshet.paths import MAX_DEPTH, MAX_LENGTH
from eshet.protocol.framing import forward, frame_without_id
from eshet.protocol.payload import only_path
from eshet.server.limits import Limits
from eshet.server.memory import shrunk
from eshet.server.peer import Peer, TookLong
from eshet.server.tree import NodeKind, Tree, TreeError, TreeNode
from eshet.text import safe_repr

__all__ = ["Router", "reason_of_replacement"]

_MAX_AGE_MS: Final = 0xFFFF_FFFF
_MAX_ID_SHOWN: Final = 60  # characters
_ID_BITS: Final = 53  # a number that every language has
_ID: Final = 3  # the length of code and id

Handler = Callable[[Peer, int, bytes], None]
"""Processes a message: called with the sender, the id, and the rest of the message.

If that is a path and a value, a message without the zero byte between them has an empty value,
which the check of the value rejects.
"""


class Router:
    """Carries messages between clients, through the tree.

    The sender of a message receives its reply before any notification that the message causes.

    Args:
        now: returns the time, in seconds.
        limits: of the server.
    """

    def __init__(self, now: Callable[[], float], limits: Limits) -> None:
        # The server's own paths are allowed, whatever the limits for clients are.
        length, depth = max(limits.path_length, MAX_LENGTH), max(limits.path_depth, MAX_DEPTH)
        self.tree: Final = Tree(length, depth)
        self.peers: dict[bytes, Peer] = {}
        self.now: Final = now
        self._limits = limits
        self._checked = codec.Checked(limits.nesting)
        # Dictionaries, as sets have no order: clients are served in the order of their requests.
        self._to_flush: dict[Peer, None] = {}
        self._notified: dict[TreeNode, None] = {}
        self._handlers: Final[list[Handler]] = [_not_from_a_client] * 256
        for kind, handler in self._table().items():
            self._handlers[kind.code] = handler

    def _table(self) -> dict[type[messages.WithId], Handler]:
        return {
            messages.Ping: self._ping,
            messages.Reply: self._pass_back(messages.Reply.code),
            messages.ReplyError: self._pass_back(messages.ReplyError.code),
            messages.ActionRegister: self._register(NodeKind.ACTION),
            messages.PropRegister: self._register(NodeKind.PROP),
            messages.EventRegister: self._register(NodeKind.EVENT),
            messages.StateRegister: self._register(NodeKind.STATE),
            messages.ActionCall: self._action_call,
            messages.Get: self._get,
            messages.Set: self._set,
            messages.EventListen: self._event_listen,
            messages.EventEmit: self._event_emit,
            messages.StateChanged: self._state_changed,
            messages.StateUnknown: self._state_unknown,
            messages.StateObserve: self._state_observe,
            messages.StateObserveT: self._state_observe_t,
        }

    # --- clients ------------------------------------------------------------------------------

    def allocate_id(self) -> bytes:
        """Return an unused client id, packed.

        It is random, so that it is unlikely to be allocated again after a restart of the server: a
        client that reconnects with its old id would then replace another one that has it.
        """
        while True:
            client_id = codec.pack(secrets.randbits(_ID_BITS))
            if client_id not in self.peers:
                return client_id

    def join(self, peer: Peer) -> None:
        """Add a client. An older client with the same id is removed first, with its nodes."""
        older = self.peers.get(peer.client_id)
        if older is not None:
            self.leave(older)
            older.line.close(reason_of_replacement(older, peer.line.peername))
        self.peers[peer.client_id] = peer

    def leave(self, peer: Peer) -> None:
        """Drop a client's nodes, subscriptions and pending requests. A second call does nothing."""
        if self.peers.get(peer.client_id) is not peer:
            return
        del self.peers[peer.client_id]
        self.peers = shrunk(self.peers)
        self.tree.unlisten_all(peer)
        for node, was_known in self.tree.release(peer):
            if was_known:
                self.notify(node, messages.NotifyUnknown.code, node.path + b"\0")
        for asker, request_id in peer.asked.close_all():
            asker.fail(request_id, codec.pack("client_exited"))
            self._to_flush[asker] = None

    def withdraw(self, peer: Peer, path: bytes) -> None:
        """Undo a client's registration, listening and observation of a node.

        Raises:
            TreeError: the errors of `Tree.find`, and `not_owner` if there is none of these.
        """
        node = self.tree.find(path)
        owns, listens = node.owner is peer, peer in node.listeners
        if not owns and not listens:
            raise TreeError("not_owner")
        if listens:
            self.tree.unlisten(peer, node)
            self._to_flush[peer] = None
        if owns and self.tree.disown(node):
            self.notify(node, messages.NotifyUnknown.code, path + b"\0")

    def handle(self, peer: Peer, payloads: Iterable[bytes]) -> bool:
        """Carry out a client's messages, one after another, and answer each.

        This returns early, leaving the rest in the iterator, after a message that took long: the
        caller lets others have their turn before it continues.

        Raises:
            ProtocolError: a message is incomplete, or not allowed for a client; the messages before
                it were handled.

        Returns:
            Whether all messages of the iterator were handled.
        """
        handlers = self._handlers
        for payload in payloads:
            try:
                handlers[payload[0]](peer, payload[1] << 8 | payload[2], payload[_ID:])
            except TreeError as error:
                peer.fail(payload[1] << 8 | payload[2], codec.pack(error.code))
            except TookLong:
                return False
            except IndexError:
                raise ProtocolError("a message that is cut short") from None
        return True

    def flush(self) -> float:
        """Send the output of the messages that were handled since the last call.

        Returns:
            The worst congestion of the receivers.
        """
        to_flush, self._to_flush = self._to_flush, {}
        for node in self._notified:
            to_flush.update(dict.fromkeys(node.listeners))
        self._notified.clear()
        for peer in to_flush:
            peer.line.flush()
        return max((peer.line.congestion for peer in to_flush), default=0.0)

    @property
    def has_to_flush(self) -> bool:
        """Whether there is output for clients other than the sender of a message."""
        return bool(self._to_flush or self._notified)

    def _ping(self, peer: Peer, request_id: int, rest: bytes) -> None:
        if rest:
            raise ProtocolError(f"a ping with {len(rest)} bytes too many")
        peer.reply(request_id)

    # --- owners -------------------------------------------------------------------------------

    def _register(self, kind: NodeKind) -> Handler:
        def register(peer: Peer, request_id: int, rest: bytes) -> None:
            self.tree.register(self._new_path(peer, rest), kind, peer, self.now())
            peer.reply(request_id)

        return register

    def _listen(self, peer: Peer, rest: bytes, kind: NodeKind) -> TreeNode:
        return self.tree.listen(self._new_path(peer, rest), kind, peer, self.now())

    def _new_path(self, peer: Peer, rest: bytes) -> bytes:
        """Return the path of a registration, after checking the limits of the client."""
        path = only_path(rest)
        peer.registrations += 1
        limits = self._limits
        if len(path) > limits.path_length or path.count(b"/") > limits.path_depth:
            raise TreeError("invalid_path")
        if self.tree.owned_by(peer) + self.tree.listened_by(peer) >= self._limits.nodes:
            raise TreeError("too_many_nodes")
        return path

    def _ask(self, peer: Peer, request_id: int, node: TreeNode, code: int, rest: bytes) -> None:
        """Forward a request to the owner of a node."""
        owner = node.owner
        if owner is None:
            raise TreeError("no_owner")
        try:
            owner.ask((peer, request_id), code, rest)
        except TooManyRequests:
            raise TreeError("too_many_requests") from None
        if isinstance(owner, Peer):
            self._to_flush[owner] = None

    def _pass_back(self, code: int) -> Handler:
        """Return the handler that forwards an owner's answer to the asking client."""

        def pass_back(peer: Peer, request_id: int, value: bytes) -> None:
            if value not in self._checked:
                self._checked.check(value)
            asker, original_id = peer.asked.close(request_id)
            asker.out.append(forward(code, original_id, value))
            self._to_flush[asker] = None

        return pass_back

    # --- actions, properties, the value of states ---------------------------------------------

    def _action_call(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        if value not in self._checked:
            self._checked.check(value)
        node = self.tree.find(path)
        if node.kind is not NodeKind.ACTION:
            raise TreeError("path_is_wrong_type")
        self._ask(peer, request_id, node, messages.ActionCall.code, rest)

    def _get(self, peer: Peer, request_id: int, rest: bytes) -> None:
        node = self.tree.find(only_path(rest))
        if node.kind not in _WITH_VALUE:
            raise TreeError("path_is_wrong_type")
        if node.kind is NodeKind.PROP:
            self._ask(peer, request_id, node, messages.PropGet.code, rest)
        elif node.value is None:
            raise TreeError("state_unknown")
        else:
            peer.reply(request_id, node.value)

    def _set(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        if value not in self._checked:
            self._checked.check(value)
        node = self.tree.find(path)
        if node.kind not in _WITH_VALUE:
            raise TreeError("path_is_wrong_type")
        make = messages.PropSet if node.kind is NodeKind.PROP else messages.StateSet
        self._ask(peer, request_id, node, make.code, rest)

    # --- events -------------------------------------------------------------------------------

    def _event_listen(self, peer: Peer, request_id: int, rest: bytes) -> None:
        self._listen(peer, rest, NodeKind.EVENT)
        peer.reply(request_id)

    def _event_emit(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        if value not in self._checked:
            self._checked.check(value)
        node = self.tree.find(path)
        if node.kind is not NodeKind.EVENT:
            raise TreeError("path_is_wrong_type")
        peer.reply(request_id)
        self.notify(node, messages.EventNotify.code, rest)

    # --- states -------------------------------------------------------------------------------

    def _state_changed(self, peer: Peer, request_id: int, rest: bytes) -> None:
        path, _, value = rest.partition(b"\0")
        if value not in self._checked:
            self._checked.check(value)
        node = self._own_state(peer, path)
        self._change(node, value)
        peer.reply(request_id)
        self.notify(node, messages.NotifyKnown.code, rest)

    def _state_unknown(self, peer: Peer, request_id: int, rest: bytes) -> None:
        node = self._own_state(peer, only_path(rest))
        self._change(node, None)
        peer.reply(request_id)
        self.notify(node, messages.NotifyUnknown.code, rest)

    def _state_observe(self, peer: Peer, request_id: int, rest: bytes) -> None:
        node = self._listen(peer, rest, NodeKind.STATE)
        if node.value is None:
            peer.answer(messages.ReplyUnknown.code, request_id, b"")
        else:
            peer.answer(messages.ReplyKnown.code, request_id, node.value)

    def _state_observe_t(self, peer: Peer, request_id: int, rest: bytes) -> None:
        node = self._listen(peer, rest, NodeKind.STATE)
        age = min(round((self.now() - node.since) * 1000), _MAX_AGE_MS).to_bytes(4, "big")
        if node.value is None:
            peer.answer(messages.ReplyUnknownT.code, request_id, age)
        else:
            peer.answer(messages.ReplyKnownT.code, request_id, age + node.value)

    def _own_state(self, peer: Peer, path: bytes) -> TreeNode:
        """Return the state at a path, after checking that the client owns it."""
        try:
            node = self.tree.find(path)
        except TreeError as error:
            raise TreeError(_STATE_ERRORS.get(error.code, error.code)) from None
        if node.kind is not NodeKind.STATE:
            raise TreeError("wrong_type_of_node")
        if node.owner is not peer:
            raise TreeError("not_owner")
        return node

    def _change(self, node: TreeNode, value: bytes | None) -> None:
        node.value = value
        node.since = self.now()

    # --- notifications ------------------------------------------------------------------------

    def notify(self, node: TreeNode, code: int, rest: bytes) -> None:
        """Notify all listeners of a node with the same message."""
        if not node.listeners:
            return
        frame = frame_without_id(code, rest)
        for send in node.listeners.values():
            send(frame)
        self._notified[node] = None


_WITH_VALUE: Final = (NodeKind.PROP, NodeKind.STATE)
_STATE_ERRORS: Final = {
    "path_not_found": "no_such_node",
    "not_a_directory": "no_such_node",
    "path_is_directory": "wrong_type_of_node",
}
"""The answers of `state_changed` that differ from those of other requests."""


def _not_from_a_client(peer: Peer, request_id: int, rest: bytes) -> NoReturn:
    raise ProtocolError("a message that a client can't send now")


def reason_of_replacement(older: Peer, place: str) -> str:
    """Return why the connection of a client ends when another one says hello with its id.

    Args:
        older: the client.
        place: where the other one is.
    """
    client_id = safe_repr(codec.unpack(older.client_id), _MAX_ID_SHOWN)
    return (
        f"another client uses the same id, {client_id}: the one at {place} has replaced the one "
        f"at {older.line.peername}"
    )
