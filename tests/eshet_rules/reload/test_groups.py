import hypothesis.strategies as st
import pytest
from hypothesis import given

from eshet_rules.reload.groups import connected_components


@pytest.mark.parametrize(
    ("parts", "groups"),
    [
        ({}, []),
        ({"hall": [], "bath": []}, [["hall"], ["bath"]]),
        ({"hall": ["_lib"], "bath": ["_lib"]}, [["hall", "bath"]]),
        ({"hall": ["_a"], "bath": ["_b"]}, [["hall"], ["bath"]]),
        ({"hall": ["bath"], "bath": []}, [["hall", "bath"]]),
        ({"hall": ["_a"], "bath": ["_b"], "attic": ["_a", "_b"]}, [["hall", "bath", "attic"]]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, [["a", "b", "c"]]),
    ],
)
def test_modules_with_a_part_in_common_are_one_group(parts, groups):
    assert connected_components(parts) == groups


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.sets(names)))
def test_groups_are_the_connected_components(parts):
    groups = connected_components(parts)
    assert sorted(name for group in groups for name in group) == sorted(parts)
    of_groups = [{*group, *(p for name in group for p in parts[name])} for group in groups]
    for i, one in enumerate(of_groups):
        assert all(one.isdisjoint(other) for other in of_groups[i + 1 :])
