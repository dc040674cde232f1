"""The values that a path may still show because they were sent to it."""

import pytest

from eshet.yarp.driving.sent_values import MAX_AGE, SentValue, SentValues, matches


def sent(*values, pending=False):
    all_ = SentValues()
    for at, value in values:
        each = SentValue(value, at)
        all_.add(each, at)
        each.is_pending = pending
    return all_


def test_a_value_is_taken_once_with_those_before_it():
    values = sent((0, 1), (0, 2), (0, 3))
    assert values.take(2, 0.0, 1)
    assert not values.take(2, 0.0, 1)
    assert not values.take(1, 0.0, 1)
    assert values.take(3, 0.0, 1)


def test_a_value_is_forgotten_ten_seconds_after_its_answer():
    assert sent((0, 1)).take(1, 0.0, MAX_AGE)
    assert not sent((0, 1)).take(1, 0.0, MAX_AGE + 0.1)
    assert sent((0, 1), pending=True).take(1, 0.0, 1000)


def test_a_value_that_is_sent_again_is_young_again():
    values = SentValues()
    each = SentValue(1, 0)
    values.add(each, 0)
    values.add(each, 100)
    each.is_pending = False
    assert values.take(1, 0.0, 105)
    assert not values.take(1, 0.0, 105)


@pytest.mark.parametrize(
    ("before", "value", "is_on_the_way"),
    [
        (0, 50, True),
        (100, 90, True),
        (100, 50, False),
        (0, 0, False),
        (0, 80, False),
        (0, 90, False),
        (100, 100, False),
        (100, 101, False),
        ("off", 50, False),
        (0, "on", False),
        (False, 50, False),
        (0, True, False),
    ],
)
def test_a_number_between_two_is_on_the_way(before, value, is_on_the_way):
    assert sent((0, 80)).is_on_the_way(before, value, 1) is is_on_the_way


def test_nothing_is_on_the_way_to_a_text_or_to_a_value_that_is_old():
    assert not sent((0, "on")).is_on_the_way(0, 50, 1)
    assert not sent((0, 80)).is_on_the_way(0, 50, 11)
    assert not sent().is_on_the_way(0, 50, 0)


def test_another_value_may_still_be_shown():
    assert sent((0, 1), (0, 2)).has_other(2, 0.0, 1)
    assert not sent((0, 2)).has_other(2, 0.0, 1)
    assert not sent((0, 2.3)).has_other(2, 0.5, 1)
    assert not sent((0, 1)).has_other(2, 0.0, 11)


def test_a_request_is_pending_until_it_is_answered():
    assert sent((0, 1), pending=True).has_pending()
    assert not sent((0, 1)).has_pending()


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "same"),
    [
        (21, 21.0, 0.0, True),
        (70.2, 70, 0.0, False),
        (70.2, 70, 0.5, True),
        (70, 70.2, 0.5, True),
        (70.5, 70, 0.5, True),
        (70.6, 70, 0.5, False),
        (True, 0.7, 0.5, False),
        ("a", "a", 0.5, True),
        (float("nan"), float("nan"), 0.0, True),
        ([1], [1], 0.5, True),
    ],
)
def test_values_match(one, other, tolerance, same):
    assert matches(one, other, tolerance) is same
