"""What tells of changes, joins what several tell, and remembers what was told."""

import math
import operator

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.unknown import Unknown
from tests.support.hearing import heard


def told_by(word, first, *then):
    """Return what a word tells of a Value that is set, and of an Event that emits, the same."""
    value, event = yarp.Value(first), yarp.Event()
    of_value, of_event = heard(word(value)), heard(word(event))
    event.emit(first)
    for each in then:
        value.value = each
        event.emit(each)
    assert of_value == of_event
    return of_value


def test_changes_tells_what_differs_from_the_one_before():
    assert told_by(yarp.changes, 1, 1, 2, 2, 1) == [2, 1]


def test_changes_rides_through_what_is_unknown():
    assert told_by(yarp.changes, 1, Unknown, 1, yarp.NoValue, 2) == [2]


def test_rising_and_falling_tell_edges():
    assert told_by(yarp.rising, False, True, True, False, True) == [True, True]
    assert told_by(yarp.falling, False, True, True, False, True) == [False]


def test_an_edge_is_seen_across_what_is_unknown():
    assert told_by(yarp.rising, False, Unknown, True) == [True]
    assert told_by(yarp.falling, True, Unknown, False) == [False]


def test_what_comes_after_unknown_alone_is_no_edge():
    assert told_by(yarp.rising, Unknown, True) == []
    assert told_by(yarp.falling, yarp.NoValue, False) == []


@pytest.mark.parametrize("make", [lambda: yarp.Value(0), yarp.Event])
def test_map_to_emits_a_constant_at_each_known_emission_or_change(make):
    source = make()
    told = heard(yarp.map_to(source, "x"))
    for value in (1, 1, Unknown, yarp.NoValue, 2):
        yarp.emit_fn(source)(value)
    assert told == ["x", "x", "x"]


def test_map_to_emits_the_current_value_of_a_value():
    bell, text = yarp.Event(), yarp.Value()
    told = heard(yarp.map_to(bell, text))
    for text.value in (yarp.NoValue, "ding", Unknown):
        bell.emit(None)
    assert told == ["ding", Unknown]


def test_when_drops_what_an_event_emits_at_other_times():
    bell, home = yarp.Event(), yarp.Value(False)
    told = heard(yarp.when(bell, home))
    for at_home in (False, True, Unknown, yarp.NoValue):
        home.value = at_home
        bell.emit(at_home)
    assert told == [True]


def test_when_gives_a_value_the_other_one_at_other_times():
    demand, enabled = yarp.Value(True), yarp.Value(True)
    heater = yarp.when(demand, enabled, otherwise=False)
    bare = yarp.when(demand, enabled)
    assert (heater.value, bare.value) == (True, True)
    for off in (False, Unknown, yarp.NoValue):
        enabled.value = off
        assert heater.value is False
        assert bare.value is yarp.NoValue
    enabled.value = True
    assert heater.value is True


def test_when_takes_no_event_as_its_condition():
    with pytest.raises(ReactiveTypeError, match="latest"):
        yarp.when(yarp.Value(1), yarp.Event())


def test_merge_tells_all_in_the_order_of_its_sources():
    a, b = yarp.Event(), yarp.Value(0)
    told = heard(yarp.merge(b, a))
    a.emit("a")
    b.value = 1
    with yarp.transaction():
        a.emit("first set")
        b.value = 2
    assert told == ["a", 1, 2, "first set"]


def test_latest_holds_what_was_told_last():
    a, b = yarp.Event(), yarp.Value(0)
    latest = yarp.latest(a, b)
    assert latest.value == 0
    a.emit("a")
    assert latest.value == "a"
    b.value = 3
    assert latest.value == 3
    assert yarp.latest(a).value is yarp.NoValue
    assert yarp.latest(b, initial=9).value == 9


def test_default_stands_in_for_what_is_not_there():
    source, other = yarp.Value(), yarp.Value("other")
    value = yarp.default(source, other)
    seen = [value.value]
    for each in (Unknown, None, False):
        source.value = each
        seen.append(value.value)
    assert seen == ["other", "other", None, False]


def test_sample_tells_what_is_held_when_triggered():
    lux, bell, presses = yarp.Value(), yarp.Event(), yarp.Event()
    of_value, of_event = heard(yarp.sample(lux, bell)), heard(yarp.sample(presses, bell))
    bell.emit(None)
    assert of_value == of_event == []
    lux.value = 5
    presses.emit("short")
    assert of_value == []
    bell.emit(None)
    lux.value = Unknown
    bell.emit(None)
    assert of_value == [5, Unknown]
    assert of_event == ["short", "short"]


def test_a_sample_of_what_changes_with_its_trigger_is_the_new_one():
    tick = yarp.Event()
    count = yarp.count(tick)
    told = heard(yarp.sample(count, tick))
    tick.emit(None)
    tick.emit(None)
    assert told == [1, 2]


def test_scan_takes_each_into_what_there_is():
    event, value = yarp.Event(), yarp.Value(10)
    of_event = yarp.scan(event, operator.add, 0)
    of_value = yarp.scan(value, operator.add, 0)
    assert (of_event.value, of_value.value) == (0, 10)
    for each in (1, Unknown, 2, yarp.NoValue):
        event.emit(each)
        value.value = each
    assert (of_event.value, of_value.value) == (3, 13)


def test_scan_honours_no_change():
    event = yarp.Event()
    best = yarp.scan(event, lambda best, x: x if x > best else yarp.NoChange, 0)
    told = heard(best)
    for each in (3, 1, 4):
        event.emit(each)
    assert told == [3, 4]


def test_count_counts_from_when_it_was_made():
    event, value = yarp.Event(), yarp.Value(10)
    event.emit("before")
    counts = yarp.count(event), yarp.count(value)
    for each in ("a", Unknown, "a"):
        event.emit(each)
        value.value = each
    assert [each.value for each in counts] == [2, 2]


def test_hysteresis_keeps_to_what_it_was_between_its_bounds():
    temperature, high = yarp.Value(20.0), yarp.Value(22)
    warm = yarp.hysteresis(temperature, 19, high)
    seen = [warm.value]
    for each in (22.5, 20, 18.9, 20, 22, 22.1):
        temperature.value = each
        seen.append(warm.value)
    assert seen == [False, True, True, False, False, False, True]
    high.value = 30
    assert warm.value is True


def test_hysteresis_forgets_when_its_source_is_unknown():
    temperature = yarp.Value(25)
    warm = yarp.hysteresis(temperature, 19, 22)
    assert warm.value is True
    temperature.value = Unknown
    assert warm.value is Unknown
    assert yarp.default(warm, False).value is False
    temperature.value = 20
    assert warm.value is False


def test_nan_switches_off_what_hysteresis_holds_on():
    cold = yarp.Value(5.0)
    on = yarp.default(yarp.hysteresis(cold, -1, 1), False)
    assert on.value is True
    cold.value = math.nan
    assert on.value is False
    cold.value = 0.0
    assert on.value is False


def test_an_edge_is_told_again_behind_a_default_but_not_without_one():
    leak = yarp.Value(True)
    without, behind = heard(yarp.rising(leak)), heard(yarp.rising(yarp.default(leak, False)))
    for value in (Unknown, True):
        leak.value = value
    assert (without, behind) == ([], [True])
