"""What nodes that take time remember, without a loop and without a graph."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.core.markers import NoValue
from eshet.reactive.time.duration_state import Fold
from eshet.reactive.time.state import At, Clock, Delay, RateLimit, TimeWindow, loop_time
from eshet.unknown import Unknown


def test_a_delay_gives_back_each_in_order_when_it_is_due():
    delay = Delay(10)
    assert delay.wake_at is None
    assert delay.on_input("a", 0) == delay.on_input("b", 1) == []
    assert delay.wake_at == 10
    assert delay.wake(10) == ["a"]
    assert delay.wake_at == 11
    assert delay.wake(11) == ["b"]
    assert delay.wake_at is None


def test_a_longer_delay_moves_what_is_on_its_way():
    delay = Delay(10)
    delay.on_input("a", 0)
    assert delay.adjust(20, 5) == []
    assert delay.wake_at == 20


def test_a_shorter_delay_lets_the_overdue_out_at_once():
    delay = Delay(10)
    for n in range(4):
        delay.on_input(n, n)
    assert delay.adjust(3, 5) == [0, 1, 2]
    assert delay.wake_at == 6


def test_a_time_window_drops_each_that_is_too_old():
    window = TimeWindow(10, stays=False)
    assert window.on_input("a", 0) == [["a"]]
    assert window.on_input("b", 5) == [["a", "b"]]
    assert window.wake_at == 10
    assert window.wake(10) == [["b"]]
    assert window.wake(15) == [[]]
    assert window.wake_at is None


def test_two_that_expire_together_are_two_changes():
    window = TimeWindow(10, stays=False)
    window.on_input("a", 0)
    window.on_input("b", 0)
    assert window.wake(10) == [["b"], []]


def test_a_value_that_is_present_ages_from_when_it_is_replaced():
    window = TimeWindow(10, stays=True)
    window.on_input("a", 0)
    assert window.wake_at is None
    window.on_input("b", 100)
    assert window.values == ["a", "b"]
    assert window.wake_at == 110
    assert window.wake(110) == [["b"]]
    assert window.wake_at is None


def test_a_shorter_window_drops_all_that_is_too_old_in_one_change():
    window = TimeWindow(10, stays=False)
    for n in range(4):
        window.on_input(n, n)
    assert window.adjust(3, 4) == [[2, 3]]
    assert window.adjust(3, 4) == []
    assert window.wake_at == 5


def test_a_rate_limit_lets_the_first_through_and_holds_the_last():
    limit = RateLimit(10)
    assert limit.on_input("a", 0) == ["a"]
    assert limit.on_input("b", 1) == limit.on_input("c", 2) == []
    assert limit.wake_at == 10
    assert limit.wake(10) == ["c"]
    assert limit.wake_at == 20
    assert limit.wake(20) == []
    assert limit.wake_at is None
    assert limit.on_input("d", 21) == ["d"]


def test_another_interval_counts_from_the_same_beginning():
    limit = RateLimit(10)
    limit.on_input("a", 0)
    assert limit.adjust(20, 5) == []
    assert limit.wake_at == 20
    assert limit.adjust(2, 5) == []
    assert limit.wake_at == 2


def test_emit_at_remembers_one_time():
    at = At()
    at.on_input(5, 0)
    at.on_input((7, "x"), 0)
    assert at.wake_at == 7
    assert at.wake(7) == ["x"]
    assert at.wake_at is None


@pytest.mark.parametrize("nothing", [None, NoValue, Unknown])
def test_emit_at_forgets(nothing):
    at = At()
    at.on_input(5, 0)
    at.on_input(nothing, 0)
    assert at.wake_at is None


@pytest.mark.parametrize("wrong", ["soon", ("soon", 1), (1, 2, 3), []])
def test_emit_at_refuses_what_is_no_time_and_forgets_the_last(wrong):
    at = At()
    at.on_input(5, 0)
    with pytest.raises(ReactiveTypeError, match="emit_at"):
        at.on_input(wrong, 0)
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


def driven(memory, steps, end=1_000):
    """Let a memory hear numbers at times, and wake when it wants to; return what comes out when.

    Args:
        memory: to drive.
        steps: pairs of how long after the one before, and the length of time from then on, or None
            for the next number to be heard.
        end: when to stop.
    """
    told = []
    now = 0

    def wake_until(time):
        while memory.wake_at is not None and memory.wake_at <= time:
            at = max(memory.wake_at, now)
            told.extend((at, each) for each in memory.wake(at))

    for number, (after, seconds) in enumerate(steps):
        wake_until(now + after)
        now += after
        come = memory.on_input(number, now) if seconds is None else memory.adjust(seconds, now)
        told.extend((now, each) for each in come)
    wake_until(end)
    return told


def heard_in(steps):
    """Return each number of the steps and when it was heard."""
    times = [sum(after for after, _ in steps[: at + 1]) for at in range(len(steps))]
    return {at: times[at] for at, (_, seconds) in enumerate(steps) if seconds is None}


hearing = st.tuples(st.integers(0, 9), st.none())
adjusting = st.tuples(st.integers(0, 9), st.integers(0, 20))


@given(st.lists(hearing, max_size=15), st.integers(0, 20))
def test_a_delay_shifts_everything_by_the_same(steps, seconds):
    expected = [(time + seconds, number) for number, time in heard_in(steps).items()]
    assert driven(Delay(seconds), steps) == expected


@given(st.lists(st.one_of(hearing, adjusting), max_size=15), st.integers(0, 20))
def test_a_delay_loses_nothing_and_keeps_the_order_whatever_its_length_becomes(steps, seconds):
    told = driven(Delay(seconds), steps)
    assert [number for _, number in told] == list(heard_in(steps))
    assert [time for time, _ in told] == sorted(time for time, _ in told)


@given(st.lists(hearing, max_size=15), st.integers(1, 20))
def test_a_time_window_is_what_was_heard_within_its_time(steps, seconds):
    times = heard_in(steps)
    told = driven(TimeWindow(seconds, stays=False), steps)
    for at, (now, window) in enumerate(told):
        if at + 1 == len(told) or told[at + 1][0] > now:  # the last of those at one time
            assert window == [n for n, time in times.items() if time <= now < time + seconds]
    assert len(told) == 2 * len(times)


@given(st.lists(st.one_of(hearing, adjusting), max_size=15), st.integers(0, 20))
def test_a_time_window_empties_in_the_end_and_a_present_value_stays(steps, seconds):
    aging, staying = TimeWindow(seconds, stays=False), TimeWindow(seconds, stays=True)
    driven(aging, steps)
    driven(staying, steps)
    assert aging.values == []
    assert staying.values == list(heard_in(steps))[-1:]


@given(st.lists(hearing, max_size=15), st.integers(1, 20))
def test_what_a_rate_limit_lets_through_is_far_enough_apart_and_ends_with_the_last(steps, seconds):
    told = driven(RateLimit(seconds), steps)
    times = [time for time, _ in told]
    assert all(b - a >= seconds for a, b in itertools.pairwise(times))
    assert [number for _, number in told[-1:]] == list(heard_in(steps))[-1:]


# --- after a long time --------------------------------------------------------------------------


def test_a_ring_of_timeouts_is_gone_round_in_no_time():
    fold = Fold(lambda state, value: value, "a", {"a": (1, "b"), "b": (2, "a")}, now=0)
    later = Fold(lambda state, value: value, "x", {"a": (1, "b"), "b": (2, "a")}, now=0)
    down = 3.0 * 10**9 + 1.5  # a thousand million rounds, and half a second of "b"
    later.restore(fold.snapshot(0), RestoreContext(down, 0, down))
    assert later.state == "b"
    assert later.wake_at == pytest.approx(down + 1.5)


@pytest.mark.parametrize("since", [-1e300, -1e17, 0.0])
@pytest.mark.parametrize("timeouts", [{"a": (0, "a")}, {"a": (0, "b"), "b": (0, "a")},
                                      {"a": (1e-9, "b"), "b": (1e-9, "a")}])  # fmt: skip
def test_timeouts_of_no_time_come_to_an_end(timeouts, since):
    fold = Fold(lambda state, value: value, "a", timeouts, now=0)
    fold.restore(["a", since], RestoreContext(100, 0, 100))
    assert fold.state in timeouts


def test_a_large_window_that_has_run_out_is_emptied_in_no_time():
    window = TimeWindow(10, stays=False)
    entries = [[number / 10_000, number] for number in range(100_000)]
    assert window.restore(entries, RestoreContext(100, 0, 100)) == [[]]


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, "1", None, True, 10**400, [1]])
def test_what_is_no_time_is_refused(given):
    with pytest.raises((ValueError, OverflowError)):
        loop_time(given, 0.0)
