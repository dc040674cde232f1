import pytest

from eshet_rules.supervision.limits import RuleLimits


def test_the_figures_are_those_that_are_documented():
    limits = RuleLimits()
    assert (limits.max_restarts, limits.restart_period) == (5, 600)
    assert (limits.backoff_initial, limits.backoff_max) == (1, 60)
    assert (limits.blocked_after, limits.interrupt_after) == (0.5, 5)
    assert (limits.loop_rounds, limits.loop_period) == (100, 10)
    assert (limits.max_failed_starts, limits.min_uptime) == (3, 60)


def test_no_restart_at_all_is_a_choice():
    assert RuleLimits(max_restarts=0).max_restarts == 0


@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        ({"max_restarts": -1}, "max_restarts=-1 is not a valid count: write 0 or more"),
        ({"loop_rounds": 0}, "write 1 or more"),
        ({"restart_period": 0}, "write seconds, more than 0"),
        ({"backoff_initial": float("nan")}, "write seconds, more than 0"),
        ({"end_after": float("inf")}, "at most 31536000, a year"),
        ({"end_after": 1e300}, "at most 31536000, a year"),
        ({"restart_period": 10**400}, "at most 31536000, a year"),
        ({"backoff_initial": 61}, "longer than backoff_max=60.0"),
        ({"blocked_after": 6}, "longer than interrupt_after=5.0"),
        ({"interrupt_after": 11}, "longer than end_after=10.0"),
    ],
    ids=str,
)
def test_a_figure_without_a_meaning_is_refused_with_advice(figures, advice):
    with pytest.raises(ValueError, match=advice):
        RuleLimits(**figures)
