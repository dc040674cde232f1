"""What time alone will make of an operator is what happens if nothing else does."""

from itertools import takewhile

import pytest

from eshet import yarp
from eshet.reactive.core.handle import node_of
from eshet.reactive.time.nodes import operator_state_of

BEFORE = 5
"""Seconds from the last input to the question."""

OPERATORS = {
    "delay": lambda value, event: yarp.delay(value, 20),
    "delay of an Event": lambda value, event: yarp.delay(event, 20),
    "debounce": lambda value, event: yarp.debounce(value, 20),
    "rate_limit": lambda value, event: yarp.rate_limit(event, 20),
    "throttle": lambda value, event: yarp.throttle(event, 20),
    "hold": lambda value, event: yarp.hold(event, 20),
    "hold at most": lambda value, event: yarp.hold(value, at_most=20),
    "for_duration": lambda value, event: yarp.for_duration(value, 20),
    "stale": lambda value, event: yarp.stale(value, 20),
    "time_window": lambda value, event: yarp.time_window(event, 20),
    "time_window of a Value": lambda value, event: yarp.time_window(value, 20),
    "fold_state": lambda value, event: yarp.fold_state(
        event, lambda state, _: 1, 0, timeouts={1: (10, 2), 2: (10, 0)}
    ),
    "schedule": lambda value, event: yarp.schedule("* * * * *", tz="UTC"),
    "now": lambda value, event: yarp.now(20, tz="UTC"),
    "emit_at": lambda value, event: yarp.emit_at((20.0, "a")),
    "plan": lambda value, event: yarp.plan({"00:01": 1, "00:02": 2, "00:00": 0}, tz="UTC"),
}


@pytest.mark.parametrize("make", OPERATORS.values(), ids=OPERATORS)
async def test_the_outputs_that_time_makes_are_foretold(make, advance):
    value, event = yarp.Value(1), yarp.Event()
    result = make(value, event)
    await advance(1)
    value.value = 2
    event.emit(3)
    event.emit(4)
    await advance(BEFORE)
    state = operator_state_of(node_of(result))
    assert state is not None
    now = 1.0 + BEFORE
    foretold = list(takewhile(lambda each: each[0] <= 150.0, state.coming(now)))
    made = []
    yarp.on_value(result, lambda new: made.append((now + passed, new)), current=False)
    passed = 0.0
    while now + passed < 150:
        passed += 0.5
        await advance(0.5)
    assert [(pytest.approx(at, abs=0.51), output) for at, output in foretold] == made


async def test_the_first_wanted_value_of_the_wall_clock_is_foretold(advance):
    height = yarp.sun_elevation(latitude=52.5, longitude=13.4, tz="Europe/Berlin")
    state = operator_state_of(node_of(height))
    at = state.first(lambda value: value > 10, 0.0)
    await advance(at - 1)
    assert height.value <= 10
    await advance(1)
    assert height.value > 10
    assert state.first(lambda value: value > 90, at) is None


def test_a_node_without_a_timer_has_no_operator_state():
    assert operator_state_of(node_of(yarp.Value(1) + 1)) is None
