"""What comes faster than a rule ends it is warned of, with the name of the rule."""

import asyncio

import pytest

from eshet.client import callbacks
from eshet_rules.logs import receiving_stdlib_logs

SLOW = """
import asyncio
from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

async def work(*_):
    await asyncio.sleep(3600)

@rule
async def slow(client):
    {body}
"""

BODIES = {
    "a listener": "await client.event_listen_cb('/poke', work)",
    "an action": "await client.action_register('/slow/act', work)",
    "tasks one after the other": (
        "(await yarp.event_listen('/poke')).on_event("
        "lambda _, run=RunSerially().build(): run(work))"
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_rule_that_is_too_slow_is_named_at_each_doubling(house, monkeypatch, body):
    monkeypatch.setattr(callbacks, "WARN_RUNNING", 100)
    await house.viewer.event_register("/poke")
    house.write("hall.py", SLOW.format(body=body))
    with receiving_stdlib_logs(house.log.logger):
        assert await house.update()
        calls = []
        for number in range(450):
            if "action" in body:
                call = house.viewer.action_call("/slow/act", number)
                calls.append(asyncio.create_task(call))
            else:
                await house.viewer.event_emit("/poke", number)
        await house.advance(1)
    warned = [r for r in house.log.records if "faster than they end" in r["event"]]
    assert [int(record["event"].split()[0]) for record in warned] == [100, 200, 400]
    assert {record["rule"] for record in warned} == {"hall.slow"}
    house.log.clear()
