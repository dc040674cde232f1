"""Values of every kind survive get, set and call, over HTTP and over a WebSocket."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from eshet.gateway.json_values import dumps, loads
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.eshet.gateway.test_json_values import VALUES, form
from tests.support.gateway import GatewayHouse, gateway_house
from tests.support.http import exchange

settings_ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def in_house(folder: Path, test: Callable[[GatewayHouse], Coroutine[Any, Any, None]]) -> None:
    """Run a test with a gateway; Hypothesis calls functions, not coroutines."""

    async def run() -> None:
        async with gateway_house(folder) as house:
            await test(house)

    (folder / "tokens.json").unlink(missing_ok=True)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


@settings_
@given(value=VALUES)
def test_over_http(tmp_path: Path, value: Any) -> None:
    async def test(house: GatewayHouse) -> None:
        async def post(target: str, content: Any) -> Any:
            raw = dumps(content).encode()
            answer = await exchange(house.port, "POST", target, raw=raw, Authorization=house.actor)
            assert answer.status == 200
            return loads(answer.body)

        state = await house.owner.state_register("/s", lambda value: state.changed(value))
        await post("/set/s", value)
        assert form(await house.owner.get("/s")) == form(value)
        assert form(loads((await house.get("/get/s")).body)) == form(value)
        await house.owner.action_register("/same", lambda *arguments: list(arguments))
        assert form(await post("/call/same", [value, value])) == form([value, value])

    in_house(tmp_path, test)


@settings_
@given(value=VALUES)
def test_over_a_web_socket(tmp_path: Path, value: Any) -> None:
    async def test(house: GatewayHouse) -> None:
        socket = await house.greeted()
        await socket.ask("state_register", 1, "/s")
        await socket.ask("state_changed", 2, "/s", value)
        assert form(await house.owner.get("/s")) == form(value)
        assert form((await socket.ask("get", 3, "/s"))[2]) == form(["ok", value])
        await house.owner.action_register("/same", lambda value: value)
        answer = await socket.ask("action_call", 4, "/same", [value])
        assert form(answer[2]) == form(["ok", value])
        setting = asyncio.create_task(house.owner.set("/s", value))
        _, number, _, received = await socket.receive()
        assert form(received) == form(value)
        await socket.send("reply", number, ["ok", None])
        await setting

    in_house(tmp_path, test)
