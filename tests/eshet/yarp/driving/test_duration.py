"""Lengths of time as numbers and as texts."""

import math

import pytest

from eshet.text import safe_repr
from eshet.yarp.driving.duration import seconds_of


@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1.5 h", 5400),
        (" 3d ", 3 * 86400),
        (2, 2),
        (0.5, 0.5),
        ("365d", 365 * 86400),
    ],
)
def test_a_length_in_seconds(length, seconds):
    result = seconds_of(length, "override")
    assert result == seconds
    assert type(result) is float


@pytest.mark.parametrize(
    "length",
    ["soon", "", "2H", "1h30m", "0s", 0, -1, True, math.nan, -(10**400), [1], b"2h", None],
    ids=lambda length: safe_repr(length, 40),
)
def test_a_text_that_is_no_length_is_an_error(length):
    with pytest.raises(ValueError, match=r"^verify=.* is not a length of time: write seconds"):
        seconds_of(length, "verify")


@pytest.mark.parametrize(
    "length",
    ["366d", "99999999d", "9" * 400 + "d", 1e12, 10**400, 10**5000, math.inf, 365 * 86400 + 1],
    ids=lambda length: safe_repr(length, 40),
)
def test_a_length_of_more_than_a_year_is_an_error(length):
    with pytest.raises(ValueError, match=r"^override=.* is longer than a year: .*'365d'") as raised:
        seconds_of(length, "override")
    assert len(str(raised.value)) < 250
