"""Which causes led to what a memory lets out when time is up."""

import pytest

from eshet.cause import Cause, use_cause
from eshet.reactive.time.causes import PendingCauses
from eshet.reactive.time.state import CauseRule, OperatorState

BELL, DOOR = Cause("event", "/bell"), Cause("event", "/door")


def leading(led, seconds=10.0):
    kind = type("Some", (OperatorState,), {"cause_rule": led, "__slots__": ()})
    return PendingCauses(kind(seconds))


def receive(leads, *inputs):
    for now, cause in inputs:
        with use_cause(cause):
            leads.on_input(now)


def set_timer(leads, *times):
    for now, cause in times:
        with use_cause(cause):
            leads.on_timer_set(now)


@pytest.mark.parametrize("led", CauseRule)
def test_without_anybody_who_keeps_track_nothing_is_remembered(led):
    leads = leading(led)
    leads.on_input(0)
    leads.on_timer_set(0)
    assert leads.take(2, 10) == [None, None]
    assert leads.snapshot(0) == []


def test_each_that_comes_out_in_turn_is_led_to_by_its_own():
    leads = leading(CauseRule.IN_TURN)
    receive(leads, (0, BELL), (0, DOOR), (5, BELL))
    assert leads.take(2, 10) == [BELL, DOOR]
    assert leads.take(1, 15) == [BELL]


def test_what_came_out_in_another_way_does_not_shift_the_others():
    leads = leading(CauseRule.IN_TURN)
    receive(leads, (0, BELL), (5, DOOR))
    assert leads.take(1, 15) == [DOOR]


def test_what_was_heard_before_anybody_kept_track_has_no_cause():
    leads = leading(CauseRule.IN_TURN)
    receive(leads, (0, None), (0, BELL))
    assert leads.take(2, 10) == [None, BELL]


def test_of_what_waits_in_turn_only_so_many_causes_are_remembered():
    leads = leading(CauseRule.IN_TURN)
    receive(leads, *[(0, DOOR)] * 10, *[(1, BELL)] * 256)
    assert len(leads.snapshot(0)) == 256


def test_the_last_or_what_set_the_timer_leads():
    last, timer = leading(CauseRule.LAST), leading(CauseRule.TIMER)
    for leads in (last, timer):
        set_timer(leads, (0, BELL))
        receive(leads, (0, BELL), (5, DOOR))
    assert last.take(1, 10) == [DOOR]
    assert timer.take(1, 10) == [BELL]
    set_timer(timer, (6, DOOR))
    assert timer.take(1, 16) == [DOOR]


@pytest.mark.parametrize("led", [CauseRule.IN_TURN, CauseRule.LAST, CauseRule.TIMER])
def test_causes_are_handed_over_with_their_times(led):
    old, new = leading(led), leading(led)
    receive(old, (0, BELL))
    set_timer(old, (0, BELL))
    new.restore(old.snapshot(epoch=-100), epoch=-90)  # 10 seconds later on the clock of the new one
    if led is CauseRule.IN_TURN:
        assert new.take(0, 19) == []
    [cause] = new.take(1, 20)
    assert (cause.id, cause.kind, cause.path) == (BELL.id, "event", "/bell")


def test_what_comes_again_and_again_begins_anew_with_another_version():
    old, new = leading(CauseRule.BEGINNING), leading(CauseRule.BEGINNING)
    set_timer(old, (0, BELL))
    set_timer(new, (0, DOOR))
    new.restore(old.snapshot(0), 0)
    assert new.take(1, 10) == [DOOR]
