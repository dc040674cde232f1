"""The order in which nodes settle, in graphs of each shape: errors, ended nodes, hand-overs.

A transaction settles a chain without a queue, nodes of one height after their source without one
as well, and all others from a queue. Each of the three ways must do the same.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eshet import reactive as yarp
from eshet.exceptions import Interrupted
from eshet.reactive.core.graph import ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.subscription import subscribe
from eshet.reactive.core.tracing import on_transaction
from eshet.reactive.core.transaction import thread_local
from eshet.reactive.handover.handover import ObservedValue, notify, quietly
from eshet.scope import Scope, current_scope
from tests.support.hearing import Errors, heard

Value = yarp.Value[Any]
Make = Callable[[Value], Value]


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def _maybe_traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test twice: a tracer settles in another way, with the same result."""
    watching = on_transaction(lambda steps: None) if request.param else None
    yield
    if watching is not None:
        watching.dispose()


def in_a_chain(a: Value, make: Make) -> list[Value]:
    """The node is the only dependent of its input."""
    return [make(a)]


def in_a_level(a: Value, make: Make) -> list[Value]:
    """The node has siblings, which all follow the source."""
    return [a + 0, make(a), a + 0, a + 0]


def in_the_queue(a: Value, make: Make) -> list[Value]:
    """The node follows a join, and has siblings."""
    joined = ((a + 0) + (a * 0)) + 0
    return [joined, joined + 0, make(joined), joined + 0, joined + 0]


def far_above(a: Value, make: Make) -> list[Value]:
    """The node is much higher than one of its inputs, which also has low dependents."""
    high = (((a + 0) + 0) + 0) + 0
    low = a + 0
    return [low, low + 0, make(yarp.fn(lambda x, _: x)(high, low)), high + low]


SHAPES = pytest.mark.parametrize("shape", [in_a_chain, in_a_level, in_the_queue, far_above])
Shape = Callable[[Value, Make], list[Value]]


def caught(error: BaseException) -> Make:
    """Return what makes a node that raises an error while its input is 1."""

    def fail(x: int) -> int:
        if x == 1:
            raise error
        return x

    return yarp.fn(fail)


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
@pytest.mark.parametrize(
    "error", [ValueError(), Interrupted("long"), SystemExit(3), KeyboardInterrupt()]
)
def test_an_error_of_a_node_of_a_scope_is_reported_and_the_others_settle(
    shape: Shape, error: BaseException
) -> None:
    errors, setter = Errors(), Errors("setter")
    with errors.scope.active():
        a = yarp.Value[Any](0)
        values = shape(a, caught(error))
        follower = yarp.fn(lambda *xs: xs)(*values)
    told = [heard(value) for value in values]
    with setter.scope.active():
        a.value = 1
    assert [value.value for value in values].count(0) == 1
    assert told == [[value.value] if value.value else [] for value in values]
    assert errors.reported == [(repr(error), "fail")]
    a.value = 2
    assert {value.value for value in values} <= {2, 4}
    assert follower.value == tuple(value.value for value in values)
    assert len(errors.reported) == 1
    assert setter.reported == []


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
@pytest.mark.parametrize("error", [ValueError(), Interrupted("long")])
def test_an_error_of_a_node_without_a_scope_is_logged_and_the_others_settle(
    shape: Shape, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    a = yarp.Value[Any](0)
    values = shape(a, caught(error))
    a.value = 1
    assert [value.value for value in values].count(0) == 1
    assert caplog.text.count("fail failed") == 1
    a.value = 2
    assert {value.value for value in values} <= {2, 4}


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_in_a_node_without_a_scope_goes_to_who_set_the_source(
    shape: Shape, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    a = yarp.Value[Any](0)
    values = shape(a, caught(error))
    told = [heard(value) for value in values]
    with pytest.raises(type(error)):
        a.value = 1
    assert told == [[] for _ in values]
    assert caplog.text == ""
    a.value = 2
    assert {value.value for value in values} <= {2, 4}
    assert [len(each) for each in told] == [1] * len(values)


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
def test_a_node_that_has_ended_does_not_settle_among_others_that_do(shape: Shape) -> None:
    runs: list[int] = []
    scope = Scope("rule")

    def make(x: Value) -> Value:
        with scope.active():
            return yarp.fn(lambda value: runs.append(value) or value)(x)

    a = yarp.Value[Any](0)
    values = shape(a, make)
    scope.dispose()
    runs.clear()
    a.value = 1
    a.value = 2
    assert runs == []
    assert [value.value for value in values].count(0) == 1
    assert {value.value for value in values} <= {0, 2, 4}


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
def test_each_node_settles_once_after_its_inputs(shape: Shape) -> None:
    runs: list[int] = []
    a = yarp.Value[Any](0)
    values = shape(a, yarp.fn(lambda x: runs.append(x) or x))
    top = heard(yarp.fn(lambda *xs: xs)(a, *reversed(values)))
    told = [heard(value) for value in values]
    runs.clear()
    a.value = 1
    assert runs == [1]
    assert [len(each) for each in told] == [1] * len(values)
    assert top == [(1, *(value.value for value in reversed(values)))]
    assert {value.value for value in values} <= {1, 2}


@SHAPES
@pytest.mark.usefixtures("_maybe_traced")
def test_what_follows_a_node_that_does_not_change_does_not_settle(shape: Shape) -> None:
    a = yarp.Value[Any](0)
    below: list[int] = []
    told: list[list[int]] = []

    def make(x: Value) -> Value:
        tens = yarp.no_repeat(yarp.fn(lambda value: value // 10)(x))
        told.append(heard(tens))
        return yarp.fn(lambda value: below.append(value) or value)(tens)

    values = shape(a, make)
    below.clear()
    a.value = 3
    assert (below, told) == ([], [[]])
    a.value = 10
    assert (below, told) == ([1], [[1]])
    assert [value.value for value in values].count(1) == 1


@pytest.mark.usefixtures("_maybe_traced")
def test_a_node_that_ends_while_it_is_queued_does_not_settle() -> None:
    scope = Scope("rule")
    a = yarp.Value(0)
    disposing = yarp.fn(lambda x: scope.dispose() if x == 1 else None)(a)
    runs: list[int] = []
    high = (a + 0) + (a * 0)
    with scope.active():
        ended = yarp.fn(lambda x: runs.append(x) or x)(high + 0)
    beside = high + 0
    runs.clear()
    a.value = 1
    a.value = 2
    assert runs == []
    assert (ended.value, beside.value, disposing.value) == (0, 2, None)


def test_a_queued_node_that_ended_stays_ended_after_an_interrupt() -> None:
    scope = Scope("rule")
    a = yarp.Value(0)

    def interrupt(x: int) -> None:
        if x == 1:
            scope.dispose()
            raise KeyboardInterrupt

    high = (a + 0) + (a * 0)
    runs: list[int] = []
    with scope.active():
        held = [yarp.fn(lambda x: runs.append(x) or x)(high) for _ in range(2)]
    beside = [high + n for n in range(5)]
    interrupting = yarp.fn(interrupt)(high)
    runs.clear()
    with pytest.raises(KeyboardInterrupt):
        a.value = 1
    runs.clear()
    a.value = 2
    assert runs == []
    assert [each.value for each in beside] == [2, 3, 4, 5, 6]
    assert [each.value for each in held] != [2, 2]
    assert interrupting.value is None


@pytest.mark.usefixtures("_maybe_traced")
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_a_queued_node_that_is_raised_settles_once_after_its_new_input(depth: int) -> None:
    a = yarp.Value(1)
    deep: Value = a
    for _ in range(depth + 3):
        deep = deep + 1
    middle: Value = a
    for _ in range(depth):
        middle = middle + 0
    inputs = [middle]
    seen: list[list[int]] = []

    def add(x: int) -> int:
        if x == 2:
            inputs.append(deep)
            low.add_input(deep)
        return x

    first = yarp.fn(add)(a)
    low = yarp.Value(inputs=[middle, a], get_value=lambda: seen.append([i.value for i in inputs]))
    top = heard(yarp.fn(lambda _, x: x)(low, middle))
    siblings = [heard(middle + n) for n in range(2)]
    seen.clear()
    a.value = 2
    assert seen == [[2, depth + 5]]
    assert (top, siblings, first.value) == ([2], [[2], [3]], 2)
    a.value = 3
    assert seen[1:] == [[3, depth + 6]]
    assert top == [2, 3]


@pytest.mark.usefixtures("_maybe_traced")
def test_a_queued_node_that_is_raised_settles_though_its_new_input_does_not() -> None:
    a, b = yarp.Value(1), yarp.Value(1)
    deep = (((b + 1) + 1) + 1) + 1
    middle = a + 0
    inputs = [middle]

    def add(x: int) -> int:
        if x == 2:
            inputs.append(deep)
            low.add_input(deep)
        return x

    low = yarp.Value(inputs=[middle, a], get_value=lambda: sum(each.value for each in inputs))
    first = yarp.fn(add)(a)
    told = heard(low)
    a.value = 2
    assert (told, first.value) == ([7], 2)


def test_a_callback_that_was_made_before_an_interrupt_hears_the_next_change() -> None:
    a = yarp.Value(0)
    told: list[int] = []

    @a.on_value_changed
    def subscribe_and_interrupt(value: int) -> None:
        if value == 1:
            a.on_value_changed(told.append)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        a.value = 1
    a.value = 2
    assert told == [2]


def test_an_instantaneous_value_is_gone_after_an_interrupt() -> None:
    a = yarp.Value(0)
    interrupting = caught(KeyboardInterrupt())(a)
    with pytest.raises(KeyboardInterrupt):
        a.set_instantaneous_value(1)
    assert a.value == 0
    a.value = 2
    assert (a.value, interrupting.value) == (2, 2)


def test_a_callback_that_an_earlier_one_disposed_causes_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = Errors()
    a = yarp.Value(0)
    told: list[int] = []
    a.on_value_changed(lambda _: [each.dispose() for each in later] and None)
    with errors.scope.active():
        later = [a.subscribe(told.append)]
    later.append(a.subscribe(told.append))
    last = heard(a)
    a.value = 1
    assert (told, last, errors.reported, caplog.text) == ([], [1], [], "")


@pytest.mark.parametrize("in_scope", [False, True])
async def test_an_async_callback_runs_when_its_own_scope_sets_the_source(
    in_scope: bool, advance: Callable[[float], Any]
) -> None:
    scope = Scope("rule") if in_scope else None
    a, told = yarp.Value(0), []

    async def callback(value: int) -> None:
        await asyncio.sleep(1)
        told.append((value, current_scope()))

    if scope is None:
        a.on_value_changed(callback)
        a.value = 1
    else:
        with scope.active():
            a.on_value_changed(callback)
            a.value = 1
    await advance(1)
    assert told == [(1, scope)]


def test_an_empty_transaction_is_no_change() -> None:
    steps: list[Any] = []
    watching = on_transaction(steps.append)
    with yarp.transaction():
        pass
    watching.dispose()
    assert steps == []


def test_an_empty_transaction_in_a_callback_does_not_wait() -> None:
    a, b = yarp.Value(0), yarp.Value(0)
    told = heard(b)

    def callback(value: int) -> None:
        with yarp.transaction():
            pass
        b.value = value
        assert thread_local.transactions.cut()  # the only waiting change is that of `b`

    a.on_value_changed(callback)
    a.value = 1
    assert told == []
    a.value = 2
    assert told == []


def test_the_first_transaction_of_a_thread_is_like_any_other() -> None:
    told: list[Any] = []

    def run() -> None:
        start, each = yarp.Event(), yarp.Event()
        subscribe(node_of(start), told.append, is_sink=True)
        start.on_event(lambda _: [each.emit(n) for n in range(3)] and None)
        each.on_event(told.append)
        start.emit("start")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert told == ["start", 0, 1, 2]


# --- hand-over --------------------------------------------------------------------------------


def observers(value: Value) -> tuple[list[Any], list[Any]]:
    """Return what a callback of a user hears of a Value, and what a sink hears."""
    told, sent = heard(value), []
    subscribe(node_of(value), sent.append, is_sink=True)
    return told, sent


def observed(value: Value, last: Any = yarp.NoValue) -> ObservedValue:
    node = node_of(value)
    assert isinstance(node, ValueNode)
    result = ObservedValue(node)
    if last is not yarp.NoValue:
        result.restore([last])
    return result


def test_while_state_is_restored_only_sinks_hear_of_it() -> None:
    a, event = yarp.Value(1), yarp.Event()
    derived, emitted = a * 10, heard(event)
    of_a, of_derived = observers(a), observers(derived)
    with quietly():
        a.value = 2
        event.emit(1)
    assert of_a == ([], [2])
    assert of_derived == ([], [20])
    a.value = 3
    assert of_a == ([3], [2, 3])
    assert of_derived == ([30], [20, 30])
    event.emit(2)
    assert emitted == [2]


def test_after_a_hand_over_observers_hear_the_values_that_differ_once_and_sinks_none() -> None:
    a, b = yarp.Value(1), yarp.Value(1)
    of_a, of_b = observers(a), observers(b)
    of_sum = observers(a + b)
    notify([observed(a, 0), observed(b, 1)])
    assert of_a == ([1], [])
    assert of_b == ([], [])
    assert of_sum == ([2], [])
    a.value = 2
    assert of_a == ([1, 2], [2])
    assert of_sum == ([2, 3], [3])


def test_a_derived_value_that_was_handed_over_as_well_is_heard_once_or_not_at_all() -> None:
    a = yarp.Value(2)
    same, differing = a // 2, a * 10
    of_same, of_differing = observers(same), observers(differing)
    notify([observed(a, 1), observed(same, 1), observed(differing, 10)])
    assert of_same == ([], [])
    assert of_differing == ([20], [])
    a.value = 3
    assert of_same == ([1], [1])
    assert of_differing == ([20, 30], [30])


def test_what_a_callback_sets_after_a_hand_over_is_a_change_like_any_other() -> None:
    a, b = yarp.Value(1), yarp.Value(0)
    of_b = observers(b)
    a.on_value_changed(lambda value: setattr(b, "value", value))
    notify([observed(a, 0), observed(b)])
    assert of_b == ([1], [1])


def test_nothing_differs_after_a_hand_over_then_nothing_is_heard() -> None:
    steps: list[Any] = []
    a = yarp.Value(1)
    of_a = observers(a)
    watching = on_transaction(steps.append)
    notify([observed(a, 1)])
    watching.dispose()
    assert (of_a, steps) == (([], []), [])


def test_a_callback_that_ends_a_node_in_a_hand_over_stops_its_other_callbacks() -> None:
    a, b = yarp.Value(1), yarp.Value(1)
    scope = Scope("rule")
    with scope.active():
        told = heard(b + 1)
    a.on_value_changed(lambda _: scope.dispose())
    notify([observed(a, 0), observed(b, 0)])
    assert told == []
