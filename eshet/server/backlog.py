"""What waits for a client that reads too slowly, and when it has waited for too long. No I/O."""

from typing import Final

from eshet.messages import NotifyKnown, NotifyUnknown
from eshet.server.limits import Limits

__all__ = ["Backlog"]

_STATE_NOTIFICATIONS: Final = (NotifyKnown.code, NotifyUnknown.code)
_CODE: Final = 3  # where the code of a message stands in its frame


class Backlog:
    """Measures the frames that wait, and keeps of each state only the last change.

    Only the change of a state makes an older one of the same path needless. Everything else stays,
    in its order; a change that stays is at the place of the last.

    Args:
        out: the frames that wait; whoever sends appends to it.
        limits: of the server.
    """

    __slots__ = ("_conflate_at", "_limits", "_measured", "_out", "long_since", "size")

    def __init__(self, out: list[bytes], limits: Limits) -> None:
        self.size = 0
        """How many bytes wait, when it was measured last."""
        self.long_since: float | None = None
        """Since when there is more than the soft limit."""
        self._out = out
        self._limits = limits
        self._measured = 0  # how many frames
        self._conflate_at = limits.soft_queue // 4

    def clear(self) -> None:
        """Take note that nothing waits any more."""
        self.size = self._measured = 0
        self.long_since = None
        self._conflate_at = self._limits.soft_queue // 4

    def measure(self, now: float) -> str | None:
        """Take note of what has been appended; why to disconnect the client, if it is too much."""
        self.size += sum(map(len, self._out[self._measured :]))
        self._measured = len(self._out)
        if self.size > self._conflate_at:
            self._conflate()
        if self.size <= self._limits.soft_queue:
            self.long_since = None
            return None
        if self.long_since is None:
            self.long_since = now
        if self.size > self._limits.hard_queue:
            return f"it does not read: {self.size} bytes wait for it"
        if now - self.long_since >= self._limits.soft_time:
            return f"it reads too slowly: {self.size} bytes wait for it"
        return None

    def _conflate(self) -> None:
        kept: list[bytes] = []
        seen: set[bytes] = set()
        for frame in reversed(self._out):
            if frame[_CODE] in _STATE_NOTIFICATIONS:
                path = frame[_CODE + 1 : frame.index(b"\0", _CODE + 1)]
                if path in seen:
                    continue
                seen.add(path)
            kept.append(frame)
        kept.reverse()
        self._out[:] = kept
        self.size = sum(map(len, kept))
        self._measured = len(kept)
        # Work in proportion to what is new: not again before as much has been added.
        self._conflate_at = max(2 * self.size, self._limits.soft_queue // 4)
