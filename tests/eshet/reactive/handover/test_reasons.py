"""Why a node of a new version starts without the old state, and what its description tells."""

import pytest

from eshet.reactive.core.origin import NodeName, of_caller
from eshet.reactive.handover.matching import Description, match

NEW = "new, or its inputs have changed"
SEVERAL = "several old ones match"


def described(text: str) -> Description:
    """Return a description, written as `rule.shape:detail` or, if it has a name, `rule"name`."""
    rule, _, name = text.partition('"')
    if name:
        return Description(rule, "label", text, name=name)
    place, _, detail = text.partition(":")
    rule, _, shape = place.partition(".")
    return Description(rule, "label", shape, detail)


@pytest.mark.parametrize(
    ("old", "new", "pairs", "afresh"),
    [
        ("", "r.a", {}, {0: NEW}),
        ("r.b s.a", "r.a", {}, {0: NEW}),
        ("r.a", "r.a", {0: 0}, {}),
        ("r.a:1", "r.a:2", {0: 0}, {}),
        ("r.a", "r.a r.a r.b", {}, {0: SEVERAL, 1: SEVERAL, 2: NEW}),
        ("r.a:1 r.a:2", "r.a:2 r.a:3 r.a:3", {0: 1}, {1: SEVERAL, 2: SEVERAL}),
        ("", 'r"n', {}, {0: "new"}),
        ('r"m', 'r"n', {}, {0: "new"}),
        ('r"n r"n', 'r"n', {}, {0: "the name is not unique"}),
        ('r"n r"n r"m', 'r"n r"m r"k', {1: 2}, {0: "the name is not unique", 2: "new"}),
        # By rule and name first; an old one that is taken is not taken again.
        ('r"n', 's"n r"n', {1: 0}, {0: "new"}),
        ('r"n', 'r"n s"n', {0: 0}, {1: "new"}),
        ('r"n s"n', 's"n t"n', {0: 1, 1: 0}, {}),
        ('r"n s"n', 't"n', {}, {0: "the name is not unique"}),
        ('r"n r.a', 'r"n r.a', {0: 0, 1: 1}, {}),
        ("r.a", 'r"n', {}, {0: "new"}),
        ('r"n', "r.a", {}, {0: NEW}),
        ("r.a", "s.a", {}, {0: NEW}),
    ],
)
def test_each_is_matched_or_it_is_said_why_not(
    old: str, new: str, pairs: dict[int, int], afresh: dict[int, str]
) -> None:
    matching = match(
        [described(each) for each in old.split()], [described(each) for each in new.split()]
    )
    assert (matching.pairs, matching.afresh) == (pairs, afresh)


def here() -> tuple[object, int]:
    return of_caller()  # type: ignore[return-value]


def test_a_description_tells_its_file_and_line_also_if_the_node_has_a_name() -> None:
    origin = here()
    line = test_a_description_tells_its_file_and_line_also_if_the_node_has_a_name.__code__
    place = f"test_reasons.py:{line.co_firstlineno + 1}"
    assert Description("r", "delay", "", origin=origin).place == place  # type: ignore[arg-type]
    named = NodeName("late", origin)  # type: ignore[arg-type]
    assert Description("r", "delay", "", name="late", origin=named).place == place
    assert Description("r", "delay", "").place is None


def test_the_place_makes_no_difference_between_descriptions() -> None:
    one = Description("r", "delay", "", origin=here())  # type: ignore[arg-type]
    other = Description("r", "delay", "", origin=here())  # type: ignore[arg-type]
    assert one == other
    assert hash(one) == hash(other)
