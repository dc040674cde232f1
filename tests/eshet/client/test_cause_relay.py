"""Causes through a client that passes on what it receives: a chain without a gap."""

import pytest

from eshet import Client
from eshet.cause import Cause, current_cause, use_cause
from eshet.client.cause_relay import CauseRelay
from eshet.client.observer import ClientObserver


class Recorder(ClientObserver):
    def __init__(self):
        super().__init__()
        self.causes = []

    def on_input(self, kind, path, value):
        self.causes.append(current_cause())


@pytest.fixture
async def recorder():
    return Recorder()


@pytest.fixture
async def clients(tree, recorder):
    """A rule, the bridge, and a client without an observer."""
    async with (
        Client(server=tree.connector()) as rule,
        Client(server=tree.connector()) as bridge,
        Client(server=tree.connector()) as outside,
    ):
        rule.attach(recorder)
        bridge.attach(CauseRelay(recorder))
        yield rule, bridge, outside


async def test_an_effect_at_another_path_follows_from_the_cause_of_the_call(
    clients, recorder, advance
):
    rule, bridge, _ = clients
    lamp = await bridge.state_register("/ha/lamp")
    seen = []

    async def turn_on(name):
        await advance(1)
        seen.append(current_cause())
        await lamp.changed(name)

    await bridge.action_register("/ha/turn_on", turn_on)
    await rule.state_observe("/ha/lamp", lambda value: None)
    recorder.causes.clear()
    with use_cause(Cause("event", "/bell")) as bell:
        await rule.action_call("/ha/turn_on", "bright")
    await advance(0)
    assert seen == [bell]
    [cause] = recorder.causes
    assert (cause.kind, cause.path, cause.parent) == ("state", "/ha/lamp", bell)


async def test_an_input_from_elsewhere_has_no_cause(clients, recorder, advance):
    rule, bridge, outside = clients
    lamp = await bridge.state_register("/ha/lamp")
    seen = []

    async def turn_on(name):
        seen.append(current_cause())
        await lamp.changed(name)

    await bridge.action_register("/ha/turn_on", turn_on)
    await rule.state_observe("/ha/lamp", lambda value: None)
    recorder.causes.clear()
    with use_cause(Cause("event", "/bell")):
        await rule.action_call("/ha/turn_on", "bright")
        await outside.action_call("/ha/turn_on", "dim")
        await outside.action_call("/ha/turn_on", "bright")
    await advance(0)
    assert seen[1:] == [None, None]
    assert [cause.parent is not None for cause in recorder.causes] == [True, False, False]
