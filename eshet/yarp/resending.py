"""Repeats outputs that were not delivered because the server or the device was away.

`set_value` makes a device follow a Value. If a set request failed for lack of a connection, the
device would stay behind, forever if the Value does not change again. So it is repeated after the
reconnection. The device may come back later than the server: attempts continue for a minute.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import Disconnected, ErrorValue, EshetError
from eshet.tasks.starting import start_task

__all__ = ["Resending"]

_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each attempt, while there is a connection."""

_DEVICE_DELAY: Final = 60.0
"""Seconds that a device may need to come back after the server."""

_AWAY: Final = ("path_not_found", "no_owner", "client_exited")
"""The server's answers when the owner of a node is away."""


class Resending:
    """A function that sends values, each replacing the previous one.

    Args:
        function: sends one value.
        client: the client that it uses.
        is_retried: whether the strategy repeats failed attempts anyway.
    """

    def __init__(
        self,
        function: Callable[[Any], Awaitable[object]],
        client: Client,
        is_retried: Callable[[], bool],
    ) -> None:
        self.has_failed: bool = False
        """Whether the last value was not delivered."""
        self._function = function
        self._client = client
        self._is_retried = is_retried
        self._count = 0  # the number of values so far

    async def __call__(self, value: object) -> None:
        """Send a value; if the server or the device is away, repeat that when it is back."""
        count = self.begin()
        try:
            await self._function(value)
        except EshetError as error:
            self.fail(value, count, error)
            raise
        self.succeed(count)

    def begin(self) -> int:
        """Note that a value is being sent, and return its number."""
        self._count += 1
        return self._count

    def succeed(self, count: int) -> None:
        """Note that the value with this number was delivered."""
        if count == self._count:
            self.has_failed = False

    def fail(self, value: object, count: int, error: EshetError) -> None:
        """Note that the value with this number was not delivered, and repeat that if it helps."""
        self.has_failed = True
        if self._is_away(error) and not self._is_retried():
            _ = start_task(lambda: self._send_again(value, count), self._function)

    async def _send_again(self, value: object, count: int) -> None:
        pauses = iter(_PAUSES)
        while (pause := next(pauses, None)) is not None:
            await self._client.wait_for_connection()
            await asyncio.sleep(pause)
            if count != self._count:
                return  # a newer value has replaced this one
            try:
                await self._function(value)
            except Disconnected:
                pauses = iter(_PAUSES)  # the device was not reached
            except EshetError as error:
                if not self._is_away(error):
                    raise
            else:
                self.succeed(count)
                return

    def _is_away(self, error: EshetError) -> bool:
        """Whether the connection is lost, or is new and the owner of the node is not back yet."""
        if isinstance(error, Disconnected):
            return True
        since = self._client.reconnected_at
        if since is None or asyncio.get_running_loop().time() - since > _DEVICE_DELAY:
            return False
        return isinstance(error, ErrorValue) and error.value in _AWAY
