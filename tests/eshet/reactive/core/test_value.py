"""`Value`, and the handle that it shares with `Event`."""

import copy
import pickle
import re

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.handle import node_of
from eshet.scope import Scope
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard


def test_a_value_is_not_set_at_first():
    assert yarp.Value().value is yarp.NoValue


def test_setting_a_value_calls_back_with_the_new_one():
    a = yarp.Value(1)
    told = heard(a)
    a.value = 2
    assert (a.value, told) == (2, [2])


def test_on_value_changed_returns_the_callback_and_does_not_call_it():
    a = yarp.Value(1)

    @a.on_value_changed
    def callback(value):
        raise AssertionError(value)

    assert callback.__name__ == "callback"


def test_a_subscription_can_be_disposed_more_than_once():
    a = yarp.Value(1)
    told = []
    subscription = a.subscribe(told.append)
    a.value = 2
    subscription.dispose()
    subscription.dispose()
    a.value = 3
    assert told == [2]
    assert repr(subscription) == "<Subscription to Value: disposed>"


def test_the_same_callback_can_subscribe_twice():
    a = yarp.Value(1)
    told = []
    first, _ = a.subscribe(told.append), a.subscribe(told.append)
    a.value = 2
    first.dispose()
    a.value = 3
    assert told == [2, 2, 3]


def test_a_subscription_ends_with_the_scope_it_was_made_in():
    a = yarp.Value(1)
    scope = Scope("rule")
    with scope.active():
        told = heard(a)
    a.value = 2
    scope.dispose()
    a.value = 3
    assert told == [2]


def test_a_disposed_subscription_leaves_its_scope():
    a = yarp.Value(1)
    scope = Scope("rule")
    with scope.active():
        subscription = a.subscribe(print)
    subscription.dispose()
    assert "0 things" in repr(scope)


def test_removing_subscriptions_from_the_middle_leaves_the_order():
    a = yarp.Value(1)
    order = []
    subscriptions = [a.subscribe(lambda _, n=n: order.append(n)) for n in range(5)]
    subscriptions[2].dispose()
    subscriptions[0].dispose()
    a.value = 2
    assert order == [1, 3, 4]


def test_get_value_is_called_at_once_and_once_after_all_inputs_changed():
    a = yarp.Value(1)
    b, c = a + 1, a * 10
    calls = []

    def get_value():
        calls.append((b.value, c.value))
        return sum(calls[-1])

    total = yarp.Value("initial", inputs=(b, c), get_value=get_value)
    assert total.value == 12
    a.value = 2
    assert total.value == 23
    assert calls == [(2, 10), (3, 20)]


def test_get_value_may_leave_the_value_as_it_is():
    a = yarp.Value(1)
    odd = yarp.Value(0, inputs=[a], get_value=lambda: a.value if a.value % 2 else yarp.NoChange)
    told = heard(odd)
    for value in (2, 3, 4):
        a.value = value
    assert told == [3]


def test_no_change_at_first_leaves_the_initial_value():
    assert yarp.Value(7, get_value=lambda: yarp.NoChange).value == 7
    assert yarp.Value(get_value=lambda: yarp.NoChange).value is yarp.NoValue


def test_without_get_value_callbacks_set_a_value_and_inputs_only_order():
    a = yarp.Value(1)
    last = yarp.Value(inputs=[a])
    a.on_value_changed(lambda value: setattr(last, "value", value * 2))
    a.value = 2
    assert last.value == 4
    assert node_of(last).height == 1


def test_a_value_with_inputs_can_be_set_too():
    a = yarp.Value(1)
    total = yarp.Value(inputs=[a], get_value=lambda: a.value)
    total.value = 10
    assert total.value == 10
    a.value = 2
    assert total.value == 2


def test_an_instantaneous_value_is_heard_and_not_kept():
    a = yarp.Value()
    derived = yarp.fn(lambda x: x)(a)
    seen = []
    a.on_value_changed(lambda value: seen.append((value, a.value)))
    a.set_instantaneous_value(5)
    assert seen == [(5, yarp.NoValue)]
    assert derived.value == 5


def test_a_value_shows_what_it_holds():
    a = yarp.Value(1.25)
    assert repr(a) == str(a) == "Value(1.25)"
    assert f"{a}" == "1.25"
    assert f"{a:.1f}" == "1.2"
    assert f"{yarp.Value(Unknown)}" == "Unknown"


def test_what_is_made_in_a_rule_tells_by_what_it_was_made():
    errors = Errors("hall.light")
    with errors.scope.active():
        a = yarp.Value(30, name="lux")
        b = a < 40
        event = yarp.value_to_event(b)
    assert repr(a) == "<Value(30): hall.light: lux>"
    assert re.fullmatch(r"<Value\(True\): hall.light: lt at test_value.py:\d+>", repr(b))
    assert re.fullmatch(r"<Event\(\): hall.light: .+ at test_value.py:\d+>", repr(event))
    assert f"{b}" == "True"


def test_a_value_can_be_annotated_with_its_type():
    a: yarp.Value[int] = yarp.Value[int](1)
    assert a.value == 1


def test_a_value_is_hashed_by_identity():
    a, b = yarp.Value(1), yarp.Value(1)
    assert len({a, b}) == 2
    assert {a: "a"}[a] == "a"


@pytest.mark.parametrize("reactive", [yarp.Value(1), yarp.Event()], ids=["Value", "Event"])
@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (bool, "value.value"),
        (lambda v: 1 if v else 2, "value.value"),
        (lambda v: v and 1, "`&`"),
        (lambda v: v or 1, "`|`"),
        (lambda v: not v, "yarp.not_"),
        (lambda v: 0 < v < 3, "(a < b) & (b < c)"),
        (lambda v: v in [1, 2], "yarp.contains(items, value)"),
        (lambda v: 1 in v, "yarp.contains"),
        (list, "yarp.fn"),
        (lambda v: sum(x for x in v), "yarp.fn"),
        (len, "yarp.len"),
        (int, "yarp.fn(int)"),
        (float, "yarp.fn(float)"),
        (complex, "yarp.fn(complex)"),
        (lambda v: [1, 2][v], "index"),
        (copy.copy, "yarp.fn"),
        (copy.deepcopy, "yarp.fn"),
        (pickle.dumps, "yarp.fn"),
    ],
)
def test_what_python_would_get_wrong_is_an_error_that_says_what_to_write(reactive, use, hint):
    with pytest.raises(ReactiveTypeError) as info:
        use(reactive)
    assert hint in str(info.value)
    assert isinstance(info.value, TypeError)


def test_a_constructor_that_raises_raises_nothing_more_when_it_is_freed():
    def broken():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        yarp.Value(get_value=broken)


def test_an_error_of_get_value_is_reported_and_the_value_stays():
    errors = Errors()
    a = yarp.Value(1)
    with errors.scope.active():
        inverse = yarp.Value(inputs=[a], get_value=lambda: 1 / a.value)
    a.value = 0
    assert inverse.value == 1
    assert errors.reported == [("ZeroDivisionError('division by zero')", "Value of <lambda>")]


@pytest.mark.parametrize("mark", [yarp.NoValue, yarp.NoChange])
def test_a_mark_is_one_object_whatever_copies_it(mark):
    assert repr(mark) in ("NoValue", "NoChange")
    assert copy.copy(mark) is copy.deepcopy(mark) is mark
    assert pickle.loads(pickle.dumps(mark)) is mark  # noqa: S301 - dumped right here


@pytest.mark.parametrize(
    "derive",
    [
        lambda a: a + 1,
        yarp.fn(lambda x: x),
        yarp.no_repeat,
        lambda a: yarp.default(a, 1),
        lambda a: yarp.event_to_value(yarp.value_to_event(a)),
        lambda a: yarp.value_list([a, a]),
    ],
)
@pytest.mark.parametrize(
    "assign",
    [lambda v: setattr(v, "value", 3), lambda v: v.set_instantaneous_value(3)],
    ids=["set", "instantaneous"],
)
def test_a_value_that_follows_others_can_not_be_set(derive, assign):
    derived = derive(yarp.Value(1))
    before = derived.value
    with pytest.raises(ReactiveTypeError, match=r"set those, or.* write `await yarp.set_value"):
        assign(derived)
    assert derived.value == before


def test_a_value_with_inputs_of_its_own_can_be_set():
    a = yarp.Value(1)
    b = yarp.Value(2, inputs=[a])
    b.value = 3
    assert b.value == 3
