"""Two lists of outputs are compared in a time that grows with their number."""

from collections import Counter
from collections.abc import Iterable

import pytest

from eshet_rules.replay.comparison import compare
from eshet_rules.replay.recording import Output

DAY = 86_400


def outputs(values: Iterable[object], interval: float = 1.0, start: float = 0.0) -> list[Output]:
    """Return outputs of one path at regular times."""
    return [
        Output(start + interval * number, "hall.light", "state", "/hall/light", value)
        for number, value in enumerate(values)
    ]


def kinds(first: list[Output], second: list[Output]) -> Counter[str]:
    return Counter(each.kind for each in compare(first, second))


def temperatures(count: int = DAY) -> list[float]:
    return [number * 7919 % 50 / 2 for number in range(count)]


def test_a_third_of_a_day_of_outputs_differs():
    changed = [each + 0.25 * (n % 3 == 0) for n, each in enumerate(temperatures())]
    found = kinds(outputs(temperatures()), outputs(changed))
    assert found == {"missing": DAY / 3, "new": DAY / 3}


def test_a_third_of_a_day_of_outputs_differs_and_the_others_are_later():
    changed = [each + 0.25 * (n % 3 == 0) for n, each in enumerate(temperatures())]
    found = kinds(outputs(temperatures()), outputs(changed, start=0.6))
    assert found["missing"] == found["new"]
    assert found["later"] + found["missing"] + found["earlier"] == DAY
    assert found["later"] > 0.6 * DAY


@pytest.mark.parametrize("shift", [0.6, -0.6, 30.0])
def test_a_day_of_outputs_is_shifted(shift):
    found = kinds(outputs(temperatures()), outputs(temperatures(), start=shift))
    assert sum(found.values()) >= DAY
    if abs(shift) < 1:
        assert found == {"later" if shift > 0 else "earlier": DAY}


def test_many_outputs_within_the_same_instant():
    first = outputs(range(40_000), interval=0.0001)
    assert kinds(first, first) == {}
    assert kinds(first, outputs(range(40_000), interval=0.0001, start=0.6)) == {"later": 40_000}
    others = outputs(range(-40_000, 0), interval=0.0001)
    assert kinds(first, others) == {"missing": 40_000, "new": 40_000}


def test_two_values_that_alternate_and_are_shifted():
    first = outputs((n % 2 for n in range(20_000)), interval=0.0001)
    second = outputs(((n + n // 7) % 2 for n in range(20_000)), interval=0.0001, start=2.5)
    found = kinds(first, second)
    assert found["missing"] == found["new"]
    assert found["later"] > 10_000


def test_outputs_are_matched_again_after_many_additional_ones():
    first = outputs(temperatures(2000))
    extra = [
        Output(500 + n / 1000, "hall.light", "state", "/hall/light", -1 - n % 40)
        for n in range(1000)
    ]
    shifted = outputs(temperatures(2000), start=0.6)
    found = kinds(first, sorted([*shifted, *extra], key=lambda each: each.at))
    assert found == {"later": 2000, "new": 1000}


def test_long_lists_have_the_differences_of_their_parts():
    """The method for many outputs agrees with the exact one, where only a few differ."""
    values = list(range(200))
    removed = [each for each in values if each % 50 != 7]
    first, second = outputs(values), outputs(removed, start=400)
    assert kinds(first, second) == {"missing": 4, "later": 196}
    part = values[:50]
    fewer = [each for each in part if each % 50 != 7]
    assert kinds(outputs(part), outputs(fewer, start=400)) == {"missing": 1, "later": 49}
