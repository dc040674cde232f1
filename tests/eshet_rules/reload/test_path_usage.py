import pytest

from eshet import yarp
from eshet.client import Client
from eshet.server import Server
from eshet_rules.reload.path_usage import RecordingClient, path_usage_of
from eshet_rules.supervision.scope import RuleScope, TaskScope


@pytest.fixture
async def client():
    async with Server() as server, Client(server=server, base="/hall") as connection:
        yield RecordingClient(connection)


@pytest.fixture
async def scope(client):
    scope = RuleScope("light", parent=TaskScope("hall.light"))
    yield scope
    scope.dispose()


async def test_what_a_rule_reads_and_writes_is_noted_whole(client, scope):
    with scope.active():
        await client.state_register("light", lambda value: None)
        await client.event_register("/pressed")
        await client.action_register("blink", lambda: None)
        await client.prop_register("mode", lambda: 1, lambda value: None)
        await client.state_observe("lux", lambda value: None)
        await client.event_listen_cb("motion", lambda payload: None)
        await client.get("mode")
        await client.set("mode", 2)
        await client.event_emit("/pressed", 1)
        await client.action_call("blink")
        listening = client.event_listen("/bell")
        await listening.aclose()
    uses = path_usage_of(scope)
    assert uses.reads == {"/hall/lux", "/hall/motion", "/hall/mode", "/bell"}
    assert uses.writes == {"/hall/light", "/pressed", "/hall/blink", "/hall/mode"}


async def test_it_is_noted_for_the_rule_in_whose_scope_it_is(client, scope):
    other = RuleScope("fan")
    with other.active(), yarp.using_client(client):
        await yarp.state_observe("/lux")
    with scope.active(), TaskScope("a part", parent=scope).active(), yarp.using_client(client):
        await yarp.state_observe("/motion")
    assert path_usage_of(other).reads == {"/lux"}
    assert path_usage_of(scope).reads == {"/motion"}
    other.dispose()


async def test_outside_of_rules_nothing_is_noted(client):
    assert await client.state_observe("lux", lambda value: None) is not None
