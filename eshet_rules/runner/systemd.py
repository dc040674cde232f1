"""Notifications to systemd: datagrams to the socket in NOTIFY_SOCKET.

If the runner was not started by systemd, that variable is missing, and nothing is sent.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Notifier"]

_STATUS_INTERVAL: Final = 5.0
"""Seconds between two checks for a changed status."""


class Notifier:
    """Notifies systemd of the state of the service.

    Args:
        environment: the environment variables, with the socket and watchdog interval of systemd.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address: Final = "\0" + address[1:] if address.startswith("@") else address
        self._socket: Final = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self.watchdog_interval: Final = _watchdog_interval(environment)
        """Seconds between two watchdog notifications; 0 for none."""

    def ready(self, status: str) -> None:
        """Notify that the start, or a reload, is complete, with a status of one line."""
        self._notify("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Notify of a status of one line."""
        self._notify(f"STATUS={status}")

    def reloading(self) -> None:
        """Notify that a reload has begun, to be followed by `ready`."""
        now = int(asyncio.get_running_loop().time() * 1_000_000)
        self._notify("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Notify that the shutdown has begun."""
        self._notify("STOPPING=1")

    async def keep_alive(self) -> None:
        """Send watchdog notifications at the interval that systemd requests, forever."""
        while self.watchdog_interval:
            self._notify("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_interval)

    async def report_status(self, status: Callable[[], str]) -> None:
        """Notify of the status whenever it changes, forever.

        Args:
            status: returns the present status, of one line.
        """
        last = ""
        while self._socket is not None:
            if (now := status()) != last:
                self.status(now)
            last = now
            await asyncio.sleep(_STATUS_INTERVAL)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def _notify(self, *lines: str) -> None:
        if self._socket is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(text.encode(errors="replace"), self._address)
        except OSError:
            # A failed notification must not affect the rules.
            return


def _watchdog_interval(environment: Mapping[str, str]) -> float:
    """Return half of the watchdog timeout of systemd, in seconds; 0 if there is none."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(environment.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return 0.0
