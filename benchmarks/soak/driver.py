"""The driver of the soak: emits what good rules hear, and counts their answers."""

import asyncio
import time
from array import array
from collections.abc import Callable, Iterable
from typing import Final

from eshet import Client

__all__ = ["GOOD", "Driver", "good_module", "percentile"]

GOOD: Final = 20
RATE: Final = 100

_HEAD: Final = """
from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import keep, rule

@rule
async def answer(client):
"""

_BODIES: Final = (
    """
    tick = await yarp.event_listen("/soak/tick")
    await yarp.event_register("/soak/answer/{number}", tick)
""",
    """
    count = keep("count", 0)
    await yarp.state_register("/soak/count/{number}", count)
    emit = await client.event_register("/soak/answer/{number}")
    async def heard(number):
        count.value += 1
        await emit(number)
    await client.event_listen_cb("/soak/tick", heard)
""",
    """
    tick = await yarp.event_listen("/soak/tick")
    await yarp.action_call("/soak/call/{number}", tick, strategy=RunSerially())
""",
    """
    emit = await client.event_register("/soak/answer/{number}")
    async for number in client.event_listen("/soak/tick"):
        await emit(number)
""",
)
"""How good rules answer: by a node, a callback, an action of somebody else, an iteration."""


def good_module(number: int) -> str:
    """Return the source of a good module."""
    return _HEAD + _BODIES[number % len(_BODIES)].format(number=number).lstrip("\n")


def percentile(latencies: list[float], share: float) -> float:
    """Return what this share of the latencies is not above."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Driver:
    """Emits numbered events, and takes down which good rule answered which of them, and when.

    Args:
        server: its address.
    """

    def __init__(self, server: str) -> None:
        self.client: Final = Client(server=server, client_id="soak driver")
        self._sent = array("d")
        self._latencies = [array("f") for _ in range(GOOD)]
        self.duplicates = 0
        self.unknown = 0

    @property
    def count(self) -> int:
        """How many events were emitted."""
        return len(self._sent)

    async def begin(self, pokes: Iterable[str]) -> None:
        """Register what the rules hear and call."""
        await self.client.wait_for_connection()
        for name in pokes:
            await self.client.event_register(f"/soak/poke/{name}")
        for rule in range(GOOD):
            heard = self._heard_of(rule)
            await self.client.action_register(f"/soak/call/{rule}", heard)
            await self.client.event_listen_cb(f"/soak/answer/{rule}", heard)

    def _heard_of(self, rule: int) -> Callable[[int], None]:
        latencies = self._latencies[rule]

        def heard(number: int) -> None:
            now = time.perf_counter()
            if number >= len(self._sent):
                self.unknown += 1
            elif latencies[number] >= 0:
                self.duplicates += 1
            else:
                latencies[number] = now - self._sent[number]

        return heard

    async def tick(self) -> None:
        """Emit events at the rate, until cancelled."""
        emit = await self.client.event_register("/soak/tick")
        loop = asyncio.get_running_loop()
        begin, emitted, tasks = loop.time(), 0, set[asyncio.Task[None]]()
        while True:
            for latencies in self._latencies:
                latencies.append(-1.0)
            self._sent.append(time.perf_counter())
            task = asyncio.ensure_future(emit(len(self._sent) - 1))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            emitted += 1
            await asyncio.sleep(begin + emitted / RATE - loop.time())

    def latencies(self, begin: int, end: int) -> list[float]:
        """Return the seconds to each answer to the events from `begin` to before `end`."""
        return [each for rule in self._latencies for each in rule[begin:end] if each >= 0]

    def missed(self, begin: int, end: int) -> list[int]:
        """Return the events that some rule did not answer, once for each such rule."""
        return [n for rule in self._latencies for n in range(begin, end) if rule[n] < 0]
