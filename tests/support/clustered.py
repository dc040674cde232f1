"""Runners of a cluster in this process, joined by a real nats-server."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from eshet import Client
from eshet.nats import watch
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from eshet_rules.cluster.assignment import Candidate, rank
from eshet_rules.config import ClusterSettings, Configuration
from eshet_rules.runner.main import run
from tests.conftest import Advance
from tests.support.nats import NatsCluster, NatsServer
from tests.support.proxy import Proxy
from tests.support.rules import Folder, Log

__all__ = ["ClusteredHouse", "ClusteredRunner"]

T = TypeVar("T")

_TICK = 0.01

_HEARTBEAT = 1.5
"""Seconds of the loop's clock between two heartbeats."""


class ClusteredRunner:
    """A runner of a cluster.

    Args:
        url: of the nats-server.
        folder: of the rules.
        name: of the runner.
        state: its state folder.
        **settings: of `ClusterSettings`.
    """

    def __init__(
        self, url: str, folder: Folder, name: str, state: Path | None = None, **settings: Any
    ) -> None:
        self.weight: float = settings.get("weight", 1.0)
        self.log = Log()
        self._options: dict[str, Any] = {
            "state": state,
            "configuration": Configuration(
                cluster=ClusterSettings(
                    name="house",
                    server=NatsAddress.parse(url),
                    listen="127.0.0.1:0",
                    runner=name,
                    **settings,
                )
            ),
        }
        self._folder = folder.path
        self._running: asyncio.Task[int] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(run(self._folder, self.log.logger, **self._options))

    async def stop(self) -> None:
        """Stop it gracefully."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None
        self.log.check()

    async def crash(self, proxy: Proxy) -> None:
        """End it without a word: nothing of what it says in the end passes the proxy."""
        proxy.stall()
        proxy.cut()
        await self.stop()

    def leased(self) -> set[str]:
        """Return the modules whose leases it holds, as its log says."""
        running = set()
        for record in self.log.records:
            match record["event"]:
                case "module.taken":
                    running.add(record["module"])
                case "module.given_up":
                    running.discard(record["module"])
                case "cluster.leases_lost":
                    running -= set(record["modules"])
        return running

    def loaded(self) -> set[str]:
        """Return the modules that are loaded, as its log says."""
        loaded = set()
        for record in self.log.records:
            match record["event"]:
                case "module.loaded":
                    loaded.add(record["module"])
                case "module.unloaded":
                    loaded.discard(record["module"])
        return loaded


class ClusteredHouse:
    """Several runners of a cluster, and a client that is not one of them.

    Args:
        nats: the server, or the servers.
        tree: the name of a tree of its own.
        folder: of the rules.
        advance: the fixture.
        speed: seconds of the loop's clock for each real one. JetStream sends its heartbeats as much
            faster; but electing a leader takes some real seconds.
    """

    def __init__(
        self,
        nats: NatsServer | NatsCluster,
        tree: str,
        folder: Folder,
        advance: Advance,
        speed: float = 6,
    ) -> None:
        self.nats = nats
        self.tree = tree
        self.folder = folder
        self.runners: dict[str, ClusteredRunner] = {}
        self._advance = advance
        self._speed = speed
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(watch, "HEARTBEAT", min(watch.HEARTBEAT, _HEARTBEAT / self._speed))
        self.server = server = JoinedServer(NatsAddress.parse(f"{self.nats.url}/{self.tree}"))
        await self.paced(self._stack.enter_async_context(server))
        self.client = Client(server=server)
        await self.paced(self._stack.enter_async_context(self.client))
        return self

    async def __aexit__(self, *_: object) -> None:
        for runner in self.runners.values():
            await self.paced(runner.stop())
        await self.paced(self._stack.aclose())

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def proxy(self) -> Proxy:
        """Return a proxy in front of the nats-server."""
        assert isinstance(self.nats, NatsServer)
        return Proxy(("127.0.0.1", self.nats.port))

    def start(
        self,
        name: str,
        proxy: Proxy | None = None,
        folder: Folder | None = None,
        key: str = "",
        **settings: Any,
    ) -> ClusteredRunner:
        """Start a runner.

        Args:
            name: of the runner.
            proxy: in front of its nats-server.
            folder: of its rules, if it has a folder of its own.
            key: in `runners`, if it is not its name.
            **settings: see `ClusteredRunner`.
        """
        url = self.nats.url if proxy is None else f"nats://{proxy.address}"
        runner = ClusteredRunner(f"{url}/{self.tree}", folder or self.folder, name, **settings)
        self.runners[key or name] = runner
        runner.start()
        return runner

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition holds."""

        while not condition():
            await self.pass_time(0.02)

    async def until_shared(self, *names: str) -> None:
        """Let time pass until each module runs on the one of these runners that ranks first."""
        candidates = [Candidate(name, self.runners[name].weight) for name in names]
        shares: dict[str, set[str]] = {name: set() for name in names}
        for module in self.folder.sources():
            shares[rank(module, candidates)[0]].add(module)
        await self.until(
            lambda: all(
                self.runners[name].loaded() == self.runners[name].leased() == share
                for name, share in shares.items()
            )
        )

    async def pass_time(self, seconds: float) -> None:
        await self.paced(asyncio.sleep(seconds))

    async def call(self, path: str, *arguments: Any) -> Any:
        return await self.paced(self.client.action_call(path, *arguments))

    async def get(self, path: str) -> Any:
        await self.paced(self.client.wait_for_connection())
        return await self.paced(self.client.get(path))

    async def paced(self, awaitable: Awaitable[T]) -> T:
        """Let time pass until the awaitable is done, and return its result."""
        loop = asyncio.get_running_loop()
        future = asyncio.ensure_future(awaitable)
        while not future.done():
            began = time.monotonic()
            tick = loop.run_in_executor(None, time.sleep, _TICK)
            await asyncio.wait([future, tick], return_when=asyncio.FIRST_COMPLETED)
            await self._advance(self._speed * min(time.monotonic() - began, 2 * _TICK))
        return await future
