"""Logs lost and restored connections, in one line for all that are lost together.

Each module has a connection of its own, and so has the runner. When the server stops, all of them
are lost at once, and each comes back in its own time.
"""

import asyncio
from collections.abc import Collection
from contextvars import Context
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client.observer import ClientObserver
from eshet_rules.audit.actor import current_actor
from eshet_rules.audit.records.inputs_outputs import ConnectionRestored, NoConnection
from eshet_rules.audit.records.rules import EventsDropped
from eshet_rules.audit.records.schema import emit

__all__ = ["ConnectionObserver", "Connections"]

_GATHER_TIME: Final = 0.25
"""Seconds in which lost connections are gathered before they are logged together."""

_RUNNER: Final = ""
"""The module name of the runner's own connection. If that is lost, the server is unreachable."""

_TOO_SLOW: Final = (
    "the callbacks of this module take longer than its events leave them: do less in each, await "
    "work that waits, compute in a process, slow the events down at their source, or let more of "
    "them wait (max_waiting_bytes in [server])"
)

_DROPPED_EVERY: Final = 10.0
"""Minimum time between two messages about dropped events of a module, in seconds."""


class Connections:
    """Tracks lost connections, from the first that is lost until the last is back.

    Args:
        log: receives the messages.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._clock: Final = asyncio.get_running_loop().time
        self._since = 0.0  # when the first was lost
        self._lost: set[str] = set()
        self._restored: set[str] = set()  # since the first was lost
        self._unlogged: dict[str, str] = {}  # the reason why each was lost
        self._timer: asyncio.TimerHandle | None = None
        self._dropped: dict[str, int] = {}  # since they were last logged, for some seconds
        self._context: Final = Context()  # for logging: an empty one, without a module's fields

    def lost(self, module: str, server: str, reason: str) -> None:
        """Note that a connection was lost, or could not be made.

        Args:
            module: the module of the connection; empty for the runner's own.
            server: the address of the server.
            reason: the reason.
        """
        if not self._lost:
            self._since, self._restored = self._clock(), set()
        self._lost.add(module)
        self._unlogged[module] = reason
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_GATHER_TIME, self._log_lost, server)

    def made(self, module: str, server: str) -> None:
        """Note that a connection was made; see `lost`."""
        if module in self._lost:
            self._lost.remove(module)
            self._restored.add(module)
            self._log_restored(server)

    def closed(self, module: str, server: str) -> None:
        """Note that a connection was closed on purpose; see `lost`."""
        if module in self._lost:
            self._lost.remove(module)
            self._log_restored(server)

    def log_dropped(self, module: str, count: int) -> None:
        """Log that events of a module were dropped: at once, then their number at intervals."""
        if module in self._dropped:
            self._dropped[module] += count
            return
        dropped = EventsDropped(module=module, count=count, advice=_TOO_SLOW)
        self._context.run(emit, self._log, dropped)
        self._dropped[module] = 0
        loop = asyncio.get_running_loop()
        loop.call_later(_DROPPED_EVERY, self._log_more_dropped, module, context=Context())

    def _log_more_dropped(self, module: str) -> None:
        count = self._dropped.pop(module)
        if count:
            self.log_dropped(module, count)

    def _log_lost(self, server: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reasons, self._unlogged = self._unlogged, {}
        if _RUNNER in reasons or _RUNNER not in self._lost | self._restored:
            reason = reasons.get(_RUNNER, next(iter(reasons.values())))
            lost = NoConnection(server=server, reason=reason, **_fields(reasons))
            self._context.run(emit, self._log, lost)

    def _log_restored(self, server: str) -> None:
        """If all connections are back, log it for those that were restored, not closed."""
        if self._lost:
            return
        if self._unlogged:
            self._log_lost(server)
        if self._restored:
            away_s = round(self._clock() - self._since, 3)
            fields = _fields(self._restored)
            restored = ConnectionRestored(server=server, away_s=away_s, **fields)
            self._context.run(emit, self._log, restored)


class ConnectionObserver(ClientObserver):
    """Passes changes of connections on to `Connections`.

    Args:
        connections: tracks the connections.
        *more: arguments of another observer that a subclass inherits from.
    """

    def __init__(self, connections: Connections, *more: Any) -> None:
        super().__init__(*more)
        self._connections = connections

    def connected(self, server: str, again: bool) -> None:
        """See `ClientObserver`."""
        super().connected(server, again)
        self._connections.made(_module(), server)

    def disconnected(self, server: str, reason: str) -> None:
        """See `ClientObserver`."""
        super().disconnected(server, reason)
        self._connections.lost(_module(), server, reason)

    def dropped(self, count: int) -> None:
        """See `ClientObserver`."""
        super().dropped(count)
        self._connections.log_dropped(_module(), count)

    def closed(self, server: str) -> None:
        """See `ClientObserver`."""
        super().closed(server)
        self._connections.closed(_module(), server)


def _module() -> str:
    return current_actor.get().module or _RUNNER


def _fields(modules: Collection[str]) -> dict[str, Any]:
    """Return the fields that name the modules of connections; none if all modules are concerned."""
    if _RUNNER in modules:
        return {}
    return {"module": next(iter(modules))} if len(modules) == 1 else {"modules": sorted(modules)}
