"""What a value has to be: checks, negations and texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet import yarp
from eshet.reactive.conditions.needs import (
    ANY,
    FALSE,
    KNOWN,
    NOT_TRUE,
    TRUE,
    Both,
    Item,
    Length,
    Relation,
    Simple,
    equal,
)
from eshet.unknown import Unknown

OPERANDS = st.one_of(st.integers(-3, 3), st.floats(), st.booleans(), st.text(max_size=2), st.none())
VALUES = OPERANDS | st.sampled_from([Unknown, yarp.NoValue]) | st.lists(st.integers(), max_size=3)
SIMPLE = st.builds(
    Simple,
    st.sampled_from([each for each in Relation if each not in (Relation.IN, Relation.NOT_IN)]),
    OPERANDS,
) | st.builds(
    Simple,
    st.sampled_from([Relation.IN, Relation.NOT_IN]),
    st.lists(OPERANDS, max_size=3).map(tuple),
)
NEEDS = st.recursive(
    SIMPLE,
    lambda needs: (
        st.builds(Both, needs, needs)
        | st.builds(Length, needs)
        | st.builds(Item, st.integers(0, 2), needs, st.just(lambda value, key: value[key]))
    ),
    max_leaves=3,
)


@given(NEEDS, VALUES)
def test_no_value_meets_a_need_and_its_negation(need, value):
    negated = need.negated()
    assert not (negated is not None and need.is_met(value) and negated.is_met(value))
    assert isinstance(need.text, str)


@given(NEEDS, st.sampled_from([Unknown, yarp.NoValue]))
def test_an_absent_value_meets_only_what_names_it(need, absent):
    names = ("is", "is not", "any", "not true")
    if need.is_met(absent):
        assert isinstance(need, Simple | Both)
        assert not isinstance(need, Simple) or need.relation in names


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">=", "==", "!="])
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_a_flipped_need_is_that_of_the_other_operand(relation, value, operand):
    need = Simple(Relation(relation), operand)
    assert need.is_met(value) == Simple(need.flipped().relation, value).is_met(operand)


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (Simple(Relation.LT, 40), "< 40"),
        (equal(True), "True"),
        (equal(Unknown), "unknown"),
        (equal(yarp.NoValue), "no value"),
        (Simple(Relation.IS_NOT, None), "anything but None"),
        (Simple(Relation.IN, ("a", "b")), "'a' or 'b'"),
        (Simple(Relation.NOT_IN, ("a",)), "neither 'a'"),
        (Both(Simple(Relation.GT, 1), Simple(Relation.LT, 5)), "> 1 and < 5"),
        (Both(KNOWN, Simple(Relation.LT, 5)), "< 5"),
        (Item("contact", TRUE, dict.__getitem__), "contact true"),
        (Length(FALSE), "length false"),
        (ANY, "any value"),
        (NOT_TRUE, "not true"),
    ],
)
def test_a_need_is_written(need, text):
    assert need.text == text
