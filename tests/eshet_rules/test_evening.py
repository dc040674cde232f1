"""The house in `rules/`, all of it, on a server of this process and in virtual time."""

import asyncio
from pathlib import Path

import pytest

from eshet import Client
from eshet.server import Server
from eshet_rules.logs import receiving_stdlib_logs
from eshet_rules.runner.main import run

RULES = Path(__file__).parents[2] / "rules"


class House:
    """The house, and what was seen of it: from when on a path had which value."""

    def __init__(self, client):
        self.client = client

    async def watch(self, path):
        seen = []
        loop = asyncio.get_running_loop()

        def note(value):
            if not seen or seen[-1][1] != value:
                seen.append((round(loop.time()), value))

        note(await self.client.state_observe(path, note))
        return seen


@pytest.fixture
async def house(log):
    with receiving_stdlib_logs(log.logger):
        async with Server() as server, Client(server=server) as client:
            runner = asyncio.create_task(run(RULES, log.logger, server=server, reload=False))
            yield House(client)
            runner.cancel()
            await asyncio.wait([runner])
    assert [record for record in log.records if record["level"] == "error"] == []


async def test_the_hall_light_is_on_for_half_a_minute_after_a_movement_in_the_dark(house, advance):
    await advance(1)
    light = await house.watch("/house/hall/light")
    await advance(179)
    assert light == [
        (1, False), (5, True), (35, False), (50, True), (80, False), (95, True), (125, False),
    ]  # fmt: skip


async def test_the_heater_follows_the_target_that_somebody_sets(house, advance):
    await advance(60)
    heater = await house.watch("/house/living_room/heater")
    await house.client.set("/house/thermostat/target", 23)
    await advance(60)
    assert await house.client.get("/house/thermostat/target") == 23
    assert await house.client.get("/house/living_room/temperature") == pytest.approx(23, abs=0.35)
    await house.client.set("/house/thermostat/target", 18)
    await advance(1)
    assert heater[-1][1] is False
    assert (60, True) in heater


async def test_a_door_left_open_is_told_and_one_that_is_closed_soon_is_not(house, log, advance):
    await advance(1)
    left_open = await house.watch("/house/front_door/left_open")
    await advance(60)
    assert left_open == [(1, False), (42, True), (52, False)]
    warning = log.find("the front door has been open for 20 s")
    assert warning["rule"] == "front_door.left_open"


async def test_all_off_by_action(house, advance):
    await advance(20)
    assert await house.client.get("/house/kitchen/light") is True
    await house.client.action_call("/house/scenes/all_off")
    await advance(1)
    assert await house.client.get("/house/kitchen/light") is False
    assert await house.client.get("/house/hall/light") is False


async def test_all_off_by_the_button_beside_the_bed(house, advance):
    await advance(1)
    kitchen = await house.watch("/house/kitchen/light")
    await advance(50)
    assert (45, False) in kitchen


async def test_the_machine_says_how_busy_it_is(house, advance):
    await advance(10)
    assert await house.client.get("/house/machine/load") >= 0
    assert await house.client.get("/house/machine/busy") in (True, False)


async def test_an_evening_passes_without_an_error(house, log, advance):
    await advance(3600)
    assert await house.client.get("/house/living_room/temperature") == pytest.approx(21, abs=0.4)
    assert log.events().count("somebody passes through the hall") == 80
