"""A bridge between a server and a tree on NATS, over real sockets and a real nats-server."""

import asyncio
import functools

import pytest

from eshet import Client, ErrorValue, PathTaken, Unknown
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.nats.bridge import NatsBridge
from eshet.bridges.nats.selection import Selection
from eshet.bridges.nats.side import Side
from eshet.exceptions import ErrorAnswer
from tests.support.cable import Cable
from tests.support.joined_by_bridge import nodes_of
from tests.support.waiting import eventually

LOG = "eshet.bridges"


@pytest.fixture(params=["from the server", "from the tree"])
def owner_and_other(request, both):
    """The client of the owner of nodes, and one on the other side."""
    clients = both.house, both.flat
    return clients if request.param == "from the server" else clients[::-1]


def told(caplog):
    """Return the warnings of the bridge."""
    return [record.getMessage() for record in caplog.records if record.name == LOG]


# --- each kind of nodes ---------------------------------------------------------------------------


async def test_a_state_is_observed_and_set(both, owner_and_other):
    owner, other = owner_and_other
    state = await owner.state_register("/light", lambda value: state.changed(value))
    await state.changed(1)
    await both.value(other, "/light", 1)
    seen = [await other.state_observe("/light", lambda value: seen.append(value))]
    await state.changed({"level": [2, b"x"]})
    await other.set("/light", "on")
    await state.unknown()
    await state.changed(None)
    await eventually(lambda: len(seen) == 5)
    assert seen == [1, {"level": [2, b"x"]}, "on", Unknown, None]


async def test_all_values_of_a_state_are_passed_on_in_their_order(both, owner_and_other):
    owner, other = owner_and_other
    state = await owner.state_register("/counter")
    await both.shown(other, "/counter")
    seen = []
    await other.state_observe("/counter", seen.append)
    await asyncio.gather(*(state.changed(number) for number in range(200)))
    await eventually(lambda: seen[-1:] == [199])
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen))


async def test_a_state_is_unknown_when_its_owner_goes_and_then_gone(both, owner_and_other):
    owner, other = owner_and_other
    async with Client(server=owner.server) as leaving:
        await (await leaving.state_register("/light")).changed(1)
        await both.value(other, "/light", 1)
        seen = []
        await other.state_observe("/light", seen.append)
    await eventually(lambda: seen == [Unknown])
    await both.gone(other, "/light")
    with pytest.raises(ErrorValue, match="no_owner"):
        await other.set("/light", 1)


async def test_an_action_is_called(both, owner_and_other):
    owner, other = owner_and_other

    async def add(*numbers):
        await asyncio.sleep(0.01)
        return {"sum": sum(numbers)}

    await owner.action_register("/math/add", add)
    await both.shown(other, "/math/add")
    assert await other.action_call("/math/add", 1, 2, 4) == {"sum": 7}
    assert await other.action_call("/math/add") == {"sum": 0}


async def test_a_property_is_got_and_set(both, owner_and_other):
    owner, other = owner_and_other
    values = [5]
    await owner.prop_register("/level", lambda: values[-1], values.append)
    await both.shown(other, "/level")
    assert await other.get("/level") == 5
    await other.set("/level", [6])
    assert await other.get("/level") == [6]


async def test_an_event_is_heard_once_on_both_sides_whoever_emits_it(both, owner_and_other):
    owner, other = owner_and_other
    emit = await owner.event_register("/bell")
    await both.shown(other, "/bell")
    here, there = [], []
    await owner.event_listen_cb("/bell", here.append)
    await other.event_listen_cb("/bell", there.append)
    for payload in (1, 1, {"by": "anna"}, None):
        await emit(payload)
    await eventually(lambda: len(there) == 4)
    for payload in (1, 2, 2, None):
        await other.event_emit("/bell", payload)
    await eventually(lambda: len(here) == 8)
    await emit("last")  # what came back would be before this
    await eventually(lambda: "last" in here and "last" in there)
    assert here == there == [1, 1, {"by": "anna"}, None, 1, 2, 2, None, "last"]


@pytest.mark.parametrize("error", ["no", {"code": [5, None]}, None, 2.5])
async def test_errors_are_passed_on_as_they_are(both, owner_and_other, error):
    owner, other = owner_and_other

    async def refuse(*_):
        raise ErrorAnswer(error)

    await owner.action_register("/action", refuse)
    await owner.prop_register("/prop", refuse, refuse)
    await owner.state_register("/state", refuse)
    await both.shown(other, "/state")
    await both.shown(other, "/prop")
    await both.shown(other, "/action")
    for request in (
        other.action_call("/action", 1),
        other.get("/prop"),
        other.set("/prop", 1),
        other.set("/state", 1),
    ):
        with pytest.raises(ErrorValue) as raised:
            await request
        assert raised.value.value == error


async def test_errors_of_the_servers_are_passed_on(both, owner_and_other):
    owner, other = owner_and_other
    await owner.state_register("/state")
    await both.shown(other, "/state")
    with pytest.raises(ErrorValue, match="not_implemented"):
        await other.set("/state", 1)
    with pytest.raises(ErrorValue, match="state_unknown"):
        await other.get("/state")
    with pytest.raises(ErrorValue, match="path_is_wrong_type"):
        await other.action_call("/state")


async def test_an_owner_that_leaves_during_a_call_is_reported_to_the_caller(both, owner_and_other):
    owner, other = owner_and_other
    called = asyncio.Event()

    async def wait():
        called.set()
        await asyncio.Event().wait()

    async with Client(server=owner.server) as leaving:
        await leaving.action_register("/wait", wait)
        await both.shown(other, "/wait")
        call = asyncio.ensure_future(other.action_call("/wait"))
        await called.wait()
    with pytest.raises(ErrorValue, match="client_exited"):
        await call


# --- nodes that come and go -----------------------------------------------------------------------


async def test_nodes_that_are_there_at_the_start_are_shown(join):
    async def before(house, flat):
        await house.state_register("/house")
        await flat.state_register("/flat")

    async with join(before=before) as both:
        expected = dict.fromkeys(("/flat", "/house"), ("state", Unknown))
        assert await nodes_of(both.house) == await nodes_of(both.flat) == expected


async def test_a_path_may_have_another_kind_and_another_side_later(both, owner_and_other):
    owner, other = owner_and_other
    for kind, register in {
        "action": lambda path: owner.action_register(path, print),
        "state": owner.state_register,
        "event": owner.event_register,
        "prop": lambda path: owner.prop_register(path, print),
    }.items():
        await eventually(functools.partial(_succeeds, register, "/node"))
        await both.kind(other, "/node", kind)
        with pytest.raises(PathTaken):
            await other.state_register("/node")
        await owner.unregister("/node")
    await both.gone(other, "/node")
    await (await other.state_register("/node")).changed(1)
    await both.value(owner, "/node", 1)


async def _succeeds(register, path):
    """Register a node, unless the bridge still observes the former one."""
    try:
        await register(path)
    except PathTaken:
        return False
    return True


async def test_an_event_that_loses_its_owner_is_gone_in_the_end(both, owner_and_other):
    owner, other = owner_and_other
    await owner.event_register("/bell")
    await both.shown(other, "/bell")
    await owner.unregister("/bell")
    await both.gone(other, "/bell")


async def test_nodes_of_the_servers_themselves_are_not_shared(both):
    await both.house.action_register("/last", print)
    await both.shown(both.flat, "/last")
    for side in (both.bridge._to_tree, both.bridge._to_server):
        assert not any(path.startswith(("/meta", "/nats")) for path in side._copies)


async def test_only_what_is_selected_is_shared(join):
    selection = Selection(only=("/hall", "/cellar/"), left_out=("/hall/secret",))
    async with join(selection=selection) as both:
        paths = ["/hall/light", "/hall/secret/code", "/hall/secrets", "/hallway", "/cellar/a"]
        for path in paths:
            await both.house.state_register(path)
        await both.flat.state_register("/hall/b")
        await both.flat.state_register("/flat")
        await both.shown(both.house, "/hall/b")
        await both.shown(both.flat, "/cellar/a")
        assert set(await nodes_of(both.house)) == {*paths, "/hall/b"}
        assert set(await nodes_of(both.flat)) == {
            "/hall/light",
            "/hall/secrets",
            "/cellar/a",
            "/hall/b",
            "/flat",
        }


async def test_many_nodes_are_shared(both):
    await asyncio.gather(*(both.house.state_register(f"/a/n{number}") for number in range(250)))
    await asyncio.gather(*(both.flat.state_register(f"/b/n{number}") for number in range(250)))
    await eventually(lambda: nodes_of(both.house), lambda nodes: len(nodes) == 500)
    await eventually(lambda: nodes_of(both.flat), lambda nodes: len(nodes) == 500)
    assert await nodes_of(both.house) == await nodes_of(both.flat)


# --- conflicts ------------------------------------------------------------------------------------


async def test_a_path_with_two_owners_is_left_alone_and_logged_once(join, caplog):
    async def before(house, flat):
        await (await house.state_register("/both")).changed("house")
        await (await flat.state_register("/both")).changed("flat")

    async with join(before=before) as both:
        for owner, other in ((both.house, both.flat), (both.flat, both.house)):
            path = f"/of_{owner.client_id}"
            await owner.state_register(path)
            await both.shown(other, path)
        assert await both.house.get("/both") == "house"
        assert await both.flat.get("/both") == "flat"
        assert told(caplog) == [
            "/both: both the server and the tree have an owner for it, so neither is shown on the "
            "other side"
        ]
        await both.house.unregister("/both")
        await both.value(both.house, "/both", "flat")


async def test_a_node_where_the_other_side_has_a_directory_is_logged_once(join, caplog):
    async def before(house, flat):
        await house.state_register("/a")
        await flat.state_register("/a/b")

    async with join(before=before) as both:
        for owner, other in ((both.house, both.flat), (both.flat, both.house)):
            path = f"/of_{owner.client_id}"
            await owner.state_register(path)
            await both.shown(other, path)
        assert sorted(told(caplog)) == [
            "/a of the server can't be shown on the tree: path_is_directory",
            "/a/b of the tree can't be shown on the server: not_a_directory",
        ]


async def test_a_second_bridge_of_the_same_name_ends_at_once(both):
    async with (
        Client(server=both.server) as to_server,
        Client(server=both.tree) as to_tree,
    ):
        second = NatsBridge("flat", Side(to_server, "a"), Side(to_tree, "b"), Selection())
        with pytest.raises(BridgeError, match="another bridge flat is on this server"):
            await second.run()


# --- limits ---------------------------------------------------------------------------------------

LONG = "x" * 70_000


async def test_a_value_that_is_too_long_for_the_server_is_unknown_there(both, caplog):
    state = await both.flat.state_register("/text")
    await state.changed("short")
    await both.value(both.house, "/text", "short")
    for _ in range(2):
        await state.changed(LONG)
        await both.value(both.house, "/text", Unknown)
        await state.changed("short again")
        await both.value(both.house, "/text", "short again")
    [said] = told(caplog)
    assert said.startswith("/text: its value does not fit on the server, and is unknown there:")


async def test_what_is_too_long_for_the_server_is_refused(both, caplog):
    await both.house.action_register("/length", len)
    await both.flat.action_register("/long", lambda: LONG)
    await both.flat.event_register("/bell")
    for client, path in ((both.flat, "/length"), (both.house, "/long"), (both.house, "/bell")):
        await both.shown(client, path)
    heard = []
    await both.house.event_listen_cb("/bell", heard.append)
    assert await both.flat.action_call("/length", "x" * 60_000) == 60_000
    with pytest.raises(ErrorValue, match="value_too_long"):
        await both.flat.action_call("/length", LONG)
    with pytest.raises(ErrorValue, match="reply_too_long"):
        await both.house.action_call("/long")
    await both.flat.event_emit("/bell", LONG)
    await both.flat.event_emit("/bell", 1)
    await eventually(lambda: heard == [1])
    assert sorted(told(caplog)) == [
        "/bell: an emission is too long for the server, and was not passed on; further ones are "
        "not logged",
        "/length: a value for it is too long for the server, and was refused; further ones are not "
        "logged",
        "/long: an answer of it is too long for the server, and was refused; further ones are not "
        "logged",
    ]


# --- outages --------------------------------------------------------------------------------------


async def test_the_connection_to_the_server_is_lost_and_comes_back(both):
    state = await both.house.state_register("/light", lambda value: state.changed(value))
    await state.changed(1)
    await both.house.action_register("/hello", lambda: "hello")
    await (await both.flat.state_register("/flat")).changed(2)
    await both.value(both.flat, "/light", 1)
    await both.value(both.house, "/flat", 2)
    seen = []
    await both.flat.state_observe("/light", seen.append)
    both.proxy.stall()
    both.proxy.cut()
    await eventually(lambda: seen == [Unknown])
    with pytest.raises(ErrorValue, match="no_owner"):
        await both.flat.action_call("/hello")
    await both.gone(both.house, "/flat")
    await state.changed(3)
    await both.house.unregister("/hello")
    await both.flat.unregister("/flat")
    await (await both.flat.state_register("/new")).changed(4)
    both.proxy.flow()
    await eventually(lambda: seen == [Unknown, 3])
    await both.gone(both.flat, "/hello")
    await both.value(both.house, "/new", 4)
    assert await nodes_of(both.house) == await nodes_of(both.flat)


async def test_the_connection_to_nats_is_lost_and_comes_back(join):
    cables = []

    def connector(own):
        cables.append(cable := Cable(own))
        return cable

    async with join(connector=connector) as both:
        [cable] = cables
        await (await both.house.state_register("/light")).changed(1)
        await (await both.flat.state_register("/flat")).changed(2)
        await both.value(both.flat, "/light", 1)
        await both.value(both.house, "/flat", 2)
        assert await both.house.get("/nats/flat/online") is True
        cable.unplug()
        await both.gone(both.flat, "/light")
        await both.value(both.house, "/flat", Unknown)
        await eventually(lambda: both.house.get("/nats/flat/online"), lambda online: not online)
        await (await both.flat.state_register("/light")).changed(3)
        cable.is_unplugged = False
        await both.value(both.house, "/flat", 2)
        assert await both.house.get("/light") == 1
        assert await both.flat.get("/light") == 3
        await both.flat.unregister("/light")
        await both.value(both.flat, "/light", 1)


# --- a server that can't list its nodes -----------------------------------------------------------


def forget(*actions):
    """Return a function that removes actions of a server."""

    def prepare(server):
        for action in actions:
            server.router.tree.disown(server.router.tree.find(action))

    return prepare


ORIGINAL = forget(b"/meta/tree", b"/meta/clients", b"/meta/unregister", b"/meta/changed")


async def test_named_nodes_of_a_server_that_can_not_list_its_nodes_are_shared(join, caplog):
    async with join(prepare=ORIGINAL, paths=("/hall", "/bell")) as both:
        state = await both.house.state_register("/hall/light", lambda value: state.changed(value))
        await state.changed(1)
        await both.house.action_register("/hall/lamp/toggle", lambda: "toggled")
        await both.house.event_register("/bell")
        await both.house.state_register("/other")
        await (await both.flat.state_register("/flat")).changed(5)
        await both.shown(both.flat, "/hall/lamp/toggle")
        await both.shown(both.flat, "/bell")
        await both.value(both.flat, "/hall/light", 1)
        await both.flat.set("/hall/light", 2)
        await both.value(both.flat, "/hall/light", 2)
        assert await both.flat.action_call("/hall/lamp/toggle") == "toggled"
        await eventually(lambda: _got(both.house, "/flat"), lambda value: value == 5)
        assert "/other" not in await nodes_of(both.flat)
        assert told(caplog) == [
            "the server can't list its nodes with their owners, so it shares only those that were "
            "named for the bridge: /hall, /bell"
        ]


async def test_a_named_path_is_never_taken_on_that_server(join):
    async with join(prepare=ORIGINAL, paths=("/hall/light",)) as both:
        await both.flat.state_register("/hall/light")
        await both.flat.state_register("/hall/other")
        unknown = "state_unknown"
        await eventually(lambda: _got(both.house, "/hall/other"), lambda value: value == unknown)
        assert await _got(both.house, "/hall/light") == "path_not_found"


async def _got(client, path):
    try:
        return await client.get(path)
    except ErrorValue as error:
        return error.value
