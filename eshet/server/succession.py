"""Events for clients that follow one another in a role: none is lost, or received twice. No I/O.

When a client is about to leave, it is set aside: its events wait. The next one in its role holds
the events that it listens to, until it has received those that the first one has missed.
"""

import itertools
import secrets
from collections import defaultdict

from eshet.server.departed import Departed, Event
from eshet.server.held_events import HeldEvents
from eshet.server.peer import Peer
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
        self._ids = itertools.count(secrets.randbits(62))
        self._present_id = 0  # of the event that is being passed on

    # --- events -------------------------------------------------------------------------------

    def new_event(self, value: bytes) -> Event:
        """Return an event that a client of this server emits."""
        return Event(next(self._ids), value)

    def begin(self, event: Event) -> None:
        """Note which event is passed on next to its listeners."""
        self._present_id = event.id

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
        for node in self._tree.nodes_listened_by(peer):
            if node.kind is NodeKind.EVENT:
                node.listeners[peer] = _ignore
                departed.miss(node.path)
                self._missing[node.path].append(departed)

    def departed(self, owner: object) -> Departed | None:
        """Return what receives the requests to a client that was set aside; None for another."""
        return self._aside.get(owner) if isinstance(owner, Peer) else None

    def leave(self, peer: Peer) -> Departed | None:
        """Return what a client leaves behind that was set aside; None for another one."""
        self._held.pop(peer, None)
        return self._aside.pop(peer, None)

    def forget(self, departed: Departed) -> None:
        """Drop the events that a client has missed."""
        for path in list(departed.events):
            self._drop(departed, path)

    # --- who follows --------------------------------------------------------------------------

    def take_missed(self, role: str, token: int, path: bytes) -> list[Event]:
        """Return the events that came since earlier holders of a lease were set aside, once.

        Args:
            role: of the lease.
            token: of the present holder.
            path: of the events.
        """
        missed: dict[int, Event] = {}  # without those that several holders have missed
        for departed in list(self._missing.get(path, ())):
            if departed.role == role and departed.token < token:
                missed |= {event.id: event for event in departed.events[path]}
                self._drop(departed, path)
        return list(missed.values())

    def hold(self, peer: Peer, path: bytes) -> HeldEvents:
        """Let the events of a path wait for a listener; see `HeldEvents`."""
        held = HeldEvents(peer, self._tree.find(path), lambda: self._present_id)
        self._held[peer].append(held)
        return held

    def end_holding(self, role: str) -> list[Peer]:
        """Send the clients in a role the events that wait for them; return these clients."""
        peers = [peer for peer in self._held if peer.lease and peer.lease.role == role]
        for peer in peers:
            for held in self._held.pop(peer):
                held.note_ready()
        return peers

    def _drop(self, departed: Departed, path: bytes) -> None:
        del departed.events[path]
        self._missing[path].remove(departed)
        if not self._missing[path]:
            del self._missing[path]


def _ignore(_: bytes) -> None:
    """Replaces the sending to a listener that receives nothing any more."""
