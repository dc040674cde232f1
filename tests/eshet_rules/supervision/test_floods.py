"""Inputs that arrive faster than a rule handles them: what waits, what is dropped, who notices."""

import asyncio

import pytest

from eshet.client import receiver
from eshet.messages import EventEmit
from eshet_rules.cli.table import table

SLOW = """
from eshet import yarp
from eshet_rules import rule

@rule
async def slow(client):
    heard = []
    (await yarp.event_listen("/poke")).on_event(heard.append)
    await client.action_register("/slow/heard", lambda: heard)
"""


@pytest.fixture
def no_turns(monkeypatch):
    """Each message takes a whole turn."""
    monkeypatch.setattr(receiver, "TURN", 0.0)


async def flood(house, count):
    await house.viewer.event_register("/poke")
    house.write("hall.py", SLOW)
    assert await house.update()
    for number in range(count):
        house.viewer.send_now(EventEmit.code, "/poke", number)


async def test_the_report_of_a_rule_says_how_many_inputs_wait(house, no_turns):
    await flood(house, 50)
    waiting = []
    for _ in range(200):
        await asyncio.sleep(0)
        [report] = house.reloader.reports()
        waiting.append(report.waiting)
        plain = report.plain()
        assert plain["waiting"] == report.waiting
        assert plain["waiting_s"] == 0.0  # virtual time stands still
    assert max(waiting) > 30
    assert waiting[-1] == 0
    assert await house.viewer.action_call("/slow/heard") == list(range(50))


def test_the_table_shows_inputs_that_wait():
    rule = dict.fromkeys(("why", "last_error", "strategy", "version"), "")
    rule |= {"rule": "hall.slow", "module": "hall", "state": "running", "restarts": 0}
    rule |= {"since": "2026-01-01T00:00:00Z", "reads": [], "writes": [], "running": 0, "queued": 0}
    assert "inputs" not in table([rule | {"waiting": 0, "waiting_s": 0.0}], {})
    shown = table([rule | {"waiting": 12345, "waiting_s": 2.5}], {})
    assert "inputs 12,345 wait, the oldest for 2.5 s" in shown
