"""Sends settings again to devices that were registered again, and may have lost them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from eshet.client import Client
from eshet.yarp.driving.drives import Drives
from eshet.yarp.outputs import HeldOutput

__all__ = ["OwnerWatch"]

_CHANGES: Final = "/meta/changed"
"""The event that our server emits for each node that is registered; others may not have it."""


_OF_RUNNERS: Final = "/eshet_rules/"
"""The beginning of the paths of runners and their rules. Nothing sets these, and there are many:
one for each rule, registered one after the other."""


class OwnerWatch:
    """Notices each node that is registered, and has its settings compared and sent again.

    Args:
        client: a client of the server, without recorded inputs.
        drives: returns the paths that rules drive.
        outputs: returns the sinks of all running rules.
    """

    def __init__(
        self,
        client: Client,
        drives: Callable[[], Drives],
        outputs: Callable[[], Iterable[HeldOutput]],
    ) -> None:
        self._client = client
        self._drives = drives
        self._outputs = outputs
        self._added: set[str] = set()  # since the sinks were notified last

    async def begin(self) -> None:
        """Begin to listen, until the client is closed or the current scope ends."""
        await self._client.event_listen_cb(_CHANGES, self._on_change)

    async def run(self) -> None:
        """Listen forever."""
        await self.begin()
        await asyncio.Event().wait()

    def _on_change(self, change: Any) -> None:
        match change:
            case ["added" | "owned", str(path), _] if not path.startswith(_OF_RUNNERS):
                if not self._added:
                    # Once for all that were registered in this turn of the loop.
                    asyncio.get_running_loop().call_soon(self._notify)
                self._added.add(path)

    def _notify(self) -> None:
        added, self._added = self._added, set()
        for output in list(self._outputs()):
            if output.path in added:
                output.note_owner()
        drives = self._drives()
        for path in added.intersection(drives.paths()):
            drives.note_owner(path)
