"""What the server tells of itself under /meta, and what can be taken back there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.codec import MAX_NESTING
from eshet.messages import MAX_CLIENT_ID, HelloId
from eshet.server import Server
from tests.conformance.script import hello, v
from tests.conftest import Advance
from tests.support.raw import connect_raw


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server=server, client_id="me") as client:
        yield client


@pytest.fixture
async def other(server: Server) -> AsyncIterator[Client]:
    async with Client(server=server, client_id=["other", 1]) as client:
        yield client


async def test_clients_tells_who_is_connected_and_what_they_have(
    server: Server, client: Client, other: Client, advance: Advance
) -> None:
    await client.state_register("/a")
    await client.event_register("/b")
    await other.state_observe("/a", print)
    await advance(2.5)
    told = await client.action_call("/meta/clients")
    assert told["next"] is None
    assert told["gone"] == []
    mine, its = sorted(told["clients"], key=lambda each: str(each["id"]), reverse=True)
    assert mine["id"] == "me"
    assert (mine["owns"], mine["hears"]) == (2, 0)
    assert its["id"] == ["other", 1]
    assert (its["owns"], its["hears"]) == (0, 1)
    assert mine["connected_s"] == 2.5
    assert mine["address"] == "in-process link"
    assert mine["queue"] == 0
    assert mine["received"] > its["received"] > 0
    assert mine["sent"] > its["sent"] > 0


async def test_clients_tells_of_those_who_were_thrown_out_and_why(
    server: Server, client: Client, advance: Advance
) -> None:
    first = Client(server=server, client_id="me too")
    await first.wait_for_connection()
    async with Client(server=server, client_id="me too"):
        await advance(0)
        assert not first.connected
    await first.close()
    await advance(3)
    [[who, why, seconds], *_] = (await client.action_call("/meta/clients"))["gone"]
    assert who == "me too"
    assert why == (
        "another client uses the same id, 'me too': the one at in-process link has replaced the "
        "one at in-process link"
    )
    assert seconds == 3


async def test_clients_comes_in_pages(server: Server, client: Client) -> None:
    crowd = [Client(server=server, client_id=f"{n:04} {'x' * 500}") for n in range(200)]
    for one in crowd:
        await one.wait_for_connection()
    ids: list[Any] = []
    skip: int | None = 0
    pages = 0
    while skip is not None:
        told = await client.action_call("/meta/clients", skip)
        ids += [each["id"] for each in told["clients"]]
        skip = told["next"]
        pages += 1
    assert pages > 1
    assert len(ids) == len(set(ids)) == 201
    for one in crowd:
        await one.close()


async def test_tree_tells_of_all_nodes(client: Client, other: Client) -> None:
    state = await client.state_register("/s/known")
    await state.changed([1, "x"])
    await client.state_register("/s/unknown")
    await other.state_observe("/s/known", print)
    await other.event_listen_cb("/e", print)
    await other.action_register("/a", print)
    told = await client.action_call("/meta/tree")
    assert told["next"] is None
    nodes = {node[0]: node[1:] for node in told["nodes"]}
    assert nodes["/s/known"] == ["state", "me", ["known", [1, "x"]], 1]
    assert nodes["/s/unknown"] == ["state", "me", "unknown", 0]
    assert nodes["/e"] == ["event", None, None, 1]
    assert nodes["/a"] == ["action", ["other", 1], None, 0]
    assert nodes["/meta/ls"] == ["action", ["meta"], None, 0]
    assert list(nodes) == sorted(nodes)


async def test_tree_comes_in_pages_and_shows_a_long_value_by_its_length(client: Client) -> None:
    for number in range(30):
        state = await client.state_register(f"/s{number:02}")
        await state.changed("x" * (5_000 if number else 60_000))
    nodes: list[Any] = []
    arguments: list[str] = []
    while True:
        told = await client.action_call("/meta/tree", *arguments)
        nodes += told["nodes"]
        if told["next"] is None:
            break
        arguments = [told["next"]]
    states = [node for node in nodes if node[1] == "state"]
    assert [node[0] for node in states] == [f"/s{number:02}" for number in range(30)]
    assert states[0][3] == ["long", 60_003]
    assert states[1][3] == ["known", "x" * 5_000]


async def test_a_directory_too_long_for_one_message_is_told_in_pages(client: Client) -> None:
    names = [f"a_long_name_of_node_{number:05}" for number in range(4_000)]
    for name in names:
        await client.event_listen_cb(f"/d/{name}", print)
    with pytest.raises(ErrorValue, match="reply_too_long"):
        await client.action_call("/meta/ls", "/d")
    listed: list[str] = []
    after: str | None = ""
    while after is not None:
        kind, entries, after = await client.action_call("/meta/ls", "/d/", after)
        assert kind == "dir"
        listed += [name for name, _ in entries]
    assert listed == names
    assert client.connected


async def test_tree_and_clients_tell_of_values_nested_as_deeply_as_is_allowed(
    server: Server, client: Client
) -> None:
    value: Any = 1
    for _ in range(MAX_NESTING):
        value = [value]
    async with Client(server=server, client_id=value) as deep:
        await (await deep.state_register("/deep")).changed(value)
        told = await client.action_call("/meta/tree")
        assert ["/deep", "state", value, ["known", value], 0] in told["nodes"]
        told = await client.action_call("/meta/clients")
        assert value in [each["id"] for each in told["clients"]]


async def test_the_longest_ids_of_a_hundred_lost_clients_fit_into_the_answer(
    server: Server, client: Client
) -> None:
    for number in range(120):
        peer = await hello(server, f"{number:03}" + "x" * (MAX_CLIENT_ID - 6))
        peer.send(b"garbage")
        await peer.closed()
    told = await client.action_call("/meta/clients")
    assert [gone[0][:3] for gone in told["gone"]][:3] == ["119", "118", "117"]


async def test_a_client_id_that_is_longer_is_refused(server: Server, client: Client) -> None:
    peer = await connect_raw(server)
    peer.send(HelloId(1, 0, v("x" * MAX_CLIENT_ID)))
    assert await peer.closed() == []


async def test_stats_tells_how_much_there_is(
    client: Client, other: Client, advance: Advance
) -> None:
    await client.state_register("/s")
    await advance(10)
    told = await client.action_call("/meta/stats")
    assert told["clients"] == 2
    assert told["nodes"] == 7
    assert told["uptime_s"] == 10
    assert told["received"] > 0
    assert told["sent"] > 0
    assert told["queue"] == 0


async def test_changed_tells_when_nodes_come_and_go(
    client: Client, other: Client, advance: Advance
) -> None:
    changes: list[Any] = []
    await other.event_listen_cb("/meta/changed", changes.append)
    await client.state_register("/a/s")
    await other.state_observe("/a/s", print)
    await client.event_listen_cb("/e", print)
    await client.close()
    await advance(0)
    assert changes == [
        ["added", "/a/s", "state"],
        ["added", "/e", "event"],
        ["removed", "/e", "event"],
    ]


async def test_changed_tells_when_an_observed_node_gets_an_owner(
    client: Client, other: Client, advance: Advance
) -> None:
    changes: list[Any] = []
    await other.event_listen_cb("/meta/changed", changes.append)
    await other.state_observe("/a/s", print)
    await client.state_register("/a/s")
    await advance(0)
    assert changes == [["added", "/a/s", "state"], ["owned", "/a/s", "state"]]


async def test_unregister_takes_an_owned_state_back(
    client: Client, other: Client, advance: Advance
) -> None:
    seen: list[Any] = []
    await other.state_observe("/s", seen.append)
    await (await client.state_register("/s")).changed(1)
    assert await client.action_call("/meta/unregister", "/s") is None
    await (await other.state_register("/s")).changed(2)
    await advance(0)
    assert seen == [1, Unknown, 2]


async def test_unregister_takes_a_listen_and_an_observation_back(
    client: Client, other: Client, advance: Advance
) -> None:
    heard: list[Any] = []
    state, emit = await other.state_register("/s"), await other.event_register("/e")
    await client.state_observe("/s", heard.append)
    await client.event_listen_cb("/e", heard.append)
    await client.action_call("/meta/unregister", "/s")
    await client.action_call("/meta/unregister", "/e")
    await state.changed(1)
    await emit(1)
    await advance(0)
    assert heard == []


async def test_unregister_of_somebody_elses_node_is_refused(client: Client, other: Client) -> None:
    await other.state_register("/s")
    with pytest.raises(ErrorValue, match="not_owner"):
        await client.action_call("/meta/unregister", "/s")
    with pytest.raises(ErrorValue, match="path_not_found"):
        await client.action_call("/meta/unregister", "/nowhere")


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("tree", [1]),
        ("tree", ["/a", "/b"]),
        ("clients", ["x"]),
        ("stats", [1]),
        ("unregister", []),
        ("ls", ["/", 1]),
    ],
)
async def test_wrong_arguments_are_bad_args(
    client: Client, action: str, arguments: list[Any]
) -> None:
    with pytest.raises(ErrorValue, match="bad_args"):
        await client.action_call(f"/meta/{action}", *arguments)


async def test_nodes_of_the_server_can_be_neither_taken_nor_set(client: Client) -> None:
    with pytest.raises(ErrorValue, match="path_already_exists"):
        await client.action_register("/meta/ls", print)
    with pytest.raises(ErrorValue, match="path_is_wrong_type"):
        await client.set("/meta/ls", 1)
