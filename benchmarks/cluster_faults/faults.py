"""What is done to the cluster, one fault at a time."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.cluster_faults.rules import LONG
from benchmarks.cluster_faults.runners import RunnerProcess
from tests.support.nats import NatsCluster, NatsServer

__all__ = ["FAULTS", "Fault", "Site"]

_FROZEN: Final = 30.0
"""Seconds for which a process is stopped."""

_CUT: Final = 20.0
"""Seconds for which a network is cut: longer than a lease."""


@dataclass
class Site:
    """The processes of the cluster.

    Args:
        nats: the NATS servers.
        runners: the runners.
        leader: returns the NATS server that leads the stream of nodes.
    """

    nats: NatsCluster
    runners: list[RunnerProcess]
    leader: Callable[[], Awaitable[NatsServer]]

    async def restart(self, server: NatsServer) -> None:
        await asyncio.to_thread(server.start)


Inject = Callable[[Site], Awaitable[tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]]]
"""Begins a fault; returns the runners that it concerns, and what ends it."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    Args:
        name: for the report.
        inject: see `Inject`.
        lasts: whether it outlasts a lease.
    """

    name: str
    inject: Inject
    lasts: bool = False


async def _kill_runner(
    site: Site,
) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
    runner = random.choice(site.runners)
    runner.kill()

    async def heal() -> None:
        runner.start()

    return [runner], heal


async def _freeze_runner(
    site: Site,
) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
    runner = random.choice(site.runners)
    runner.signal(signal.SIGSTOP)

    async def heal() -> None:
        await asyncio.sleep(_FROZEN - LONG)  # the round has waited that long already
        runner.signal(signal.SIGCONT)

    return [runner], heal


def _kill_server(*, is_leader: bool) -> Inject:
    async def kill(
        site: Site,
    ) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
        server = await site.leader() if is_leader else random.choice(site.nats.servers)
        server.kill()

        async def heal() -> None:
            await site.restart(server)

        return site.runners, heal

    return kill


def _cut_network(*, is_complete: bool) -> Inject:
    async def cut(
        site: Site,
    ) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
        runner = random.choice(site.runners)
        # One that is half open since an earlier fault is not in use.
        used = max(runner.proxies, key=lambda proxy: proxy.last_passed)
        runner.cut(runner.proxies if is_complete else [used])

        async def heal() -> None:
            if is_complete:
                await asyncio.sleep(_CUT - LONG)
            runner.heal()

        return [runner], heal

    return cut


async def _step_clock(
    site: Site,
) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
    runner = random.choice(site.runners)
    runner.step_clock(random.choice((3600, -3600)))

    async def heal() -> None:
        runner.step_clock(0)

    return [runner], heal


async def _restart_all(
    site: Site,
) -> tuple[list[RunnerProcess], Callable[[], Awaitable[None]]]:
    """Restart each runner, one after another, and then each NATS server."""

    async def work() -> None:
        for runner in site.runners:
            runner.signal(signal.SIGTERM)
            assert runner.process is not None
            await asyncio.to_thread(runner.process.wait)
            runner.start()
            await asyncio.sleep(4)
        for server in site.nats.servers:
            await asyncio.to_thread(server.stop)
            await site.restart(server)
            await asyncio.sleep(4)

    restarting = asyncio.create_task(work())

    async def heal() -> None:
        await restarting

    return site.runners, heal


FAULTS: Final = {
    "kill-runner": Fault("kill -9 of a runner", _kill_runner),
    "freeze-runner": Fault("SIGSTOP of a runner for 30 s", _freeze_runner, lasts=True),
    "kill-leader": Fault("kill -9 of the leader of the stream", _kill_server(is_leader=True)),
    "kill-server": Fault("kill -9 of any NATS server", _kill_server(is_leader=False)),
    "cut-one": Fault("a runner is cut from its NATS server", _cut_network(is_complete=False)),
    "cut-all": Fault(
        "a runner is cut from all servers for 20 s", _cut_network(is_complete=True), lasts=True
    ),
    "clock": Fault("the clock of a runner steps by 1 h, and back", _step_clock),
    "restart-all": Fault("rolling restart of all", _restart_all, lasts=True),
}
