"""One change, run to rest: order, glitches, errors, and what callbacks set."""

import itertools
import sys
import threading

import pytest

from eshet import reactive as yarp
from eshet.exceptions import Interrupted, WrongThread
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.transaction import thread_local
from eshet.scope import current_scope
from tests.support.hearing import Errors, heard


def counted(function):
    """Return a function for `fn` and the list of the arguments it was called with."""
    calls = []

    @yarp.fn
    def counting(*args):
        calls.append(args)
        return function(*args)

    return counting, calls


def check_at_rest():
    """Check what transaction.py promises of the time outside of a transaction."""
    transactions = thread_local.transactions
    assert not transactions.running
    assert not transactions._waiting
    assert not transactions._heights
    assert not transactions._levels
    assert not transactions.to_notify
    assert not transactions.pending_subscriptions
    assert transactions.batch is None
    assert not transactions.transient


@pytest.fixture(autouse=True)
def _at_rest():
    check_at_rest()
    yield
    check_at_rest()


def test_the_join_of_a_diamond_runs_once_and_sees_no_mix():
    a = yarp.Value(1)
    join, calls = counted(lambda x, y: (x, y))
    told = heard(join(a + 1, a * 10))
    calls.clear()
    a.value = 2
    assert calls == told[0:1] == [(3, 20)]
    assert told == [(3, 20)]


def test_the_join_of_a_diamond_of_1_000_runs_once():
    a = yarp.Value(0)
    join, calls = counted(lambda members: sum(members))
    total = join([a + n for n in range(1_000)])
    calls.clear()
    a.value = 1
    assert len(calls) == 1
    assert total.value == sum(range(1_001))


def test_a_join_of_short_and_long_ways_runs_once():
    a = yarp.Value(1)
    long = a
    for _ in range(50):
        long = long + 1
    join, calls = counted(lambda x, y: (x, y))
    joined = join(a, long)
    calls.clear()
    a.value = 2
    assert calls == [(2, 52)]
    assert joined.value == (2, 52)


def test_dense_layers_run_each_node_once():
    sources = [yarp.Value(n) for n in range(4)]
    layer, runs = sources, []
    for _ in range(8):
        layer = [yarp.fn(lambda *xs: runs.append(1) or sum(xs) % 97)(*layer) for _ in range(20)]
    runs.clear()
    sources[0].value = 5
    assert len(runs) == 8 * 20


def test_the_layers_of_cellx_run_each_node_once():
    layer = sources = [yarp.Value(n) for n in (1, 2, 3, 4)]
    runs = []

    def node(function, name):
        return yarp.fn(lambda *args: runs.append(name) or function(*args))

    for n in range(100):
        p, q, r, s = layer
        layer = [
            node(lambda x: x, (n, 0))(q),
            node(lambda x, y: x - y, (n, 1))(p, r),
            node(lambda x, y: x + y, (n, 2))(q, s),
            node(lambda x: x, (n, 3))(r),
        ]
    runs.clear()
    for source in sources:
        source.value += 1
        assert len(runs) == len(set(runs)) > 150
        runs.clear()


def test_a_chain_of_100_000_nodes_settles_without_recursion():
    a = yarp.Value(0)
    x = a
    for _ in range(100_000):
        x = x + 1
    told = heard(x)
    a.value = 1
    assert told == [100_001]


def test_a_branch_that_does_not_change_stops_there():
    a = yarp.Value(1)
    below, calls = counted(lambda x: x)
    sign = below(yarp.no_repeat(a > 0))
    calls.clear()
    a.value = 2
    assert calls == []
    a.value = -1
    assert calls == [(False,)]
    assert sign.value is False


def test_an_equal_value_is_a_change():
    a = yarp.Value(1)
    told = heard(a + 1)
    a.value = 1
    assert told == [2]


def test_callbacks_are_called_in_order_of_height_then_of_registration():
    order = []
    a = yarp.Value(1)
    high = (a + 1) + 1
    low = a + 1
    high.on_value_changed(lambda _: order.append("high"))
    low.on_value_changed(lambda _: order.append("low 1"))
    low.on_value_changed(lambda _: order.append("low 2"))
    a.on_value_changed(lambda _: order.append("source"))
    a.value = 2
    assert order == ["source", "low 1", "low 2", "high"]


def test_a_callback_reads_all_other_values_as_they_are_after_the_change():
    a = yarp.Value(1)
    b = a + 1
    seen = []
    a.on_value_changed(lambda value: seen.append((value, b.value)))
    a.value = 2
    assert seen == [(2, 3)]


def test_each_callback_hears_each_transaction_once_with_its_value():
    a = yarp.Value(0)
    a.on_value_changed(lambda value: setattr(a, "value", 10) if value == 1 else None)
    told = heard(a)
    a.value = 1
    assert told == [1, 10]


def test_what_a_callback_sets_is_the_next_transaction():
    a, b = yarp.Value(0), yarp.Value(0)
    order = []

    @a.on_value_changed
    def set_b(value):
        b.value = value
        order.append(f"b is still {b.value}")

    a.on_value_changed(lambda value: order.append(f"a is {value}"))
    b.on_value_changed(lambda value: order.append(f"b is {value}"))
    a.value = 1
    assert order == ["b is still 0", "a is 1", "b is 1"]


def test_a_chain_of_callbacks_does_not_recurse():
    values = [yarp.Value(0) for _ in range(5_000)]
    for value, following in itertools.pairwise(values):
        value.on_value_changed(yarp.emit_fn(following))
    values[0].value = 1
    assert values[-1].value == 1


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_change_that_leads_to_itself_for_ever_is_cut_and_reported_with_the_way(length):
    errors = Errors()
    with errors.scope.active():
        values = [yarp.Value(0, name=f"v{n}") for n in range(length)]
    told = heard(values[0])
    for value, following in zip(values, [*values[1:], values[0]], strict=True):
        value.on_value_changed(lambda x, following=following: setattr(following, "value", x + 1))
    values[0].value = 0
    way = " -> ".join([*(f"v{n}" for n in range(length)), "v0"])
    [(error, doing)] = errors.reported
    assert doing == "v0"
    assert error == (
        f"EndlessChange('setting it led 100 times to setting it again, so it was cut: {way}')"
    )
    assert len(told) == 100
    values[0].value = 7  # the next change is a new try
    assert len(errors.reported) == 2


def test_a_callback_may_set_a_thousand_values_and_emit_a_thousand_times():
    start, each = yarp.Event(), yarp.Event()
    start.on_event(lambda _: [each.emit(n) for n in range(1_000)] and None)
    told = heard(each)
    start.emit(None)
    assert told == list(range(1_000))


def test_what_a_function_sets_is_the_next_transaction():
    a, b = yarp.Value(0), yarp.Value(0)

    @yarp.fn
    def sets_b(x):
        b.value = x
        return x

    derived = sets_b(a)
    a.value = 3
    assert (derived.value, b.value) == (3, 3)


def test_a_callback_that_raises_is_reported_and_the_others_are_called():
    errors = Errors()
    a = yarp.Value(0)
    with errors.scope.active():
        a.on_value_changed(lambda _: 1 / 0)
        told = heard(a)
    a.value = 1
    assert told == [1]
    assert errors.reported == [("ZeroDivisionError('division by zero')", "callback of Value")]


def test_a_node_that_raises_keeps_its_value_is_reported_and_recovers():
    errors = Errors()
    a = yarp.Value(1)
    with errors.scope.active():
        inverse = yarp.fn(lambda x: 1 / x)(a)
        sibling = a + 1
        told = heard(inverse)
    a.value = 0
    assert (inverse.value, sibling.value) == (1, 1)
    assert told == []
    assert errors.reported == [("ZeroDivisionError('division by zero')", "<lambda>")]
    a.value = 2
    assert told == [0.5]
    assert len(errors.reported) == 1


def test_a_node_that_raises_in_a_wide_level_leaves_its_siblings_running():
    errors = Errors()
    a = yarp.Value(1)
    with errors.scope.active():
        siblings = [yarp.fn(lambda x, n=n: n // x)(a) for n in range(3)]
        siblings.insert(1, yarp.fn(lambda x: x.nothing if x == 2 else x)(a))
    a.value = 2
    assert [each.value for each in siblings] == [0, 1, 0, 1]
    assert len(errors.reported) == 1


def test_an_error_goes_to_the_scope_that_made_the_node_not_to_who_set_the_source():
    maker, setter = Errors("maker"), Errors("setter")
    a = yarp.Value(1)
    with maker.scope.active():
        inverse = yarp.fn(lambda x: 1 / x)(a)
    with setter.scope.active():
        a.value = 0
    assert inverse.value == 1
    assert setter.reported == []
    assert len(maker.reported) == 1


def test_without_any_scope_an_error_is_logged(caplog):
    a = yarp.Value(1)
    inverse = yarp.fn(lambda x: 1 / x)(a)
    a.value = 0
    assert inverse.value == 1
    assert "<lambda> failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_callback_runs_in_its_own_scope():
    owner, setter = Errors("owner"), Errors("setter")
    a = yarp.Value(0)
    made = []
    with owner.scope.active():
        a.on_value_changed(lambda _: made.append(yarp.Value(1)))
    with setter.scope.active():
        a.value = 1
    assert node_of(made[0]).owner.scope is owner.scope


def test_a_subscription_disposed_by_an_earlier_callback_is_not_called():
    a = yarp.Value(0)
    told = []
    a.on_value_changed(lambda _: later.dispose())
    later = a.subscribe(told.append)
    a.value = 1
    assert told == []


def test_a_scope_disposed_in_a_callback_hears_no_more_of_that_change():
    errors = Errors()
    a = yarp.Value(0)
    a.on_value_changed(lambda _: errors.scope.dispose())
    with errors.scope.active():
        told = heard(a)
    a.value = 1
    assert told == []


def test_an_interrupt_goes_to_who_set_the_source_and_leaves_the_graph_at_rest():
    a = yarp.Value(0)
    join = (a + 1) + (a + 2)

    @yarp.fn
    def interrupt(x):
        if x == 1:
            raise KeyboardInterrupt
        return x

    interrupted = [interrupt(a) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        a.value = 1
    check_at_rest()
    a.value = 2
    assert join.value == 7
    assert [each.value for each in interrupted] == [2, 2]


@pytest.mark.parametrize("error", [Interrupted("too long"), SystemExit(3)])
def test_what_a_guard_raises_and_a_call_of_exit_stay_in_the_node_of_a_scope(error):
    def fail(x):
        if x:
            raise error
        return x

    errors = Errors()
    with errors.scope.active():
        a = yarp.Value(0)
        told = [heard(a + 1), heard(yarp.fn(fail)(a)), heard(a + 2)]
        a.on_value_changed(fail)
        a.value = 1
        check_at_rest()
        a.value = 0
    assert told == [[2, 1], [0], [3, 2]]
    assert [doing for _, doing in errors.reported] == ["fail", "callback of Value"]


def test_exit_outside_of_any_scope_goes_to_who_set_the_source():
    a = yarp.Value(0)
    a.on_value_changed(sys.exit)
    with pytest.raises(SystemExit):
        a.value = 1
    check_at_rest()


def test_a_flood_of_changes_can_be_cut_and_the_others_come():
    start, flooding, other = yarp.Event(), yarp.Event(), yarp.Value(0)
    told, others = [], heard(other)

    @flooding.on_event
    def cut_at_the_third(number):
        told.append(number)
        assert number < 3 or thread_local.transactions.cut()

    @start.on_event
    def flood(_):
        for number in range(1, 1000):
            flooding.emit(number)
        other.value = 2

    assert not thread_local.transactions.cut()
    start.emit(None)
    assert (told, others) == ([1, 2, 3], [2])


def test_a_cut_that_found_nothing_to_drop_drops_nothing_of_a_later_flood():
    start, flooding, last = yarp.Event(), yarp.Event(), yarp.Event()
    told = heard(flooding)
    start.on_event(lambda numbers: [flooding.emit(number) for number in numbers] and None)

    @last.on_event
    def cut_and_interrupt(_):
        flooding.emit(0)
        assert thread_local.transactions.cut()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        last.emit(None)
    start.emit([1, 2, 3])
    assert told == [1, 2, 3]


def test_an_interrupted_event_is_silent_afterwards():
    def interrupt(_):
        raise KeyboardInterrupt

    event = yarp.Event()
    interrupted = yarp.fn(interrupt)(event)
    with pytest.raises(KeyboardInterrupt):
        event.emit(1)
    assert node_of(event).emissions == node_of(interrupted).emissions == ()


def test_a_callback_made_outside_any_scope_runs_in_none_whoever_set_the_source(caplog):
    a = yarp.Value(1)
    scopes = []
    a.on_value_changed(lambda _: scopes.append(current_scope()))
    a.on_value_changed(lambda _: 1 / 0)
    errors = Errors()
    with errors.scope.active():
        a.value = 2
    assert scopes == [None]
    assert errors.reported == []
    assert "callback of Value failed" in caplog.text


def test_who_subscribes_in_a_callback_hears_the_next_change_only():
    a = yarp.Value(1)
    b = a + 1
    told = []
    a.on_value_changed(lambda _: None if told else b.on_value_changed(told.append))
    b.on_value_changed(lambda _: None)
    a.value = 2
    assert told == []
    a.value = 3
    assert 4 in told


def test_nodes_made_by_a_callback_hear_the_next_change_only():
    a = yarp.Value(0)
    told = []
    subscription = a.subscribe(lambda _: a.on_value_changed(told.append))
    a.value = 1
    subscription.dispose()
    assert told == []
    a.value = 2
    assert told == [2]


def test_nodes_made_within_a_function_take_part():
    a = yarp.Value(1)
    made = []

    @yarp.fn
    def make(x):
        made.append(a * 10)
        return x

    derived = make(a)
    a.value = 2
    assert derived.value == 2
    assert [each.value for each in made] == [20, 20]


def in_another_thread(function):
    """Return what a function raised in another thread, as text."""
    raised = []

    def run():
        try:
            function()
        except WrongThread as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: MAIN["lux"].set_instantaneous_value(2),
        lambda: setattr(MAIN["lux"], "value", 2),
        lambda: yarp.fn(abs)(MAIN["lux"]),
        lambda: MAIN["lux"].subscribe(print),
        lambda: MAIN["lux"] + yarp.Value(1),
        lambda: yarp.Value(1) + MAIN["lux"],
        lambda: yarp.Value(1).add_input(MAIN["lux"]),
    ],
    ids=["pass", "set", "follow", "hear", "join", "join the other way round", "add an input"],
)
def test_another_thread_is_told_to_call_the_loop(misuse):
    lux = MAIN["lux"] = yarp.Value(1, name="lux")
    told = heard(lux)
    [error] = in_another_thread(misuse)
    assert "belongs to the thread" in error
    assert "loop.call_soon_threadsafe" in error
    assert (told, lux.value, node_of(lux).uses) == ([], 1, 2)


MAIN = {}  # values that the main thread made


def test_each_thread_has_transactions_of_its_own():
    a = yarp.Value(0)
    values = []

    def other_thread():
        b = yarp.Value(0)
        b.on_value_changed(values.append)
        b.value = 5
        values.append(thread_local.transactions)

    @a.on_value_changed
    def during(_):
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()

    a.value = 1
    assert values[0] == 5
    assert values[1] is not thread_local.transactions
