"""The log of refused requests and their senders.

An attacker sends thousands of requests, so there is at most one line a minute for each peer and
reason; the next one says how many there were in between.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from eshet.program import printable
from eshet.text import shorten

__all__ = ["RefusalLog"]

_INTERVAL: Final = 60.0
"""Seconds between two lines for the same peer and reason."""
_MAX_KEPT: Final = 10_000
_MAX_SHOWN: Final = 200  # characters


class RefusalLog:
    """Writes the log of refused requests.

    Args:
        log: the logger.
        now: returns the time, in seconds.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._last: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def refused(self, peer: str, reason: str, what: str) -> None:
        """Log that a request was refused.

        Args:
            peer: the address of the other end, without its port.
            reason: why; a short text without values of the request.
            what: the request, such as `POST /set/hall/light`; control characters are escaped.
        """
        key = peer, reason
        now = self._now()
        since, more = self._last.get(key, (now - _INTERVAL, 0))
        if now - since < _INTERVAL:
            self._last[key] = since, more + 1
            return
        self._last[key] = now, 0
        self._last.move_to_end(key)
        if len(self._last) > _MAX_KEPT:
            self._last.popitem(last=False)
        shown = printable(shorten(what, _MAX_SHOWN))
        if more:
            self._log.warning(
                "refused %s from %s: %s (%d more since the last line)", shown, peer, reason, more
            )
        else:
            self._log.warning("refused %s from %s: %s", shown, peer, reason)
