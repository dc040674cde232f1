"""`eshet-rules why-not`: its arguments. Its answers are tested with real processes."""

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.cli.why_not import _JsonType


def said(*arguments):
    done = CliRunner().invoke(main, ["why-not", *arguments])
    return done.exit_code, done.output


def test_a_path_has_one_value():
    code, output = said("/hall/lamp", "--is", "1", "--is", "2")
    assert code == 2
    assert "pass --is once" in output


def test_a_path_that_is_none_is_refused():
    code, output = said("hall lamp")
    assert code == 2
    assert "hall lamp" in output


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("21.5", 21.5), ("night", "night"), ('"21"', "21")],
)
def test_a_value_is_json_or_text(text, value):
    assert _JsonType().convert(text, None, None) == value
