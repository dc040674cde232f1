"""What is told of an output that is not sent: that it was skipped, why, and for which cause."""

import asyncio
from typing import get_args

import pytest

from eshet_rules.audit.records.inputs_outputs import WHYS, Why
from eshet_rules.config import RuleSettings

RULE = """
from eshet import yarp
from eshet.utils import RunInTask, RunSerially
from eshet_rules import RunConcurrently, RunLatest, RunSingle, rule

@rule
async def rings(client):
    bell = await yarp.event_listen("/bell")
    await yarp.action_call("/slow", bell, strategy={strategy})
    await client.event_register("/break")
    async for _ in client.event_listen("/break"):
        raise OSError("broken")
"""

OTHER = RULE.format(strategy="RunInTask()").replace("/slow", "/other")


class Calls:
    """A house with a rule that calls an action for each ring of a bell, and each call takes long.

    With `None`, it rings for a call that fails at once.
    """

    def __init__(self, house):
        self.house = house

    async def load(self, strategy):
        async def slow(number):
            if number is None:
                raise OSError("no answer")
            await asyncio.sleep(100)

        await self.house.viewer.action_register("/slow", slow)
        self.house.folder.write("hall.py", RULE.format(strategy=strategy))
        assert await self.house.update()

    async def ring(self, *numbers):
        for number in numbers:
            await self.house.viewer.event_emit("/bell", number)
            await self.house.advance(1)

    async def end(self, how):
        """End the rule in one of the ways in which it can."""
        reloader, folder = self.house.reloader, self.house.folder
        if how == "disabled":
            reloader.configure(lambda rule: RuleSettings(disabled="by hand"))
            await reloader.follow()
        elif how == "restarted":
            await reloader.restart(["hall.rings"])
        elif how == "failed":
            await self.house.viewer.event_emit("/break", None)
        elif how == "unloaded":
            folder.remove("hall.py")
            assert await self.house.update()
        elif how == "replaced":
            folder.write("hall.py", OTHER)
            assert await self.house.update()
        else:
            await reloader.close()
        await self.house.advance(0)

    def told(self):
        """Return what was told of each call: its argument, its outcome, and why."""
        records = self.house.records(path="/slow", event="output.called")
        rings = {r["cause"]: r["value"] for r in self.house.records(path="/bell")}
        for record in records:
            assert rings[record["cause"]] == record["value"][0]
            assert (record["rule"], record["module"]) == ("hall.rings", "hall")
        return [(r["value"][0], r["outcome"], r.get("why")) for r in records]


@pytest.fixture
async def calls(house):
    return Calls(house)


WAYS = ["disabled", "restarted", "failed", "unloaded", "replaced", "shutdown"]


@pytest.mark.parametrize("why", WAYS)
async def test_what_waits_in_a_queue_when_its_rule_ends_is_skipped(calls, why):
    await calls.load("RunSerially()")
    await calls.ring(1, 2, 3)
    await calls.end(why)
    assert sorted(calls.told()) == [
        (1, "interrupted", None),
        (2, "skipped", why),
        (3, "skipped", why),
    ]


@pytest.mark.parametrize("why", WAYS)
async def test_what_waits_for_its_next_attempt_when_its_rule_ends_is_skipped(calls, why):
    await calls.load("RunInTask(retry=True, retry_start=60, retry_end=60)")
    await calls.ring(None)
    assert calls.told() == [(None, "failed", None)]
    await calls.end(why)
    assert calls.told() == [(None, "failed", None), (None, "skipped", why)]


async def test_what_the_next_version_goes_on_with_is_not_skipped(calls):
    await calls.load("RunSerially()")
    await calls.ring(1, 2)
    calls.house.folder.write("hall.py", RULE.format(strategy="RunSerially()") + "# edited\n")
    assert await calls.house.update()
    await calls.house.advance(100)
    assert calls.told() == [(1, "interrupted", None), (2, "done", None)]


async def test_what_waits_over_a_shutdown_is_sent_after_the_next_start(calls):
    await calls.load("RunSerially()")
    await calls.ring(1, 2)
    await calls.house.start_again()
    await calls.house.advance(100)
    assert calls.told() == [(2, "skipped", "shutdown"), (1, "interrupted", None), (2, "done", None)]


async def test_what_waits_over_a_shutdown_and_is_not_wanted_any_more_is_skipped(calls):
    await calls.load("RunSerially()")
    await calls.ring(1, 2)
    calls.house.folder.write("hall.py", OTHER)
    await calls.house.start_again()
    assert calls.told() == [
        (2, "skipped", "shutdown"),
        (1, "interrupted", None),
        (2, "skipped", "replaced"),
    ]


async def test_a_rule_that_takes_nothing_over_leaves_what_waits(calls):
    await calls.load("RunSerially()")
    text = RULE.format(strategy="RunSerially()").replace("@rule", '@rule(on_reload="restart")')
    for each in (text, text + "# edited\n"):
        calls.house.folder.write("hall.py", each)
        assert await calls.house.update()
        if each == text:
            await calls.ring(1, 2)
    await calls.house.advance(100)
    assert calls.told() == [(2, "skipped", "replaced"), (1, "interrupted", None)]


async def test_a_version_that_was_aborted_leaves_the_old_one_at_work(calls):
    await calls.load("RunSerially()")
    await calls.ring(1, 2)
    calls.house.folder.write("hall.py", RULE.format(strategy="1 / 0"))
    assert not await calls.house.update()
    await calls.house.advance(200)
    assert calls.told() == [(1, "done", None), (2, "done", None)]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    {
        "RunSerially(only_latest=True)": [(2, "superseded")],
        "RunSerially(max_queue=1)": [(2, "queue full")],
        "RunConcurrently(1, max_queue=1)": [(2, "queue full")],
        "RunInTask(max_queue=1)": [(2, "queue full"), (3, "queue full")],
        "RunSingle()": [(2, "busy"), (3, "busy")],
    }.items(),
)
async def test_what_gives_way_to_others_is_skipped(calls, strategy, expected):
    await calls.load(strategy)
    await calls.ring(1, 2, 3)
    assert [(n, why) for n, outcome, why in calls.told() if outcome == "skipped"] == expected


async def test_an_attempt_that_gives_way_to_something_newer_is_skipped(calls):
    await calls.load("RunLatest(retry=True, retry_start=60, retry_end=60)")
    await calls.ring(None, 2, 3)
    assert calls.told() == [
        (None, "failed", None),
        (None, "skipped", "superseded"),
        (2, "interrupted", None),
    ]


async def test_a_state_that_is_being_published_when_its_rule_ends_is_interrupted(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def rings(client, scope):
            bell = yarp.event_to_value(await yarp.event_listen("/bell"))
            await yarp.state_register("/rung", bell)
            bell.on_value_changed(lambda n: scope.dispose())
        """,
    )
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(0)
    published = house.one(path="/rung", event="output.published")
    assert (published["value"], published["outcome"]) == (1, "interrupted")


def test_each_why_is_explained():
    assert get_args(Why) == tuple(WHYS)
