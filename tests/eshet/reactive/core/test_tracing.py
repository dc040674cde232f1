"""Telling of transactions: who ran, why, from what to what."""

from eshet import reactive as yarp
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.tracing import on_transaction
from eshet.scope import Scope
from tests.support.hearing import Errors, heard


def traced():
    """Return a list of what each transaction did from now on."""
    told = []
    watching = on_transaction(told.append)
    return told, watching


def test_each_step_tells_who_ran_why_and_from_what_to_what():
    a, b = yarp.Value(1, name="a"), yarp.Value(2, name="b")
    total = a + b
    parity = total % 2
    told, watching = traced()
    a.value = 3
    watching.dispose()
    [steps] = told
    assert [(s.name, s.before, s.after, s.changed) for s in steps] == [
        ("a", 1, 3, True),
        ("add", 3, 5, True),
        ("mod", 1, 1, True),
    ]
    assert list(steps[1].because) == [node_of(a)]
    assert list(steps[2].because) == [node_of(total)]
    assert str(steps[1]) == "add: 3 -> 5, because: a"
    assert str(steps[0]) == "a: 1 -> 3, because: it was set"
    assert parity.value == 1


def test_an_event_tells_what_it_emitted():
    event = yarp.Event(name="bell")
    odd = yarp.filter(event, lambda x: x % 2 == 1)
    told, watching = traced()
    event.emit(3)
    event.emit(4)
    watching.dispose()
    assert [[(s.name, s.after, s.changed) for s in steps] for steps in told] == [
        [("bell", (3,), True), ("filter", (3,), True)],
        [("bell", (4,), True), ("filter", (), False)],
    ]
    assert odd.value is yarp.NoValue


def test_a_step_that_raises_tells_the_error():
    errors = Errors("hall")
    a = yarp.Value(1)
    with errors.scope.active():
        inverse = yarp.fn(lambda x: 1 / x)(a)
    told, watching = traced()
    a.value = 0
    watching.dispose()
    step = told[0][1]
    assert isinstance(step.error, ZeroDivisionError)
    assert (step.before, step.after, step.changed, step.scope) == (1, 1, False, "hall")
    assert inverse.value == 1
    assert len(errors.reported) == 1


def test_a_diamond_tells_the_join_once_with_both_causes():
    a = yarp.Value(1)
    left, right = a + 1, a * 10
    join = left + right
    told, watching = traced()
    a.value = 2
    watching.dispose()
    assert told[0][-1].node is node_of(join)
    assert told[0][-1].because == [node_of(left), node_of(right)]
    assert len(told[0]) == 4


def test_all_happens_as_it_does_untraced():
    a = yarp.Value(0)
    join = heard(yarp.fn(lambda *xs: xs)(a, a + 1, yarp.no_repeat(a // 10)))
    for n in (1, 5, 20):
        a.value = n
    untraced = list(join)
    join.clear()
    _, watching = traced()
    for n in (1, 5, 20):
        a.value = n
    watching.dispose()
    assert join == untraced


def test_a_batch_tells_each_of_its_sources():
    a, b = yarp.Value(1, name="a"), yarp.Event(name="b")
    told, watching = traced()
    with yarp.transaction():
        a.value = 2
        b.emit("x")
        a.value = 3
    watching.dispose()
    assert [(s.name, s.before, s.after) for s in told[0]] == [
        ("a", 1, 3),
        ("b", yarp.NoValue, ("x",)),
    ]


def test_it_is_told_before_callbacks_are_called_and_what_it_sets_comes_after():
    a, seen = yarp.Value(1), yarp.Value(0)
    order = []
    a.on_value_changed(lambda _: order.append("callback"))
    seen.on_value_changed(lambda _: order.append("seen"))

    def tell(steps):
        order.append("told")
        if steps[0].node is node_of(a):
            seen.value = len(steps)

    watching = on_transaction(tell)
    a.value = 2
    watching.dispose()
    assert order == ["told", "callback", "told", "seen"]


def test_more_than_one_may_watch_and_each_ends_alone():
    a = yarp.Value(1)
    first, watching = traced()
    second, other = traced()
    a.value = 2
    watching.dispose()
    watching.dispose()
    a.value = 3
    other.dispose()
    a.value = 4
    assert (len(first), len(second)) == (1, 2)
    assert node_of(a).transactions.tracer is None


def test_it_ends_with_its_scope():
    scope = Scope("audit")
    with scope.active():
        told, _ = traced()
    a = yarp.Value(1)
    scope.dispose()
    a.value = 2
    assert told == []


def test_an_error_of_who_watches_is_reported_to_its_scope():
    errors = Errors()
    a = yarp.Value(1)
    told = heard(a)
    with errors.scope.active():
        watching = on_transaction(lambda steps: 1 / 0)
    a.value = 2
    watching.dispose()
    assert [doing for _, doing in errors.reported] == ["on_transaction"]
    assert told == [2]


def test_callbacks_are_called_in_the_same_order_whether_or_not_it_is_traced():
    told = []
    source = yarp.Value(0)
    low = source + 1
    higher = source + low
    derived = [low, higher, low + 1, source + 2, higher + 1, source + higher]
    for number, value in enumerate(derived):
        value.on_value_changed(lambda _, number=number: told.append(number))
    source.value = 1
    untraced, told[:] = list(told), []
    watching = on_transaction(lambda steps: None)
    source.value = 2
    watching.dispose()
    assert sorted(told) == list(range(len(derived)))
    assert told == untraced
