"""The mirror of a server: its inputs come through, and nothing goes back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.server import Server
from eshet_rules.shadow.mirror import RULES, Mirror
from tests.conftest import Advance
from tests.support.rules import Log


class Both:
    """The server of a house with a device, and its mirror with a rule."""

    def __init__(self, house: Server, copy: Server, advance: Advance) -> None:
        self.advance = advance
        self.device = Client(server=house)
        self.rules = Client(server=house, client_id=f"{RULES}host/rules/hall")
        self.rule = Client(server=copy)
        self.mirror = Mirror(Client(server=house), Client(server=copy), Log().logger)
        self.sets: list[Any] = []
        self.calls: list[Any] = []


@pytest.fixture
async def both(advance: Advance) -> AsyncIterator[Both]:
    async with Server() as house, Server() as copy:
        both = Both(house, copy, advance)
        for each in (both.device, both.rules, both.rule):
            await each.wait_for_connection()
        lamp = await both.device.state_register("/lamp", both.sets.append)
        await lamp.changed(False)
        await both.device.event_register("/motion")
        await both.device.action_register("/oven", lambda *args: both.calls.append(args))
        await both.device.prop_register("/level", lambda: 7, both.sets.append)
        await (await both.rules.state_register("/of_rules")).changed(1)
        task = asyncio.create_task(both.mirror.run())
        await advance(0)
        assert both.mirror.ready.is_set()
        yield both
        task.cancel()
        await asyncio.wait([task])


async def test_inputs_come_through(both: Both) -> None:
    values: list[Any] = []
    events: list[Any] = []
    assert await both.rule.state_observe("/lamp", values.append) is False
    await both.rule.event_listen_cb("/motion", events.append)
    await both.device.state_changed("/lamp", True)
    await both.device.event_emit("/motion", 1)
    await both.device.event_emit("/motion", 2)
    await both.device.state_unknown("/lamp")
    await both.advance(0)
    assert values == [True, Unknown]
    assert events == [1, 2]
    assert await both.rule.get("/level") == 7


async def test_outputs_go_no_further(both: Both) -> None:
    await both.rule.set("/lamp", True)
    await both.rule.set("/level", 8)
    assert await both.rule.action_call("/oven", 180) is None
    await both.advance(10)
    assert both.sets == both.calls == []
    assert await both.rule.get("/lamp") is False  # the lamp of the house has not changed


async def test_nodes_come_and_go(both: Both) -> None:
    await both.device.state_register("/new")
    await both.device.state_changed("/new", 5)
    await both.advance(1)
    assert await both.rule.get("/new") == 5
    await both.device.unregister("/new")
    await both.advance(11)
    with pytest.raises(ErrorValue):
        await both.rule.get("/new")
    await both.device.action_register("/new", print)
    await both.advance(1)
    assert await both.rule.action_call("/new") is None


async def test_nodes_of_rules_come_after_those_of_the_rules_beside_it(both: Both) -> None:
    with pytest.raises(ErrorValue):
        await both.rule.get("/of_rules")
    await both.rules.state_register("/of_both")
    await both.rules.state_changed("/of_both", "in the house")
    await both.rule.state_register("/of_both")
    await both.rule.state_changed("/of_both", "in the shadow")
    await both.advance(5)
    assert await both.rule.get("/of_rules") == 1
    assert await both.rule.get("/of_both") == "in the shadow"


async def test_an_event_that_nobody_has_registered_comes_through_once(both: Both) -> None:
    events: list[Any] = []
    await both.rule.event_listen_cb("/bell", events.append)
    await both.rules.event_listen_cb("/bell", print)  # as the same rule of the house does
    await both.advance(1)
    await both.device.event_emit("/bell", 1)
    await both.device.event_register("/bell")
    await both.advance(1)
    await both.device.event_emit("/bell", 2)
    await both.advance(1)
    assert events == [1, 2]


async def test_states_are_unknown_while_the_owner_is_away(both: Both) -> None:
    values: list[Any] = []
    await both.rule.state_observe("/lamp", values.append)
    await both.device.close()
    await both.advance(2)
    assert values == [Unknown]
