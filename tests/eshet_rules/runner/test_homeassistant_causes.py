"""Chains of causes through Home Assistant, in the trail of a runner."""

import asyncio
import io

import pytest

from eshet import Client
from eshet.bridges.settings import HomeAssistantSettings
from eshet.server import Server
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.redaction import Redaction
from eshet_rules.config import AuditSettings, Configuration
from eshet_rules.logs import make_logger
from eshet_rules.runner.main import run
from tests.support.fake_homeassistant import TOKEN, FakeHomeAssistant
from tests.support.waiting import until

EVENING = """
from eshet import yarp
from eshet_rules import rule

@rule
async def evening():
    bell = await yarp.event_listen("/bell")
    script = yarp.fn(lambda _: {"entity_id": "script.evening"})(bell)
    await yarp.action_call("/ha/services/script/turn_on", script)
"""

SHOWN = """
from eshet import yarp
from eshet_rules import rule

@rule
async def shown():
    await yarp.state_register("/shown", await yarp.state_observe("/ha/light/kitchen/state"))
"""


@pytest.fixture
async def fake():
    fake = FakeHomeAssistant()
    await fake.start()
    await fake.change("light.kitchen", "off")
    await fake.change("script.evening", "off")
    fake.scripts["script.evening"] = ["light.kitchen"]
    yield fake
    await fake.stop()


async def test_a_script_of_home_assistant_is_a_link_between_two_rules(
    fake, folder, tmp_path, advance, monkeypatch
):
    monkeypatch.setenv("ESHET_HA_TOKEN", TOKEN)
    folder.write("evening.py", EVENING)
    folder.write("shown.py", SHOWN)
    trail = tmp_path / "trail.jsonl"
    configuration = Configuration(
        audit=AuditSettings(path=trail), bridges={"ha": HomeAssistantSettings(url=fake.url)}
    )
    recorder = Recorder(Redaction(()))
    log = make_logger(io.StringIO(), "json", recorder=recorder)
    seen = []
    async with Server() as server, Client(server=server) as outside:
        running = asyncio.create_task(
            run(
                folder.path,
                log,
                server=server,
                reload=False,
                configuration=configuration,
                recorder=recorder,
            )
        )
        await outside.state_observe("/shown", seen.append)
        await until(lambda: seen[-1:] == [False], advance, 0.1)
        await outside.event_emit("/bell", 1)
        await until(lambda: seen[-1] is True, advance)
        running.cancel()
        await asyncio.wait([running])
    records = list(Reader(trail, Filter(), pytest.fail).records())
    inputs = [each for each in records if each["event"] == "input.received"]
    [bell] = [each for each in inputs if each["path"] == "/bell"]
    lamp = [each for each in inputs if each["path"] == "/ha/light/kitchen/state"][-1]
    assert (lamp["rule"], lamp["value"]) == ("shown.shown", True)
    assert lamp["parent"] == bell["cause"]
    assert {each["rule"] for each in inputs} == {"evening.evening", "shown.shown"}
