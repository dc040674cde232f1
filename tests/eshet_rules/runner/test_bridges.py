"""The bridges of a runner: each on its own, with settings that may change while it runs."""

import asyncio
import contextlib

import pytest

from eshet import Client
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.settings import BrokerUrl, MqttSettings
from eshet.server import Server
from eshet_rules.runner.bridges import BRIDGE, Bridges

ONE, OTHER = MqttSettings(), MqttSettings(broker=BrokerUrl("other", 1883))


class FakeBridge:
    """A bridge that registers a state, and fails when it is told to."""

    connected = True
    problem = ""
    device_count = 3

    def __init__(self, name, settings, client):
        self.name = name
        self.settings = settings
        self.client = client
        self.fault = asyncio.get_running_loop().create_future()
        self.ended = False
        self.ready = asyncio.Event()

    async def run(self):
        try:
            await self.client.state_register(f"/mqtt/{self.name}/bridge/online")
            await self.client.state_changed(f"/mqtt/{self.name}/bridge/online", True)
            await self.fault
        finally:
            self.ended = True


class Fixture:
    def __init__(self, server, log, advance):
        self.made = []
        self.refuses = set()
        self.server = server
        self.log = log
        self.advance = advance
        self.bridges = Bridges(self.make_client, log.logger)

    def make_client(self, name, *, relays_causes=False):
        return Client(server=self.server, client_id=name)

    def make_bridge(self, name, settings, client):
        if name in self.refuses:
            raise BridgeError("no such file")
        self.made.append(FakeBridge(name, settings, client))
        return self.made[-1]

    async def configure(self, **wanted):
        self.bridges.configure(wanted)
        await self.advance(0.1)

    @property
    def running(self):
        return [each.name for each in self.made if not each.ended]

    async def is_online(self, name):
        async with Client(server=self.server) as client:
            path = f"/mqtt/{name}/bridge/online"
            return await client.state_observe(path, lambda value: None) is True


@pytest.fixture
async def house(log, advance, monkeypatch):
    async with Server() as server:
        house = Fixture(server, log, advance)
        monkeypatch.setattr("eshet_rules.runner.bridges.make_bridge", house.make_bridge)
        running = asyncio.create_task(house.bridges.run())
        yield house
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert house.running == []


async def test_the_configured_bridges_run(house):
    await house.configure(one=ONE, two=OTHER)
    assert house.running == ["one", "two"]
    assert house.made[0].client.client_id == f"{BRIDGE}one"
    assert await house.is_online("one")
    assert house.bridges.reports() == [
        {
            "bridge": "one",
            "server": "mqtt://localhost:1883",
            "connected": True,
            "devices": 3,
            "problem": "",
        },
        {
            "bridge": "two",
            "server": "mqtt://other:1883",
            "connected": True,
            "devices": 3,
            "problem": "",
        },
    ]


async def test_only_bridges_whose_settings_change_start_again(house):
    await house.configure(one=ONE, two=ONE, three=ONE)
    await house.configure(one=ONE, two=OTHER, four=ONE)
    assert sorted(house.running) == ["four", "one", "two"]
    assert [each.name for each in house.made] == ["one", "two", "three", "two", "four"]
    assert house.made[3].settings is OTHER
    assert not await house.is_online("three")
    assert [report["bridge"] for report in house.bridges.reports()] == ["four", "one", "two"]
    await house.configure()
    assert (house.running, house.bridges.reports()) == ([], [])


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), asyncio.CancelledError()])
async def test_a_bridge_that_fails_starts_again_and_the_others_go_on(house, error):
    await house.configure(one=ONE, two=ONE)
    house.made[0].fault.set_exception(error)
    await house.advance(0.1)
    assert house.running == ["two"]
    assert not await house.is_online("one")
    report, other = house.bridges.reports()
    assert (report["connected"], report["devices"]) == (False, 0)
    assert report["problem"] == (str(error) or type(error).__name__)
    assert other["connected"]
    assert house.log.find("component.failed")["component"] == "bridge one"
    await house.advance(1)
    assert house.running == ["two", "one"]
    assert await house.is_online("one")
    assert house.bridges.reports()[0]["problem"] == ""


async def test_a_bridge_that_can_not_be_made_is_reported_and_tried_again(house):
    house.refuses.add("one")
    await house.configure(one=ONE, two=ONE)
    assert house.running == ["two"]
    assert house.bridges.reports()[0]["problem"] == "no such file"
    house.refuses.clear()
    await house.advance(5)
    assert sorted(house.running) == ["one", "two"]


async def test_an_error_of_a_bridge_is_one_line_and_logged_once(house):
    house.refuses.add("one")
    await house.configure(one=ONE)
    await house.advance(300)
    failed = [each for each in house.log.records if each["event"] == "component.failed"]
    assert [each["error"] for each in failed] == ["no such file"]
    assert "traceback" not in failed[0]


async def test_a_bridge_that_waits_for_its_next_start_starts_at_once_with_new_settings(house):
    house.refuses.add("one")
    await house.configure(one=ONE)
    await house.advance(100)
    house.refuses.clear()
    await house.configure(one=OTHER)
    assert house.running == ["one"]


async def test_a_bridge_that_has_not_begun_says_so(house):
    house.bridges.configure({"one": ONE})
    assert house.bridges.reports()[0]["problem"] == "not started"
    await house.advance(0.1)
    assert house.bridges.reports()[0]["problem"] == ""


async def test_settings_may_change_faster_than_bridges_end(house):
    for settings in (ONE, OTHER, ONE, OTHER):
        house.bridges.configure({"one": settings})
    await house.advance(0.1)
    assert [each.settings for each in house.made] == [OTHER]


async def test_the_rules_wait_until_each_bridge_is_ready_or_has_failed(house, advance):
    house.refuses.add("three")
    await house.configure(one=ONE, two=OTHER, three=ONE)
    waiting = asyncio.ensure_future(house.bridges.wait_until_ready(2.0))
    house.made[0].ready.set()
    await advance(0.5)
    assert not waiting.done()
    house.made[1].ready.set()
    await advance(0)
    assert waiting.done()


async def test_the_rules_do_not_wait_for_long(house, advance):
    await house.configure(one=ONE)
    waiting = asyncio.ensure_future(house.bridges.wait_until_ready(2.0))
    await advance(1.9)
    assert not waiting.done()
    await advance(0.2)
    assert waiting.done()
