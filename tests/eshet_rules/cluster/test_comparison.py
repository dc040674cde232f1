import pytest

from eshet_rules.cluster.comparison import Comparison
from tests.support.rosters import FedRoster


@pytest.fixture
def fed():
    return FedRoster()


@pytest.fixture
def check(fed, log):
    comparison = Comparison(fed.roster, "attic", lambda: fed.now, log.logger)

    def check(after=0):
        comparison.check()
        fed.now += after
        comparison.check()
        found = log.records
        log.clear()
        return found

    return check


def announce(fed, runner, **modules):
    number = fed.roster.runners[runner].number
    fed.announce(runner, number, modules.pop("runs"), **modules)


def test_a_difference_that_lasts_is_logged_once(fed, check):
    fed.join("attic", ["hall", "bath", "attic_only"])
    fed.join("cellar")
    announce(fed, "cellar", runs={"hall": "2", "bath": "1", "cellar_only": "5"})
    assert check(after=9) == []
    (differ,) = check(after=1)
    assert differ["event"] == "cluster.versions_differ"
    assert (differ["runners"], differ["modules"]) == (["attic", "cellar"], ["hall"])
    assert check(after=100) == []


def test_helpers_are_compared_as_well(fed, check):
    fed.join("attic")
    fed.join("cellar")
    announce(fed, "attic", runs={}, helpers={"_lib": "1"})
    announce(fed, "cellar", runs={}, helpers={"_lib": "2"})
    assert check(after=10)[0]["modules"] == ["_lib"]


def test_a_short_difference_as_while_files_are_copied_is_not_logged(fed, check):
    fed.join("attic", ["hall"])
    fed.join("cellar")
    announce(fed, "cellar", runs={"hall": "2"})
    assert check(after=5) == []
    announce(fed, "cellar", runs={"hall": "1"})
    assert check(after=10) == []


def test_another_difference_is_logged_again(fed, check):
    fed.join("attic", ["hall", "bath"])
    fed.join("cellar")
    announce(fed, "cellar", runs={"hall": "2", "bath": "1"})
    assert len(check(after=10)) == 1
    announce(fed, "cellar", runs={"hall": "2", "bath": "2"})
    assert check()[0]["modules"] == ["bath", "hall"]


def test_of_many_modules_the_first_are_listed(fed, check):
    names = [f"room{number:02}" for number in range(12)]
    fed.join("attic", names)
    fed.join("cellar")
    announce(fed, "cellar", runs=dict.fromkeys(names, "2"))
    (differ,) = check(after=10)
    assert (differ["modules"], differ["more"]) == (names[:10], 2)


def test_modules_that_no_runner_may_run_are_logged(fed, check):
    fed.join("attic")
    announce(fed, "attic", runs={}, excluded={"hall": "1", "bath": "1"})
    fed.join("cellar", ["bath"])
    (without,) = check(after=10)
    assert (without["event"], without["modules"]) == ("cluster.modules_without_runner", ["hall"])


def test_without_its_own_modules_nothing_is_compared(fed, check):
    fed.join("cellar", ["hall"])
    assert check(after=10) == []
