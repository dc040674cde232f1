"""Output that waits for a slow client, and when that is too much for too long. No I/O."""

from typing import Final

from eshet.messages import NotifyKnown, NotifyUnknown
from eshet.server.limits import Limits

__all__ = ["Backlog"]

_STATE_NOTIFICATIONS: Final = (NotifyKnown.code, NotifyUnknown.code)
_CODE: Final = 3  # offset of a message's code in its frame


class Backlog:
    """Measures the waiting frames, and keeps only the last change of each state.

    Only a change of a state replaces an older one of the same path. All other frames stay, in
    order; a remaining change stays at the position of the last one.

    Args:
        out: the waiting frames; senders append to it.
        limits: of the server.
    """

    __slots__ = ("_conflate_at", "_limits", "_measured", "_out", "long_since", "size")

    def __init__(self, out: list[bytes], limits: Limits) -> None:
        self.size: int = 0
        """The number of waiting bytes, as of the last measurement."""
        self.long_since: float | None = None
        """Since when the size is above the soft limit; None if it is not."""
        self._out = out
        self._limits = limits
        self._measured = 0  # number of frames
        self._conflate_at = limits.soft_queue // 4

    def clear(self) -> None:
        """Reset everything, as no frames are waiting any more."""
        self.size = self._measured = 0
        self.long_since = None
        self._conflate_at = self._limits.soft_queue // 4

    def measure(self, now: float) -> str | None:
        """Include newly appended frames; return why to disconnect the client, if it is too much."""
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
        # Wait until as much again was added, so that the work stays proportional to the output.
        self._conflate_at = max(2 * self.size, self._limits.soft_queue // 4)
