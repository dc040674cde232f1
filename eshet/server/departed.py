"""What a client with a lease leaves behind for the next holder of the lease.

While one holder follows another, the states of the first keep their values, and what others send to
it waits: requests to its nodes, and events that it has listened to. No I/O.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from eshet.server.peer import Asked, Lease
from eshet.server.tree import TreeError

__all__ = ["Departed", "Event", "WaitingRequest"]

_MAX_REQUESTS: Final = 1000
"""Number of requests that may wait; further ones are refused."""

_MAX_EVENTS: Final = 1000
"""Number of events of a path that may wait; beyond that, the oldest are dropped."""


class Event(NamedTuple):
    """An event that was emitted.

    Args:
        id: the same at all servers, and different for all events.
        value: packed.
    """

    id: int
    value: bytes


class WaitingRequest(NamedTuple):
    """A request to the next owner of a node; the arguments of `eshet.server.peer.Owner.ask`."""

    asked: Asked
    code: int
    rest: bytes


class Departed:
    """Owns the nodes of a client with a lease after it has left.

    Args:
        client_id: of that client, packed.
        lease: its lease.
    """

    def __init__(self, client_id: bytes, lease: Lease) -> None:
        self.client_id: Final = client_id
        """See `eshet.server.peer.Owner`."""
        self.role: Final = lease.role
        """The role of the lease."""
        self.token: Final = lease.token
        """Its token."""
        self.events: Final[dict[bytes, deque[Event]]] = {}
        """The events that it has missed, by path."""
        self._requests: list[WaitingRequest] = []

    def miss(self, path: bytes) -> None:
        """Have room for the events of a path."""
        self.events[path] = deque(maxlen=_MAX_EVENTS)

    def put_first(self, path: bytes, events: Iterable[Event]) -> None:
        """Add events that came before those so far, unless others have taken these already."""
        if (later := self.events.get(path)) is not None:
            self.events[path] = deque([*events, *later], maxlen=_MAX_EVENTS)

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """Let a request wait for the next owner; see `eshet.server.peer.Owner`.

        Raises:
            TreeError: too many requests wait.
        """
        if len(self._requests) >= _MAX_REQUESTS:
            raise TreeError("no_owner")
        self._requests.append(WaitingRequest(asked, code, rest))

    def take_requests(self, path: bytes | None = None) -> list[WaitingRequest]:
        """Return and remove the requests to a node; by default, those to all nodes."""
        taken: list[WaitingRequest] = []
        left: list[WaitingRequest] = []
        for request in self._requests:
            is_taken = path is None or request.rest.partition(b"\0")[0] == path
            (taken if is_taken else left).append(request)
        self._requests = left
        return taken
