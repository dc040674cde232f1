"""Runners as processes, which reach each NATS server through a proxy of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.support.mosquitto import free_port
from tests.support.nats import NatsCluster
from tests.support.proxy import Proxy

__all__ = ["RunnerProcess", "runners"]

_FAKETIME: Final = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class RunnerProcess:
    """A runner that can be ended and started again.

    Args:
        name: its name in the cluster.
        rules: the rules folder.
        folder: for its state, its configuration and its log.
        proxies: to the NATS servers.
        prefix: the name of the tree.
        fakes_clock: whether its clock can be stepped, by libfaketime.
    """

    def __init__(
        self,
        name: str,
        rules: Path,
        folder: Path,
        proxies: list[Proxy],
        prefix: str,
        *,
        fakes_clock: bool,
    ) -> None:
        self.name: Final = name
        self.proxies: Final = proxies
        self.trail: Final = folder / "trail"
        self.log: Final = folder / "log"
        self._clock = folder / "clock"
        self._fakes_clock = fakes_clock
        self._rules = rules
        self._folder = folder
        folder.mkdir(parents=True)
        nats = ",".join(proxy.address for proxy in proxies)
        (folder / "eshet-rules.toml").write_text(
            f'[cluster]\nname = "bench"\nrunner = "{name}"\n'
            f'server = "nats://{nats}/{prefix}"\nlisten = "127.0.0.1:{free_port()}"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.step_clock(0)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        # Three ends by kill -9 within a minute of the start would mean safe mode.
        for guard in (self._folder / "state").glob("*/guard"):
            shutil.rmtree(guard)
        environment = dict(os.environ, RUNNER=self.name)
        if self._fakes_clock:  # each look at the clock reads a file then
            environment |= {
                "LD_PRELOAD": _FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        command = [
            *(sys.executable, "-m", "eshet_rules", "run", str(self._rules)),
            *("--config", str(self._folder / "eshet-rules.toml")),
            *("--state-dir", str(self._folder / "state"), "--audit", str(self.trail)),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def step_clock(self, seconds: int) -> None:
        """Set the wall clock of the runner by so many seconds from the real one."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.replace(self._clock)

    def cut(self, proxies: list[Proxy]) -> None:
        """Throw away what is sent through some of its proxies, until `heal`."""
        for proxy in proxies:
            proxy.swallowing = True

    def heal(self) -> None:
        for proxy in self.proxies:
            if proxy.swallowing:
                proxy.swallowing = False
                proxy.cut()


@contextlib.asynccontextmanager
async def runners(
    count: int, rules: Path, folder: Path, nats: NatsCluster, prefix: str, *, fakes_clock: bool
) -> AsyncIterator[list[RunnerProcess]]:
    """Run some runners."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for number in range(1, count + 1):
            proxies = [
                await stack.enter_async_context(Proxy(("127.0.0.1", server.port)))
                for server in nats.servers
            ]
            runner = RunnerProcess(
                f"runner{number}",
                rules,
                folder / f"runner{number}",
                proxies,
                prefix,
                fakes_clock=fakes_clock,
            )
            stack.callback(runner.kill)
            runner.start()
            made.append(runner)
        yield made
