"""What systemd is told by the service that it runs: datagrams to the socket in NOTIFY_SOCKET.

Started by hand there is no such socket, and nothing is told.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Notifier"]

_STATUS_INTERVAL: Final = 5.0
"""Seconds between two looks at whether there is something new to tell."""


class Notifier:
    """Tells systemd how the service is.

    Args:
        environment: in which systemd says where, and how often, it wants to be told.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address: Final = "\0" + address[1:] if address.startswith("@") else address
        self._socket: Final = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self.watchdog_interval: Final = _watchdog_interval(environment)
        """How often systemd wants to hear that the service is alive, in seconds; 0 for never."""

    def ready(self, status: str) -> None:
        """Tell that the start, or a reload, is done, and how it is since then, in a line."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Tell how it is, in a line."""
        self._tell(f"STATUS={status}")

    def reloading(self) -> None:
        """Tell that a reload has begun, to be followed by `ready`."""
        now = int(asyncio.get_running_loop().time() * 1_000_000)
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._tell("STOPPING=1")

    async def keep_alive(self) -> None:
        """Tell again and again that the loop runs, as often as systemd wants; for ever."""
        while self.watchdog_interval:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_interval)

    async def keep_told(self, status: Callable[[], str]) -> None:
        """Tell how it is whenever that has changed; for ever.

        Args:
            status: tells how it is, in a line.
        """
        told = ""
        while self._socket is not None:
            if (now := status()) != told:
                self.status(now)
            told = now
            await asyncio.sleep(_STATUS_INTERVAL)

    def close(self) -> None:
        """Tell nothing any more."""
        if self._socket is not None:
            self._socket.close()

    def _tell(self, *lines: str) -> None:
        if self._socket is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(text.encode(errors="replace"), self._address)
        except OSError:
            # Who does not listen is not told; the rules have nothing to do with it.
            return


def _watchdog_interval(environment: Mapping[str, str]) -> float:
    """Return half of the time after which systemd takes it for dead; 0 if it never does."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(environment.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return 0.0
