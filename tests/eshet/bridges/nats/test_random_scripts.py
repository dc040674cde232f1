"""Whatever happens on both sides, and to the bridge between them, both show the same in the end.

A script is random, and made of registrations, changes, sets, calls, emissions and departures of
clients, and of outages of the bridge. It knows of each node who owns it, and what it should show.
"""

import asyncio
import contextlib
import functools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eshet import Client, EshetError, Unknown
from tests.support.cable import Cable
from tests.support.joined_by_bridge import JoinedByBridge, nodes_of
from tests.support.waiting import eventually

STEPS = 60
PATHS = ("/a", "/b", "/c", "/d/one", "/d/two", "/d/e/three")
KINDS = ("state", "event", "action", "prop")


class Owner:
    """A client that owns nodes, and what it does for each.

    Args:
        side: 0 for the server, 1 for the tree.
        client: the client.
    """

    def __init__(self, side: int, client: Client) -> None:
        self.side = side
        self.client = client
        self.nodes: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        """The values of states and properties."""

    async def register(self, path: str, kind: str) -> None:
        async def show(value: Any) -> None:
            self.values[path] = value
            if kind == "state":
                await self.client.state_changed(path, value)

        def keep(value: Any) -> None:
            self.values[path] = value

        match kind:
            case "state":
                await self.client.state_register(path, show)
                self.values[path] = Unknown
            case "prop":
                self.values[path] = None
                await self.client.prop_register(path, lambda: self.values[path], keep)
            case "action":
                await self.client.action_register(path, lambda *numbers: [path, *numbers])
            case _:
                await self.client.event_register(path)
        self.nodes[path] = kind

    async def unregister(self, path: str) -> None:
        del self.nodes[path]
        self.values.pop(path, None)
        await self.client.unregister(path)


class Script:
    """A script that is running.

    Args:
        both: the sides.
        cable: between the bridge and the tree.
        chance: what decides.
    """

    def __init__(self, both: JoinedByBridge, cable: Cable, chance: random.Random) -> None:
        self._both = both
        self._cable = cable
        self._chance = chance
        self._owners: list[Owner] = []
        self._servers = (both.server, both.tree)
        self.clients = (both.house, both.flat)
        self._numbers = iter(range(1_000_000))

    async def run(self) -> None:
        steps: dict[Callable[[], Awaitable[None]], int] = {
            self._register: 6,
            self._unregister: 2,
            self._change: 6,
            self._set: 3,
            self._call: 2,
            self._emit: 2,
            self._pause: 3,
            self._leave: 1,
            self._cut: 1,
            self._unplug: 1,
        }
        for _ in range(STEPS):
            [step] = self._chance.choices(list(steps), list(steps.values()))
            with contextlib.suppress(EshetError):  # the other side may not show a node yet
                await step()
        self._cable.is_unplugged = False
        await self._settle_conflicts()

    @property
    def owned(self) -> dict[str, Owner]:
        """The owners by path."""
        return {path: owner for owner in self._owners for path in owner.nodes}

    async def _owner(self) -> Owner:
        side = self._chance.randrange(2)
        present = [each for each in self._owners if each.side == side]
        if len(present) < 2:
            client = Client(server=self._servers[side])
            await client.wait_for_connection()
            self._owners.append(Owner(side, client))
            return self._owners[-1]
        return self._chance.choice(present)

    def _any_owned(self) -> tuple[str, Owner]:
        owned = sorted(self.owned.items(), key=lambda item: item[0])
        if not owned:
            raise EshetError("nothing is registered")
        return self._chance.choice(owned)

    def _anyone(self) -> Client:
        return self._chance.choice(self.clients)

    async def _register(self) -> None:
        owner = await self._owner()
        path = self._chance.choice(PATHS)
        if not any(path in each.nodes for each in self._owners if each.side == owner.side):
            await owner.register(path, self._chance.choice(KINDS))

    async def _unregister(self) -> None:
        path, owner = self._any_owned()
        await owner.unregister(path)

    async def _change(self) -> None:
        path, owner = self._any_owned()
        if owner.nodes[path] == "state":
            value = self._chance.choice([next(self._numbers), Unknown, None])
            owner.values[path] = value
            await owner.client.state_changed(path, value)

    async def _set(self) -> None:
        path, _ = self._any_owned()
        await self._anyone().set(path, next(self._numbers))

    async def _call(self) -> None:
        path, _ = self._any_owned()
        await self._anyone().action_call(path, 1)

    async def _emit(self) -> None:
        path, _ = self._any_owned()
        await self._anyone().event_emit(path, next(self._numbers))

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.choice([0, 0.05, 0.3, 0.6]))

    async def _leave(self) -> None:
        if self._owners:
            owner = self._chance.choice(self._owners)
            self._owners.remove(owner)
            await owner.client.close()

    async def _cut(self) -> None:
        self._both.proxy.cut()

    async def _unplug(self) -> None:
        if self._cable.is_unplugged:
            self._cable.is_unplugged = False
        else:
            self._cable.unplug()

    async def _settle_conflicts(self) -> None:
        """Leave each path to one side."""
        for path in PATHS:
            owners = [each for each in self._owners if path in each.nodes]
            for owner in owners[1:]:
                await owner.unregister(path)

    # --- the end ------------------------------------------------------------------------------

    def expected(self) -> dict[str, tuple[str, Any]]:
        """Return what both sides should show."""
        return {
            path: (kind, owner.values[path] if kind == "state" else None)
            for owner in self._owners
            for path, kind in owner.nodes.items()
        }

    async def check(self) -> None:
        """Wait until both sides show what they should, and use each node from both."""
        await self._both_show(self.expected)
        for path, owner in self.owned.items():
            for client in self.clients:
                await self._use(path, owner, client)
        await self._both_show(self.expected)

    async def _both_show(self, expected: Callable[[], dict[str, tuple[str, Any]]]) -> None:
        for client in self.clients:
            look = functools.partial(nodes_of, client)
            await eventually(look, lambda nodes: nodes == expected())

    async def _use(self, path: str, owner: Owner, client: Client) -> None:
        number = next(self._numbers)
        match owner.nodes[path]:
            case "state":
                await client.set(path, number)
                assert owner.values[path] == number
            case "prop":
                await client.set(path, [number])
                assert owner.values[path] == [number]
                assert await client.get(path) == [number]
            case "action":
                assert await client.action_call(path, number) == [path, number]
            case _:
                heard: list[tuple[int, Any]] = []
                hearings = [
                    await each.event_listen_cb(
                        path, lambda payload, side=side: heard.append((side, payload))
                    )
                    for side, each in enumerate(self.clients)
                ]
                await client.event_emit(path, number)
                await client.event_emit(path, -number)
                await eventually(lambda: len(heard) >= 4)
                assert sorted(heard) == sorted(
                    (side, payload) for side in (0, 1) for payload in (number, -number)
                )
                for hearing in hearings:
                    hearing.dispose()

    async def close(self) -> None:
        for owner in self._owners:
            await owner.client.close()


@pytest.mark.parametrize("seed", range(6))
async def test_both_sides_show_the_same_in_the_end(join, seed: int) -> None:
    cables: list[Cable] = []

    def connector(own: Any) -> Cable:
        cables.append(Cable(own))
        return cables[0]

    async with join(connector=connector) as both:
        script = Script(both, cables[0], random.Random(seed))  # noqa: S311 - not a secret
        try:
            await script.run()
            await script.check()
        finally:
            await script.close()
        await eventually(lambda: nodes_of(both.house), lambda nodes: not nodes)
        await eventually(lambda: nodes_of(both.flat), lambda nodes: not nodes)
