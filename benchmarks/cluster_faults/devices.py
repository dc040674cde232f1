"""The devices: they emit the inputs, own what the rules call, and remember what has happened."""

import asyncio
import time
from collections import defaultdict
from typing import Any, Final, NamedTuple

import msgpack

from eshet import Client, EshetError, Unknown
from eshet.nats.address import NatsAddress
from eshet.nats.bucket import Bucket
from eshet.nats.entry import Entry
from eshet.nats.joined import JoinedServer

__all__ = ["Answer", "Devices"]


class Answer(NamedTuple):
    """A call of a rule.

    Args:
        module: the module of the rule.
        runner: the runner that made it.
        number: of the input.
        at: the time, in seconds.
        wall: the time in seconds since 1970-01-01 UTC, for a comparison with that of NATS.
    """

    module: str
    runner: str
    number: int
    at: float
    wall: float


class Devices:
    """Emits inputs at a constant rate, within an `async with` statement.

    Args:
        url: of NATS.
        modules: the names of the modules.
        rate: inputs of all modules together, per second.
    """

    def __init__(self, url: str, modules: list[str], rate: float) -> None:
        self.answers: Final[list[Answer]] = []
        self.fired: Final[list[Answer]] = []
        self.fired_late: Final[list[Answer]] = []
        self.emitted: Final[dict[tuple[str, int], float]] = {}
        self.armed: Final[dict[tuple[str, int], float]] = {}
        self.unknown: Final[list[tuple[str, float, float]]] = []
        """Each time when the state of a module was unknown: from, and until."""
        self.holders: dict[str, str] = {}
        self._held: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        self.tokens: dict[str, int] = {}
        self._unknown_since: dict[str, float] = {}
        self.modules: Final = modules
        self._pause = 1 / rate
        self._address = NatsAddress.parse(url)
        self._numbers: defaultdict[str, int] = defaultdict(int)

    async def __aenter__(self) -> "Devices":
        self.server = JoinedServer(self._address)
        await self.server.open()
        self.client = Client(server=self.server, client_id="devices")
        await self.client.wait_for_connection()
        self._bucket = Bucket(self.server.connection, f"{self._address.prefix}_leases")
        await self._bucket.open()
        self._watch = self._bucket.watch(self._on_lease, lambda: None, lambda: None)
        for module in self.modules:
            await self.client.event_register(f"/in/{module}")
            await self.client.event_register(f"/arm/{module}")
            for path, received in (
                ("out", self.answers),
                ("fire", self.fired),
                ("late", self.fired_late),
            ):
                receiver = self._receiver(module, received)
                await self.client.action_register(f"/{path}/{module}", receiver)
            await self._observe(module)
        self._emitting = asyncio.create_task(self._emit())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._emitting.cancel()
        await self._watch.close()
        await self.client.close()
        await self.server.close()

    def _receiver(self, module: str, to: list[Answer]) -> Any:
        def receive(runner: str, number: int) -> None:
            to.append(Answer(module, runner, number, time.monotonic(), time.time()))

        return receive

    async def _observe(self, module: str) -> None:
        def observe(value: object) -> None:
            now = time.monotonic()
            if value is Unknown:
                self._unknown_since.setdefault(module, now)
            elif (since := self._unknown_since.pop(module, None)) is not None:
                self.unknown.append((module, since, now))

        observe(await self.client.state_observe(f"/count/{module}", observe))

    def _on_lease(self, entry: Entry) -> None:
        lease = {} if entry.is_deleted else msgpack.unpackb(entry.value)
        module = lease.get("module", entry.key)
        if not lease.get("released", False):
            self.holders[module] = lease.get("runner", "")
            self._held[module].append((entry.written, self.holders[module]))

    def is_stale(self, answer: Answer) -> bool:
        """Whether another runner held the lease when an answer came, as NATS has stored it.

        Call this some time later: the answer may come before the news of the lease.
        """
        held = self._held[answer.module]
        holders = [runner for written, runner in held if written <= answer.wall]
        return not holders or holders[-1] != answer.runner

    async def _emit(self) -> None:
        due = time.monotonic()
        while True:
            for module in self.modules:
                due += self._pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._numbers[module] += 1
                number = self._numbers[module]
                try:
                    await self.client.event_emit(f"/in/{module}", number)
                except EshetError:
                    continue
                self.emitted[module, number] = time.monotonic()

    async def arm(self, round_number: int) -> None:
        """Begin a delay in each module."""
        for module in self.modules:
            try:
                await self.client.event_emit(f"/arm/{module}", round_number)
            except EshetError:
                continue
            self.armed[module, round_number] = time.monotonic()
