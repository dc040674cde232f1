"""Many changes as one, and a value that passes."""

import pytest

from eshet import reactive as yarp
from tests.support.hearing import heard


def test_a_batch_is_one_change():
    a, b = yarp.Value(1), yarp.Value(2)
    told = heard(yarp.fn(lambda *values: values)(a, b))
    with yarp.transaction():
        a.value = 10
        b.value = 20
        assert (a.value, b.value) == (10, 20)
        assert told == []
    assert told == [(10, 20)]


def test_a_value_set_twice_in_a_batch_changes_once():
    a = yarp.Value(1)
    told = heard(a)
    with yarp.transaction():
        a.value += 1
        a.value += 1
    assert told == [3]


def test_an_event_emits_all_of_a_batch_in_one_transaction():
    event, value = yarp.Event(), yarp.Value(0)
    pairs = heard(yarp.fn(lambda *both: both)(event, value))
    with yarp.transaction():
        event.emit("a")
        value.value = 5
        event.emit("b")
    assert pairs == [("a", 5), ("b", 5)]


def test_an_event_of_a_batch_tells_no_emission_of_before():
    event = yarp.Event()
    told = heard(event)
    event.emit("before")
    with yarp.transaction():
        event.emit("after")
    assert told == ["before", "after"]


def test_a_batch_within_a_batch_is_part_of_it():
    a = yarp.Value(1)
    told = heard(a)
    with yarp.transaction():
        with yarp.transaction():
            a.value = 2
        assert told == []
        a.value = 3
    assert told == [3]


def test_what_a_batch_has_set_stays_when_it_raises():
    a, b = yarp.Value(1), yarp.Value(1)
    total = a + b

    def fail():
        with yarp.transaction():
            a.value = 5
            b.value = 1 // 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert total.value == 6
    b.value = 2
    assert total.value == 7


def test_an_empty_batch_is_no_change():
    a = yarp.Value(1)
    told = heard(a)
    with yarp.transaction():
        pass
    assert told == []


def test_a_batch_in_a_callback_waits_and_is_one_change():
    a, b, c = yarp.Value(0), yarp.Value(0), yarp.Value(0)
    told = heard(yarp.fn(lambda *values: values)(b, c))

    @a.on_value_changed
    def both(value):
        with yarp.transaction():
            b.value = value
            c.value = value
        assert (b.value, c.value) == (0, 0)

    a.value = 3
    assert told == [(3, 3)]


def test_a_node_made_in_a_batch_follows_it():
    a = yarp.Value(1)
    with yarp.transaction():
        a.value = 2
        double = a * 2
        a.value = 3
    assert double.value == 6


def test_who_subscribes_in_a_batch_hears_of_it():
    a = yarp.Value(1)
    with yarp.transaction():
        told = heard(a)
        a.value = 2
    assert told == [2]


@pytest.mark.parametrize(("last", "told"), [("passing", 7), ("lasting", 5)])
def test_a_value_that_passes_and_one_that_lasts_in_one_batch(last, told):
    a = yarp.Value(1)
    hears = heard(a)
    with yarp.transaction():
        if last == "lasting":
            a.set_instantaneous_value(7)
        a.value = 5
        if last == "passing":
            a.set_instantaneous_value(7)
    assert hears == [told]
    assert a.value == 5


def test_sources_of_different_heights_settle_what_follows_once():
    a = yarp.Value(1)
    b = yarp.Value(inputs=[a], get_value=lambda: a.value * 10)
    runs = []
    yarp.fn(lambda *values: runs.append(values))(a, b).on_value_changed(print)
    runs.clear()
    with yarp.transaction():
        b.value = 0
        a.value = 2
    assert runs == [(2, 20)]
