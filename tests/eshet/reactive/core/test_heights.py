"""Inputs that are added later, and loops."""

import pytest

from eshet import reactive as yarp
from eshet.exceptions import DependencyLoop
from eshet.reactive.core.handle import node_of
from tests.support.hearing import heard


def total_of(inputs):
    """Return a Value of the sum of what `inputs` hold, in whatever order they are added."""
    return yarp.Value(inputs=inputs, get_value=lambda: sum(each.value for each in inputs))


def test_an_added_input_is_followed():
    a, b = yarp.Value(1), yarp.Value(10)
    inputs = [a]
    total = total_of(inputs)
    inputs.append(b)
    total.add_input(b)
    b.value = 20
    assert total.value == 21


@pytest.mark.parametrize(
    "make",
    [
        yarp.fn(lambda x: x),
        yarp.event_to_value,
        yarp.no_repeat,
        lambda e: yarp.fn(lambda x, y: (x, y))(e, 1),
        lambda e: yarp.window(e, 2),
    ],
)
def test_an_input_added_to_what_follows_an_event_adds_no_emission(make):
    event, other = yarp.Event(), yarp.Value(1)
    follower = make(event)
    follower.add_input(other)
    told = heard(follower)
    other.value = 2
    assert told == []
    event.emit(5)
    assert len(told) == 1


def test_an_added_input_raises_all_that_depends_on_it():
    a = yarp.Value(1)
    deep = (a + 1) + 1
    inputs = [a]
    low = total_of(inputs)
    top = yarp.fn(lambda x, y: (x, y))(low, low + 1)
    inputs.append(deep)
    low.add_input(deep)
    told = heard(top)
    a.value = 2
    assert told == [(6, 7)]
    assert node_of(deep).height < node_of(low).height < node_of(top).height


def test_an_input_added_twice_is_one():
    a = yarp.Value(1)
    total = total_of([a])
    total.add_input(a)
    assert node_of(a).dependents == [node_of(total)]


def test_a_loop_is_an_error_that_names_the_way_round():
    total = yarp.Value(inputs=[], get_value=lambda: 1)
    doubled = yarp.fn(lambda x: x * 2)(total)
    shifted = doubled + 1
    with pytest.raises(DependencyLoop) as info:
        total.add_input(shifted)
    assert info.value.names == ["Value of <lambda>", "<lambda>", "add"]
    assert str(info.value).endswith("Value of <lambda> -> <lambda> -> add -> Value of <lambda>")


def test_a_loop_of_one_is_an_error():
    value = yarp.Value(1)
    with pytest.raises(DependencyLoop):
        value.add_input(value)


def test_a_refused_loop_changes_nothing():
    a = yarp.Value(1)
    b = a + 1
    with pytest.raises(DependencyLoop):
        a.add_input(b)
    a.value = 5
    assert b.value == 6
    assert (node_of(a).height, node_of(b).height) == (0, 1)


def test_an_input_added_while_it_and_its_new_dependent_are_queued_is_seen_settled():
    a = yarp.Value(1)
    deep = ((a + 1) + 1) + 1
    inputs = [a]
    seen = []

    @yarp.fn
    def adds_the_input(x):
        if x == 2:
            inputs.append(deep)
            low.add_input(deep)
        return x

    first = adds_the_input(a)
    low = yarp.Value(inputs=inputs, get_value=lambda: seen.append([i.value for i in inputs]))
    seen.clear()
    a.value = 2
    assert seen == [[2, 5]]
    assert first.value == 2


def test_raising_a_thousand_layers_of_diamonds_takes_linear_time():
    a = yarp.Value(1)
    low = yarp.Value(inputs=[a], get_value=lambda: a.value)
    top = low
    for _ in range(1_000):
        top = (top + 0) + (top * 0)
    deep = a
    for _ in range(10):
        deep = deep + 1
    low.add_input(deep)
    a.value = 7
    assert top.value == 7
    assert node_of(top).height == 2_011
