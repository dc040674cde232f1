"""`fn` and `instantaneous_fn`."""

import collections

import pytest

from eshet import reactive as yarp
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard


@yarp.fn
def together(*args, **kwargs):
    """Return the arguments."""
    return (args, kwargs) if kwargs else args


def test_of_values_and_constants_it_makes_a_value():
    a = yarp.Value(1)
    result = together(a, 2, key=a)
    told = heard(result)
    assert type(result) is yarp.Value
    assert result.value == ((1, 2), {"key": 1})
    a.value = 3
    assert told == [((3, 2), {"key": 3})]


def test_of_constants_alone_it_makes_a_value_that_never_changes():
    assert together(1, 2).value == (1, 2)
    assert together().value == ()


def test_of_an_event_it_makes_an_event_that_is_called_for_each_emission():
    event, value = yarp.Event(), yarp.Value(1)
    result = together(event, value)
    told = heard(result)
    value.value = 2
    assert told == []
    event.emit("x")
    assert told == [("x", 2)]
    assert type(result) is yarp.Event


def test_the_other_events_are_no_value():
    first, second = yarp.Event(), yarp.Event()
    told = heard(together(first, second))
    first.emit(1)
    second.emit(2)
    assert told == [(1, yarp.NoValue), (yarp.NoValue, 2)]


def test_an_event_given_twice_is_called_for_twice():
    event = yarp.Event()
    told = heard(together(event, event))
    event.emit(1)
    assert told == [(1, yarp.NoValue), (yarp.NoValue, 1)]


def test_a_value_made_from_the_same_event_is_at_its_latest():
    event = yarp.Event()
    count = yarp.event_to_value(event, 0)
    told = heard(together(event, count))
    event.emit(5)
    assert told == [(5, 5)]


def test_two_events_of_one_source_are_two_emissions_in_one_change():
    event = yarp.Event()
    told = heard(together(event + 1, event * 10))
    event.emit(2)
    assert told == [(3, yarp.NoValue), (yarp.NoValue, 20)]


def test_no_change_leaves_a_value_and_silences_an_event():
    @yarp.fn
    def odd(x):
        return x if x % 2 else yarp.NoChange

    value, event = yarp.Value(2), yarp.Event()
    of_value, of_event = odd(value), odd(event)
    assert of_value.value is yarp.NoValue
    told = heard(of_value), heard(of_event)
    for n in (3, 4, 5):
        value.value = n
        event.emit(n)
    assert told == ([3, 5], [3, 5])


def test_a_function_sees_no_value_and_unknown():
    a = yarp.Value()
    seen = together(a)
    assert seen.value == (yarp.NoValue,)
    a.value = Unknown
    assert seen.value == (Unknown,)


def test_a_function_may_emit_no_value():
    event = yarp.Event()
    told = heard(yarp.fn(lambda _: yarp.NoValue)(event))
    event.emit(1)
    assert told == [yarp.NoValue]


def test_unknown_after_unknown_is_no_change_of_a_derived_value():
    a = yarp.Value(1)
    told = heard(yarp.fn(lambda x: x if x > 0 else Unknown)(a))
    for value in (-1, -2, 1, 1):
        a.value = value
    assert told == [Unknown, 1, 1]


def test_what_is_reactive_in_lists_tuples_and_dicts_is_an_argument():
    a, b, c = yarp.Value(1), yarp.Value(2), yarp.Value(3)
    result = together([a, 0], (b, [c]), {"a": {"deep": a}}, key=[b])
    assert result.value == (([1, 0], (2, [3]), {"a": {"deep": 1}}), {"key": [2]})
    a.value = 10
    assert result.value[0][2] == {"a": {"deep": 10}}


def test_an_event_in_a_list_makes_an_event():
    event = yarp.Event()
    told = heard(together([event, 1]))
    event.emit(5)
    assert told == [([5, 1],)]


def test_a_collection_without_anything_reactive_is_passed_as_it_is():
    plain = [1, (2, 3)]
    assert together(plain).value[0] is plain


def test_a_named_tuple_stays_one():
    point = collections.namedtuple("point", "x y")
    result = together(point(yarp.Value(1), 2)).value[0]
    assert result == point(1, 2)
    assert type(result) is point


def test_the_function_keeps_its_name_and_works_as_a_method():
    class Room:
        def __init__(self, offset):
            self.offset = offset

        @yarp.fn
        def shifted(self, x):
            """Return x, shifted."""
            return x + self.offset

    a = yarp.Value(1)
    shifted = Room(10).shifted(a)
    a.value = 2
    assert shifted.value == 12
    assert Room.shifted.__name__ == "shifted"
    assert Room.shifted.__doc__ == "Return x, shifted."


async def test_a_coroutine_function_makes_a_value_of_coroutines():
    @yarp.fn
    async def double(x):
        return 2 * x

    a = yarp.Value(1)
    result = double(a)
    assert await result.value == 2
    a.value = 2
    assert await result.value == 4


def test_an_error_of_the_first_call_is_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        yarp.fn(lambda x: 1 / x)(yarp.Value(0))


def test_an_error_for_an_emission_is_not_raised_at_once():
    event = yarp.fn(lambda x: 1 / x)(yarp.Event())
    assert isinstance(event, yarp.Event)


def test_instantaneous_of_values_is_an_event_and_not_called_at_once():
    a, b = yarp.Value(1), yarp.Value(2)
    calls = []

    @yarp.instantaneous_fn
    def add(x, y):
        calls.append((x, y))
        return x + y

    result = add(a, b)
    told = heard(result)
    assert calls == []
    a.value = 10
    b.value = 20
    assert type(result) is yarp.Event
    assert told == [12, 30]


def test_instantaneous_of_events_is_called_for_each_emission():
    event, a = yarp.Event(), yarp.Value(1)
    told = heard(yarp.instantaneous_fn(lambda x, y: (x, y))(event, a))
    event.emit(5)
    a.value = 2
    assert told == [(5, 1), (yarp.NoValue, 2)]


def test_instantaneous_is_called_once_for_a_diamond():
    a = yarp.Value(1)
    told = heard(yarp.instantaneous_fn(lambda x, y: (x, y))(a + 1, a * 10))
    a.value = 2
    assert told == [(3, 20)]


class _Inverse:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return 1 / x


@pytest.mark.parametrize("first", [1, 0])
def test_after_an_error_it_may_hold_another_value(first):
    errors = Errors()
    with errors.scope.active():
        a = yarp.Value(first)
        result = yarp.fn(on_error=Unknown)(_Inverse())(a)
        told = heard(result)
    assert result.value == (1 if first else Unknown)
    a.value = 0
    assert result.value is Unknown
    a.value = 0
    a.value = 2
    assert result.value == 0.5
    assert told == ([Unknown] if first else []) + [0.5]
    assert {error for error, _ in errors.reported} == {"ZeroDivisionError('division by zero')"}
    assert len(errors.reported) == (2 if first else 3)


def test_a_heater_goes_off_when_its_function_fails():
    @yarp.fn(on_error=Unknown)
    def too_cold(temperature):
        return temperature["kitchen"] < 18

    temperature = yarp.Value({"kitchen": 12})
    heater = yarp.default(too_cold(temperature), False)
    assert heater.value is True
    temperature.value = {}
    assert heater.value is False


def test_of_an_event_an_error_is_silent_whatever_on_error_says():
    event = yarp.Event()
    told = heard(yarp.fn(on_error=Unknown)(lambda x: 1 / x)(event))
    event.emit(0)
    event.emit(1)
    assert told == [1]
