"""A rule with a wrong type is found by the type checker, and a right one is not."""

import re
import sys
from pathlib import Path

import pytest
from mypy import api

from eshet import reactive

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def found():
    """Return the errors that mypy finds in both files, by file and line."""
    files = [str(HERE / name) for name in ("good.py", "bad.py")]
    limit = sys.getrecursionlimit()  # which mypy raises, also for later tests
    output, problem, _ = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", *files]
    )
    sys.setrecursionlimit(limit)
    assert problem == ""
    errors = {}
    for line in output.splitlines():
        if match := re.match(r"(?:.*/)?(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", line):
            errors.setdefault((match[1], int(match[2])), set()).add(match[3])
        else:
            assert ": note:" in line, line
    return errors


def expected(name):
    lines = (HERE / name).read_text().splitlines()
    return {
        (name, number): set(line.partition("# refused: ")[2].split(", "))
        for number, line in enumerate(lines, 1)
        if "# refused: " in line
    }


def test_the_type_of_each_operator_is_asserted():
    used = set(re.findall(r"\byarp\.(\w+)", (HERE / "good.py").read_text()))
    assert set(reactive.__all__) - used == {"NOTHING", "NoValue"}


def test_a_right_rule_is_accepted(found):
    assert {place: codes for place, codes in found.items() if place[0] == "good.py"} == {}


def test_each_wrong_line_is_refused_and_no_other(found):
    assert {place: codes for place, codes in found.items() if place[0] == "bad.py"} == expected(
        "bad.py"
    )
