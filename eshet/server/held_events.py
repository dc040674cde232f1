"""The events of one path that wait for a client which continues what another one did. No I/O."""

from collections.abc import Callable, Iterable
from typing import Final

from eshet.messages import EventNotify
from eshet.protocol.framing import frame_without_id
from eshet.server.departed import Departed, Event
from eshet.server.peer import Peer
from eshet.server.tree import TreeNode

__all__ = ["HeldEvents"]


class HeldEvents:
    """Holds the events until it is known which ones the client has missed, and it is ready.

    Args:
        peer: the client, which has just begun to listen.
        node: the event.
        present: returns the event that is being passed on.
    """

    def __init__(self, peer: Peer, node: TreeNode, present: Callable[[], Event]) -> None:
        self.peer: Final = peer
        """The client."""
        self.path: Final = node.path
        """The path of the events."""
        self._node = node
        self._present = present
        self._held: dict[int, Event] = {}
        self._missed: dict[int, Event] = {}
        self._is_complete = False
        self._is_ready = False
        self._departed: Departed | None = None
        self._send: Final = self._hold
        node.listeners[peer] = self._send

    def _hold(self, _: bytes) -> None:
        event = self._present()
        self._held[event.id] = event

    @property
    def is_over(self) -> bool:
        """Whether nothing waits any more, as it was sent, or the client does not listen."""
        return self._node.listeners.get(self.peer) is not self._send

    def add_missed(self, events: Iterable[Event]) -> None:
        """Add events that came before it listened, in order; some may also be held."""
        missed = {event.id: event for event in events}
        self._missed |= missed
        if self._departed is not None:
            self._departed.put_first(self.path, missed.values())

    def note_complete(self) -> None:
        """Note that all events were added that it has missed."""
        self._is_complete = True
        self._send_all()

    def note_ready(self) -> None:
        """Note that the client can handle events now."""
        self._is_ready = True
        self._send_all()

    def leave_to(self, departed: Departed) -> None:
        """Leave all events to the clients that follow, as this one is about to leave."""
        self._departed = departed
        departed.put_first(self.path, self._all())

    def _all(self) -> Iterable[Event]:
        return (self._missed | self._held).values()

    def _send_all(self) -> None:
        """Send each event once, if all are known and the client still listens."""
        peer = self.peer
        if not (self._is_complete and self._is_ready) or self.is_over:
            return
        self._node.listeners[peer] = peer.send
        for event in self._all():
            rest = self.path + b"\0" + event.value
            if len(rest) < peer.max_payload:
                peer.send(frame_without_id(EventNotify.code, rest))
