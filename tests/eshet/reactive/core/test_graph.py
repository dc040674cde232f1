"""Nodes, their uses and their ends."""

import gc
import weakref

import pytest

from eshet import reactive as yarp
from eshet.reactive.core.graph import Node, ScopeNodes, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.transaction import ENDED, IDLE
from eshet.scope import Scope
from tests.support.hearing import heard


def check_invariants(*nodes):
    """Check what graph.py promises of nodes that have not ended."""
    for node in nodes:
        assert node.state == IDLE
        assert node.uses > 0
        for input_ in node.inputs:
            assert input_.height < node.height
            assert input_.dependents.count(node) == 1
        for dependent in node.dependents or ():
            assert dependent.state == ENDED or node in dependent.inputs


def test_a_derived_node_is_higher_than_its_inputs():
    a = yarp.Value(1)
    b = a + 1
    c = a + b
    assert [node_of(v).height for v in (a, b, c)] == [0, 1, 2]
    check_invariants(node_of(a), node_of(b), node_of(c))


def test_an_input_given_twice_is_one_edge():
    a = yarp.Value(1)
    doubled = a + a
    assert node_of(a).dependents == [node_of(doubled)]
    assert node_of(a).uses == 2
    check_invariants(node_of(a), node_of(doubled))


def test_uses_are_handles_dependents_and_callbacks():
    a = yarp.Value(1)
    b = a + 1
    subscription = a.subscribe(print)
    assert node_of(a).uses == 3
    subscription.dispose()
    assert node_of(a).uses == 2
    del b
    assert node_of(a).uses == 1


@pytest.fixture
def no_gc():
    gc.disable()
    yield
    gc.enable()


class Witness:
    """A callable that can be watched; nodes themselves have no weak references."""

    def __call__(self, *args):
        return args


@pytest.mark.usefixtures("no_gc")
def test_a_derived_node_that_nothing_uses_is_freed_at_once():
    a = yarp.Value(1)
    witness = Witness()
    alive = weakref.ref(witness)
    derived = yarp.fn(witness)(a)
    del witness
    assert alive() is not None
    del derived
    assert alive() is None
    assert node_of(a).dependents is None


@pytest.mark.usefixtures("no_gc")
def test_a_whole_chain_goes_with_the_last_handle():
    a = yarp.Value(1)
    end = yarp.fn(Witness())(yarp.no_repeat(yarp.value_to_event(a + 1)))
    assert node_of(a).uses == 2
    del end
    assert node_of(a).uses == 1


def test_dropping_a_chain_of_100_000_nodes_does_not_recurse():
    a = yarp.Value(0)
    x = a
    for _ in range(100_000):
        x = x + 1
    del x
    assert node_of(a).uses == 1


def test_ten_thousand_dropped_nodes_are_not_run_and_not_kept():
    a = yarp.Value(0)
    runs = []
    for _ in range(10_000):
        yarp.fn(runs.append)(a)
    runs.clear()
    a.value = 1
    assert runs == []
    assert node_of(a).dependents is None


def test_inputs_sweep_their_dependents_when_half_have_ended():
    a = yarp.Value(0)
    derived = [a + n for n in range(10)]
    del derived[:5]
    assert len(node_of(a).dependents) == 10
    del derived[0]
    assert len(node_of(a).dependents) == 4
    check_invariants(node_of(a), *(node_of(v) for v in derived))


def test_a_node_with_a_callback_lives_as_long_as_its_source():
    a = yarp.Value(1)
    told = heard(a + 1)
    gc.collect()
    a.value = 2
    assert told == [3]


def test_what_only_callbacks_use_ends_when_they_are_disposed():
    a = yarp.Value(1)
    subscription = (a + 1).subscribe(print)
    assert node_of(a).uses == 2
    subscription.dispose()
    assert node_of(a).uses == 1


def test_a_source_and_what_hears_it_are_garbage_when_nobody_can_set_it():
    witness = Witness()
    alive = weakref.ref(witness)
    yarp.fn(lambda x: x)(yarp.Value(1)).on_value_changed(witness)
    del witness
    gc.collect()
    assert alive() is None


def test_a_function_that_raises_at_once_leaves_nothing_in_the_graph():
    a, b = yarp.Value(1), yarp.Value(0)
    with pytest.raises(ZeroDivisionError):
        yarp.fn(lambda pair, _: 1 / 0)([a, b], 3)
    assert node_of(a).uses == node_of(b).uses == 1
    assert node_of(a).dependents is None


def test_a_node_ends_with_its_scope_though_somebody_holds_it():
    a = yarp.Value(1)
    scope = Scope("rule")
    with scope.active():
        runs = []
        derived = yarp.fn(lambda x: runs.append(x) or x)(a)
        source = yarp.Value(0)
        told = heard(derived) + heard(source)
    scope.dispose()
    runs.clear()
    a.value = 2
    source.value = 2
    assert runs == told == []
    assert derived.value == 1
    assert node_of(a).uses == 1


def test_what_listens_to_an_ended_node_hears_nothing():
    scope = Scope("rule")
    with scope.active():
        source = yarp.Value(0)
    scope.dispose()
    told = heard(source)
    derived = source + 1
    source.value = 2
    assert told == []
    assert derived.value == 1


def test_what_is_made_in_a_disposed_scope_has_ended_before_it_began():
    a = yarp.Value(1)
    scope = Scope("rule")
    scope.dispose()
    with scope.active():
        derived = a + 1
        told = heard(a)
    a.value = 2
    assert derived.value == 2
    assert told == []
    assert node_of(a).uses == 1


def test_a_scope_keeps_no_node_that_nothing_uses():
    scope = Scope("rule")
    with scope.active():
        a = yarp.Value(1)
        for _ in range(100):
            a + 1
        del a
    owner = scope.get(ScopeNodes)
    assert list(owner) == []


@pytest.mark.usefixtures("no_gc")
def test_nothing_of_a_disposed_scope_is_alive():
    outside = yarp.Value(1)
    witness = Witness()
    alive = weakref.ref(witness)
    scope = Scope("rule")
    with scope.active():
        yarp.fn(witness)(outside, yarp.Value(2)).on_value_changed(witness)
    del witness
    assert alive() is not None
    scope.dispose()
    assert alive() is None
    assert node_of(outside).uses == 1


def test_disposing_a_scope_of_10_000_nodes_ends_them_all():
    a = yarp.Value(0)
    scope = Scope("rule")
    with scope.active():
        held = [a + n for n in range(10_000)]
        for value in held:
            value.on_value_changed(print)
    scope.dispose()
    assert node_of(a).uses == 1
    assert all(node_of(value).state == ENDED for value in held)


def test_an_intermediate_node_lives_by_its_dependant_alone():
    a = yarp.Value(1)
    end = (a + 1) * 10
    gc.collect()
    a.value = 2
    assert end.value == 30


def test_a_node_is_no_yarp_value():
    assert not isinstance(ValueNode(1), yarp.core.markers.PlainValue)
    assert Node() != Node()
