"""When a value is sent again that others have changed."""

import math
from typing import Final

__all__ = ["MAX_CORRECTIONS", "Corrections"]

MAX_CORRECTIONS: Final = 3
"""How often a value is sent again at once, within `_PERIOD`."""

_PERIOD: Final = 600.0

_PAUSE: Final = 60.0
"""Seconds from one correction to the next while the value is contested."""


class Corrections:
    """The corrections of the value that should be so at one path.

    A value that others change more than three times in ten minutes is contested: then it is sent
    again at most once a minute, until the path has kept it for ten minutes. Times are those of the
    caller's clock.
    """

    def __init__(self) -> None:
        self.is_contested: bool = False
        self._made: list[float] = []  # times of the corrections
        self._due = math.inf  # when the value must be sent again
        self._kept_since: float | None = None  # since when the path shows the value

    def clear(self) -> None:
        """Forget everything, as there is another value, or it is sent for another reason."""
        self.is_contested, self._made = False, []
        self._due, self._kept_since = math.inf, None

    def request(self, now: float) -> bool:
        """Note that others have changed the value, which must therefore be sent again.

        Returns:
            Whether the value is contested from now on.
        """
        self._made = [at for at in self._made if now < at + _PERIOD]
        begins = not self.is_contested and len(self._made) >= MAX_CORRECTIONS
        self.is_contested = self.is_contested or begins
        is_limited = self.is_contested and bool(self._made)
        self._due = max(now, self._made[-1] + _PAUSE) if is_limited else now
        return begins

    def is_due(self, now: float) -> bool:
        """Whether the value must be sent again now."""
        return now >= self._due

    def note_sent(self, now: float) -> None:
        """Note that the value is sent again."""
        self._made.append(now)
        self._due = math.inf

    def postpone(self, now: float) -> None:
        """Try again in a minute, as a request with the value is not answered yet."""
        self._due = now + _PAUSE

    def follow(self, now: float, *, is_so: bool) -> None:
        """Note whether the path shows the value."""
        if not is_so:
            self._kept_since = None
            return
        self._due = math.inf
        if self._kept_since is None:
            self._kept_since = now
        if now >= self._kept_since + _PERIOD:
            self.is_contested = False

    def deadline(self) -> float:
        """Return when the value must be sent again or is not contested any more; else infinity."""
        if self.is_contested and self._kept_since is not None:
            return self._kept_since + _PERIOD
        return self._due
