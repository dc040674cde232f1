"""Which rules `eshet-rules list NAMES` shows."""

import pytest

from eshet_rules.cli.list import _named
from eshet_rules.exceptions import UnknownName

RULES = [
    {"rule": "hall.light", "module": "hall"},
    {"rule": "hall.vent[bath]", "module": "hall"},
    {"rule": "bath.fan", "module": "bath"},
]
BROKEN = {"attic": "attic.py:1: SyntaxError"}


@pytest.mark.parametrize(
    ("names", "rules", "broken"),
    [
        (("hall",), ["hall.light", "hall.vent[bath]"], []),
        (("bath.fan", "attic"), ["bath.fan"], ["attic"]),
        (("*.light",), ["hall.light"], []),
        (("hall.vent[bath]",), ["hall.vent[bath]"], []),
    ],
)
def test_only_what_is_named_is_shown(names, rules, broken):
    found, problems = _named(RULES, BROKEN, names)
    assert [rule["rule"] for rule in found] == rules
    assert list(problems) == broken


def test_a_name_of_nothing_is_an_error_that_says_what_may_be_meant():
    with pytest.raises(UnknownName, match="did you mean hall"):
        _named(RULES, BROKEN, ["hal"])


def test_each_name_that_may_be_meant_is_named_once():
    with pytest.raises(UnknownName) as raised:
        _named(RULES, BROKEN, ["hall."])
    assert str(raised.value).endswith("; did you mean hall or hall.light?")
