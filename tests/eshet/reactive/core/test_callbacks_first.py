"""Callbacks on the inputs of a node with a function of the user's, made before that node."""

from typing import Any

import pytest

from eshet.reactive import Event, Value, fn, transaction
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.subscription import Preparation
from eshet.reactive.core.tracing import on_transaction
from eshet.reactive.handover.handover import quietly
from eshet.scope import Scope, use_scope


def test_a_value_follows_what_a_callback_collects() -> None:
    v = Value(1)
    values = [v.value]
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    v.value = 2
    assert history.value == [1, 2]
    v.value = 3
    assert history.value == [1, 2, 3]


def test_an_event_follows_what_a_callback_collects() -> None:
    digits = Event[int]()
    buffer: list[int] = []
    digits.on_event(buffer.append)

    def pairs(emit: Any) -> None:
        if len(buffer) >= 2:
            emit(tuple(buffer))
            buffer.clear()

    pair = Event[tuple[int, ...]](inputs=(digits,), on_inputs_done=pairs)
    heard: list[tuple[int, ...]] = []
    pair.on_event(heard.append)
    for digit in range(5):
        digits.emit(digit)
    assert heard == [(0, 1), (2, 3)]


def test_each_emission_of_one_transaction_is_collected() -> None:
    digits = Event[int]()
    buffer: list[int] = []
    digits.on_event(buffer.append)
    seen = Event[int](inputs=(digits,), on_inputs_done=lambda emit: emit(len(buffer)))
    heard: list[int] = []
    seen.on_event(heard.append)
    with transaction():
        digits.emit(1)
        digits.emit(2)
    assert (buffer, heard) == ([1, 2], [2])


def test_a_callback_runs_once_for_two_nodes() -> None:
    v = Value(1)
    values: list[int] = []
    v.on_value_changed(values.append)
    first = Value(inputs=(v,), get_value=values.copy)
    second = Value(inputs=(v,), get_value=values.copy)
    v.value = 2
    assert (values, first.value, second.value) == ([2], [2], [2])


def test_a_callback_made_after_the_node_runs_after_settling() -> None:
    v = Value(1)
    values: list[int] = []
    history = Value(inputs=(v,), get_value=values.copy)
    v.on_value_changed(values.append)
    v.value = 2
    assert (values, history.value) == ([2], [])


def test_callbacks_of_other_scopes_run_after_settling() -> None:
    v = Value(1)
    tenfold = fn(lambda x: x * 10)(v)
    seen: list[tuple[int, int]] = []
    with use_scope(Scope("other")):
        v.on_value_changed(lambda x: seen.append((x, tenfold.value)))
    copy = Value(inputs=(v,), get_value=lambda: v.value)
    v.value = 2
    assert (seen, copy.value) == ([(2, 20)], 2)


def test_callbacks_of_nodes_of_operators_run_after_settling() -> None:
    v = Value(1)
    seen: list[int] = []
    v.on_value_changed(lambda x: seen.append(tenfold.value))
    tenfold = fn(lambda x: x * 10)(v)
    v.value = 2
    assert seen == [20]


def test_it_hears_what_a_value_holds_for_a_moment() -> None:
    v = Value(1)
    values: list[int] = []
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    v.set_instantaneous_value(7)
    assert (v.value, history.value) == (1, [7])


def test_it_does_not_hear_what_a_hand_over_puts_in_place() -> None:
    v = Value(1)
    values: list[int] = []
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    with quietly():
        v.value = 2
    assert history.value == []
    v.value = 3
    assert history.value == [3]


def test_a_disposed_callback_is_called_no_more() -> None:
    v = Value(1)
    values: list[int] = []
    subscription = v.subscribe(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    v.value = 2
    subscription.dispose()
    v.value = 3
    assert (values, history.value) == ([2], [2])


def test_a_callback_outlives_the_node_that_it_collects_for() -> None:
    v = Value(1)
    values: list[int] = []
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    del history
    v.value = 2
    assert values == [2]


def test_callbacks_end_with_their_scope() -> None:
    v = Value(1)
    values: list[int] = []
    scope = Scope("rule")
    with use_scope(scope):
        v.on_value_changed(values.append)
        Value(inputs=(v,), get_value=values.copy).on_value_changed(print)
    scope.dispose()
    v.value = 2
    assert values == []


def test_it_collects_in_a_version_that_was_prepared() -> None:
    v = Value(1)
    values: list[int] = []
    scope = Scope("rule")
    preparation = scope.get(Preparation)
    preparation.is_under_way = True
    with use_scope(scope):
        v.on_value_changed(values.append)
        history = Value(inputs=(v,), get_value=values.copy)
    v.value = 2
    assert values == []
    preparation.end()
    v.value = 3
    assert history.value == [3]


def test_one_made_in_a_callback_collects_from_the_next_change_on() -> None:
    v = Value(1)
    values: list[int] = []
    made: list[Value[list[int]]] = []

    def make(x: int) -> None:
        if not made:
            v.on_value_changed(values.append)
            made.append(Value(inputs=(v,), get_value=values.copy))

    v.on_value_changed(make)
    v.value = 2
    v.value = 3
    assert made[0].value == [3]


def test_an_error_of_it_is_reported_of_the_input(caplog: pytest.LogCaptureFixture) -> None:
    v = Value(1, name="lux")
    v.on_value_changed(lambda x: 1 // 0)
    copy = Value(inputs=(v,), get_value=lambda: v.value)
    v.value = 2
    assert copy.value == 2
    assert "callback of lux" in caplog.text


def test_it_collects_while_transactions_are_traced() -> None:
    v = Value(1)
    values: list[int] = []
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)
    steps: list[Any] = []
    watching = on_transaction(steps.extend)
    v.value = 2
    watching.dispose()
    assert history.value == [2]
    assert [each.after for each in steps if each.node is node_of(history)] == [[2]]


def test_it_runs_before_two_nodes_of_a_version_that_was_prepared() -> None:
    v = Value(1)
    values: list[int] = []
    order: list[str] = []
    scope = Scope("rule")
    preparation = scope.get(Preparation)
    preparation.is_under_way = True
    with use_scope(scope):
        v.on_value_changed(values.append)
        first = Value(inputs=(v,), get_value=lambda: (order.append("first"), list(values))[1])
        second = Value(inputs=(v,), get_value=lambda: (order.append("second"), list(values))[1])
    preparation.end()
    order.clear()
    v.value = 2
    assert (first.value, second.value, order) == ([2], [2], ["first", "second"])


def test_one_that_was_disposed_runs_before_no_other_node() -> None:
    v = Value(1)
    subscription = v.subscribe(print)
    first = Value(inputs=(v,), get_value=lambda: v.value)
    subscription.dispose()
    second = Value(inputs=(v,), get_value=lambda: v.value)
    assert (len(node_of(first).inputs), len(node_of(second).inputs)) == (2, 1)
