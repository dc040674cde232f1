"""A whole house in virtual time: a server, three runners, five clients, and all that can fail.

For a minute all fails now and then: what must never be is checked (safety). Then all is healed, and
after ten seconds everything must be as if nothing had happened (liveness). What fails, and when, is
chosen by a seed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from eshet import Client, ErrorValue, EshetError, Unknown
from eshet.server import Server
from tests.simulation.clients import CLIENTS, Caller, HouseClient, Observer
from tests.simulation.history import History
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Host, Network
from tests.simulation.options import Options, rates
from tests.simulation.process import Process, simulated_disk
from tests.simulation.runners import RUNNERS, SimulatedRunner, simulated_runners

__all__ = ["simulate"]

_WARM_UP = 5.0
_SAFETY = 60.0
_LIVENESS = 10.0
_CONNECTED = 6.5  # of these, when all are connected again: a client may wait for 6 s
_STEP = 0.05
_DOWN = 3.0  # how long something that was killed is down at most


async def simulate(seed: int, options: Options, place: Path) -> History:
    """Run the house of a seed, and return what was seen.

    Args:
        seed: of all that happens by chance.
        options: which faults there are.
        place: a folder for its files.
    """
    simulation = _Simulation(seed, options, place)
    state = random.getstate()
    random.seed(seed)
    try:
        with simulated_disk(), simulated_runners(simulation.runners):
            await simulation.run()
    finally:
        random.setstate(state)
    return simulation.history


class _Simulation:
    def __init__(self, seed: int, options: Options, place: Path) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.set_exception_handler(self._on_exception)
        self._loop = loop
        self._options = options
        self._chance = random.Random(f"faults {seed}")  # noqa: S311 - to get the same again
        self.history = History(loop.time)
        self._network = Network(options, random.Random(f"network {seed}"))  # noqa: S311
        self.runners = {
            name: SimulatedRunner(name, self._network, self.history, place, self._chance)
            for name in RUNNERS
        }
        self._clients: list[HouseClient] = [
            client(self._network, self.history) for client in CLIENTS
        ]
        self._restarts: set[asyncio.Task[Any]] = set()
        self._down: set[str] = set()

    def _on_exception(self, loop: Any, context: dict[str, Any]) -> None:
        self.history.violate(f"{context['message']}: {context.get('exception')!r}")

    async def run(self) -> None:
        """Go through both phases, and check what is left."""
        self._network.server = Server()
        for part in [*self.runners.values(), *self._clients]:
            part.start()
        await self._loop.advance(_WARM_UP)
        await self._fail_for_a_minute()
        await self._heal()
        await self._loop.advance(_CONNECTED)
        ticks = self.history.emitted
        await self._loop.advance(_LIVENESS - _CONNECTED)
        await self._check_liveness(ticks)
        self.history.calm = False  # states become unknown, as they should
        await self._stop()
        for runner in self.runners.values():
            runner.check_trail()

    # --- safety ---------------------------------------------------------------------------------

    async def _fail_for_a_minute(self) -> None:
        for runner in self.runners.values():
            runner.folder.lost_hints = self._options.lost_hints
        faults: dict[str, Callable[[], object]] = {
            name: getattr(self, f"_{name}") for name in rates(self._options)
        }
        chances = {name: rate * _STEP for name, rate in rates(self._options).items()}
        while self._loop.time() < _WARM_UP + _SAFETY:
            for name, fault in faults.items():
                if self._chance.random() < chances[name]:
                    fault()
            self._restart_ended()
            await self._loop.advance(_STEP)

    def _cuts(self) -> None:
        if self._network.connections:
            self.history.calm = False
            self.history.note("cut")
            self._chance.choice(self._network.connections).cut()

    def _silences(self) -> None:
        if self._network.connections:
            self.history.calm = False
            self.history.note("silence")
            self._chance.choice(self._network.connections).silent = True

    def _takeovers(self) -> None:
        self.history.calm = False
        if ids := self._network.ids():
            self._restart(self._take_over(self._chance.choice(ids)))

    async def _take_over(self, client_id: Any) -> None:
        self.history.note(f"takeover of {client_id}")
        process = Process("stranger")
        stranger = Client(server=Host(self._network, process), client_id=client_id)
        await asyncio.sleep(self._chance.uniform(0, 1))
        await stranger.close()

    def _server_crashes(self) -> None:
        if self._network.server is not None:
            self.history.killed("server")
            server, self._network.server = self._network.server, None
            self._network.cut_server()
            self._restart(self._restart_server(server))

    async def _restart_server(self, old: Server) -> None:
        await asyncio.sleep(self._chance.uniform(0, _DOWN))
        self._network.server = Server()
        await old.close()

    def _runner_crashes(self) -> None:
        runner = self._chance.choice(list(self.runners.values()))
        if not runner.has_ended:
            self._down.add(runner.name)
            self._restart(self._restart_runner(runner))

    async def _restart_runner(self, runner: SimulatedRunner) -> None:
        await runner.kill()
        await asyncio.sleep(self._chance.uniform(0, _DOWN))
        runner.start()
        self._down.discard(runner.name)

    def _client_crashes(self) -> None:
        client = self._chance.choice(self._clients)
        if client.process.alive:
            self._restart(self._restart_client(client))

    async def _restart_client(self, client: HouseClient) -> None:
        client.process.alive = False
        self.history.killed(client.name)
        for connection in self._network.of(client.process):
            connection.cut()
        await client.stop()
        await asyncio.sleep(self._chance.uniform(0, _DOWN))
        client.start()

    def _disk_failures(self) -> None:
        runner = self._chance.choice(list(self.runners.values()))
        self.history.note(f"disk of {runner.name} fails")
        self.history.disk_failed = True
        runner.process.fail_disk(self._chance.randrange(20), self._chance.choice((1, 1, 3, 30)))

    def _disk_crashes(self) -> None:
        runner = self._chance.choice(list(self.runners.values()))
        runner.process.crash_in_write(self._chance.randrange(20))

    def _saves(self) -> None:
        folder, module = self._some_module()
        self.history.note(f"save {module}")
        folder.save(module)

    def _broken_saves(self) -> None:
        folder, module = self._some_module()
        self.history.note(f"break {module}")
        if self._chance.random() < 0.5:
            folder.save_broken(module)
        else:
            self._restart(folder.save_in_parts(module))

    def _some_module(self) -> tuple[Any, str]:
        runner = self._chance.choice(list(self.runners.values()))
        return runner.folder, self._chance.choice(list(runner.folder.versions))

    def _restart_ended(self) -> None:
        """Start runners again that have ended: as their disk was full, or they died in a write."""
        for runner in self.runners.values():
            if runner.has_ended and runner.name not in self._down:
                self._down.add(runner.name)
                self._restart(self._restart_runner(runner))

    def _restart(self, restart: Awaitable[object]) -> None:
        task = asyncio.ensure_future(restart)
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    # --- liveness -------------------------------------------------------------------------------

    async def _heal(self) -> None:
        """End all faults, and start what is down."""
        for runner in self.runners.values():
            runner.process.heal()
            runner.folder.lost_hints = 0.0
        while self._restarts:
            await self._loop.advance(_STEP)
            self._restart_ended()
        for runner in self.runners.values():
            runner.process.heal()
            runner.folder.save_all()
        self._network.heal()
        self.history.note("healed")

    async def _check_liveness(self, ticks: int) -> None:
        """Check that all is as if nothing had failed.

        Args:
            ticks: how many had been emitted when all were connected again.
        """
        [caller] = [client for client in self._clients if isinstance(client, Caller)]
        [observer] = [client for client in self._clients if isinstance(client, Observer)]
        viewer = Client(server=self._network.server)
        await viewer.wait_for_connection()
        expected = {
            "/out/mirror": self.history.level,
            "/out/chain": self.history.level,
            "/out/room_bath": self.history.level,
            "/out/room_hall": self.history.level,
            "/device/lamp": self.history.dark,
        }
        for runner in self.runners.values():
            for module, version in runner.folder.versions.items():
                names = ["rooms_bath", "rooms_hall"] if module == "rooms" else [module]
                expected |= {f"/version/{name}": version for name in names}
        for path, value in expected.items():
            try:
                found = await viewer.get(path)
            except ErrorValue as error:
                found = error
            if found != value:
                self.history.violate(f"{path} is {found!r} and not {value!r}, though all is well")
            if path in observer.now and observer.now[path] != value:
                self.history.violate(f"the observer sees {observer.now[path]} at {path}")
        heard = set(self.history.seen.get("/out/relay", []))
        missed = [n for n in range(ticks + 1, self.history.emitted) if n not in heard]
        if missed:
            self.history.violate(f"ticks {missed} were not relayed, though all is well")
        called = self.history.seen.get("/device/siren", [])
        due = [n for n in range(ticks + 1, self.history.emitted - 6) if n % 10 == 0]
        if not set(due) <= set(called):
            self.history.violate(f"the siren was not called for {due}, but for {called[-3:]}")
        if observer.now.get("/out/count", Unknown) is Unknown:
            self.history.violate("ticks are not counted, though all is well")
        if caller.waiting:
            self.history.violate(f"{caller.waiting} calls wait, though all is well")
        for name in self.runners:
            try:
                state = await viewer.get(f"/eshet_rules/{name}/runner")
            except EshetError as error:
                self.history.violate(f"{name} is not published, though all is well: {error!r}")
            else:
                self._check_runner(name, state)
        await viewer.close()

    def _check_runner(self, name: str, state: dict[str, Any]) -> None:
        if list(state["rules"]) != ["running"] or state["broken"]:
            self.history.violate(f"{name} is {state}, though all is well")

    async def _stop(self) -> None:
        for client in self._clients:
            with suppress(EshetError):
                await client.stop()
        for runner in self.runners.values():
            await runner.stop()
        if self._network.server is not None:
            await self._network.server.close()
