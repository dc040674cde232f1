"""What the runners of a cluster report, merged."""

import pytest

from eshet_rules.cli.cluster_client import ClusterClient, merged
from eshet_rules.cli.runner_client import Reports
from eshet_rules.exceptions import ClusterIncomplete, UnknownName


def reports(*rules, broken=(), waiting=()):
    found = [{"rule": rule, "module": rule.rpartition(".")[0]} for rule in rules]
    problem = dict.fromkeys(broken, "SyntaxError")
    return Reports(found, problem, [], {}, {m: {"version": "1"} for m in waiting})


HOUSE = {
    "attic": reports("hall.light", "bath.fan", waiting=["bath"]),
    "cellar": reports("pump.run", broken=["hall"], waiting=["bath"]),
}


def cluster(**problems):
    return ClusterClient("house", {}, {}, problems)


def test_the_reports_of_all_runners_are_one_in_the_order_of_names():
    whole = merged(HOUSE.values())
    assert [rule["rule"] for rule in whole.rules] == ["bath.fan", "hall.light", "pump.run"]
    assert list(whole.broken) == ["hall"]
    assert list(whole.waiting) == ["bath"]


@pytest.mark.parametrize(
    ("names", "holders"),
    [
        (["pump"], {"cellar": ["pump"]}),
        (["hall", "pump.run"], {"attic": ["hall"], "cellar": ["hall", "pump.run"]}),
        (["*.fan"], {"attic": ["*.fan"]}),
        (["bath"], {"attic": ["bath"], "cellar": ["bath"]}),
    ],
)
def test_a_name_goes_to_the_runners_that_it_means_something_to(names, holders):
    assert cluster().holders(HOUSE, names) == holders


def test_a_name_of_nothing_is_an_error_that_says_what_may_be_meant():
    with pytest.raises(UnknownName, match="did you mean pump"):
        cluster().holders(HOUSE, ["pumb"])


def test_a_name_may_be_one_of_a_runner_that_does_not_answer():
    with pytest.raises(ClusterIncomplete, match="stove: it does not answer"):
        cluster(stove="it does not answer").holders(HOUSE, ["oven"])
