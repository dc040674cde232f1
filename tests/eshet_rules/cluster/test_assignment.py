import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet_rules.cluster.assignment import Assignment, Candidate, rank

NAMES = st.text(min_size=1, max_size=12)
WEIGHTS = st.floats(0.01, 100)
CANDIDATES = st.dictionaries(NAMES, WEIGHTS, min_size=1, max_size=8)
MODULES = st.sets(NAMES, max_size=30)


def candidates(weights):
    return [Candidate(*each) for each in weights.items()]


def assignment(weights, modules):
    assigned = Assignment()
    for each in candidates(weights):
        assigned.put(each, modules)
    return assigned


def test_the_ranks_are_the_same_in_each_process():
    script = (
        "from eshet_rules.cluster.assignment import Candidate, rank\n"
        "print(rank('upstairs.bath', [Candidate(each) for each in 'abcdefgh']))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(rank("upstairs.bath", map(Candidate, "abcdefgh")))


def test_the_ranks_stay_the_same_in_later_versions_of_this_program():
    assert rank("hall", map(Candidate, "abcd")) == ["c", "d", "a", "b"]
    assert rank("hall", [Candidate("a", 100.0), Candidate("b")]) == ["a", "b"]


@given(CANDIDATES, NAMES)
def test_all_candidates_are_ranked_whatever_their_order(weights, module):
    ranked = rank(module, candidates(weights))
    assert sorted(ranked) == sorted(weights)
    assert rank(module, reversed(candidates(weights))) == ranked


@given(CANDIDATES, MODULES, st.data())
def test_only_the_modules_of_a_lost_runner_move_each_to_its_second(weights, modules, data):
    lost = data.draw(st.sampled_from(sorted(weights)))
    before = {module: rank(module, candidates(weights)) for module in modules}
    left = [each for each in candidates(weights) if each.runner != lost]
    for module, ranked in before.items():
        assert rank(module, left) == [runner for runner in ranked if runner != lost]


@given(CANDIDATES, MODULES, NAMES, WEIGHTS)
def test_a_new_runner_only_takes_modules(weights, modules, new, weight):
    weights.pop(new, None)
    joined = [*candidates(weights), Candidate(new, weight)]
    for module in modules:
        first = rank(module, joined)[0]
        assert first == new or first == rank(module, candidates(weights))[0]


@given(CANDIDATES, MODULES, st.data())
def test_a_higher_weight_only_adds_modules(weights, modules, data):
    runner = data.draw(st.sampled_from(sorted(weights)))
    before = {m for m in modules if rank(m, candidates(weights))[0] == runner}
    weights[runner] *= 2
    assert before <= {m for m in modules if rank(m, candidates(weights))[0] == runner}


def test_the_shares_are_those_of_the_weights():
    weights = {f"runner{number}": 1.0 + number % 4 for number in range(10)}
    modules = [f"room{number}" for number in range(10_000)]
    shares = Counter(assignment(weights, modules).first.values())
    for runner, weight in weights.items():
        expected = 10_000 * weight / sum(weights.values())
        assert shares[runner] == pytest.approx(expected, rel=0.1)


@st.composite
def steps(draw):
    """Return changes of runners: a name, and its weight and modules or None."""
    modules = draw(st.lists(NAMES, min_size=1, max_size=10, unique=True))
    present = st.tuples(WEIGHTS, st.frozensets(st.sampled_from(modules)))
    return draw(st.lists(st.tuples(st.sampled_from("abc"), st.none() | present), max_size=15))


@given(steps())
def test_an_assignment_that_is_kept_up_to_date_is_that_of_all_ranks(changes):
    assigned, present = Assignment(), {}
    for runner, change in changes:
        if change is None:
            present.pop(runner, None)
            assigned.remove(runner)
        else:
            present[runner] = change
            assigned.put(Candidate(runner, change[0]), change[1])
        modules = {module for _, of_runner in present.values() for module in of_runner}
        ranks = {
            module: rank(
                module,
                [Candidate(r, weight) for r, (weight, own) in present.items() if module in own],
            )
            for module in modules
        }
        assert assigned.first == {module: ranked[0] for module, ranked in ranks.items()}
        for module, (first, *others) in ranks.items():
            assert assigned.first_without(module, first) == next(iter(others), None)
