"""Limits which part of the event loop's time all open pages use together.

Rules run in the same loop. Two hundred browsers, or one program that floods the page with messages,
must not delay them.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["Share"]

_T = TypeVar("_T")

_REST: Final = 3.0
"""How long the loop is left to others, in multiples of the time that was used."""

_BURST: Final = 0.005
"""How much of that rest may be owed, in seconds: timers are not more exact."""


class Share:
    """Runs functions one after another, with rests between them.

    Args:
        clock: returns a time in seconds; by default, that of the running loop.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock: Final = clock or (lambda: asyncio.get_running_loop().time())
        self._turn: Final = asyncio.Lock()  # its waiters are served in their order
        self._rest_until = 0.0

    async def run(self, function: Callable[[], _T]) -> _T:
        """Call a function when it is its turn, and return its result or raise its error."""
        async with self._turn:
            rest = self._rest_until - self._clock()
            # A message that is there already is received without a turn of the loop.
            await asyncio.sleep(rest if rest > _BURST else 0)
            begun = self._clock()
            try:
                return function()
            finally:
                used = self._clock() - begun
                self._rest_until = max(self._rest_until, begun) + used * (1 + _REST)
