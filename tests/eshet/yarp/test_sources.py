"""Values and events that follow paths."""

import gc
from typing import Any

import pytest

from eshet import Client, InvalidPath, Unknown, yarp
from eshet.exceptions import ReactiveTypeError
from eshet.scope import Scope
from eshet.server import Server
from tests.conftest import Advance


async def test_a_value_follows_a_state(other: Client, advance: Advance) -> None:
    state = await other.state_register("/hall/lux")
    await state.changed(12)
    lux = await yarp.state_observe("/hall/lux")
    assert lux.value == 12
    seen: list[Any] = []
    lux.on_value_changed(seen.append)
    await state.changed(13)
    await state.unknown()
    await advance(0)
    assert seen == [13, Unknown]
    assert lux.value is Unknown


async def test_a_state_that_nobody_has_registered_is_unknown_and_never_novalue() -> None:
    assert (await yarp.state_observe("/nobody")).value is Unknown


async def test_what_is_observed_can_not_be_set_by_assigning_to_it() -> None:
    lamp = await yarp.state_observe("/lamp")
    with pytest.raises(ReactiveTypeError, match=r'await yarp\.set_value\("/lamp", value\)'):
        lamp.value = 100
    with pytest.raises(TypeError, match="settable=True sets the Value, but this one follows"):
        await yarp.state_register("/copy", lamp, settable=True)


async def test_operators_carry_unknown(other: Client, advance: Advance) -> None:
    dark = (await yarp.state_observe("/lux")) < 40
    assert dark.value is Unknown
    await (await other.state_register("/lux")).changed(12)
    await advance(0)
    assert dark.value is True


async def test_an_event_emits_whenever_the_event_does(other: Client, advance: Advance) -> None:
    motion = await yarp.event_listen("/hall/motion")
    seen: list[Any] = []
    motion.on_event(seen.append)
    emit = await other.event_register("/hall/motion")
    await emit({"zone": 1})
    await emit(None)
    await advance(0)
    assert seen == [{"zone": 1}, None]


async def test_a_client_can_be_given_instead_of_the_default_one(
    server: Server, other: Client, advance: Advance
) -> None:
    async with Client(base="/hall", server=server) as given:
        lux = await yarp.state_observe("lux", client=given)
        motion = await yarp.event_listen("motion", given)
        seen: list[Any] = []
        motion.on_event(seen.append)
        await (await other.state_register("/hall/lux")).changed(1)
        await (await other.event_register("/hall/motion"))(2)
        await advance(0)
        assert (lux.value, seen) == (1, [2])


async def test_an_invalid_path_says_so_and_nothing_else_is_lost(client: Client) -> None:
    with pytest.raises(InvalidPath, match="/hall-way"):
        await yarp.state_observe("/hall-way")
    with pytest.raises(InvalidPath, match="/hall/"):
        await yarp.event_listen("/hall/")
    assert client.connected


async def test_sources_end_with_their_scope(other: Client, advance: Advance) -> None:
    state = await other.state_register("/lux")
    emit = await other.event_register("/motion")
    await state.changed(1)
    scope = Scope("rule")
    with scope.active():
        lux = await yarp.state_observe("/lux")
        motion = await yarp.event_listen("/motion")
        seen: list[Any] = []
        lux.on_value_changed(seen.append)
        motion.on_event(seen.append)
    scope.dispose()
    await state.changed(2)
    await emit("x")
    await advance(0)
    assert seen == []


async def test_nothing_has_to_be_held(other: Client, advance: Advance) -> None:
    seen: list[Any] = []
    (await yarp.state_observe("/lux")).on_value_changed(seen.append)
    ((await yarp.state_observe("/lux")) + 1).on_value_changed(seen.append)
    (await yarp.event_listen("/motion")).on_event(seen.append)
    gc.collect()
    await (await other.state_register("/lux")).changed(5)
    await (await other.event_register("/motion"))("moved")
    await advance(0)
    assert sorted(map(str, seen)) == ["5", "6", "moved"]
