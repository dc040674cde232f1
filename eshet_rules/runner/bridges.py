"""Runs the configured bridges beside the rules, each under its own supervision."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from eshet.bridges.bridge import Bridge, make_bridge
from eshet.bridges.settings import BridgeSettings, HomeAssistantSettings
from eshet.client import Client
from eshet.text import safe_str, type_name
from eshet_rules.runner.components import keep_running

__all__ = ["BRIDGE", "PAGE", "Bridges", "MakeClient"]

BRIDGE: Final = "bridge "
"""The prefix of the names of clients of bridges; names of modules do not have it."""


PAGE: Final = "web page"
"""The name of the client of the page."""


class MakeClient(Protocol):
    """Makes the client of a module, of a bridge, of the page, or of the runner itself."""

    def __call__(self, name: str, /, *, relays_causes: bool = False) -> Client:
        """Return a new client.

        Args:
            name: of the module; that of a bridge begins with `BRIDGE`, and that of the runner is
                empty.
            relays_causes: whether a bridge knows which of its outputs are effects of its inputs.
        """


class Bridges:
    """The bridges of a runner.

    Args:
        make_client: makes the clients of the bridges.
        log: receives failures.
    """

    def __init__(self, make_client: MakeClient, log: FilteringBoundLogger) -> None:
        self._make_client = make_client
        self._log = log
        self._wanted: Mapping[str, BridgeSettings] = {}
        self._changed: Final = asyncio.Event()
        self._running: dict[str, tuple[BridgeSettings, asyncio.Task[None]]] = {}
        self._bridges: dict[str, Bridge] = {}
        self._errors: dict[str, str] = {}
        self._begun: dict[str, asyncio.Event] = {}  # ready, or failed

    def configure(self, wanted: Mapping[str, BridgeSettings]) -> None:
        """Run these bridges and no others; bridges with unchanged settings keep running."""
        self._wanted = dict(wanted)
        self._changed.set()

    def reports(self) -> list[dict[str, Any]]:
        """Return the name, state and problem of each bridge, as plain data."""
        return [self._report(name) for name in sorted(self._wanted)]

    async def wait_until_ready(self, limit: float) -> None:
        """Wait until all configured bridges have registered their devices, or have failed.

        Args:
            limit: the maximum time to wait, in seconds; a broker may be away.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                for name in self._wanted:
                    await self._begun.setdefault(name, asyncio.Event()).wait()

    async def run(self) -> None:
        """Run the configured bridges until this is cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for name, (settings, task) in list(self._running.items()):
                    if self._wanted.get(name) != settings or task.done():
                        await self._stop(name)
                for name, settings in self._wanted.items():
                    if name not in self._running:
                        self._running[name] = settings, self._start(name, settings)
        finally:
            self._changed.set()  # so that the next `run` starts them
            for name in list(self._running):
                await self._stop(name)

    def _start(self, name: str, settings: BridgeSettings) -> asyncio.Task[None]:
        begun = self._begun.setdefault(name, asyncio.Event())

        async def run() -> None:
            # MQTT has no contexts, and its bridges have many more messages.
            relays_causes = isinstance(settings, HomeAssistantSettings)
            client = self._make_client(f"{BRIDGE}{name}", relays_causes=relays_causes)
            try:
                bridge = self._bridges[name] = make_bridge(name, settings, client)
                waiting = asyncio.create_task(bridge.ready.wait())
                waiting.add_done_callback(lambda _: begun.set())
                try:
                    await bridge.run()
                finally:
                    waiting.cancel()
            except BaseException as error:
                self._errors[name] = safe_str(error) or type_name(error)
                begun.set()
                raise
            finally:
                self._bridges.pop(name, None)
                await client.close()

        return asyncio.create_task(keep_running(f"{BRIDGE}{name}", run, self._log))

    async def _stop(self, name: str) -> None:
        _, task = self._running.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self._errors.pop(name, None)

    def _report(self, name: str) -> dict[str, Any]:
        settings, bridge = self._wanted[name], self._bridges.get(name)
        return {
            "bridge": name,
            "server": str(settings.address),
            "connected": bridge is not None and bridge.connected,
            "devices": 0 if bridge is None else bridge.device_count,
            "problem": self._errors.get(name, "not started") if bridge is None else bridge.problem,
        }
