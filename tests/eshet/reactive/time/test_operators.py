"""delay, time_window, rate_limit, emit_at and now, in virtual time."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import pytest

from eshet import reactive as yarp
from eshet.clock import wall_now
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.handle import node_of
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard


@pytest.fixture
async def timers(monkeypatch):
    """Return a list of the timers that the loop is asked for."""
    loop, made = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def recording(*args, **kwargs):
        made.append(call_at(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(loop, "call_at", recording)
    return made


def stamped(reactive):
    """Return a list that grows by the time of each change, and what it was."""
    loop = asyncio.get_running_loop()
    told = []
    reactive.on_value_changed(lambda value: told.append((loop.time(), value)))
    return told


@pytest.mark.parametrize(
    "make",
    [
        lambda a: yarp.delay(a, 1),
        lambda a: yarp.time_window(a, 1),
        lambda a: yarp.rate_limit(a),
        lambda a: yarp.emit_at(1),
        lambda a: yarp.now(),
        lambda a: yarp.FSM(lambda *args: (1, None), [a]),
    ],
)
def test_without_a_loop_it_is_an_error_and_nothing_is_made(make):
    a = yarp.Value(1)
    with pytest.raises(RuntimeError):
        make(a)
    assert node_of(a).uses == 1


async def test_a_delayed_value_is_there_at_once_and_changes_later(advance):
    a = yarp.Value(1)
    delayed = yarp.delay(a, 10)
    told = stamped(delayed)
    assert delayed.value == 1
    a.value = 2
    await advance(4)
    a.value = 3
    await advance(20)
    assert told == [(10, 2), (14, 3)]


async def test_a_delayed_event_emits_later(advance):
    event = yarp.Event()
    told = stamped(yarp.delay(event, 10))
    event.emit("a")
    event.emit("b")
    await advance(10)
    assert told == [(10, "a"), (10, "b")]


async def test_a_delay_of_0_is_not_at_once(advance):
    event = yarp.Event()
    told = heard(yarp.delay(event, 0))
    event.emit(1)
    assert told == []
    await advance(0)
    assert told == [1]


async def test_a_longer_delay_moves_what_is_on_its_way(advance):
    a, seconds = yarp.Value(1), yarp.Value(10)
    told = stamped(yarp.delay(a, seconds))
    a.value = 2
    await advance(5)
    seconds.value = 20
    await advance(20)
    assert told == [(20, 2)]


async def test_a_shorter_delay_lets_the_overdue_out_at_once_one_by_one(advance):
    a, seconds = yarp.Value(0), yarp.Value(10)
    told = heard(yarp.delay(a, seconds))
    for n in (1, 2, 3):
        a.value = n
        await advance(1)
    seconds.value = 1.5
    assert told == [1, 2]
    await advance(10)
    assert told == [1, 2, 3]


async def test_a_delay_breaks_a_way_round(advance):
    level = yarp.Value(0, get_value=None)
    delayed = yarp.delay(level, 1)
    next_level = yarp.Value(inputs=[delayed], get_value=lambda: delayed.value + 1)
    level.add_input(delayed)
    next_level.on_value_changed(lambda value: setattr(level, "value", value))
    level.value = 1
    await advance(3)
    assert level.value == 4


async def test_a_time_window_of_an_event_begins_empty_and_drops_the_old(advance):
    event = yarp.Event()
    window = yarp.time_window(event, 10)
    told = stamped(window)
    assert window.value == []
    event.emit("a")
    await advance(5)
    event.emit("b")
    await advance(60)
    assert told == [(0, ["a"]), (5, ["a", "b"]), (10, ["b"]), (15, [])]


async def test_the_motion_light_goes_off_two_minutes_after_the_last_motion(advance):
    motion = yarp.Event()
    moved = yarp.no_repeat(yarp.len(yarp.time_window(motion, 120)) > 0)
    told = stamped(moved)
    for _ in range(3):
        motion.emit(None)
        await advance(60)
    await advance(600)
    assert told == [(0, True), (240, False)]


async def test_a_present_value_stays_in_its_time_window(advance):
    a = yarp.Value("a")
    window = yarp.time_window(a, 10)
    told = stamped(window)
    await advance(100)
    assert window.value == ["a"]
    a.value = "b"
    await advance(100)
    assert told == [(100, ["a", "b"]), (110, ["b"])]


async def test_a_time_window_of_a_value_that_is_not_set_holds_that(advance):
    assert yarp.time_window(yarp.Value(), 10).value == [yarp.NoValue]


@pytest.mark.parametrize("source", [yarp.Value("a"), yarp.Event()], ids=["Value", "Event"])
async def test_an_initial_value_is_one_more_entry_that_ages(advance, source):
    window = yarp.time_window(source, 10, "initial")
    present = window.value[1:]
    assert window.value[0] == "initial"
    await advance(10)
    assert window.value == present


async def test_a_shorter_time_window_drops_all_that_is_too_old_in_one_change(advance):
    event, seconds = yarp.Event(), yarp.Value(10)
    window = yarp.time_window(event, seconds)
    for n in range(4):
        event.emit(n)
        await advance(1)
    told = stamped(window)
    seconds.value = 2
    assert told == [(4, [3])]
    seconds.value = 20
    await advance(60)
    assert told[1:] == [(23, [])]


async def test_an_emission_and_a_shorter_window_at_once_are_one_change(advance):
    a = yarp.Value(10)
    window = yarp.time_window(yarp.value_to_event(a), a)
    a.value = 10
    await advance(5)
    told = heard(window)
    a.value = 2
    assert told == [[2]]


async def test_a_rate_limit_holds_what_comes_too_soon(advance):
    event = yarp.Event()
    told = stamped(yarp.rate_limit(event, 10))
    for n in (1, 2, 3):
        event.emit(n)
        await advance(1)
    await advance(50)
    event.emit(4)
    assert told == [(0, 1), (10, 3), (53, 4)]


async def test_a_rate_limited_value_has_passed_its_first_change(advance):
    a = yarp.Value(1)
    limited = yarp.rate_limit(a, 10)
    told = stamped(limited)
    assert limited.value == 1
    a.value = 2
    await advance(50)
    assert told == [(10, 2)]


async def test_no_value_does_not_block_a_rate_limit():
    a = yarp.Value()
    told = heard(yarp.rate_limit(a, 10))
    a.value = 1
    assert told == [1]


async def test_a_shorter_interval_ends_the_present_one_in_the_next_turn(advance):
    a, interval = yarp.Value(1), yarp.Value(10)
    told = stamped(yarp.rate_limit(a, interval))
    a.value = 2
    await advance(5)
    interval.value = 2
    assert told == []
    await advance(0)
    assert told == [(5, 2)]


async def test_a_longer_interval_extends_the_present_one(advance):
    a, interval = yarp.Value(1), yarp.Value(10)
    told = stamped(yarp.rate_limit(a, interval))
    a.value = 2
    interval.value = 20
    await advance(50)
    assert told == [(20, 2)]


async def test_the_rate_limit_is_a_tenth_of_a_second_if_not_given(advance):
    a = yarp.Value(1)
    told = stamped(yarp.rate_limit(a))
    a.value = 2
    await advance(1)
    assert told == [(0.1, 2)]


async def test_emit_at_emits_at_a_time_of_the_loop(advance):
    told = stamped(yarp.emit_at(5)), stamped(yarp.emit_at((7, "x"))), stamped(yarp.emit_at(None))
    await advance(10)
    assert told == ([(5, None)], [(7, "x")], [])


async def test_emit_at_a_past_time_is_the_next_turn_never_within_the_setter(advance):
    await advance(10)
    time = yarp.Value(None)
    told = heard(yarp.emit_at(time))
    time.value = (5, "late")
    assert told == []
    await advance(0)
    assert told == ["late"]


async def test_emit_at_another_time_replaces_the_pending_one(advance):
    time = yarp.Value(5)
    told = stamped(yarp.emit_at(time))
    time.value = 8
    await advance(6)
    time.value = None
    await advance(6)
    assert told == []


async def test_emit_at_the_same_time_again_emits_again_only_after_it_fired(advance):
    time = yarp.Value(5)
    told = heard(yarp.emit_at(time))
    time.value = 5
    await advance(5)
    assert told == [None]
    time.value = 5
    await advance(0)
    assert told == [None, None]


async def test_callbacks_of_emit_at_may_set_its_time(advance):
    time = yarp.Value(1)
    event = yarp.emit_at(time)
    told = stamped(event)
    event.on_event(lambda _: setattr(time, "value", time.value + 2))
    await advance(6)
    assert [when for when, _ in told] == [1, 3, 5]


async def test_emit_at_may_depend_on_itself_through_its_time(advance):
    time = yarp.Value(1)
    event = yarp.emit_at(time)
    time.add_input(event)
    assert node_of(time).height == 1


async def test_emit_at_refuses_what_is_no_time():
    with pytest.raises(ReactiveTypeError, match="emit_at takes"):
        yarp.emit_at("soon")


async def test_emit_at_reports_what_is_no_time_and_forgets_the_pending_one(advance):
    errors = Errors()
    time = yarp.Value(5)
    with errors.scope.active():
        told = heard(yarp.emit_at(time))
    time.value = "soon"
    await advance(10)
    assert told == []
    assert [doing for _, doing in errors.reported] == ["emit_at"]


async def test_now_is_the_wall_clock_read_each_interval(advance):
    clock = yarp.now(10, UTC)
    told = stamped(clock)
    start = clock.value
    assert start == wall_now(UTC)
    assert start.tzinfo is UTC
    await advance(25)
    assert told == [(10, start + timedelta(seconds=10)), (20, start + timedelta(seconds=20))]


async def test_now_is_local_and_naive_if_no_zone_is_given():
    assert yarp.now().value.tzinfo is None
    assert isinstance(yarp.now().value, datetime)


async def test_setting_the_interval_of_now_begins_anew(advance):
    interval = yarp.Value(10)
    told = stamped(yarp.now(interval))
    await advance(8)
    interval.value = 10
    await advance(11)
    assert [when for when, _ in told] == [18]


async def test_now_stops_when_nothing_uses_it(timers):
    clock = yarp.now(1)
    assert [timer.cancelled() for timer in timers] == [False]
    del clock
    assert [timer.cancelled() for timer in timers] == [True]


async def test_now_needs_an_interval():
    with pytest.raises(ReactiveTypeError):
        yarp.now(0)


@pytest.mark.parametrize("seconds", [-1, "1", None, yarp.NoValue, Unknown, yarp.Event()])
@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_a_length_of_time_that_is_none_is_refused(make, seconds):
    with pytest.raises(ReactiveTypeError, match="a length of time"):
        make(yarp.Value(1), seconds)


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_a_length_of_time_that_becomes_unknown_stays_what_it_was(advance, make):
    errors = Errors()
    event, seconds = yarp.Event(), yarp.Value(10)
    with errors.scope.active():
        told = stamped(make(event, seconds))
    seconds.value = Unknown
    event.emit(1)
    event.emit(2)
    await advance(60)
    assert {when for when, _ in told} <= {0, 10}
    assert errors.reported == []


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_a_length_of_time_that_becomes_nonsense_is_reported_and_ignored(advance, make):
    errors = Errors()
    event, seconds = yarp.Event(), yarp.Value(10)
    with errors.scope.active():
        told = stamped(make(event, seconds))
    seconds.value = -5
    event.emit(1)
    await advance(60)
    assert told[0][1] in (1, [1])
    assert errors.reported


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_what_has_a_timer_pending_is_kept_by_its_callback_alone(advance, make):
    event = yarp.Event()
    told = heard(make(event, 10))
    event.emit(1)
    event.emit(2)
    gc.collect()
    await advance(60)
    assert told[-1] in (2, [])


async def test_a_pending_emit_at_is_kept_by_its_callback_alone(advance):
    told = heard(yarp.emit_at(5))
    gc.collect()
    await advance(5)
    assert told == [None]


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_what_nobody_uses_stops_its_timer(make, timers):
    event = yarp.Event()
    timed = make(event, 10)
    event.emit(1)
    assert [timer.cancelled() for timer in timers] == [False]
    del timed
    assert [timer.cancelled() for timer in timers] == [True]
    assert node_of(event).uses == 1


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_nothing_fires_after_the_scope_was_disposed(advance, make):
    errors = Errors()
    event = yarp.Event()
    with errors.scope.active():
        timed = make(event, 10)
    told = heard(timed)
    event.emit(1)
    event.emit(2)
    before = list(told)
    errors.scope.dispose()
    event.emit(3)
    await advance(60)
    assert told == before
    assert node_of(event).uses == 1


@pytest.mark.parametrize("make", [yarp.delay, yarp.time_window, yarp.rate_limit])
async def test_what_is_made_in_a_disposed_scope_sets_no_timer(make, timers):
    errors = Errors()
    event = yarp.Event()
    errors.scope.dispose()
    with errors.scope.active():
        timed = make(event, 10)
        emitting = yarp.emit_at(5)
    event.emit(1)
    assert timers == []
    del timed, emitting
    assert node_of(event).uses == 1


async def test_a_list_of_values_can_be_timed(advance):
    a, b = yarp.Value(1), yarp.Value(2)
    told = stamped(yarp.delay([a, b], 5)), stamped(yarp.time_window([a, b], 5))
    a.value = 3
    await advance(10)
    assert told == ([(5, [3, 2])], [(0, [[1, 2], [3, 2]]), (5, [[3, 2]])])


async def test_a_scope_disposed_by_what_fires_fires_no_more_at_that_time(advance):
    errors = Errors()
    event = yarp.Event()
    first = yarp.delay(event, 10)
    with errors.scope.active():
        second = yarp.delay(event, 10)
    told = heard(first), heard(second)
    first.on_event(lambda _: errors.scope.dispose())
    event.emit(1)
    await advance(20)
    assert told == ([1], [])
