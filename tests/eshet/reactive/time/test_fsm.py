"""State machines with a timeout."""

import asyncio

import pytest

from eshet import reactive as yarp
from eshet.reactive.core.handle import node_of
from tests.support.hearing import Errors, heard


def stair_light(state, timeout, presses):
    """On for 60 s from the last press."""
    if state is yarp.FSM.START:
        return "off", None
    if presses:
        return "on", 60
    if timeout == 0:
        return "off", None
    return state, timeout


async def test_a_machine_starts_at_once():
    calls = []
    machine = yarp.FSM(lambda *args: calls.append(args) or ("a", None), [yarp.Value(1), 2])
    assert calls == [(yarp.FSM.START, None, 1, 2)]
    assert machine.state.value == "a"
    assert machine.timeout_length.value is None
    assert machine.timeout_time.value is None
    assert repr(machine) == "FSM(state='a')"
    assert repr(yarp.FSM.START) == "FSM.START"


async def test_a_timeout_runs_out_once_and_restarts_when_another_is_returned(advance):
    press = yarp.Event()
    machine = yarp.FSM(stair_light, [press])
    loop = asyncio.get_running_loop()
    told = []
    machine.state.on_value_changed(lambda state: told.append((loop.time(), state)))
    press.emit(None)
    await advance(30)
    press.emit(None)
    await advance(600)
    assert told == [(0, "on"), (90, "off")]


async def test_the_timeout_is_shown(advance):
    press = yarp.Event()
    machine = yarp.FSM(stair_light, [press])
    lengths, times = heard(machine.timeout_length), heard(machine.timeout_time)
    ran_out = heard(machine.timeout_event)
    await advance(10)
    press.emit(None)
    await advance(100)
    assert (lengths, times, ran_out) == ([60, None], [70, None], [70])


async def test_an_input_is_its_value_or_the_list_of_what_was_just_emitted(advance):
    calls = []
    a, event = yarp.Value(1), yarp.Event()

    def record(state, timeout, *inputs):
        calls.append(inputs)
        return "a", None

    machine = yarp.FSM(record, [a, event, event * 10])
    a.value = 2
    event.emit("x")
    assert calls == [(1, [], []), (2, [], []), (2, ["x"], ["xxxxxxxxxx"])]
    assert machine.state.value == "a"


async def test_returning_the_given_timeout_leaves_it_alone(advance):
    tick = yarp.Event()
    given = []

    def go_on(state, timeout, ticks):
        given.append(timeout)
        return ("waiting", 10) if state is yarp.FSM.START else ("waiting", timeout)

    machine = yarp.FSM(go_on, [tick])
    for _ in range(2):
        await advance(4)
        tick.emit(None)
    await advance(10)
    tick.emit(None)
    assert given == [None, 6, 2, 0.0, None]
    assert machine.timeout_time.value is None


async def test_none_cancels_the_timeout(advance):
    cancel = yarp.Event()
    ran_out = []

    def go_on(state, timeout, cancels):
        if state is yarp.FSM.START:
            return "waiting", 10
        ran_out.append(timeout == 0)
        return "done", None

    machine = yarp.FSM(go_on, [cancel])
    cancel.emit(None)
    await advance(60)
    assert ran_out == [False]
    assert machine.state.value == "done"


async def test_the_state_changes_only_when_it_differs():
    a = yarp.Value(1)
    machine = yarp.FSM(lambda state, timeout, value: (value > 5, None), [a])
    told = heard(machine.state)
    for value in (2, 6, 7, 1):
        a.value = value
    assert told == [True, False]


async def test_an_input_at_the_very_end_of_a_timeout_sees_that_it_ran_out(advance):
    given = []
    event = yarp.Event()

    def go_on(state, timeout, *_):
        given.append(timeout)
        return "a", 10 if state is yarp.FSM.START else None

    asyncio.get_running_loop().call_at(10, event.emit, None)
    machine = yarp.FSM(go_on, [event])
    await advance(20)
    assert given == [None, 0.0]
    assert machine.state.value == "a"


async def test_a_step_that_raises_is_reported_and_the_machine_stays(advance):
    errors = Errors()
    a = yarp.Value(1)
    with errors.scope.active():
        machine = yarp.FSM(lambda state, timeout, value: (1 / value, 10), [a])
    a.value = 0
    assert machine.state.value == 1
    assert errors.reported == [("ZeroDivisionError('division by zero')", "FSM of <lambda>")]
    a.value = 2
    assert machine.state.value == 0.5


async def test_a_step_that_raises_at_the_timeout_is_not_tried_for_ever(advance):
    errors = Errors()

    def broken(state, timeout):
        if timeout == 0:
            raise ValueError
        return "a", 10

    with errors.scope.active():
        machine = yarp.FSM(broken, [])
    await advance(100)
    assert len(errors.reported) == 1
    assert machine.state.value == "a"


async def test_a_machine_of_which_only_the_state_is_used_goes_on(advance):
    press = yarp.Event()
    told = heard(yarp.FSM(stair_light, [press]).state)
    press.emit(None)
    await advance(60)
    assert told == ["on", "off"]


async def test_a_machine_that_nobody_uses_stops():
    press = yarp.Event()
    machine = yarp.FSM(stair_light, [press])
    press.emit(None)
    del machine
    assert node_of(press).uses == 1


async def test_a_machine_ends_with_its_scope(advance):
    errors = Errors()
    press = yarp.Event()
    with errors.scope.active():
        machine = yarp.FSM(stair_light, [press])
    press.emit(None)
    errors.scope.dispose()
    await advance(100)
    press.emit(None)
    assert machine.state.value == "on"


async def test_a_first_step_that_raises_raises_at_once():
    a = yarp.Value(1)
    with pytest.raises(ZeroDivisionError):
        yarp.FSM(lambda *_: 1 / 0, [a])
    assert node_of(a).uses == 1
