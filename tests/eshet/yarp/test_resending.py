"""Settings that did not arrive are sent again once, whatever the strategy does."""

import asyncio

import pytest

from eshet import Client, yarp
from eshet.utils import RunInTask, RunSerially
from tests.support.cable import Cable


class Lamp:
    """A lamp on another client, whose answers a test can withhold."""

    def __init__(self, client):
        self.client = client
        self.settings = []
        self.hangs = False

    async def set(self, value):
        self.settings.append(value)
        if self.hangs:
            await asyncio.Event().wait()

    async def register(self):
        await self.client.state_register("/lamp", self.set)


@pytest.fixture
async def lamp(other):
    lamp = Lamp(other)
    await lamp.register()
    return lamp


@pytest.fixture
async def cable(server):
    return Cable(server)


@pytest.mark.parametrize(
    "strategy",
    [
        RunInTask(),
        RunInTask(retry=True, retry_start=3),
        RunSerially(retry=True, retry_start=3),
        RunSerially(only_latest=True, retry=True, retry_start=3),
        RunInTask(retry=True, retry_start=3, timeout=20),
        RunInTask(retry=True, retry_start=3, max_attempts=2),
    ],
    ids=repr,
)
async def test_a_setting_whose_answer_was_lost_is_sent_once_more(cable, lamp, strategy, advance):
    async with Client(server=cable) as client:
        lamp.hangs = True
        await yarp.set_value("/lamp", yarp.Value(7), client=client, strategy=strategy)
        await advance(0)
        assert lamp.settings == [7]
        lamp.hangs = False
        cable.cut()
        await advance(60)
        assert lamp.settings == [7, 7]


async def test_a_value_that_can_not_be_sent_replaces_an_older_one(cable, lamp, advance):
    async with Client(server=cable) as client:
        value = yarp.Value(1)
        await yarp.set_value("/lamp", value, client=client)
        await advance(0)
        cable.is_unplugged = True
        cable.cut()
        await advance(1)
        value.value = 2
        await advance(1)
        cable.is_unplugged = False
        lamp.hangs = False
        await advance(10)
        assert lamp.settings == [1, 2]
        value.value = object()  # can't be packed
        await advance(60)
        assert lamp.settings == [1, 2]
