"""Get, set, call, emit and ls over HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from eshet import Client
from tests.conftest import Advance
from tests.support.gateway import GatewayHouse, gateway_house
from tests.support.http import exchange


async def test_a_state_is_got_and_set(house: GatewayHouse) -> None:
    async def change(value: Any) -> None:
        await light.changed(value)

    light = await house.owner.state_register("/hall/light", change)
    await light.changed(False)
    assert (await house.get("/get/hall/light")).json is False
    answer = await house.post("/set/hall/light", [1, "zwei"])
    assert (answer.status, answer.json) == (200, None)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (await house.get("/get/hall/light/")).json == [1, "zwei"]


async def test_an_action_is_called_and_an_event_emitted(house: GatewayHouse) -> None:
    await house.owner.action_register("/add", lambda x, y: x + y)
    assert (await house.post("/call/add", [1, 2])).json == 3
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await house.owner.event_listen_cb("/bell", heard.put_nowait)
    assert (await house.post("/emit/bell", {"by": "me"})).json is None
    assert await heard.get() == {"by": "me"}


async def test_an_answer_is_wrapped_on_request(house: GatewayHouse) -> None:
    await (await house.owner.state_register("/s")).changed(5)
    assert (await house.get("/get/s?wrap")).json == {"value": 5}
    assert (await house.get("/get/s?wrap=1&x")).json == {"value": 5}
    await house.owner.action_register("/a", lambda: None)
    assert (await house.post("/call/a?wrap", [])).json == {"value": None}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/get/none", "path_not_found"),
        ("/get/", "invalid_path"),
        ("/get//", "invalid_path"),
        ("/get/a-b", "invalid_path"),
        ("/get/" + "a" * 2000, "invalid_path"),
        ("/get/s", "state_unknown"),
        ("/get/act", "path_is_wrong_type"),
        ("/get/meta", "path_is_directory"),
        ("/ls/none", "path_not_found"),
        ("/ls/a%20b", "invalid_path"),
    ],
)
async def test_an_error_is_its_value(house: GatewayHouse, target: str, error: str) -> None:
    await house.owner.state_register("/s")
    await house.owner.action_register("/act", lambda: None)
    answer = await house.get(target)
    assert (answer.status, answer.json) == (520, error)


async def test_an_error_of_the_owner_is_passed_on(house: GatewayHouse) -> None:
    async def fail() -> None:
        raise ValueError("too hot")

    await house.owner.action_register("/fail", fail)
    answer = await house.post("/call/fail", [])
    assert (answer.status, answer.json) == (520, "too hot")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "error at character 0: invalid_json"),
        (b"[1,", "error at character 3: invalid_json"),
        (b'{"a" 1}', "error at character 5: invalid_json"),
        (b"\xff", "error at character 0: invalid_json"),
        (b'{"a": 1, "a": 2}', 'error at character 0: the key "a" occurs twice'),
        (b'{"a": 1}', "error at character 0: the arguments are not a list"),
    ],
)
async def test_a_bad_body_is_an_error_with_its_place(
    house: GatewayHouse, body: bytes, text: str
) -> None:
    answer = await house.post("/call/a", raw=body)
    assert (answer.status, answer.body.decode()) == (400, text)
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_value_that_does_not_fit_is_refused(house: GatewayHouse) -> None:
    await house.owner.state_register("/s", lambda value: None)
    answer = await house.post("/set/s", "x" * 70_000)
    assert (answer.status, answer.json["error"]) == (413, "message_too_long")
    assert (await house.post("/set/s", "x" * 65_000)).status == 200


@pytest.mark.parametrize("target", ["/set/s", "/call/s", "/emit/s"])
async def test_acting_needs_a_token(house: GatewayHouse, target: str) -> None:
    assert (await house.post(target, [], Authorization="")).status == 401
    assert (await house.post(target, [], Authorization=house.reader)).status == 403
    assert (await house.get(target)).status == 405


async def test_a_directory_is_listed(house: GatewayHouse) -> None:
    await house.owner.state_register("/hall/light")
    await house.owner.action_register("/hall/ring", lambda: None)
    listing = ["dir", [["light", "state"], ["ring", "action"]]]
    assert (await house.get("/ls/hall")).json == listing
    assert (await house.get("/ls/hall/")).json == listing
    assert (await house.get("/ls/hall/light")).json == "state"
    for target in ("/ls", "/ls/"):
        assert (await house.get(target)).json == ["dir", [["hall", "dir"], ["meta", "dir"]]]


async def test_a_long_directory_is_listed(house: GatewayHouse) -> None:
    for number in range(7000):
        await house.owner.event_register(f"/many/number_{number}")
    _, entries = (await house.get("/ls/many")).json
    assert len(entries) == 7000


async def test_an_owner_that_does_not_answer_is_not_waited_for(
    house: GatewayHouse, advance: Advance
) -> None:
    called = asyncio.Event()

    async def wait() -> None:
        called.set()
        await asyncio.Event().wait()

    await house.owner.action_register("/wait", wait)
    asking = asyncio.create_task(house.post("/call/wait", []))
    await called.wait()
    await advance(61)
    answer = await asking
    assert (answer.status, answer.json["error"]) == (504, "no_answer")


async def test_without_a_server_the_answer_says_so(tmp_path: Path) -> None:
    async with gateway_house(tmp_path, over_tcp=True) as house:
        await house.server.close()
        answer = await house.get("/get/s")
        assert (answer.status, answer.json["error"]) == (503, "disconnected")


async def test_head_and_other_methods(house: GatewayHouse) -> None:
    await (await house.owner.state_register("/s")).changed(5)
    assert (await exchange(house.port, "PUT", "/get/s")).status == 405
    assert (await exchange(house.port, "GET", "/other/s")).status == 404


async def test_a_client_sees_what_the_gateway_sets(house: GatewayHouse) -> None:
    async with Client(server=house.server) as other:
        values: asyncio.Queue[Any] = asyncio.Queue()
        await other.state_register("/s", values.put_nowait)
        await house.post("/set/s", {"$bytes": "aGFsbG8="})
        assert await values.get() == b"hallo"
