import pytest

from eshet_rules.supervision.intensity import next_pause, recent
from eshet_rules.supervision.limits import RuleLimits


@pytest.mark.parametrize(
    ("restarts", "pause"),
    [([], 1), ([0], 2), ([0, 1], 4), ([0, 1, 2], 8), ([0, 1, 2, 3], 16), ([0, 1, 2, 3, 4], None)],
)
def test_each_restart_in_a_period_waits_twice_as_long_and_the_sixth_never_comes(restarts, pause):
    assert next_pause(restarts, 10, RuleLimits()) == pause


def test_pauses_grow_up_to_the_longest():
    limits = RuleLimits(max_restarts=10)
    pauses = [next_pause([0.0] * n, 1, limits) for n in range(10)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_restart_is_forgotten_when_its_period_has_passed():
    assert next_pause([0, 1, 2, 3, 4], 599.999, RuleLimits()) is None
    assert next_pause([0, 1, 2, 3, 4], 600, RuleLimits()) == 16
    assert recent([0, 1, 2], 601.5, RuleLimits()) == [2]


def test_no_restart_at_all_can_be_chosen():
    assert next_pause([], 0, RuleLimits(max_restarts=0)) is None


def test_a_huge_number_of_restarts_is_no_trouble():
    assert next_pause([0.0] * 5000, 1, RuleLimits(max_restarts=10_000)) == 60
