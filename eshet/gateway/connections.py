"""All connections of an HTTP server: how many there may be, in all and from one peer. No I/O."""

from collections import Counter
from typing import Protocol

from eshet.gateway.limits import HttpLimits

__all__ = ["Connections", "Evictable"]


class Evictable(Protocol):
    """A connection."""

    @property
    def host(self) -> str:
        """The address of the peer, without its port."""
        ...

    def evict(self) -> None:
        """End the connection, since another one needs its place."""
        ...


class Connections:
    """The open connections.

    If there are too many, the connection that has been idle for the longest time makes room for a
    new one. So a peer that opens connections and sends nothing only ends its own ones, and other
    clients are served.

    Args:
        limits: of the server.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._open: dict[Evictable, None] = {}
        self._idle: dict[Evictable, None] = {}  # the one that is idle for the longest time first
        self._of_host: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, host: str) -> bool:
        """Whether a peer may open one more connection; an idle one is ended for it if necessary."""
        if self._of_host[host] >= self._limits.per_peer:
            return self._evict(host)
        return len(self._open) < self._limits.connections or self._evict(None)

    def _evict(self, host: str | None) -> bool:
        for each in self._idle:
            if host is None or each.host == host:
                self.remove(each)
                each.evict()
                return True
        return False

    def add(self, connection: Evictable) -> None:
        """Add a connection, which is idle at first."""
        self._open[connection] = None
        self._idle[connection] = None
        self._of_host[connection.host] += 1

    def set_busy(self, connection: Evictable) -> None:
        """Note that a connection has a request that is not answered yet."""
        self._idle.pop(connection, None)

    def set_idle(self, connection: Evictable) -> None:
        """Note that all requests of a connection are answered."""
        if connection in self._open:
            self._idle[connection] = None

    def remove(self, connection: Evictable) -> None:
        """Remove a connection that has ended; a second call does nothing."""
        if connection not in self._open:
            return
        del self._open[connection]
        self._idle.pop(connection, None)
        self._of_host[connection.host] -= 1
        if not self._of_host[connection.host]:
            del self._of_host[connection.host]
