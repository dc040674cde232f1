"""The values that a path may still show because they were sent to it."""

import pytest

from eshet.yarp.driving.sent_values import (
    MAX_AGE,
    SentValue,
    SentValues,
    as_delivered,
    matches,
)

NAN = float("nan")
ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)
LIKE_ENDLESS: list[object] = []
LIKE_ENDLESS.append(LIKE_ENDLESS)


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


def test_a_value_that_was_refused_is_not_on_the_way():
    values = SentValues()
    first, second = SentValue(80, 0), SentValue(90, 0)
    values.add(first, 0)
    values.remove(second)
    assert values.is_on_the_way(0, 50, 1)
    values.remove(first)
    assert not values.is_on_the_way(0, 50, 1)
    assert not values.has_pending()


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
        ([1, NAN], [1, float("nan")], 0.0, True),
        ({"a": [NAN]}, {"a": [float("nan")]}, 0.5, True),
        ([NAN], [1], 0.0, False),
        ([NAN], [NAN, NAN], 0.0, False),
        ({"a": NAN}, {"b": NAN}, 0.0, False),
        ([NAN], {"a": NAN}, 0.0, False),
        (b"x", "x", 0.0, False),
        (None, 0, 0.0, False),
        (True, 1, 0.0, True),
        (10**400, 0.5, 0.5, False),
        (ENDLESS, LIKE_ENDLESS, 0.0, False),
    ],
)
def test_values_match(one, other, tolerance, same):
    assert matches(one, other, tolerance) is same


class Colour(tuple):
    """A tuple of a library."""


@pytest.mark.parametrize(
    ("value", "delivered"),
    [
        ((255, 0), [255, 0]),
        ([(1, (2,))], [[1, [2]]]),
        ({"rgb": (1, 2), (3, 4): ()}, {"rgb": [1, 2], (3, 4): []}),
        (Colour((1, 2)), [1, 2]),
        (bytearray(b"x"), b"x"),
        (b"x", b"x"),
        ("x", "x"),
        (True, True),
        (1, 1),
        (1.0, 1.0),
        (None, None),
        ({1}, {1}),
        (10**25, 10**25),
    ],
    ids=repr,
)
def test_a_value_is_as_the_protocol_delivers_it(value, delivered):
    result = as_delivered(value)
    assert result == delivered
    assert type(result) is type(delivered)


def test_a_list_that_contains_itself_is_not_delivered():
    assert as_delivered(ENDLESS) is ENDLESS
