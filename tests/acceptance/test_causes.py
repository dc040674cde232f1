"""Causes over real processes: a bell is rung by one, and what came of it is asked by another."""

import json

import pytest

from eshet_rules.audit.records.schema import check
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

FIRST = """
import asyncio
from eshet_rules import rule

@rule
async def rings(client):
    async def ring(number):
        await asyncio.to_thread(abs, number)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.action_call("/lamp/switch", number))

    async for number in client.event_listen("/bell"):
        asyncio.create_task(ring(number))
"""

SECOND = """
from eshet import yarp
from eshet_rules import rule

@rule
async def lamp(client):
    lamp = yarp.Value(0)
    await client.action_register("/lamp/switch", lambda number: setattr(lamp, "value", number))
    await yarp.state_register("/lamp/is", yarp.delay(lamp, 0.01))

@rule
async def tells():
    await yarp.state_register("/told", await yarp.state_observe("/lamp/is"))
"""

QUEUE = """
from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

@rule
async def calls():
    bell = await yarp.event_listen("/bell")
    strategy = RunSerially(retry=True, retry_start=3600, retry_end=3600)
    await yarp.action_call("/nobody", bell, strategy=strategy)
"""


@pytest.fixture
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def records_of(arguments):
    shown = command("eshet-rules", "audit", *arguments, "--json")
    assert shown.returncode == 0, shown.stderr
    records = [json.loads(each) for each in shown.stdout.splitlines()]
    for each in records:
        check(each)
    return records


def test_a_chain_leads_over_tasks_threads_timers_and_rules_to_who_rang_the_bell(tmp_path, server):
    folder = Folder(tmp_path / "rules")
    folder.write("first.py", FIRST)
    folder.write("second.py", SECOND)
    state = ["--state-dir", str(tmp_path / "state")]
    with runner(folder, server, *state, "-v") as house:
        house.wait_for("runner.started")
        for number in (1, 2):
            assert command("eshet", "emit", "/bell", str(number), server=server).returncode == 0
        last = house.wait_for("output.published", path="/told", value=2, outcome="done")
        assert house.stop() == 0
    chain = records_of([str(folder.path), *state, "--cause", last["cause"], "--chain"])
    assert {(r["event"], r["path"]) for r in chain} == {
        ("input.received", "/bell"),
        ("input.received", "/lamp/switch"),
        ("output.called", "/lamp/switch"),
        ("input.received", "/lamp/is"),
        ("output.published", "/lamp/is"),
        ("output.published", "/told"),
    }
    assert {str(r["value"]).strip("[]") for r in chain} == {"2"}
    parents = {r["cause"]: r.get("parent") for r in chain}
    assert len(parents) == 4
    assert [cause for cause, parent in parents.items() if parent is None] == [chain[0]["cause"]]


def test_what_waits_when_its_rule_is_disabled_and_when_the_runner_ends_is_skipped(tmp_path, server):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", QUEUE)
    folder.write("bath.py", QUEUE)
    where = [str(folder.path), "--state-dir", str(tmp_path / "state")]
    with runner(folder, server, *where[1:], "-v") as house:
        house.wait_for("runner.started")
        assert command("eshet", "emit", "/bell", "1", server=server).returncode == 0
        for _ in range(2):
            house.wait_for("output.called", outcome="failed")
        assert command("eshet", "emit", "/bell", "2", server=server).returncode == 0
        for _ in range(2):
            house.wait_for("input.received", path="/bell", value=2)
        told = command("eshet-rules", "disable", "hall.calls", server=server)
        assert told.returncode == 0, told.stderr
        house.wait_for("rule.disabled", rule="hall.calls")
        assert house.stop() == 0
    records = records_of([*where, "--event", "output.called"])
    skipped = [(r["rule"], r["value"], r["why"]) for r in records if r["outcome"] == "skipped"]
    assert sorted(skipped) == [
        ("bath.calls", [1], "shutdown"),
        ("bath.calls", [2], "shutdown"),
        ("hall.calls", [1], "disabled"),
        ("hall.calls", [2], "disabled"),
    ]
