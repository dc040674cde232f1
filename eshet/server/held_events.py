"""The events of one path that wait for a client which continues what another one did. No I/O."""

from collections.abc import Callable, Iterable
from typing import Final

from eshet.messages import EventNotify
from eshet.protocol.framing import frame_without_id
from eshet.server.departed import Event
from eshet.server.peer import Peer
from eshet.server.tree import TreeNode

__all__ = ["HeldEvents"]


class HeldEvents:
    """Holds the events until it is known which ones the client has missed, and it is ready.

    Args:
        peer: the client, which has just begun to listen.
        node: the event.
        event_id: returns the id of the event that is being passed on.
    """

    def __init__(self, peer: Peer, node: TreeNode, event_id: Callable[[], int]) -> None:
        self.peer: Final = peer
        """The client."""
        self._node = node
        self._event_id = event_id
        self._held: list[tuple[int, bytes]] = []
        self._missed: dict[int, Event] = {}
        self._is_complete = False
        self._is_ready = False
        self._send: Final = self._hold
        node.listeners[peer] = self._send

    def _hold(self, frame: bytes) -> None:
        self._held.append((self._event_id(), frame))

    def add_missed(self, events: Iterable[Event]) -> None:
        """Add events that came before it listened, in order; some may also be held."""
        self._missed |= {event.id: event for event in events}

    def note_complete(self) -> None:
        """Note that all events were added that it has missed."""
        self._is_complete = True
        self._send_all()

    def note_ready(self) -> None:
        """Note that the client can handle events now."""
        self._is_ready = True
        self._send_all()

    def _send_all(self) -> None:
        """Send each event once, if all are known and the client still listens."""
        peer, node = self.peer, self._node
        if not (self._is_complete and self._is_ready):
            return
        if node.listeners.get(peer) is not self._send:
            return
        node.listeners[peer] = peer.send
        for event in self._missed.values():
            rest = node.path + b"\0" + event.value
            if len(rest) < peer.max_payload:
                peer.send(frame_without_id(EventNotify.code, rest))
        for event_id, frame in self._held:
            if event_id not in self._missed:
                peer.send(frame)
        self._held.clear()
