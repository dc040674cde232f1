"""window, no_repeat, filter and the replacements."""

import math

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard


def test_a_window_holds_the_last_values_beginning_with_the_present_one():
    a = yarp.Value(1)
    window = yarp.window(a, 2)
    told = heard(window)
    assert window.value == [1]
    a.value = 2
    a.value = 3
    assert told == [[1, 2], [2, 3]]


def test_a_window_of_an_event_begins_empty():
    event = yarp.Event()
    window = yarp.window(event, 2)
    assert window.value == []
    for n in range(3):
        event.emit(n)
    assert window.value == [1, 2]


def test_a_shorter_window_crops_at_once_and_nothing_comes_back():
    a, length = yarp.Value(1), yarp.Value(3)
    window = yarp.window(a, length)
    a.value = 2
    a.value = 3
    told = heard(window)
    length.value = 2
    length.value = 3
    assert told == [[2, 3]]
    a.value = 4
    assert told[1:] == [[2, 3, 4]]


def test_a_window_that_crops_nothing_does_not_change():
    a, length = yarp.Value(1), yarp.Value(3)
    told = heard(yarp.window(a, length))
    length.value = 2
    assert told == []


def test_a_window_of_0_is_empty():
    a = yarp.Value(1)
    window = yarp.window(a, 0)
    a.value = 2
    assert window.value == []


def test_a_window_never_changes_a_list_it_gave_out():
    a = yarp.Value(1)
    window = yarp.window(a, 3)
    first = window.value
    a.value = 2
    assert first == [1]


@pytest.mark.parametrize("length", [-1, "3", 1.5, yarp.NoValue, yarp.Event()])
def test_a_window_length_that_is_none_is_refused(length):
    with pytest.raises(ReactiveTypeError):
        yarp.window(yarp.Value(1), length)


def test_a_window_length_that_becomes_unknown_or_nonsense_stays_what_it_was():
    errors = Errors()
    a, length = yarp.Value(1), yarp.Value(2)
    with errors.scope.active():
        window = yarp.window(a, length)
    for n, nonsense in enumerate((Unknown, yarp.NoValue, -1)):
        length.value = nonsense
        a.value = n
    assert window.value == [1, 2]
    assert {doing for _, doing in errors.reported} == {"window"}


def test_no_repeat_drops_what_equals_the_last():
    a, event = yarp.Value(1), yarp.Event()
    value, told = yarp.no_repeat(a), (heard(yarp.no_repeat(a)), heard(yarp.no_repeat(event)))
    for n in (1, 1.0, True, 2, 2, yarp.NoValue, yarp.NoValue, 2):
        a.value = n
        event.emit(n)
    assert value.value == 2
    assert told == ([2, yarp.NoValue, 2], [1, 2, yarp.NoValue, 2])


def test_no_repeat_takes_no_value_at_first_for_a_value():
    a = yarp.Value()
    told = heard(yarp.no_repeat(a))
    a.value = yarp.NoValue
    a.value = 1
    assert told == [1]


def test_filter_drops_no_value():
    a, event = yarp.Value(), yarp.Event()
    value = yarp.filter(a)
    told = heard(value), heard(yarp.filter(event))
    for n in (0, yarp.NoValue, None, Unknown):
        a.value = n
        event.emit(n)
    assert told == ([0, None, Unknown], [0, None, Unknown])


def test_filter_by_truth_drops_what_is_false():
    a = yarp.Value(0)
    value = yarp.filter(a, None)
    assert value.value is yarp.NoValue
    for n in (1, 0, yarp.NoValue, "", 2):
        a.value = n
    assert value.value == 2


def test_filter_by_a_function_keeps_the_last_that_passed():
    a = yarp.Value(1)
    value = yarp.filter(a, lambda x: x % 2)
    assert value.value == 1
    told = heard(value)
    for n in (2, 3, 4):
        a.value = n
    assert (value.value, told) == (3, [3])


def test_filter_asks_its_rule_about_no_value_but_not_at_first():
    asked = []
    a = yarp.Value()
    value = yarp.filter(a, lambda x: asked.append(x) or x is yarp.NoValue)
    assert asked == []
    a.value = 1
    a.value = yarp.NoValue
    assert asked == [1, yarp.NoValue]
    assert value.value is yarp.NoValue


def test_a_rule_can_be_a_value():
    a, event, rule = yarp.Value(1), yarp.Event(), yarp.Value(lambda x: x > 5)
    value, told = yarp.filter(a, rule), heard(yarp.filter(event, rule))
    assert value.value is yarp.NoValue
    event.emit(1)
    rule.value = lambda x: x < 5
    event.emit(1)
    assert value.value == 1
    assert told == [1]


def test_an_error_of_a_rule_is_reported_and_drops_the_value():
    errors = Errors()
    a = yarp.Value(1)
    with errors.scope.active():
        value = yarp.filter(a, lambda x: x > 0)
    a.value = "text"
    a.value = 2
    assert value.value == 2
    assert [doing for _, doing in errors.reported] == ["filter"]


def test_replace_novalue_follows_both():
    a, other = yarp.Value(), yarp.Value("other")
    value = yarp.replace_novalue(a, other)
    assert value.value == "other"
    other.value = "another"
    assert value.value == "another"
    a.value = Unknown
    assert value.value is Unknown
    assert yarp.replace_novalue(yarp.Value()).value is None


def test_replace_unknown_leaves_no_value():
    a = yarp.Value(Unknown)
    value = yarp.replace_unknown(a, 0)
    assert value.value == 0
    a.value = yarp.NoValue
    assert value.value is yarp.NoValue
    a.value = 5
    assert value.value == 5


def test_replacements_of_an_event_are_events():
    event = yarp.Event()
    told = heard(yarp.replace_unknown(event, 0)), heard(yarp.replace_novalue(event, 1))
    event.emit(Unknown)
    event.emit(yarp.NoValue)
    assert told == ([0, yarp.NoValue], [Unknown, 1])


def test_nan_is_the_same_as_nan():
    a = yarp.Value(math.nan)
    told = []
    yarp.no_repeat(a).on_value_changed(told.append)
    a.value = math.nan
    a.value = 1.0
    a.value = math.nan
    a.value = float("nan")
    assert [str(value) for value in told] == ["1.0", "nan"]


def test_what_a_callback_does_to_a_window_changes_nothing_in_it():
    numbers = yarp.Event()
    window = yarp.window(numbers, 3)
    told = []

    @window.on_value_changed
    def sort(values):
        values.sort()
        told.append(list(values))

    for number in (3, 1, 2, 0):
        numbers.emit(number)
    assert told == [[3], [1, 3], [1, 2, 3], [0, 1, 2]]
    numbers.emit(5)
    assert told[-1] == [0, 2, 5]
