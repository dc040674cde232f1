"""Messages that wait for a slow reader. No I/O.

While much is waiting, only the last change of each state stays. Replies and events are never
dropped; a client that does not read them is disconnected, as by the server itself.
"""

from collections import deque
from typing import Final

__all__ = ["MAX_WAITING", "Outbox"]

MAX_WAITING: Final = 8 << 20
"""How much may wait for one client, in characters."""
_MUCH: Final = 256 * 1024


class Outbox:
    """The messages that wait to be sent, in order."""

    def __init__(self) -> None:
        self.size: int = 0
        """How many characters wait."""
        self._waiting: deque[tuple[str, str]] = deque()
        self._conflate_at = _MUCH

    def put(self, text: str, state: str = "") -> bool:
        """Add a message; return False if too much is waiting.

        Args:
            text: of the message.
            state: the path of the state, if the message is a change of one.
        """
        self._waiting.append((state, text))
        self.size += len(text)
        if self.size > self._conflate_at:
            self._conflate()
        return self.size <= MAX_WAITING

    def take(self) -> str | None:
        """Remove and return the first message; None if there is none."""
        if not self._waiting:
            return None
        _, text = self._waiting.popleft()
        self.size -= len(text)
        if not self._waiting:
            self._conflate_at = _MUCH
        return text

    def clear(self) -> None:
        """Remove all messages."""
        self._waiting.clear()
        self.size, self._conflate_at = 0, _MUCH

    def _conflate(self) -> None:
        """Keep only the last change of each state, at its place."""
        kept: deque[tuple[str, str]] = deque()
        seen: set[str] = set()
        for state, text in reversed(self._waiting):
            if state not in seen:
                kept.appendleft((state, text))
            if state:
                seen.add(state)
        self._waiting = kept
        self.size = sum(len(text) for _, text in kept)
        # Wait until as much again was added, so that the work stays proportional to the messages.
        self._conflate_at = max(2 * self.size, _MUCH)
