"""Sends again what did not arrive because the server or the device was away.

`set_value` follows a Value: what it sets is to be what the Value holds. A setting that failed as
there was no connection would leave the device behind, for good if the Value does not change again.
So it is set when the connection is back. The device may come back later than that: it is tried for
a minute.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import Disconnected, ErrorValue, EshetError
from eshet.tasks.starting import start_task

__all__ = ["Resending"]

_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each try, when there is a connection."""

_LATEST: Final = 60.0
"""Seconds that a device may need to come back after a server."""

_AWAY: Final = ("path_not_found", "no_owner", "client_exited")
"""What a server answers if the owner of a node is not there."""


class Resending:
    """A function that sends values, each in the place of the one before.

    Args:
        function: sends one.
        client: by which it does.
        is_retried: whether what fails is attempted again in any case.
    """

    def __init__(
        self,
        function: Callable[[Any], Awaitable[object]],
        client: Client,
        is_retried: Callable[[], bool],
    ) -> None:
        self.has_failed = False
        """Whether the last value has not arrived."""
        self._function = function
        self._client = client
        self._is_retried = is_retried
        self._count = 0  # of values

    async def __call__(self, value: Any) -> None:
        """Send a value; if the server or the device is away, send it again when it is back."""
        self._count += 1
        try:
            await self._send(value, self._count)
        except EshetError as error:
            if self._is_away(error) and not self._is_retried():
                count = self._count
                _ = start_task(lambda: self._send_again(value, count), self._function)
            raise

    async def _send(self, value: Any, count: int) -> None:
        try:
            await self._function(value)
        except EshetError:
            self.has_failed = True
            raise
        if count == self._count:
            self.has_failed = False

    async def _send_again(self, value: Any, count: int) -> None:
        pauses = iter(_PAUSES)
        while (pause := next(pauses, None)) is not None:
            await self._client.wait_for_connection()
            await asyncio.sleep(pause)
            if count != self._count:
                return  # another value has taken the place of this one
            try:
                await self._send(value, count)
            except Disconnected:
                pauses = iter(_PAUSES)  # for the device, which can't have been asked
            except EshetError as error:
                if not self._is_away(error):
                    raise
            else:
                return

    def _is_away(self, error: EshetError) -> bool:
        """Whether the connection is lost, or was, and the owner of the node is not back yet."""
        if isinstance(error, Disconnected):
            return True
        since = self._client.reconnected_at
        if since is None or asyncio.get_running_loop().time() - since > _LATEST:
            return False
        return isinstance(error, ErrorValue) and error.value in _AWAY
