"""Following what a Value holds, whichever that is at the time."""

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.handle import node_of
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard


def test_a_switch_follows_the_value_that_is_selected():
    a, b = yarp.Value(1), yarp.Value(10)
    selector = yarp.Value(a)
    switch = yarp.switch(selector)
    told = heard(switch)
    a.value = 2
    b.value = 20
    selector.value = b
    a.value = 3
    b.value = 30
    assert told == [2, 20, 30]
    assert switch.value == 30


def test_a_switch_follows_the_event_that_is_selected():
    a, b = yarp.Event(), yarp.Event()
    selector = yarp.Value(a)
    told = heard(yarp.switch(selector))
    a.emit("a")
    b.emit("lost")
    selector.value = b
    a.emit("lost")
    b.emit("b")
    selector.value = Unknown
    b.emit("lost")
    selector.value = a
    a.emit("a again")
    assert told == ["a", "b", "a again"]


def test_what_is_not_reactive_is_the_value():
    a = yarp.Value(1)
    selector = yarp.Value(Unknown)
    switch = yarp.switch(selector)
    seen = [switch.value]
    for each in (a, 5, yarp.NoValue):
        selector.value = each
        seen.append(switch.value)
    assert seen == [Unknown, 1, 5, yarp.NoValue]


def test_a_selected_node_that_is_higher_settles_first():
    source = yarp.Value(1)
    deep = source
    for _ in range(5):
        deep = deep + 1
    selector = yarp.fn(lambda x: deep if x > 1 else source)(source)
    switch = yarp.switch(selector)
    join = []
    total = yarp.fn(lambda *both: join.append(both))(switch, source)
    join.clear()
    source.value = 2
    assert join == [(7, 2)]
    assert node_of(switch).height > node_of(deep).height
    assert node_of(total).height > node_of(switch).height


def test_only_the_selected_one_is_kept_alive_and_runs():
    runs = []
    source = yarp.Value(1)

    def make(name):
        return yarp.fn(lambda x: runs.append(name) or x)(source)

    selector = yarp.Value(make("a"))
    switch = yarp.switch(selector)
    selector.value = make("b")
    runs.clear()
    source.value = 2
    assert runs == ["b"]
    assert switch.value == 2
    del switch
    selector.value = None
    assert node_of(source).dependents is None


def test_a_switch_that_would_follow_itself_is_reported_and_goes_on():
    errors = Errors()
    a = yarp.Value(1)
    selector = yarp.Value(a)
    with errors.scope.active():
        switch = yarp.switch(selector)
        after = switch + 1
    selector.value = after
    assert [error.split("(")[0] for error, _ in errors.reported] == ["DependencyLoop"]
    a.value = 5
    assert after.value == 6


def test_a_switch_keeps_to_its_kind():
    errors = Errors()
    value, event = yarp.Value(1), yarp.Event()
    of_values, of_events = yarp.Value(value), yarp.Value(event)
    with errors.scope.active():
        switches = yarp.switch(of_values), yarp.switch(of_events)
    of_values.value = event
    of_events.value = value
    assert len(errors.reported) == 2
    assert [type(each) for each in switches] == [yarp.Value, yarp.Event]


def test_a_switch_takes_no_event():
    with pytest.raises(ReactiveTypeError, match="latest"):
        yarp.switch(yarp.Event())


def test_selecting_the_same_again_is_a_change_without_another_edge():
    a = yarp.Value(1)
    selector = yarp.Value(a)
    told = heard(yarp.switch(selector))
    selector.value = a
    assert told == [1]
    assert len(node_of(a).dependents) == 1
