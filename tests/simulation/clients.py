"""The five clients of a simulated house: a sensor, devices, and three that look on or ask."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from eshet import Client, Disconnected, ErrorValue
from tests.simulation.history import Emitter, History
from tests.simulation.network import Host, Network
from tests.simulation.process import Process

__all__ = ["CLIENTS", "HouseClient", "Observer"]

_silent = logging.Logger("silent", logging.CRITICAL)

_EVENTS = {"/out/relay": None, "/out/beat": Emitter("roof", rate=2)}
"""Events with numbers that only grow, and who counts them if that may be killed."""

_STATES = {
    "/sim/level": None,
    "/out/mirror": None,
    "/out/chain": None,
    "/out/room_bath": None,
    "/out/room_hall": None,
    "/out/count": Emitter("cellar", rate=4),
}
"""States that never go down, likewise."""


class HouseClient:
    """A client of the house that can be killed, and started again with the same id."""

    name = ""

    def __init__(self, network: Network, history: History) -> None:
        self._network = network
        self.history = history
        self.process = Process(self.name)

    def start(self) -> None:
        """Begin, or begin again after a kill."""
        self.process = Process(self.name)
        self.process.run(self._begin)

    def _begin(self) -> None:
        self.client = Client(
            server=Host(self._network, self.process), client_id=self.client_id, logger=_silent
        )
        self._tasks = [asyncio.create_task(work) for work in self.work()]

    @property
    def client_id(self) -> str:
        return f"simulated/{self.name}"

    async def stop(self) -> None:
        """End its tasks and its connection."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                self.history.violate(f"{self.name} ended by {result!r}")
        await self.client.close()

    def work(self) -> list[Any]:
        """Return the coroutines that it runs."""
        raise NotImplementedError

    async def attempt(self, request: Awaitable[Any]) -> Any:
        """Await the answer to a request; return the error if there is none."""
        try:
            return await request
        except (Disconnected, ErrorValue) as error:
            return error


class Sensor(HouseClient):
    """Emits ticks, four a second, and says how high and how dark it is."""

    name = "sensor"

    def work(self) -> list[Any]:
        return [self._tick(), self._measure()]

    async def _tick(self) -> None:
        await self.client.event_register("/sim/tick")
        while True:
            await asyncio.sleep(0.25)
            self.history.emitted += 1
            await self.attempt(self.client.event_emit("/sim/tick", self.history.emitted))

    async def _measure(self) -> None:
        await self.client.state_register("/sim/level")
        await self.client.state_register("/sim/dark")
        while True:
            self.history.level += 1
            self.history.dark = self.history.level % 10 < 5
            await self.attempt(self.client.state_changed("/sim/level", self.history.level))
            await self.attempt(self.client.state_changed("/sim/dark", self.history.dark))
            await asyncio.sleep(0.7)


class Devices(HouseClient):
    """A lamp that can be set, and a siren that can be called."""

    name = "devices"

    def work(self) -> list[Any]:
        return [self._register()]

    async def _register(self) -> None:
        await self.client.state_register("/device/lamp", self._set)
        await self.client.action_register("/device/siren", self._sound)

    async def _set(self, value: bool) -> None:
        self.history.setting("/device/lamp", value)
        await self.attempt(self.client.state_changed("/device/lamp", value))

    def _sound(self, number: int) -> None:
        self.history.once("/device/siren", number, "ground")


class Listener(HouseClient):
    """Hears what rules emit."""

    name = "listener"

    def work(self) -> list[Any]:
        return [self._listen()]

    async def _listen(self) -> None:
        for path, emitter in _EVENTS.items():
            await self._hear(path, emitter)

    async def _hear(self, path: str, emitter: Emitter | None) -> None:
        await self.client.event_listen_cb(
            path, lambda number: self.history.number(path, number, emitter)
        )


class Observer(HouseClient):
    """Looks at states."""

    name = "observer"

    def __init__(self, network: Network, history: History) -> None:
        super().__init__(network, history)
        self.now: dict[str, Any] = {}
        """What it was told last of each state."""

    def work(self) -> list[Any]:
        return [self._look()]

    async def _look(self) -> None:
        for path in _STATES:
            await self._observe(path)

    async def _observe(self, path: str) -> None:
        def see(value: Any) -> None:
            self.now[path] = value
            self.history.value(path, value, _STATES[path])

        see(await self.client.state_observe(path, see))


class Caller(HouseClient):
    """Calls an action of a rule, twice a second, without waiting for the answers."""

    name = "caller"

    def __init__(self, network: Network, history: History) -> None:
        super().__init__(network, history)
        self.waiting = 0
        """How many calls are not answered."""

    def work(self) -> list[Any]:
        return [self._call_often()]

    def _begin(self) -> None:
        self.waiting = 0
        super()._begin()

    async def _call_often(self) -> None:
        await self.client.wait_for_connection()
        number = 0
        async with asyncio.TaskGroup() as calls:
            while True:
                number += 1
                calls.create_task(self._call(number))
                await asyncio.sleep(0.5)

    async def _call(self, number: int) -> None:
        self.waiting += 1
        answer = await self.attempt(self.client.action_call("/out/double", number))
        self.waiting -= 1
        if isinstance(answer, int) and answer != 2 * number:
            self.history.violate(f"/out/double of {number} is {answer}")
        if self.history.calm and self.history.level > 10 and not isinstance(answer, int):
            self.history.violate(f"/out/double was answered by {answer!r}, though nothing broke")


CLIENTS: list[type[HouseClient]] = [Sensor, Devices, Listener, Observer, Caller]
