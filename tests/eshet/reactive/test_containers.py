"""Values and Events in lists, tuples and dicts."""

import collections

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from tests.support.hearing import heard


@pytest.mark.parametrize(
    ("combine", "members", "before", "after"),
    [
        (yarp.value_list, lambda a, b: [a, b], [1, 2], [10, 2]),
        (yarp.value_tuple, lambda a, b: (a, b), (1, 2), (10, 2)),
        (yarp.value_dict, lambda a, b: {"a": a, 5: b}, {"a": 1, 5: 2}, {"a": 10, 5: 2}),
    ],
)
def test_a_collection_of_values_is_a_value_of_the_collection(combine, members, before, after):
    a, b = yarp.Value(1), yarp.Value(2)
    combined = combine(members(a, b))
    held = combined.value
    told = heard(combined)
    a.value = 10
    assert held == before
    assert told == [after]


def test_a_collection_changes_once_in_a_transaction():
    a = yarp.Value(1)
    told = heard(yarp.value_list([a, a + 1, a * 10]))
    a.value = 2
    assert told == [[2, 3, 20]]


@pytest.mark.parametrize("member", [1, yarp.Event()])
def test_value_collections_take_values_only(member):
    for combine in (yarp.value_list, yarp.value_tuple):
        with pytest.raises(ReactiveTypeError, match="reactive_"):
            combine((member,))
    with pytest.raises(ReactiveTypeError, match="reactive_dict"):
        yarp.value_dict({"a": member})


def test_reactive_collections_take_constants_and_follow_the_rule_of_fn():
    a, event = yarp.Value(1), yarp.Event()
    assert yarp.reactive_list([a, 2]).value == [1, 2]
    assert yarp.reactive_tuple((a, 2)).value == (1, 2)
    assert yarp.reactive_dict({"a": a, "b": 2}).value == {"a": 1, "b": 2}
    told = heard(yarp.reactive_dict({"a": a, "e": event}))
    event.emit(5)
    assert told == [{"a": 1, "e": 5}]


def test_two_events_in_a_list_emit_once_each():
    first, second = yarp.Event(), yarp.Event()
    told = heard(yarp.ensure_reactive([first, second]))
    first.emit(1)
    second.emit(2)
    assert told == [[1, yarp.NoValue], [yarp.NoValue, 2]]


def test_ensure_reactive_leaves_what_is_reactive():
    value, event = yarp.Value(1), yarp.Event()
    assert yarp.ensure_reactive(value) is value
    assert yarp.ensure_reactive(event) is event


def test_ensure_reactive_searches_collections_to_any_depth():
    a = yarp.Value(1)
    combined = yarp.ensure_reactive([a, (a, {"a": [a, 2]})])
    told = heard(combined)
    a.value = 5
    assert told == [[5, (5, {"a": [5, 2]})]]


@pytest.mark.parametrize("empty", [[], (), {}])
def test_an_empty_collection_is_a_constant_value(empty):
    assert yarp.ensure_reactive(empty).value == empty
    assert yarp.ensure_value(empty).value == empty


def test_anything_else_is_a_constant_value():
    assert yarp.ensure_reactive(3).value == 3
    assert yarp.ensure_value("text").value == "text"


def test_a_named_tuple_stays_one():
    point = collections.namedtuple("point", "x y")
    assert yarp.ensure_value(point(yarp.Value(1), 2)).value == point(1, 2)


def test_ensure_value_leaves_values_and_combines_collections():
    a = yarp.Value(1)
    assert yarp.ensure_value(a) is a
    combined = yarp.ensure_value({"a": [a]})
    a.value = 2
    assert combined.value == {"a": [2]}


def test_ensure_value_takes_an_event_for_a_constant():
    event = yarp.Event()
    assert yarp.ensure_value(event).value is event
    assert yarp.ensure_value([event]).value[0] is event
