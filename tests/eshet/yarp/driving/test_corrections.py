"""How often a value is sent again that others change."""

import math

from eshet.yarp.driving.corrections import MAX_CORRECTIONS, Corrections


def corrected(times):
    corrections = Corrections()
    for at in times:
        assert not corrections.request(at)
        assert corrections.is_due(at)
        corrections.note_sent(at)
    return corrections


def test_nothing_is_due_at_first():
    corrections = Corrections()
    assert not corrections.is_due(1e9)
    assert corrections.deadline() == math.inf


def test_three_corrections_are_made_at_once():
    corrections = corrected([0.0, 1.0, 2.0])
    assert MAX_CORRECTIONS == 3
    assert corrections.request(3.0)
    assert corrections.is_contested
    assert not corrections.is_due(61.9)
    assert corrections.deadline() == 62.0
    assert corrections.is_due(62.0)


def test_corrections_are_forgotten_after_ten_minutes():
    assert not corrected([0.0, 1.0, 2.0]).request(600.0)
    assert corrected([0.0, 1.0, 2.0]).request(599.0)


def test_a_correction_a_minute_after_the_last_one_is_made_at_once():
    corrections = corrected([0.0, 1.0, 2.0])
    assert corrections.request(70.0)
    assert corrections.is_due(70.0)
    corrections.note_sent(70.0)
    assert corrections.deadline() == math.inf
    assert not corrections.request(71.0)  # it is contested already
    assert corrections.deadline() == 130.0


def test_a_value_that_the_path_shows_is_not_due_any_more():
    corrections = corrected([0.0, 1.0, 2.0])
    corrections.request(3.0)
    corrections.follow(4.0, is_so=True)
    assert not corrections.is_due(100.0)


def test_a_value_is_contested_until_the_path_has_kept_it_for_ten_minutes():
    corrections = corrected([0.0, 1.0, 2.0])
    corrections.request(3.0)
    corrections.follow(4.0, is_so=True)
    corrections.follow(300.0, is_so=True)
    assert corrections.deadline() == 604.0
    corrections.follow(400.0, is_so=False)
    assert corrections.deadline() == math.inf
    corrections.follow(500.0, is_so=True)
    corrections.follow(1099.0, is_so=True)
    assert corrections.is_contested
    corrections.follow(1100.0, is_so=True)
    assert not corrections.is_contested
    assert corrections.deadline() == math.inf


def test_a_postponed_correction_is_due_a_minute_later():
    corrections = Corrections()
    corrections.request(5.0)
    corrections.postpone(5.0)
    assert corrections.deadline() == 65.0


def test_another_value_is_not_contested():
    corrections = corrected([0.0, 1.0, 2.0])
    corrections.request(3.0)
    corrections.follow(3.0, is_so=True)
    corrections.clear()
    assert not corrections.is_contested
    assert corrections.deadline() == math.inf
    assert not corrections.request(4.0)
