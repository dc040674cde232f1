"""A server that is killed and started again, over and over, while clients are at work.

`ESHET_KILLS=200 pytest tests/faults/test_client_kills.py -s -n0` does it more often, and prints how
long it took until a house was whole again.
"""

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from eshet import Client, Disconnected, ErrorValue, TimeoutConfig, Unknown
from tests.conftest import Advance
from tests.support.processes import line, running
from tests.support.waiting import passing_time, until

KILLS = int(os.environ.get("ESHET_KILLS", "30"))

# Virtual seconds pass while a real server answers; they may not count as its silence.
PATIENT = TimeoutConfig(idle_ping=3600, server_timeout=0, ping_timeout=3600)


class Killable:
    """A server in a process of its own, always at the same address."""

    def __init__(self) -> None:
        self.address = "127.0.0.1:0"
        self._stack = ExitStack()

    def start(self) -> None:
        self._process: subprocess.Popen[str] = self._stack.enter_context(
            running("eshet", "serve", "--listen", self.address)
        )
        self.address = line(self._process).removeprefix("listening on ")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self._stack.close()


@contextlib.contextmanager
def killable() -> Iterator[Killable]:
    server = Killable()
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Load:
    """A client that calls and an owner that changes a state, as fast as they are answered."""

    def __init__(self, caller: Client, owner: Client) -> None:
        self._caller = caller
        self._owner = owner
        self.done: list[int] = []
        self.lost = 0
        self.errors: set[str] = set()

    async def call(self) -> None:
        for number in range(1 << 30):
            try:
                await self._caller.action_call("/count", number)
            except Disconnected:
                self.lost += 1
                await self._caller.wait_for_connection()
            except ErrorValue as error:
                self.errors.add(error.value)
                await asyncio.sleep(0)
            else:
                self.done.append(number)

    async def change(self) -> None:
        state = await self._owner.state_register("/state")
        for number in range(1 << 30):
            await state.changed(number)
            if not self._owner.connected:
                await self._owner.wait_for_connection()


async def test_clients_survive_a_server_that_is_killed_repeatedly(advance: Advance) -> None:
    counted: list[int] = []
    observed: list[Any] = []
    times: list[float] = []
    with killable() as server:
        owner, caller, observer = (
            Client(server=server.address, client_id=name, timeout_cfg=PATIENT)
            for name in ("owner", "caller", "observer")
        )
        for client in (owner, caller, observer):
            await client.wait_for_connection()
        await owner.action_register("/count", counted.append)
        await observer.state_observe("/state", observed.append)
        load = Load(caller, owner)
        tasks = [asyncio.create_task(load.call()), asyncio.create_task(load.change())]
        for kill in range(KILLS + 1):
            enough = len(load.done) + 50
            await until(lambda: len(load.done) >= enough and observed[-1:] != [Unknown], advance)  # noqa: B023 - called now
            assert observed.count(Unknown) == kill, "once for each time"
            if kill == KILLS:
                break
            server.kill()
            server.start()
            back = time.perf_counter()
            for client in (owner, caller, observer):
                await passing_time(client.wait_for_connection(), advance)
            times.append(time.perf_counter() - back)
        for task in tasks:
            task.cancel()
        for client in (owner, caller, observer):
            await client.close()
    assert len(counted) == len(set(counted)), "nothing was sent twice"
    assert set(load.done) <= set(counted), "what was answered was done"
    assert load.lost <= 2 * KILLS
    assert load.errors <= {"client_exited", "path_not_found"}, "the owner is not back yet"
    known = [value for value in observed if value is not Unknown]
    assert known == sorted(set(known)), "each change once, in order"
    print(
        f"\n{KILLS} kills, {len(load.done)} calls, {load.lost} lost; whole again "
        f"{statistics.median(times) * 1e3:.1f} ms after the server listens (at most "
        f"{max(times) * 1e3:.1f})"
    )
