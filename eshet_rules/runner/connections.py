"""Tells people of connections that are lost, and are back: in one line, however many they are.

Each module has a connection of its own, and so has the runner. When the server goes, all of them
end at once, and each comes back in its own time.
"""

import asyncio
from collections.abc import Collection
from contextvars import Context
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client.observer import ClientObserver
from eshet_rules.audit.actor import current_actor
from eshet_rules.audit.records import ConnectionRestored, NoConnection, emit

__all__ = ["ConnectionObserver", "Connections"]

_MOMENT: Final = 0.25
"""Seconds: what ends within them ends together."""

_RUNNER: Final = ""
"""Stands among the modules for the runner, whose connection stands for all: if it has none, there
is no server."""


class Connections:
    """Knows which connections are away, from the first that is lost until the last is back.

    Args:
        log: where it is told.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._clock: Final = asyncio.get_running_loop().time
        self._since = 0.0  # when the first was lost
        self._away: set[str] = set()
        self._back: set[str] = set()  # of those that were away
        self._untold: dict[str, str] = {}  # why each was lost
        self._telling: asyncio.TimerHandle | None = None
        self._nobody: Final = Context()  # this is told of whom it names, not of who lost it last

    def lost(self, module: str, server: str, reason: str) -> None:
        """Take note that a connection has ended, or could not be made.

        Args:
            module: whose it is; empty for the runner's own.
            server: its address.
            reason: why.
        """
        if not self._away:
            self._since, self._back = self._clock(), set()
        self._away.add(module)
        self._untold[module] = reason
        if self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(_MOMENT, self._tell_lost, server)

    def there(self, module: str, server: str) -> None:
        """Take note that a connection is there; see `lost`."""
        if module in self._away:
            self._away.remove(module)
            self._back.add(module)
            self._tell_back(server)

    def closed(self, module: str, server: str) -> None:
        """Take note that a connection is not wanted any more; see `lost`."""
        if module in self._away:
            self._away.remove(module)
            self._tell_back(server)

    def _tell_lost(self, server: str) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        untold, self._untold = self._untold, {}
        if _RUNNER in untold or _RUNNER not in self._away | self._back:
            reason = untold.get(_RUNNER, next(iter(untold.values())))
            lost = NoConnection(server=server, reason=reason, **_whose(untold))
            self._nobody.run(emit, self._log, lost)

    def _tell_back(self, server: str) -> None:
        """Tell that all are back, if they are; not of those that were closed before."""
        if self._away:
            return
        if self._untold:
            self._tell_lost(server)
        if self._back:
            away_s = round(self._clock() - self._since, 3)
            restored = ConnectionRestored(server=server, away_s=away_s, **_whose(self._back))
            self._nobody.run(emit, self._log, restored)


class ConnectionObserver(ClientObserver):
    """A witness that tells of connections.

    Args:
        connections: is told of them.
        *more: what another witness needs that this is one with, by inheritance.
    """

    def __init__(self, connections: Connections, *more: Any) -> None:
        super().__init__(*more)
        self._connections = connections

    def connected(self, server: str, again: bool) -> None:
        """See `ClientObserver`."""
        super().connected(server, again)
        self._connections.there(_module(), server)

    def disconnected(self, server: str, reason: str) -> None:
        """See `ClientObserver`."""
        super().disconnected(server, reason)
        self._connections.lost(_module(), server, reason)

    def closed(self, server: str) -> None:
        """See `ClientObserver`."""
        super().closed(server)
        self._connections.closed(_module(), server)


def _module() -> str:
    return current_actor.get().module or _RUNNER


def _whose(modules: Collection[str]) -> dict[str, Any]:
    """Return the fields that say whose connections these are; none if they are those of all."""
    if _RUNNER in modules:
        return {}
    return {"module": next(iter(modules))} if len(modules) == 1 else {"modules": sorted(modules)}
