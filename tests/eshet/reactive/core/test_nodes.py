"""Behaviour that all nodes share: defaults, edges, owners, errors, and emissions."""

import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import yarp as plain_yarp

from eshet import reactive as yarp
from eshet.exceptions import WrongThread
from eshet.reactive.core.graph import EventNode, Node, RestoreContext, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.transaction import thread_local
from eshet.reactive.core.value import value_of
from eshet.scope import Scope, use_scope
from tests.support.hearing import Errors, heard


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda node: node.settle(thread_local.transactions), False),
        (lambda node: node.snapshot(0.0), None),
        (lambda node: node.start_from_inputs(RestoreContext(0.0)), None),
        (lambda node: node.is_reported, True),
        (lambda node: node.detail(), ""),
        (lambda node: node.is_of(Node()), False),
        (lambda node: node.sources(), ()),
        (lambda node: node.label(), "_Plain"),
        (lambda node: node.full_name(), "_Plain"),
        (lambda node: node.height, 0),
        (lambda node: node.callbacks, None),
        (lambda node: node.ended_dependents + node.dead_callbacks, 0),
    ],
)
def test_a_kind_of_node_that_overrides_nothing_has_no_state(
    ask: Callable[[Node], Any], answer: Any
) -> None:
    class _Plain(Node):
        value = None

    assert ask(_Plain()) == answer


@pytest.mark.parametrize("call", [lambda node: node.take(1, None), lambda n: n.restore(1, None)])
def test_a_node_that_is_no_source_takes_no_value(call: Callable[[Node], Any]) -> None:
    with pytest.raises(NotImplementedError):
        call(Node())


def test_an_event_node_has_no_present_value_and_nothing_known() -> None:
    node = EventNode()
    assert node.present() is yarp.NoValue
    assert not node.repeats_known_value()
    assert node.held() == {node: yarp.NoValue}
    assert (node.label(), ValueNode().label()) == ("Event", "Value")


def test_the_times_of_a_hand_over_without_a_restart_say_that_nothing_was_missed() -> None:
    context = RestoreContext(5.0)
    assert context.epoch == 0.0
    assert context.down_until == float("-inf")


def test_a_node_names_its_scope_if_it_has_one() -> None:
    with Scope("hall.light").active():
        owned = node_of(yarp.Value(1, name="lux"))
    assert owned.full_name() == "hall.light: lux"
    assert node_of(yarp.Value(1, name="lux")).full_name() == "lux"


def test_the_sources_of_a_derived_node_are_its_inputs() -> None:
    a, b = yarp.Value(1), yarp.Value(2)
    total = a + b
    assert list(node_of(total).sources()) == [node_of(a), node_of(b)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_join_is_settled_last_in_whatever_order_its_inputs_are_given(
    order: tuple[int, ...],
) -> None:
    a = yarp.Value(1)
    inputs = [a, a + 1, (a + 2) + 3]
    runs: list[tuple[Any, ...]] = []
    join = yarp.fn(lambda *xs: runs.append(xs) or xs)(*(inputs[n] for n in order))
    runs.clear()
    told = heard(join)
    a.value = 2
    expected = tuple((2, 3, 7)[n] for n in order)
    assert runs == told == [expected]


@pytest.mark.parametrize("pattern", ["aa", "aab", "aba", "abaab", "abab"])
def test_inputs_that_are_given_repeatedly_are_one_edge_each_until_the_node_ends(
    pattern: str,
) -> None:
    values = {"a": yarp.Value(1), "b": yarp.Value(2)}
    others = [value + 1 for value in values.values()]
    uses = [node_of(value).uses for value in values.values()]
    runs: list[int] = []
    joined = yarp.Value(
        inputs=[values[each] for each in pattern], get_value=lambda: runs.append(values["a"].value)
    )
    values["a"].value = 5
    assert runs == [1, 5]
    assert len(node_of(joined).inputs) == len(set(pattern))
    del joined
    values["a"].value = 6
    assert runs == [1, 5]
    assert [node_of(value).uses for value in values.values()] == uses
    assert [other.value for other in others] == [7, 3]


def test_a_value_with_inputs_and_no_function_does_not_change_with_them() -> None:
    a = yarp.Value(1)
    last, event = yarp.Value(0, inputs=[a]), yarp.Event(inputs=[a])
    told = [heard(last), heard(yarp.fn(lambda x: x)(last)), heard(event)]
    a.value = 2
    assert told == [[], [], []]


class _Witness:
    """A function whose end can be observed."""

    def __call__(self, *args: Any) -> Any:
        return args


def _ended_source() -> Any:
    scope = Scope("rule")
    with scope.active():
        source = yarp.Value(0)
    scope.dispose()
    return source


@pytest.mark.parametrize("added", [False, True])
def test_an_ended_source_keeps_nothing_alive_that_is_derived_from_it(added: bool) -> None:
    source = _ended_source()
    witness = _Witness()
    alive = weakref.ref(witness)
    if added:
        derived = yarp.Value(inputs=[], get_value=witness)
        derived.add_input(source)
    else:
        derived = yarp.fn(witness)(source)
    del witness
    assert alive() is not None
    del derived
    assert alive() is None


@pytest.mark.parametrize("disposed_before", [False, True])
def test_a_node_of_a_disposed_scope_keeps_no_input_alive(disposed_before: bool) -> None:
    a = yarp.Value(1)
    witness = _Witness()
    alive = weakref.ref(witness)
    between = yarp.fn(witness)(a)
    del witness
    scope = Scope("rule")
    if disposed_before:
        scope.dispose()
    with scope.active():
        derived = yarp.Value(inputs=[between], get_value=lambda: 7)
    if not disposed_before:
        scope.dispose()
    assert alive() is not None
    del between
    assert alive() is None
    assert derived.value == 7
    assert node_of(a).uses == 1


def test_nothing_outside_follows_a_node_of_a_disposed_scope() -> None:
    scope = Scope("rule")
    with scope.active():
        source = yarp.Value(0)
        between = source + 1
    told = [heard(source), heard(between), heard(source * 10), heard(between * 10)]
    scope.dispose()
    source.value = 2
    assert told == [[], [], [], []]


class _Stopping(ValueNode):
    def __init__(self, *inputs: Node) -> None:
        super().__init__(0, inputs)
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


def test_a_node_is_stopped_once_when_its_last_use_or_its_scope_ends() -> None:
    scope = Scope("rule")
    with scope.active():
        owned = _Stopping()
    held = value_of(owned)
    follower = _Stopping(owned)
    outside = value_of(follower)
    assert (owned.stops, follower.stops) == (0, 0)
    scope.dispose()
    assert (owned.stops, follower.stops) == (1, 0)
    del outside
    assert (owned.stops, follower.stops) == (1, 1)
    del held
    assert (owned.stops, follower.stops) == (1, 1)


def test_dependents_are_cleaned_up_each_time_that_half_of_them_have_ended() -> None:
    a = yarp.Value(0)
    derived = [a + n for n in range(10)]
    lengths = []
    while derived:
        derived.pop()
        lengths.append(len(node_of(a).dependents or ()))
    assert lengths == [10, 10, 10, 10, 10, 4, 4, 4, 1, 0]


def test_a_node_made_in_a_disposed_scope_refuses_no_input_that_is_added() -> None:
    a = yarp.Value(1)
    scope = Scope("rule")
    scope.dispose()
    with scope.active():
        ended = yarp.Value(inputs=[], get_value=lambda: a.value)
    ended.add_input(a)
    a.value = 2
    assert ended.value == 1
    assert node_of(a).dependents is None


def test_an_added_input_is_kept_alive_until_its_dependent_ends() -> None:
    a, other = yarp.Value(1), yarp.Value(1)
    derived = a * 2
    total = yarp.Value(inputs=[other], get_value=lambda: node_of(derived).value)
    first = yarp.Value(inputs=[other], get_value=lambda: 0)
    doubled = node_of(derived)
    for each in (total, first):
        each.add_input(derived)
    assert doubled.uses == 3
    assert doubled in node_of(total).inputs
    del total
    assert doubled.uses == 2
    told = heard(first)
    a.value = 2
    assert told == [0]
    first.add_input(derived)
    assert doubled.uses == 2


def test_an_added_input_keeps_its_other_dependents() -> None:
    a, other = yarp.Value(1), yarp.Value(1)
    told = heard(a * 10)
    total = yarp.Value(inputs=[other], get_value=lambda: a.value)
    total.add_input(a)
    a.value = 2
    assert (told, total.value) == ([20], 2)


@pytest.mark.parametrize("scope", [None, Scope("rule")])
def test_a_plain_value_is_followed_after_the_scope_that_used_it_first(scope: Scope | None) -> None:
    plain = plain_yarp.Value(1)
    with use_scope(scope):
        first = yarp.fn(lambda x: x)(plain)
    if scope is not None:
        scope.dispose()
    second = heard(yarp.fn(lambda x: x * 10)(plain))
    plain.value = 2
    assert (first.value, second) == (1 if scope else 2, [20])
    assert node_of(plain).full_name().startswith("Value")


def test_a_plain_value_first_used_in_a_disposed_scope_is_followed_by_others() -> None:
    plain = plain_yarp.Value(1)
    scope = Scope("rule")
    scope.dispose()
    with scope.active():
        yarp.fn(lambda x: x)(plain)
    told = heard(yarp.fn(lambda x: x)(plain))
    plain.value = 2
    assert told == [2]


def test_an_event_emits_only_the_present_emission_after_it_emitted_several() -> None:
    event, other = yarp.Event(), yarp.Value(0)
    told = [
        heard(event),
        heard(event * 10),
        heard(yarp.fn(lambda *both: both)(event, other)),
        heard(yarp.event_to_value(event)),
    ]
    with yarp.transaction():
        event.emit(1)
        event.emit(2)
    for each in told:
        each.clear()
    event.emit(3)
    other.value = 1
    assert told == [[3], [30], [(3, 0)], [3]]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_derived_event_tells_each_emission_once_in_order(count: int) -> None:
    a = yarp.Value(0)
    event = yarp.Event(inputs=[a], on_inputs_done=lambda emit: [emit(n) for n in range(a.value)])
    told = [heard(event), heard(yarp.fn(lambda x, _: x)(event, a)), heard(event + 0)]
    a.value = count
    assert told == [list(range(count))] * 3
    a.value = 1
    assert told == [[*range(count), 0]] * 3


def test_an_event_that_has_not_emitted_yet_has_no_emission() -> None:
    emissions: list[Any] = []

    def run() -> None:  # in a thread of its own, which has had no transaction
        emissions.append(node_of(yarp.Event()).emissions)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert emissions == [()]


def test_a_change_to_the_value_that_is_held_is_no_change() -> None:
    node = ValueNode([1])
    told = heard(value_of(node))
    node.change_to([1])
    node.change_to([2])
    node.change_to([2])
    node.change([2])
    assert told == [[2], [2]]


def test_the_wrong_thread_is_told_the_names_of_the_value_its_thread_and_its_scope() -> None:
    errors = Errors("hall.light")
    with errors.scope.active():
        lux = yarp.Value(1, name="lux")
    bare = yarp.Value(1, name="bare")
    raised: list[WrongThread] = []

    def run() -> None:
        for value in (lux, bare):
            try:
                value.value = 2
            except WrongThread as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    main = threading.current_thread().name
    assert [(each.name, each.thread) for each in raised] == [("lux", main), ("bare", main)]
    assert [each.scope for each in raised] == [errors.scope, None]
    assert str(raised[0]).startswith(f"lux belongs to the thread '{main}'")


def test_a_thread_that_has_ended_is_named_as_such() -> None:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(yarp.Value(1)))
    thread.start()
    thread.join()
    with pytest.raises(WrongThread, match="one that has ended"):
        made[0].value = 2


def test_a_thread_is_named_by_its_own_name_among_several() -> None:
    made: list[Any] = []
    is_made, may_end = threading.Event(), threading.Event()

    def run() -> None:
        made.append(yarp.Value(1))
        is_made.set()
        may_end.wait()

    thread = threading.Thread(target=run, name="the maker")
    thread.start()
    is_made.wait()
    try:
        with pytest.raises(WrongThread) as info:
            made[0].value = 2
    finally:
        may_end.set()
        thread.join()
    assert info.value.thread == "the maker"
