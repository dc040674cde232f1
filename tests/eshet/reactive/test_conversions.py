"""From Values to Events and back, and what treats both alike."""

import pytest
import yarp as plain

from eshet import reactive as yarp
from eshet.reactive.core.handle import node_of
from tests.support.hearing import Errors, heard


@pytest.mark.parametrize("convert", [yarp.value_to_event, yarp.make_instantaneous])
def test_a_value_emits_each_new_value(convert):
    a = yarp.Value(1)
    event = convert(a)
    told = heard(event)
    a.value = 2
    a.value = 2
    assert type(event) is yarp.Event
    assert told == [2, 2]


@pytest.mark.parametrize("convert", [yarp.event_to_value, yarp.make_persistent])
def test_an_event_is_held_and_repeats_are_changes(convert):
    event = yarp.Event()
    value = convert(event)
    assert value.value is yarp.NoValue
    assert convert(event, 7).value == 7
    told = heard(value)
    event.emit(2)
    event.emit(2)
    assert (value.value, told) == (2, [2, 2])


def test_make_persistent_holds_the_changes_of_a_value():
    a = yarp.Value(1)
    held = yarp.make_persistent(a, "initial")
    assert held.value == "initial"
    a.value = 2
    assert held.value == 2


def test_on_value_begins_with_the_present_value():
    a = yarp.Value(1)
    told = []
    assert yarp.on_value(a, told.append) is not None
    a.value = 2
    assert told == [1, 2]


def test_on_value_can_leave_the_present_value_out():
    a = yarp.Value(1)
    told = []
    yarp.on_value(a, told.append, current=False)
    a.value = 2
    assert told == [2]


def test_on_value_is_a_decorator_without_a_callback():
    event = yarp.Event()
    told = []

    @yarp.on_value(event)
    def callback(value):
        told.append(value)

    event.emit(1)
    assert told == [1]
    assert callback.__name__ == "callback"


def test_on_value_takes_a_list_of_values():
    a = yarp.Value(1)
    told = []
    yarp.on_value([a, 2], told.append)
    a.value = 5
    assert told == [[1, 2], [5, 2]]


def test_what_on_value_started_ends_with_its_scope():
    errors = Errors()
    a = yarp.Value(1)
    told = []
    with errors.scope.active():
        yarp.on_value(a, told.append)
    errors.scope.dispose()
    a.value = 2
    assert told == [1]


def test_emit_fn_sets_a_value_or_emits():
    a, event = yarp.Value(1), yarp.Event()
    told = heard(event)
    yarp.emit_fn(a)(2)
    yarp.emit_fn(event)(3)
    assert (a.value, told) == (2, [3])


def test_emit_fn_sets_a_value_of_plain_yarp():
    source = plain.Value(1)
    follower = yarp.fn(lambda x: x)(source)
    yarp.emit_fn(source)(2)
    assert follower.value == 2


def test_make_same_type_makes_another_of_its_kind():
    a, event = yarp.Value(1), yarp.Event()
    assert yarp.make_same_type(a).value == 1
    assert yarp.make_same_type(a, initial_value=None).value is None
    assert type(yarp.make_same_type(event)) is yarp.Event
    assert node_of(yarp.make_same_type(a, inputs=[a + 1])).height == 2
