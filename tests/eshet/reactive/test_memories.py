"""What nodes that take time remember, without a loop and without a graph."""

import pytest

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.memories import At, Clock, Delay, RateLimit, TimeWindow
from eshet.reactive.plain import NoValue
from eshet.unknown import Unknown


def test_a_delay_gives_back_each_in_order_when_it_is_due():
    delay = Delay(10)
    assert delay.wake_at is None
    assert delay.hear("a", 0) == delay.hear("b", 1) == []
    assert delay.wake_at == 10
    assert delay.wake(10) == ["a"]
    assert delay.wake_at == 11
    assert delay.wake(11) == ["b"]
    assert delay.wake_at is None


def test_a_longer_delay_moves_what_is_on_its_way():
    delay = Delay(10)
    delay.hear("a", 0)
    assert delay.adjust(20, 5) == []
    assert delay.wake_at == 20


def test_a_shorter_delay_lets_the_overdue_out_at_once():
    delay = Delay(10)
    for n in range(4):
        delay.hear(n, n)
    assert delay.adjust(3, 5) == [0, 1, 2]
    assert delay.wake_at == 6


def test_a_time_window_drops_each_that_is_too_old():
    window = TimeWindow(10, stays=False)
    assert window.hear("a", 0) == [["a"]]
    assert window.hear("b", 5) == [["a", "b"]]
    assert window.wake_at == 10
    assert window.wake(10) == [["b"]]
    assert window.wake(15) == [[]]
    assert window.wake_at is None


def test_two_that_expire_together_are_two_changes():
    window = TimeWindow(10, stays=False)
    window.hear("a", 0)
    window.hear("b", 0)
    assert window.wake(10) == [["b"], []]


def test_a_value_that_is_present_ages_from_when_it_is_replaced():
    window = TimeWindow(10, stays=True)
    window.hear("a", 0)
    assert window.wake_at is None
    window.hear("b", 100)
    assert window.values == ["a", "b"]
    assert window.wake_at == 110
    assert window.wake(110) == [["b"]]
    assert window.wake_at is None


def test_a_shorter_window_drops_all_that_is_too_old_in_one_change():
    window = TimeWindow(10, stays=False)
    for n in range(4):
        window.hear(n, n)
    assert window.adjust(3, 4) == [[2, 3]]
    assert window.adjust(3, 4) == []
    assert window.wake_at == 5


def test_a_rate_limit_lets_the_first_through_and_holds_the_last():
    limit = RateLimit(10)
    assert limit.hear("a", 0) == ["a"]
    assert limit.hear("b", 1) == limit.hear("c", 2) == []
    assert limit.wake_at == 10
    assert limit.wake(10) == ["c"]
    assert limit.wake_at == 20
    assert limit.wake(20) == []
    assert limit.wake_at is None
    assert limit.hear("d", 21) == ["d"]


def test_another_interval_counts_from_the_same_beginning():
    limit = RateLimit(10)
    limit.hear("a", 0)
    assert limit.adjust(20, 5) == []
    assert limit.wake_at == 20
    assert limit.adjust(2, 5) == []
    assert limit.wake_at == 2


def test_emit_at_remembers_one_time():
    at = At()
    at.hear(5, 0)
    at.hear((7, "x"), 0)
    assert at.wake_at == 7
    assert at.wake(7) == ["x"]
    assert at.wake_at is None


@pytest.mark.parametrize("nothing", [None, NoValue, Unknown])
def test_emit_at_forgets(nothing):
    at = At()
    at.hear(5, 0)
    at.hear(nothing, 0)
    assert at.wake_at is None


@pytest.mark.parametrize("wrong", ["soon", ("soon", 1), (1, 2, 3), []])
def test_emit_at_refuses_what_is_no_time_and_forgets_the_last(wrong):
    at = At()
    at.hear(5, 0)
    with pytest.raises(ReactiveTypeError, match="emit_at"):
        at.hear(wrong, 0)
    assert at.wake_at is None


def test_a_clock_does_not_drift():
    clock = Clock(10, None, 0)
    clock.wake(10.4)
    assert clock.wake_at == 20


def test_a_clock_leaves_out_what_it_slept_through():
    clock = Clock(10, None, 0)
    clock.wake(75)
    assert clock.wake_at == 80


@pytest.mark.parametrize("interval", [0, float("nan")])
def test_a_clock_needs_an_interval(interval):
    with pytest.raises(ReactiveTypeError):
        Clock(interval, None, 0)
