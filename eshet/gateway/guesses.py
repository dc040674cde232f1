"""How long a peer has to wait after wrong tokens. No I/O.

A token has 256 random bits and can't be guessed: waiting keeps the log short and the processor
idle. So a right token is accepted at any time, also from a peer that has to wait. Otherwise one
program could lock out all others behind the same proxy.
"""

from collections import OrderedDict
from typing import Final

__all__ = ["Guesses"]

_FREE: Final = 5
"""How many wrong tokens are answered without a wait."""
_LONGEST: Final = 60.0
"""The longest wait in seconds; a peer that is silent for twice that long starts again."""
_MAX_PEERS: Final = 10_000


class Guesses:
    """Counts the wrong tokens of each peer."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, peer: str, now: float) -> float:
        """Count a wrong token, and return how many seconds the peer has to wait; 0 for none.

        Args:
            peer: the address of the other end, without its port.
            now: the time, in seconds.
        """
        count, last = self._peers.pop(peer, (0, now))
        count = 1 if now - last > 2 * _LONGEST else count + 1
        self._peers[peer] = count, now
        if len(self._peers) > _MAX_PEERS:
            self._peers.popitem(last=False)
        if count <= _FREE:
            return 0.0
        return float(min(2 ** min(count - _FREE, 10), _LONGEST))
