import asyncio

import pytest

from eshet.server import Server
from eshet_rules.audit.trail import Trail
from eshet_rules.supervision.scope import own_tasks_by_scope
from tests.support.trailed import Trailed


@pytest.fixture
async def make_house(folder, advance):
    own_tasks_by_scope(asyncio.get_running_loop())
    houses = []

    async with Server() as server:
        trails = []

        async def make(redact=(), rules=folder):
            house = Trailed(rules, server, advance, redact)
            trail = house.recorder.keeping(Trail(house.file))
            trail.__enter__()
            trails.append(trail)
            houses.append(house)
            await house.viewer.wait_for_connection()
            return house

        yield make
        for house in houses:
            await house.reloader.close()
            await house.viewer.close()
        for trail in trails:
            trail.__exit__(None, None, None)


@pytest.fixture
async def house(make_house):
    return await make_house()
