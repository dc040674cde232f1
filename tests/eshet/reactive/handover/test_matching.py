"""Which node of an old version is which of a new one, as a table."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from eshet.reactive.handover.matching import Description, match


def node(text):
    """Describe a node, written as `rule.shape:detail` or, where it has a name, `"name"`."""
    if text.startswith('"'):
        return Description("rule", text, "shape", name=text.strip('"'))
    place, _, detail = text.partition(":")
    rule, _, shape = place.rpartition(".")
    return Description(rule, shape, shape, detail)


def pairs(old, new):
    matching = match([node(each) for each in old.split()], [node(each) for each in new.split()])
    return matching.pairs


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # The same again, and what was added, removed or moved beside it.
        ("r.a r.b", "r.a r.b", {0: 0, 1: 1}),
        ("r.a r.b", "r.b r.a", {0: 1, 1: 0}),
        ("r.a", "r.b r.a", {1: 0}),
        ("r.a r.b", "r.b", {0: 1}),
        ("", "r.a", {}),
        ("r.a", "", {}),
        # Rules are told apart.
        ("r.a s.a", "s.a r.a", {0: 1, 1: 0}),
        ("r.a", "s.a", {}),
        # Of one shape: by detail, then by order, and not at all where it could be either.
        ("r.a:1 r.a:2", "r.a:2 r.a:1", {0: 1, 1: 0}),
        ("r.a:1", "r.a:2", {0: 0}),
        ("r.a:1 r.a:2", "r.a:1 r.a:3", {0: 0, 1: 1}),
        ("r.a:1 r.a:2", "r.a:3 r.a:4", {}),
        ("r.a:1 r.a:1", "r.a:1 r.a:1", {0: 0, 1: 1}),
        ("r.a:1", "r.a:1 r.a:1", {}),
        ("r.a:1 r.a:1", "r.a:1", {}),
        ("r.a:1", "r.a:2 r.a:1", {1: 0}),
        ("r.a:1 r.a:2", "r.a:2", {0: 1}),
        ("r.a:1 r.a:2", "r.a:3", {}),
        ("r.a:1 r.a:2 r.a:2", "r.a:1 r.a:2", {0: 0}),
        # A name is stronger than all that, and than the rule.
        ('r.a "n"', '"n" r.a', {0: 1, 1: 0}),
        ('"n"', '"m"', {}),
        ('"n"', '"n" "n"', {}),
        ('"n" "n"', '"n"', {}),
        ('"n"', "rule.shape", {}),
    ],
)
def test_what_is_which(old, new, expected):
    assert pairs(old, new) == expected


def test_a_named_node_is_known_in_another_rule_and_shape():
    old = Description("hall", "window", "window", name="moved")
    new = Description("landing", "time_window", "time_window", name="moved")
    assert match([old], [new]).pairs == {0: 0}


descriptions = st.lists(
    st.builds(
        Description,
        rule=st.sampled_from("rs"),
        label=st.just("node"),
        shape=st.sampled_from("ab"),
        detail=st.sampled_from("12"),
        name=st.sampled_from([None, None, None, "n", "m"]),
    ),
    max_size=8,
)


@given(descriptions, descriptions)
def test_no_node_is_matched_twice_and_each_is_matched_or_told_why_not(old, new):
    matching = match(old, new)
    assert len(set(matching.pairs.values())) == len(matching.pairs)
    assert matching.pairs.keys() | matching.afresh.keys() == set(range(len(new)))
    assert not matching.pairs.keys() & matching.afresh.keys()


@given(descriptions, descriptions)
def test_only_what_is_alike_is_matched(old, new):
    for ours, theirs in match(old, new).pairs.items():
        a, b = old[theirs], new[ours]
        assert a.name == b.name
        assert a.name is not None or (a.rule, a.shape) == (b.rule, b.shape)


@given(descriptions)
def test_the_same_again_is_matched_in_full_but_for_names_given_twice_in_a_rule(same):
    names = [(each.rule, each.name) for each in same]
    expected = {i: i for i, each in enumerate(same) if not each.name or names.count(names[i]) == 1}
    assert match(same, same).pairs == expected
