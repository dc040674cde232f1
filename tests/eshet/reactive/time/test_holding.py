"""Debounce, throttle, hold, for_duration and fold_state, in virtual time."""

import asyncio

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.unknown import Unknown


def timeline(reactive):
    """Return a list that grows by what is told, with the time at which it is."""
    loop, told = asyncio.get_running_loop(), []
    reactive.on_value_changed(lambda value: told.append((loop.time(), value)))
    return told


async def play(advance, setter, *moments):
    """Set or emit values at times."""
    loop = asyncio.get_running_loop()
    for time, value in moments:
        await advance(time - loop.time())
        setter(value)
    await advance(1_000)


@pytest.mark.parametrize("make", [yarp.Value, yarp.Event])
async def test_debounce_lets_the_last_pass_after_a_quiet_time(advance, make):
    source = make()
    told = timeline(yarp.debounce(source, 5))
    await play(advance, yarp.emit_fn(source), (1, "a"), (4, "b"), (8, "c"), (20, "d"))
    assert told == [(13, "c"), (25, "d")]


async def test_debounce_lets_unknown_pass_at_once_and_drops_what_was_waiting(advance):
    source = yarp.Value(1)
    debounced = yarp.debounce(source, 5)
    told = timeline(debounced)
    await play(advance, yarp.emit_fn(source), (1, 2), (3, Unknown), (20, 3))
    assert told == [(3, Unknown), (25, 3)]


async def test_throttle_drops_what_comes_too_soon(advance):
    source = yarp.Event()
    told = timeline(yarp.throttle(source, 5))
    await play(advance, source.emit, (1, "a"), (4, "b"), (6, "c"), (7, "d"))
    assert told == [(1, "a"), (6, "c")]


async def test_throttle_of_a_value_does_not_end_wrong(advance):
    source = yarp.Value(0)
    throttled = yarp.throttle(source, 5)
    await play(advance, yarp.emit_fn(source), (1, 1), (2, 2))
    assert throttled.value == 2


async def test_for_duration_is_true_after_so_long_without_a_break(advance):
    source = yarp.Value(True)
    told = timeline(yarp.for_duration(source, 10))
    await play(
        advance,
        yarp.emit_fn(source),
        (5, False),
        (6, True),
        (8, True),
        (30, False),
        (31, True),
        (50, Unknown),
        (51, True),
    )
    assert told == [(16, True), (30, False), (41, True), (50, False), (61, True)]


async def test_for_duration_follows_its_length(advance):
    length = yarp.Value(100)
    long = yarp.for_duration(yarp.Value(True), length)
    await advance(10)
    assert long.value is False
    length.value = 5
    assert long.value is True


async def test_for_duration_takes_no_event():
    with pytest.raises(ReactiveTypeError, match=r"yarp\.hold"):
        yarp.for_duration(yarp.Event(), 5)


async def test_hold_is_true_for_so_long_at_least(advance):
    source = yarp.Value(False)
    told = timeline(yarp.hold(source, 10))
    await play(advance, yarp.emit_fn(source), (1, True), (3, False), (20, True), (50, False))
    assert told == [(1, True), (11, False), (20, True), (50, False)]


async def test_hold_is_true_for_so_long_at_most(advance):
    source = yarp.Value(False)
    told = timeline(yarp.hold(source, at_most=10))
    await play(advance, yarp.emit_fn(source), (1, True), (20, False), (30, True), (32, False))
    assert told == [(1, True), (11, False), (30, True), (32, False)]


async def test_hold_counts_each_emission_from_then_on(advance):
    motion = yarp.Event()
    told = timeline(yarp.hold(motion, 10))
    await play(advance, motion.emit, (1, None), (5, False), (30, True), (35, Unknown))
    assert told == [(1, True), (15, False), (30, True), (40, False)]


async def test_a_silent_sensor_holds_nothing_on_for_longer(advance):
    source = yarp.Value(True)
    held = yarp.hold(source, 10)
    await advance(60)
    assert held.value is True
    source.value = Unknown
    assert held.value is False


async def test_hold_has_no_length_below_0():
    with pytest.raises(ReactiveTypeError):
        yarp.hold(yarp.Value(True), at_most=-1)


async def test_fold_state_goes_on_by_what_comes_and_by_time(advance):
    press = yarp.Event()
    light = yarp.fold_state(
        press,
        lambda state, _: "off" if state == "on" else "on",
        "off",
        timeouts={"on": (180, "off")},
    )
    told = timeline(light)
    await play(advance, press.emit, (1, None), (100, None), (200, None), (250, Unknown))
    assert told == [(1, "on"), (100, "off"), (200, "on"), (380, "off")]


async def test_the_same_state_again_starts_its_timeout_anew_and_no_change_does_not(advance):
    motion = yarp.Event()
    timeouts = {"on": (60, "off")}
    anew = timeline(yarp.fold_state(motion, lambda *_: "on", "off", timeouts=timeouts))
    states = yarp.fold_state(
        motion, lambda s, _: "on" if s == "off" else yarp.NoChange, "off", timeouts=timeouts
    )
    once = timeline(states)
    await play(advance, motion.emit, (1, None), (50, None))
    assert anew == [(1, "on"), (110, "off")]
    assert once == [(1, "on"), (61, "off")]


async def test_timeouts_lead_to_states_with_timeouts(advance):
    states = yarp.fold_state(
        yarp.Event(), lambda s, _: s, "red", timeouts={"red": (10, "green"), "green": (20, "red")}
    )
    told = timeline(states)
    await advance(60)
    assert told == [(10, "green"), (30, "red"), (40, "green"), (60, "red")]


@pytest.mark.parametrize("make", [lambda: yarp.Value(0), yarp.Event])
async def test_stale_is_true_after_so_long_without_a_report(advance, make):
    source = make()
    told = timeline(yarp.stale(source, 10))
    await play(advance, yarp.emit_fn(source), (8, 1), (16, 1), (30, 2))
    assert told == [(26, True), (30, False), (40, True)]


async def test_stale_is_true_at_once_of_a_value_that_is_unknown(advance):
    source = yarp.Value(Unknown)
    stale = yarp.stale(source, 10)
    assert stale.value is True
    told = timeline(stale)
    await play(advance, yarp.emit_fn(source), (1, 5), (2, Unknown), (3, yarp.NoValue), (4, 5))
    assert told == [(1, False), (2, True), (4, False), (14, True)]


async def test_stale_follows_its_length(advance):
    source, after = yarp.Value(0), yarp.Value(10)
    stale = yarp.stale(source, after)
    await advance(5)
    after.value = 5
    assert stale.value is True
    after.value = 6
    assert stale.value is False
