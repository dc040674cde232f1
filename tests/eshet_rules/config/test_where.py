import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet_rules.config.where import Where
from eshet_rules.exceptions import WhereError


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("label == 'floor2'", True),
        ('"floor2" == label', True),
        ("label == 'floor1'", False),
        ("label != 'floor1'", True),
        ("label != 'floor2'", False),
        ("'gpu' in labels", True),
        ("'gpu' not in labels", False),
        ("label in ['floor1', 'floor2']", True),
        ("label in ('floor1', 'floor3')", False),
        ("label not in ['floor1', 'floor2']", False),
        ("runner == 'attic'", True),
        ("'attic' != runner", False),
        ("runner in ['attic', 'cellar']", True),
        ("runner not in ['attic']", False),
        ("label == 'gpu' and runner == 'cellar'", False),
        ("label == 'gpu' and runner == 'cellar' or label == 'floor2'", True),
        ("label == 'gpu' and not (runner == 'cellar' or label == 'floor1')", True),
        (" label == 'gpu'\n", True),
        ("label in []", False),
    ],
)
def test_a_condition_is_about_the_labels_and_the_name_of_a_runner(text, matches):
    assert Where(text).matches("attic", ["floor2", "gpu"]) is matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a condition"),
        ("label =", "is not a condition"),
        ("'gpu'", "can't contain 'gpu'"),
        ("label", "can't contain label"),
        ("labels == 'gpu'", "can't contain labels == 'gpu'"),
        ("label == 3", "can't contain label == 3"),
        ("label == 'a' == 'b'", "can't contain label == 'a' == 'b'"),
        ("label < 'a'", "can't contain label < 'a'"),
        ("label in ['a', 3]", "can't contain 3"),
        ("label in 'abc'", "can't contain label in 'abc'"),
        ("zone == 'a'", "can't contain zone == 'a'"),
        ("label == 'a' and __import__('os')", "can't contain __import__('os')"),
        ("label == 'a' and (lambda: 1)()", "can't contain (lambda: 1)()"),
        ("labels.clear()", "can't contain labels.clear()"),
        ("(" * 900, "is not a condition"),
        ("not " * 1000 + "label == 'a'", "is longer than 1000 characters"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(text, problem):
    with pytest.raises(WhereError) as caught:
        Where(text)
    assert problem in str(caught.value)
    if "longer" not in problem:
        assert "write label == 'floor2'" in str(caught.value)


@given(st.text(max_size=1000) | st.text("()[]'\"=!abelnoruti, ", max_size=200))
def test_no_text_raises_anything_else(text):
    with contextlib.suppress(WhereError):
        Where(text).matches("attic", [])


def test_conditions_with_the_same_text_are_equal():
    assert Where("runner == 'a'") == Where("runner == 'a'") != Where("runner == 'b'")
    assert len({Where("runner == 'a'"), Where("runner == 'a'")}) == 1
