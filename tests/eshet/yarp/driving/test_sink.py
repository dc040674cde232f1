"""`yarp.drive` without a runner: connections that are lost, and strategies of all kinds."""

import pytest

from eshet import Client, yarp
from eshet.server import Server
from eshet.utils import RunInTask, RunSerially
from eshet.yarp.driving.drives import find_drives
from tests.support.cable import Cable


class Lamp:
    """A lamp on another client."""

    def __init__(self, client):
        self.client = client
        self.sets = []

    async def register(self, value):
        self.state = await self.client.state_register("/lamp", self.set)
        await self.state.changed(value)

    async def set(self, value):
        self.sets.append(value)
        await self.state.changed(value)


@pytest.fixture
async def lamp(other):
    lamp = Lamp(other)
    await lamp.register(0)
    return lamp


@pytest.fixture
async def cable(server):
    return Cable(server)


def decides():
    [report] = find_drives().report()
    return report["decides"], report["value"]


async def test_what_a_person_sets_while_the_connection_is_lost_is_kept(cable, lamp, advance):
    async with Client(server=cable) as client:
        await yarp.drive("/lamp", 100, client, override="1h")
        await advance(0)
        await lamp.state.changed(30)
        await advance(1)
        assert decides() == ("person", 30)
        cable.is_unplugged = True
        cable.cut()
        await lamp.state.changed(40)
        await advance(1)
        cable.is_unplugged = False
        await advance(10)
        assert decides() == ("person", 40)
        assert lamp.sets == [100]
        await advance(3600)
        assert lamp.sets == [100, 100]


@pytest.mark.parametrize(
    "strategy",
    [RunInTask(), RunInTask(retry=True), RunSerially(only_latest=True, retry=True)],
    ids=repr,
)
async def test_an_override_that_ends_without_a_connection_takes_effect_after_it(
    cable, lamp, advance, strategy
):
    async with Client(server=cable) as client:
        await yarp.drive("/lamp", 100, client, strategy, override="1h")
        await advance(0)
        await lamp.state.changed(30)
        await advance(1)
        cable.is_unplugged = True
        cable.cut()
        await advance(3700)
        cable.is_unplugged = False
        await advance(60)
        assert decides() == ("", 100)
        assert lamp.sets == [100, 100]


async def test_a_value_that_changes_without_a_connection_is_sent_once_after_it(
    cable, lamp, advance
):
    wanted = yarp.Value(1)
    async with Client(server=cable) as client:
        await yarp.drive("/lamp", wanted, client)
        await advance(0)
        cable.is_unplugged = True
        cable.cut()
        await advance(1)
        wanted.value = 2
        await advance(1)
        wanted.value = 3
        await advance(1)
        cable.is_unplugged = False
        await advance(60)
        assert lamp.sets == [1, 3]


async def test_after_an_outage_the_lamp_that_has_lost_its_value_gets_it(cable, lamp, advance):
    async with Client(server=cable) as client:
        await yarp.drive("/lamp", 1, client)
        await advance(0)
        cable.is_unplugged = True
        cable.cut()
        await lamp.state.changed(0)
        await advance(1)
        cable.is_unplugged = False
        await advance(60)
        assert lamp.sets == [1, 1]


async def test_two_servers_have_drivers_of_their_own(server, lamp, client, advance):
    async with Server() as second, Client(server=second) as elsewhere:
        other_lamp = Lamp(elsewhere)
        await other_lamp.register(0)
        await yarp.drive("/lamp", 1, client)
        await yarp.drive("/lamp", 2, elsewhere, priority=5)
        await advance(0)
        assert (lamp.sets, other_lamp.sets) == ([1], [2])


async def test_a_relative_path_is_that_of_the_client(server, lamp, advance):
    async with Client("/", server=server) as client:
        await yarp.drive("lamp", 1, client)
        await advance(0)
        assert lamp.sets == [1]


async def test_a_value_that_can_not_be_sent_is_reported(lamp, client, advance, caplog):
    await yarp.drive("/lamp", object(), client)
    await advance(0)
    assert "drive of /lamp" in caplog.text
