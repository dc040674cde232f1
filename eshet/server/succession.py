"""Events for clients that follow one another in a role: none is lost, or received twice. No I/O.

When a client is about to leave, it is set aside: its events wait. The next one in its role holds
the events that it listens to, until it has received those that the first one has missed.
"""

import itertools
import secrets
from collections import defaultdict
from collections.abc import Iterable

from eshet.server.departed import Departed, Event
from eshet.server.held_events import HeldEvents
from eshet.server.peer import Lease, Peer
from eshet.server.tree import NodeKind, Tree

__all__ = ["Succession"]


class Succession:
    """Knows which clients were set aside, and which ones wait for what these have missed.

    Args:
        tree: of the nodes.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._aside: dict[Peer, Departed] = {}
        self._missing: defaultdict[bytes, list[Departed]] = defaultdict(list)  # by path
        self._held: defaultdict[Peer, list[HeldEvents]] = defaultdict(list)
        self._ready: dict[str, int] = {}  # the tokens of clients that handle events, by role
        self._ids = itertools.count(secrets.randbits(62))
        self._present = Event(0, b"")  # that is being passed on

    # --- events -------------------------------------------------------------------------------

    def new_event(self, value: bytes) -> Event:
        """Return an event that a client of this server emits."""
        return Event(next(self._ids), value)

    def begin(self, event: Event) -> None:
        """Note which event is passed on next to its listeners."""
        self._present = event

    def note_missed(self, path: bytes, event: Event) -> None:
        """Keep an event for the successors of clients that do not receive it any more."""
        for departed in self._missing.get(path, ()):
            departed.events[path].append(event)

    def is_missed(self, path: bytes) -> bool:
        """Whether a client that was set aside has listened to an event."""
        return path in self._missing

    # --- who leaves ---------------------------------------------------------------------------

    def set_aside(self, peer: Peer) -> None:
        """Send no more events and requests to a client with a lease: they wait for the next one."""
        if peer.lease is None or peer in self._aside:
            return
        departed = self._aside[peer] = Departed(peer.client_id, peer.lease)
        held = self._waiting_for(peer)
        for node in self._tree.nodes_listened_by(peer):
            if node.kind is NodeKind.EVENT:
                node.listeners[peer] = _ignore
                self._let_miss(departed, node.path)
        for each in held:
            each.leave_to(departed)

    def departed(self, owner: object) -> Departed | None:
        """Return what receives the requests to a client that was set aside; None for another."""
        return self._aside.get(owner) if isinstance(owner, Peer) else None

    def leave(self, peer: Peer) -> Departed | None:
        """Return what a client leaves behind; None if it is nothing.

        That is what waits for the next one, if it was set aside, or the events that have waited for
        it, if it was not ready.
        """
        return self._leave_held(peer, self._waiting_for(peer), self._aside.pop(peer, None))

    def stop_listening(self, peer: Peer, path: bytes) -> Departed | None:
        """Return what a client leaves behind that is about to stop listening to an event.

        That is nothing, and None is returned, unless events wait, as the client is not ready: it
        may be about to be closed, so that another one follows.
        """
        held = self._waiting_for(peer, path)
        return self._leave_held(peer, held, None)

    def _waiting_for(self, peer: Peer, path: bytes | None = None) -> list[HeldEvents]:
        """Return and forget the events that wait for a client; by default, those of all paths."""
        all_held = [held for held in self._held.pop(peer, ()) if not held.is_over]
        if path is None:
            return all_held
        if others := [held for held in all_held if held.path != path]:
            self._held[peer] = others
        return [held for held in all_held if held.path == path]

    def _leave_held(
        self, peer: Peer, held: Iterable[HeldEvents], departed: Departed | None
    ) -> Departed | None:
        for each in held:
            if departed is None and peer.lease is not None:
                departed = Departed(peer.client_id, peer.lease)
            if departed is not None:
                self._let_miss(departed, each.path)
                each.leave_to(departed)
        return departed

    def _let_miss(self, departed: Departed, path: bytes) -> None:
        if path not in departed.events:
            departed.miss(path)
            self._missing[path].append(departed)

    def forget(self, departed: Departed) -> None:
        """Drop the events that a client has missed."""
        for path in list(departed.events):
            self._drop(departed, path)

    # --- who follows --------------------------------------------------------------------------

    def take_missed(self, role: str, token: int, path: bytes) -> list[Event]:
        """Return the events that came since clients in a role were set aside, or have left, once.

        Args:
            role: of the lease.
            token: of the present holder.
            path: of the events.
        """
        missed: dict[int, Event] = {}  # without those that several holders have missed
        for departed in list(self._missing.get(path, ())):
            if departed.role == role and departed.token <= token:
                missed |= {event.id: event for event in departed.events[path]}
                self._drop(departed, path)
        return list(missed.values())

    def hold(self, peer: Peer, path: bytes) -> HeldEvents:
        """Let the events of a path wait for a listener with a lease; see `HeldEvents`."""
        held = HeldEvents(peer, self._tree.find(path), lambda: self._present)
        self._held[peer].append(held)
        return held

    def is_ready(self, lease: Lease) -> bool:
        """Whether `end_holding` was called for a lease: who listens now is not waited for again."""
        return self._ready.get(lease.role) == lease.token

    def end_holding(self, lease: Lease) -> list[Peer]:
        """Send the clients with a lease the events that wait for them; return these clients."""
        self._ready[lease.role] = lease.token
        peers = [peer for peer in self._held if _has(peer, lease)]
        for peer in peers:
            for held in self._held[peer]:
                held.note_ready()
            self._held[peer] = [held for held in self._held[peer] if not held.is_over]
            if not self._held[peer]:
                del self._held[peer]
        return peers

    def _drop(self, departed: Departed, path: bytes) -> None:
        del departed.events[path]
        self._missing[path].remove(departed)
        if not self._missing[path]:
            del self._missing[path]


def _has(peer: Peer, lease: Lease) -> bool:
    own = peer.lease
    return own is not None and (own.role, own.token) == (lease.role, lease.token)


def _ignore(_: bytes) -> None:
    """Replaces the sending to a listener that receives nothing any more."""
