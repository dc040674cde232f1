import pytest

from eshet_rules.cluster.assignment import Candidate, rank
from eshet_rules.cluster.balancing import FAVOUR, MOVING, SETTLED, Plan, make_plan, why_free
from tests.support.rosters import FedRoster

MODULES = [f"room{number}" for number in range(40)]
ATTIC = {m for m in MODULES if rank(m, map(Candidate, ["attic", "cellar"]))[0] == "attic"}
CELLAR = set(MODULES) - ATTIC


@pytest.fixture
def fed():
    return FedRoster()


def plan(fed, held=(), leaving=(), modules=MODULES, runner="attic"):
    return make_plan(fed.roster, runner, modules, held, leaving, fed.now)


def test_a_runner_that_is_not_present_does_nothing(fed):
    assert plan(fed) == Plan(is_waiting=True)


def test_alone_it_takes_what_nobody_runs(fed):
    fed.join("attic", MODULES)
    assert plan(fed, held=MODULES[:3]).take == MODULES[3:]


def test_of_two_each_takes_those_for_which_it_ranks_first(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    assert set(plan(fed).take) == ATTIC
    assert set(plan(fed, runner="cellar").take) == CELLAR


def test_what_another_holds_is_not_taken(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    for module in ATTIC:
        fed.lease(module, "cellar")
    assert plan(fed).take == []


def test_what_a_runner_held_that_is_gone_is_taken_at_once(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    for module in CELLAR:
        fed.lease(module, "cellar")
    fed.end("cellar")
    assert set(plan(fed, held=ATTIC).take) == CELLAR


def test_what_an_earlier_presence_of_a_runner_held_is_free(fed):
    fed.join("attic", MODULES)
    for module in MODULES:
        fed.lease(module, "cellar", presence=1)
    fed.join("cellar", MODULES)
    assert set(plan(fed).take) == ATTIC


def test_after_a_loss_of_all_leases_their_last_holders_come_first(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    for module in CELLAR:
        fed.lease(module, "cellar")
    for module in ATTIC:
        fed.lease(module, "attic")
    fed.roster.reset_runners()
    fed.roster.reset_leases()
    fed.join("attic", MODULES)
    assert set(plan(fed).take) == ATTIC
    assert plan(fed).is_waiting
    fed.now += 5
    assert plan(fed).take == MODULES
    fed.now -= 1
    fed.join("cellar", MODULES)
    assert set(plan(fed).take) == ATTIC
    assert set(plan(fed, runner="cellar").take) == CELLAR


def test_its_own_leases_that_it_does_not_know_of_are_taken_again(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    of_cellar = next(iter(CELLAR))
    fed.lease(of_cellar, "attic")
    assert of_cellar in plan(fed).take
    assert of_cellar not in plan(fed, runner="cellar").take


def test_a_released_lease_is_taken_by_the_favoured_runner_only(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    module = next(iter(ATTIC))
    fed.lease(module, "attic", released=True, to="cellar")
    rest = ATTIC - {module}
    assert set(plan(fed).take) == rest
    assert plan(fed).is_waiting
    assert set(plan(fed, runner="cellar").take) == CELLAR | {module}
    fed.now += FAVOUR
    assert set(plan(fed).take) == ATTIC
    assert set(plan(fed, runner="cellar").take) == CELLAR


@pytest.mark.parametrize("to", ["", "gone", "drained", "elsewhere"])
def test_without_a_favoured_runner_the_first_takes_a_released_lease(fed, to):
    fed.join("attic", MODULES)
    fed.join("drained", MODULES, is_draining=True)
    fed.join("elsewhere", ["other"])
    fed.lease(MODULES[0], "cellar", released=True, to=to)
    assert MODULES[0] in plan(fed).take


def test_modules_move_to_a_new_runner_only_when_it_has_stayed_and_few_at_a_time(fed):
    fed.join("attic", MODULES)
    fed.now += 100
    fed.join("cellar", MODULES)
    assert plan(fed, held=MODULES) == Plan(is_waiting=True)
    fed.now += SETTLED + 0.1
    give = plan(fed, held=MODULES).give
    assert len(give) == MOVING
    assert give.keys() <= CELLAR
    assert set(give.values()) == {"cellar"}
    leaving = list(give)[:5]
    assert len(plan(fed, held=MODULES, leaving=leaving).give) == MOVING - 5
    assert not plan(fed, held=MODULES, leaving=leaving).give.keys() & set(leaving)


def test_modules_on_their_way_count_until_they_are_taken(fed):
    fed.join("attic", MODULES)
    fed.join("cellar", MODULES)
    moved = sorted(CELLAR)[:MOVING]
    for module in moved:
        fed.lease(module, "attic", released=True, to="cellar")
    fed.now += SETTLED + 0.1
    held = set(MODULES) - set(moved)
    assert plan(fed, held=held).give == {}
    assert plan(fed, held=held).is_waiting
    for module in moved[:3]:
        fed.lease(module, "cellar")
    assert len(plan(fed, held=held).give) == 3


def test_modules_that_it_may_not_run_any_more_are_given_up_at_once(fed):
    fed.join("attic", MODULES)
    fed.now += 100
    fed.join("cellar", MODULES)
    fed.join("attic", MODULES[20:], number=fed.roster.runners["attic"].number)
    given = plan(fed, held=MODULES, modules=MODULES[20:]).give
    assert given == dict.fromkeys(MODULES[:20], "cellar")


def test_modules_without_any_runner_are_given_up_to_nobody(fed):
    fed.join("attic", MODULES[1:])
    assert plan(fed, held=MODULES, modules=MODULES[1:]).give == {MODULES[0]: ""}


def test_a_draining_runner_gives_all_up_and_takes_nothing(fed):
    number = fed.join("attic", MODULES).number
    fed.join("cellar", MODULES[:30])
    fed.join("attic", MODULES, number=number, is_draining=True)
    give = plan(fed, held=MODULES).give
    assert give == {**dict.fromkeys(MODULES[:30], "cellar"), **dict.fromkeys(MODULES[30:], "")}
    assert plan(fed).take == []


def test_it_says_why_a_lease_was_free(fed):
    assert why_free(None) == "new"
    for released, to, why in [(False, "", "gone"), (True, "", "released"), (True, "b", "moved")]:
        fed.lease("hall", "attic", presence=1, released=released, to=to)
        assert why_free(fed.roster.lease_of(fed.roster.role_of("hall"))) == why
