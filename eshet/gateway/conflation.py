"""Changes and events that wait for a stream's next interval. No I/O.

Of each state only the last value waits. Events are kept in order up to a limit; beyond it, they are
dropped and counted.
"""

import asyncio
from collections import Counter, deque
from typing import Any, Final, NamedTuple

from eshet.unknown import Unknown

__all__ = ["MAX_EVENTS", "Item", "Waiting"]

MAX_EVENTS: Final = 1000
"""How many events may wait."""


class Item(NamedTuple):
    """One message of a stream.

    Args:
        kind: `state`, `event` or `dropped`.
        path: of the node.
        content: the fields of the message, beside its path.
    """

    kind: str
    path: str
    content: dict[str, Any]


class Waiting:
    """The messages that wait to be sent to one client."""

    def __init__(self) -> None:
        self.changed: Final = asyncio.Event()
        """Set while something waits."""
        self._states: dict[str, Any] = {}
        self._events: deque[tuple[str, Any]] = deque()
        self._dropped: Counter[str] = Counter()

    def put_state(self, path: str, value: object) -> None:
        """Add the value of a state, in place of an earlier one; it may be `Unknown`."""
        self._states[path] = value
        self.changed.set()

    def put_event(self, path: str, payload: object) -> None:
        """Add an event; if too many wait, drop the oldest one."""
        self._events.append((path, payload))
        if len(self._events) > MAX_EVENTS:
            oldest, _ = self._events.popleft()
            self._dropped[oldest] += 1
        self.changed.set()

    def take(self) -> list[Item]:
        """Remove and return everything: states, how many events were dropped, and the events."""
        self.changed.clear()
        items = [Item("state", path, _state(value)) for path, value in self._states.items()]
        items += [Item("dropped", path, {"count": n}) for path, n in self._dropped.items()]
        items += [Item("event", path, {"value": payload}) for path, payload in self._events]
        self._states.clear()
        self._dropped.clear()
        self._events.clear()
        return items


def _state(value: object) -> dict[str, Any]:
    if value is Unknown:
        return {"known": False, "value": None}
    return {"known": True, "value": value}
