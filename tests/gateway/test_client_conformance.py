"""A client of the original gateway works with this one, over HTTP and over a WebSocket."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import GatewayHouse
from tests.support.original_client import Failed, OriginalClient


async def connected(house: GatewayHouse) -> OriginalClient:
    headers = {"Authorization": house.actor}
    client = OriginalClient(await house.session.ws_connect(f"{house.url}/ws", headers=headers))
    assert (await client.hello())[0] == "hello_id"
    return client


@pytest.fixture
async def owner(house: GatewayHouse) -> AsyncIterator[OriginalClient]:
    client = await connected(house)
    yield client
    await client.close()


@pytest.fixture
async def user(house: GatewayHouse) -> AsyncIterator[OriginalClient]:
    client = await connected(house)
    yield client
    await client.close()


async def test_hello(house: GatewayHouse) -> None:
    headers = {"Authorization": house.actor}
    own = OriginalClient(await house.session.ws_connect(f"{house.url}/ws", headers=headers))
    assert await own.hello("garage") == ["hello"]
    assert await own.ask("ping") is None
    await own.close()


async def test_actions(house: GatewayHouse, owner: OriginalClient, user: OriginalClient) -> None:
    async def divide(one: float, two: float) -> float:
        if two == 0:
            raise ValueError("division by zero")
        return one / two

    owner.actions["/math/divide"] = divide
    assert await owner.ask("action_register", "/math/divide") is None
    assert await user.ask("action_call", "/math/divide", [3, 2]) == 1.5
    with pytest.raises(Failed, match="division by zero"):
        await user.ask("action_call", "/math/divide", [1, 0])
    assert (await house.post("/call/math/divide", [3, 2])).json == 1.5
    failed = await house.post("/call/math/divide", [1, 0])
    assert (failed.status, failed.json) == (520, "division by zero")


async def test_properties(house: GatewayHouse, owner: OriginalClient, user: OriginalClient) -> None:
    values: list[Any] = [20]

    async def get() -> Any:
        return values[-1]

    async def change(value: Any) -> None:
        values.append(value)

    owner.getters["/heat"], owner.setters["/heat"] = get, change
    await owner.ask("prop_register", "/heat")
    assert await user.ask("get", "/heat") == 20
    assert await user.ask("set", "/heat", 21) is None
    assert (await house.get("/get/heat?wrap")).json == {"value": 21}
    assert (await house.post("/set/heat/", 22)).json is None
    assert values == [20, 21, 22]


async def test_events(house: GatewayHouse, owner: OriginalClient, user: OriginalClient) -> None:
    await user.ask("event_listen", "/bell")
    await owner.ask("event_register", "/bell")
    await owner.ask("event_emit", "/bell", {"times": 2})
    assert await user.events.get() == ("/bell", {"times": 2})
    await house.owner.event_emit("/bell", None)
    assert await user.events.get() == ("/bell", None)


async def test_states(house: GatewayHouse, owner: OriginalClient, user: OriginalClient) -> None:
    async def change(value: Any) -> None:
        await house.owner.get("/s")  # any request while it is being set

    assert await user.ask("state_observe", "/s") == "unknown"
    await owner.ask("state_register", "/s")
    await owner.ask("state_changed", "/s", 5)
    assert await user.changes.get() == ("/s", ["known", 5])
    assert await user.ask("get", "/s") == 5
    value, age = await user.ask("state_observe_t", "/s")
    assert (value, age) == (["known", 5], 0.0)
    owner.setters["/s"] = change
    assert await user.ask("set", "/s", 6) is None
    assert (await house.post("/set/s", 7)).json is None
    await owner.ask("state_unknown", "/s")
    assert await user.changes.get() == ("/s", "unknown")
    assert (await house.get("/get/s")).json == "state_unknown"
    await owner.ask("state_changed", "/s", 8)
    assert await user.changes.get() == ("/s", ["known", 8])
    await owner.close()
    assert await user.changes.get() == ("/s", "unknown")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (("get", "/none"), "path_not_found"),
        (("get", "nonsense"), "invalid_path"),
        (("get", "/meta"), "path_is_directory"),
        (("state_changed", "/none", 1), "no_such_node"),
        (("action_call", "/s", []), "path_is_wrong_type"),
        (("state_register", "/s"), "path_already_exists"),
        (("set", "/s", 1), "not_implemented"),
    ],
)
async def test_errors(
    house: GatewayHouse, user: OriginalClient, request_: tuple[Any, ...], error: str
) -> None:
    await house.owner.state_register("/s")
    with pytest.raises(Failed, match=f"^{error}$"):
        await user.ask(*request_)


async def test_listing(house: GatewayHouse, user: OriginalClient) -> None:
    await house.owner.state_register("/s")
    assert await user.ask("action_call", "/meta/ls", ["/"]) == [
        "dir",
        [["meta", "dir"], ["s", "state"]],
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "answer"),
    [
        ("POST", "/set/s", b"", 400, b"error at character 0: invalid_json"),
        ("POST", "/call/s", b"[1", 400, b"error at character 2: invalid_json"),
        ("GET", "/get/s-s", None, 520, b'"invalid_path"'),
        ("GET", "/other", None, 404, None),
        ("GET", "/set/s", None, 405, None),
        ("POST", "/get/s", b"{}", 405, None),
    ],
)
async def test_http_errors(
    house: GatewayHouse,
    method: str,
    target: str,
    body: bytes | None,
    status: int,
    answer: bytes | None,
) -> None:
    if method == "POST":
        got = await house.post(target, raw=body)
    else:
        got = await house.get(target)
    assert got.status == status
    if answer is not None:
        assert got.body == answer
