"""What happens at paths when values change and events emit."""

import asyncio
import gc
import re
from typing import Any

import pytest

from eshet import Client, ErrorValue, InvalidPath, Unknown, yarp
from eshet.exceptions import NotAccepted
from eshet.scope import Scope
from eshet.utils import RunInTask, RunSerially
from eshet.yarp.default_strategy import DefaultStrategy
from tests.conftest import Advance
from tests.support.hearing import Errors


async def record_calls(client: Client, path: str) -> list[tuple[Any, ...]]:
    """Register an action that records its calls."""
    calls: list[tuple[Any, ...]] = []
    await client.action_register(path, lambda *args: calls.append(args))
    return calls


async def record_sets(client: Client, path: str) -> list[Any]:
    """Register a state that records what it is set to."""
    sets: list[Any] = []
    await client.state_register(path, sets.append)
    return sets


async def record_changes(client: Client, path: str) -> list[Any]:
    """Observe a state: its value, and each change of it."""
    changes: list[Any] = []
    changes.insert(0, await client.state_observe(path, changes.append))
    return changes


# --- action_call ------------------------------------------------------------------------------


async def test_an_action_is_called_with_the_first_and_each_later_value(
    other: Client, advance: Advance
) -> None:
    calls = await record_calls(other, "/a")
    level = yarp.Value(1)
    await yarp.action_call("/a", "lamp", level, level * 2)
    await advance(0)
    level.value = 2
    await advance(0)
    assert calls == [("lamp", 1, 2), ("lamp", 2, 4)]


async def test_an_action_without_values_is_called_once(other: Client, advance: Advance) -> None:
    calls = await record_calls(other, "/a")
    await yarp.action_call("/a")
    await yarp.action_call("/a", 1)
    await advance(0)
    assert calls == [(), (1,)]


async def test_an_action_is_called_on_each_emission_with_the_values_of_then(
    other: Client, advance: Advance
) -> None:
    calls = await record_calls(other, "/a")
    level, pressed = yarp.Value(1), yarp.Event()
    await yarp.action_call("/a", pressed, level)
    await advance(0)
    pressed.emit("on")
    level.value = 2
    pressed.emit("off")
    await advance(0)
    assert calls == [("on", 1), ("off", 2)]


@pytest.mark.parametrize("missing", [yarp.NoValue, Unknown, [1, Unknown], {"k": (yarp.NoValue,)}])
async def test_an_action_is_not_called_while_an_argument_is_missing(
    other: Client, advance: Advance, missing: Any
) -> None:
    calls = await record_calls(other, "/a")
    level = yarp.Value(missing)
    await yarp.action_call("/a", level)
    level.value = 1
    level.value = missing
    await advance(0)
    assert calls == [(1,)]


# --- set_value --------------------------------------------------------------------------------


async def test_a_state_is_set_to_the_first_and_each_later_value(
    other: Client, advance: Advance
) -> None:
    sets = await record_sets(other, "/light")
    lux = yarp.Value(12)
    await yarp.set_value("/light", lux < 40)
    await advance(0)
    lux.value = 50
    lux.value = Unknown
    await advance(0)
    assert sets == [True, False]


async def test_a_state_is_set_to_each_emission(other: Client, advance: Advance) -> None:
    sets = await record_sets(other, "/light")
    pressed = yarp.Event()
    await yarp.set_value("/light", pressed)
    await advance(0)
    pressed.emit(1)
    pressed.emit(1)
    pressed.emit(yarp.NoValue)
    await advance(0)
    assert sets == [1, 1]


async def test_what_fails_is_reported_with_its_path_and_the_next_change_goes_on(
    other: Client, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    value = yarp.Value(1)
    await yarp.set_value("/light", value)
    await advance(0)
    assert "set_value of /light" in caplog.text
    assert "set /light: path_not_found" in caplog.text
    sets = await record_sets(other, "/light")
    value.value = {1, 2}
    await advance(0)
    assert "set /light: can not serialize 'set' object" in caplog.text
    value.value = 2
    await advance(0)
    assert sets == [2]


async def test_a_sink_runs_under_its_strategy(other: Client, advance: Advance) -> None:
    value = yarp.Value(1)
    await yarp.set_value("/light", value, strategy=RunSerially(only_latest=True, retry=True))
    await advance(0)
    value.value = 2
    sets = await record_sets(other, "/light")
    await advance(60)
    assert sets == [2]


async def test_without_a_strategy_it_runs_under_that_of_the_context(
    other: Client, advance: Advance
) -> None:
    scope = Scope("rule")
    scope.provide(DefaultStrategy, DefaultStrategy(RunSerially(retry=True)))
    with scope.active():
        await yarp.set_value("/retried", 1)
        await yarp.set_value("/not_retried", 1, strategy=RunInTask())
    await advance(0)
    retried = await record_sets(other, "/retried")
    not_retried = await record_sets(other, "/not_retried")
    await advance(2)
    assert (retried, not_retried) == ([1], [])


# --- event_register ---------------------------------------------------------------------------


async def test_an_event_is_published(other: Client, advance: Advance) -> None:
    rung: list[Any] = []
    await other.event_listen_cb("/bell", rung.append)
    bell = yarp.Event()
    await yarp.event_register("/bell", bell)
    for payload in ("ding", Unknown, "dong"):
        bell.emit(payload)
    await advance(0)
    assert rung == ["ding", "dong"]


async def test_only_an_event_can_be_published_as_one() -> None:
    with pytest.raises(TypeError, match="use state_register for a Value"):
        await yarp.event_register("/bell", yarp.Value(1))  # type: ignore[arg-type]


# --- state_register ---------------------------------------------------------------------------


async def test_a_state_has_the_value_of_a_value(other: Client, advance: Advance) -> None:
    value = yarp.Value()
    await yarp.state_register("/s", value)
    changes = await record_changes(other, "/s")
    for new in (1, [2], Unknown, 3, yarp.NoValue, [Unknown]):
        value.value = new
    await advance(0)
    assert changes == [Unknown, 1, [2], Unknown, 3, Unknown, Unknown]


async def test_a_settable_state_sets_its_value(other: Client, advance: Advance) -> None:
    target = yarp.Value(21)
    await yarp.state_register("/target", target, settable=True)
    await advance(0)
    changes = await record_changes(other, "/target")
    await other.set("/target", 23)
    await advance(0)
    assert target.value == 23
    assert changes == [21, 23]


async def test_a_state_that_is_not_settable_says_so(other: Client) -> None:
    await yarp.state_register("/s", yarp.Value(1))
    with pytest.raises(ErrorValue, match="set /s: not_implemented"):
        await other.set("/s", 2)


async def test_a_set_callback_decides_itself(other: Client, advance: Advance) -> None:
    value, asked = yarp.Value(1), []
    await yarp.state_register("/s", value, set_callback=asked.append)
    await other.set("/s", 2)
    await advance(0)
    assert (value.value, asked) == (1, [2])


async def test_settable_and_a_set_callback_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"state_register of /s: .*pass only one of them"):
        await yarp.state_register("/s", yarp.Value(1), settable=True, set_callback=print)


@pytest.mark.parametrize(
    ("accepted", "good", "bad", "wanted"),
    [
        (
            {"minimum": 5, "maximum": 30},
            [5, 30, 7.5],
            [4.9, 31, "20", True, None, [20], float("nan")],
            "write a number from 5 to 30, not ",
        ),
        ({"minimum": 0}, [0, 1e9], [-1], "write a number from 0 up, not -1"),
        ({"maximum": 9}, [-1e9, 9], [10], "write a number up to 9, not 10"),
        (
            {"options": ["home", "away"]},
            ["home", "away"],
            ["Home", 1, ["home"]],
            "write one of 'home', 'away', not ",
        ),
        ({"options": (True, False)}, [True, False], [1, 0, None], "write one of True, False, not "),
    ],
)
async def test_a_state_accepts_some_values_only(
    accepted: dict[str, Any], good: list[Any], bad: list[Any], wanted: str, other: Client
) -> None:
    value = yarp.Value[Any]("first")
    errors = Errors()
    with errors.scope.active():
        await yarp.state_register("/s", value, settable=True, **accepted)
    for each in good:
        await other.set("/s", each)
        assert value.value == each
    for each in bad:
        with pytest.raises(ErrorValue, match="set /s: " + re.escape(wanted)):
            await other.set("/s", each)
    assert value.value == good[-1]
    assert errors.reported == []  # it is not a mistake of the rule


async def test_a_set_callback_is_called_with_accepted_values_only(other: Client) -> None:
    asked: list[Any] = []

    async def ask(new: object) -> None:
        asked.append(new)
        raise NotAccepted(new, "nothing on Sundays")

    errors = Errors()
    with errors.scope.active():
        await yarp.state_register("/s", yarp.Value(1), set_callback=ask, minimum=1)
    for each, why in ((0, "a number from 1 up"), (2, "nothing on Sundays")):
        with pytest.raises(ErrorValue, match=why):
            await other.set("/s", each)
    assert asked == [2]
    assert errors.reported == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"minimum": 3}, "write settable=True as well"),
        ({"settable": True, "minimum": 3, "maximum": 2}, "minimum=3 is above maximum=2"),
        ({"settable": True, "minimum": 3, "options": [3]}, "leave out minimum and maximum"),
        ({"settable": True, "options": []}, "is not a list of the accepted values"),
        ({"settable": True, "options": "auto"}, "is not a list of the accepted values"),
    ],
)
async def test_accepted_values_that_make_no_sense_are_refused(
    wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        await yarp.state_register("/s", yarp.Value(1), **wrong)


async def test_an_event_is_no_state() -> None:
    with pytest.raises(TypeError, match="use event_register for an Event"):
        await yarp.state_register("/s", yarp.Event())  # type: ignore[arg-type]


async def test_setting_a_state_can_be_an_event(other: Client, advance: Advance) -> None:
    value = yarp.Value(20)
    was_set = await yarp.state_register_set_event("/s", value)
    was_set.on_event(lambda new: setattr(value, "value", min(new, 25)))
    await other.set("/s", 30)
    await advance(0)
    assert await other.get("/s") == 25


async def test_changes_are_published_in_their_order(other: Client, advance: Advance) -> None:
    value = yarp.Value(0)
    await yarp.state_register("/s", value)
    await advance(0)
    changes = await record_changes(other, "/s")
    for new in range(1, 100):
        value.value = new
    await advance(0)
    assert changes == list(range(100))


# --- what they share --------------------------------------------------------------------------


async def test_nothing_has_to_be_held(other: Client, advance: Advance) -> None:
    state = await other.state_register("/lux")
    await state.changed(12)
    calls, sets = await record_calls(other, "/a"), await record_sets(other, "/light")

    await yarp.action_call("/a", await yarp.state_observe("/lux"))
    await yarp.set_value("/light", (await yarp.state_observe("/lux")) < 40)
    await yarp.state_register("/lux2", (await yarp.state_observe("/lux")) * 2)
    await yarp.event_register("/dark", yarp.value_to_event(await yarp.state_observe("/lux")))
    gc.collect()
    dark: list[Any] = []
    await other.event_listen_cb("/dark", dark.append)

    await state.changed(50)
    await advance(0)
    gc.collect()
    await state.changed(51)
    await advance(0)
    assert calls == [(12,), (50,), (51,)]
    assert sets == [True, False, False]
    assert await other.get("/lux2") == 102
    assert dark == [50, 51]


async def test_sinks_end_with_their_scope(other: Client, advance: Advance) -> None:
    calls, sets = await record_calls(other, "/a"), await record_sets(other, "/light")
    value, bell = yarp.Value(1), yarp.Event()
    rung: list[Any] = []
    await other.event_listen_cb("/bell", rung.append)
    scope = Scope("rule")
    with scope.active():
        await yarp.action_call("/a", value)
        await yarp.set_value("/light", value)
        await yarp.state_register("/s", value, settable=True)
        await yarp.event_register("/bell", bell)
    await advance(0)
    changes = await record_changes(other, "/s")
    scope.dispose()
    value.value = 2
    bell.emit("ding")
    await advance(0)
    assert (calls, sets, rung) == ([(1,)], [1], [])
    assert changes == [1, Unknown], "the state has gone with the rule"
    with pytest.raises(ErrorValue):
        await other.set("/s", 3)
    assert value.value == 2


async def test_what_went_with_a_scope_can_be_registered_again(
    other: Client, advance: Advance
) -> None:
    changes = await record_changes(other, "/s")
    for attempt in (1, 2, 3):
        scope = Scope(f"attempt {attempt}")
        with scope.active():
            value = yarp.Value(attempt)
            await yarp.state_register("/s", value, settable=True)
            await advance(0)
            await other.set("/s", attempt * 10)
            await advance(0)
        scope.dispose()
        await advance(0)
    assert changes == [Unknown, 1, 10, Unknown, 2, 20, Unknown, 3, 30, Unknown]


@pytest.mark.parametrize(
    "sink",
    [
        lambda path: yarp.action_call(path, 1),
        lambda path: yarp.set_value(path, 1),
        lambda path: yarp.event_register(path, yarp.Event()),
        lambda path: yarp.state_register(path, yarp.Value(1)),
        lambda path: yarp.state_register_set_event(path, yarp.Value(1)),
    ],
    ids=["action_call", "set_value", "event_register", "state_register", "set_event"],
)
async def test_an_invalid_path_is_an_error_at_once(client: Client, sink: Any) -> None:
    with pytest.raises(InvalidPath, match="write a slash before each name"):
        await sink("/hall-way/light")
    assert client.connected


async def test_a_wrapper_waits_for_the_connection(advance: Advance) -> None:
    from eshet.server import Server

    server = Server()
    late = Client(server=server)
    observing = asyncio.ensure_future(yarp.state_observe("/s", client=late))
    assert not late.connected
    assert (await observing).value is Unknown
    await late.close()
    await server.close()


async def test_a_text_is_not_a_strategy():
    with pytest.raises(TypeError, match=r"'serially' is not a strategy: write .*RunSerially\(\)"):
        await yarp.action_call("/a", yarp.Value(1), strategy="serially")
