"""What each message of a client does to the tree, and who hears of it."""

import secrets
from collections.abc import Callable
from typing import Any, Final

from eshet import codec, messages
from eshet.exceptions import MessageTooLong, TooManyRequests
from eshet.messages import NIL, Message, Reply, ReplyError, WithId
from eshet.server.peer import Owner, Peer
from eshet.server.tree import Kind, Node, Tree, TreeError

__all__ = ["Router"]

_LONGEST_AGE_MS: Final = 0xFFFF_FFFF
_ID_BITS: Final = 53  # a number that every language has


class Router:
    """Carries messages between clients, through the tree.

    Whoever sent a message hears its reply before any notification that the message caused.

    Args:
        now: returns the time, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.tree: Final = Tree()
        self.peers: Final[dict[bytes, Peer]] = {}
        self._now = now
        self._handlers: dict[type[Message], Callable[[Peer, Any], None]] = {
            messages.ActionRegister: self._register(Kind.ACTION),
            messages.PropRegister: self._register(Kind.PROP),
            messages.EventRegister: self._register(Kind.EVENT),
            messages.StateRegister: self._register(Kind.STATE),
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
        """Return a client id that no client has, packed.

        It is not one that this server is likely to give after a restart either: a client that
        comes back with the id it was given before would throw out the one that has it then.
        """
        while True:
            client_id = codec.pack(secrets.randbits(_ID_BITS))
            if client_id not in self.peers:
                return client_id

    def join(self, peer: Peer) -> None:
        """Let a client in. One that has the same id is thrown out first, with all that it had."""
        older = self.peers.get(peer.client_id)
        if older is not None:
            self.leave(older)
            older.close("another connection said hello with the same client id")
        self.peers[peer.client_id] = peer

    def leave(self, peer: Peer) -> None:
        """Drop all that a client owned, heard and was asked. A second call does nothing."""
        if self.peers.get(peer.client_id) is not peer:
            return
        del self.peers[peer.client_id]
        self.tree.unlisten(peer)
        for node, was_known in self.tree.release(peer):
            if was_known:
                self._notify(node, messages.NotifyUnknown(node.path))
        peer.give_up(codec.pack("client_exited"))

    def handle(self, peer: Peer, message: Message) -> None:
        """Do what a client's message asks for, and answer it."""
        if isinstance(message, Reply | ReplyError):
            peer.answered(message)
            return
        try:
            self._handlers[type(message)](peer, message)
        except TreeError as error:
            if isinstance(message, WithId):
                peer.send(ReplyError(message.id, codec.pack(error.code)))

    # --- owners -------------------------------------------------------------------------------

    def _register(self, kind: Kind) -> Callable[[Peer, messages.WithPath], None]:
        def register(peer: Peer, message: messages.WithPath) -> None:
            self.tree.register(message.path, kind, peer, self._now())
            peer.send(Reply(message.id, NIL))

        return register

    def _ask(self, peer: Peer, request_id: int, owner: Owner, make: Any, *fields: Any) -> None:
        """Pass a request on to the owner of a node, and its answer back."""

        def answer(kind: type[Reply] | type[ReplyError], value: bytes) -> None:
            try:
                peer.send(kind(request_id, value))
            except MessageTooLong:
                peer.send(ReplyError(request_id, codec.pack("reply_too_long")))

        try:
            owner.ask(answer, make, *fields)
        except TooManyRequests:
            answer(ReplyError, codec.pack("too_many_requests"))

    # --- actions, properties, the value of states ---------------------------------------------

    def _action_call(self, peer: Peer, message: messages.ActionCall) -> None:
        owner = _owner(self._find(message.path, Kind.ACTION))
        self._ask(peer, message.id, owner, messages.ActionCall, message.path, message.value)

    def _get(self, peer: Peer, message: messages.Get) -> None:
        node = self._find(message.path, Kind.PROP, Kind.STATE)
        if node.kind is Kind.PROP:
            self._ask(peer, message.id, _owner(node), messages.PropGet, message.path)
        elif node.value is None:
            raise TreeError("state_unknown")
        else:
            peer.send(Reply(message.id, node.value))

    def _set(self, peer: Peer, message: messages.Set) -> None:
        node = self._find(message.path, Kind.PROP, Kind.STATE)
        make = messages.PropSet if node.kind is Kind.PROP else messages.StateSet
        self._ask(peer, message.id, _owner(node), make, message.path, message.value)

    # --- events -------------------------------------------------------------------------------

    def _event_listen(self, peer: Peer, message: messages.EventListen) -> None:
        self.tree.listen(message.path, Kind.EVENT, peer, self._now())
        peer.send(Reply(message.id, NIL))

    def _event_emit(self, peer: Peer, message: messages.EventEmit) -> None:
        node = self._find(message.path, Kind.EVENT)
        peer.send(Reply(message.id, NIL))
        self._notify(node, messages.EventNotify(message.path, message.value))

    # --- states -------------------------------------------------------------------------------

    def _state_changed(self, peer: Peer, message: messages.StateChanged) -> None:
        node = self._own_state(peer, message.path)
        self._change(node, message.value)
        peer.send(Reply(message.id, NIL))
        self._notify(node, messages.NotifyKnown(message.path, message.value))

    def _state_unknown(self, peer: Peer, message: messages.StateUnknown) -> None:
        node = self._own_state(peer, message.path)
        self._change(node, None)
        peer.send(Reply(message.id, NIL))
        self._notify(node, messages.NotifyUnknown(message.path))

    def _state_observe(self, peer: Peer, message: messages.StateObserve) -> None:
        node = self.tree.listen(message.path, Kind.STATE, peer, self._now())
        if node.value is None:
            peer.send(messages.ReplyUnknown(message.id))
        else:
            peer.send(messages.ReplyKnown(message.id, node.value))

    def _state_observe_t(self, peer: Peer, message: messages.StateObserveT) -> None:
        node = self.tree.listen(message.path, Kind.STATE, peer, self._now())
        age = min(round((self._now() - node.since) * 1000), _LONGEST_AGE_MS)
        if node.value is None:
            peer.send(messages.ReplyUnknownT(message.id, age))
        else:
            peer.send(messages.ReplyKnownT(message.id, age, node.value))

    def _own_state(self, peer: Peer, path: str) -> Node:
        """Return the state of that path, which the client owns."""
        try:
            node = self.tree.find(path)
        except TreeError as error:
            raise TreeError(_STATE_ERRORS.get(error.code, error.code)) from None
        if node.kind is not Kind.STATE:
            raise TreeError("wrong_type_of_node")
        if node.owner is not peer:
            raise TreeError("not_owner")
        return node

    def _change(self, node: Node, value: bytes | None) -> None:
        node.value = value
        node.since = self._now()

    # --- what they share ----------------------------------------------------------------------

    def _find(self, path: str, *kinds: Kind) -> Node:
        node = self.tree.find(path)
        if node.kind not in kinds:
            raise TreeError("path_is_wrong_type")
        return node

    def _notify(self, node: Node, message: Message) -> None:
        for listener in node.listeners:
            listener.send(message)


_STATE_ERRORS: Final = {
    "path_not_found": "no_such_node",
    "not_a_directory": "no_such_node",
    "path_is_directory": "wrong_type_of_node",
}
"""What `state_changed` answers where other requests answer something else."""


def _owner(node: Node) -> Owner:
    if node.owner is None:
        raise TreeError("no_owner")
    return node.owner
