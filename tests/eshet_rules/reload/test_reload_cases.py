"""What a house sees of a reload, case by case: see `tests/support/timeline.py`."""

from pathlib import Path

import pytest

from tests.support.timeline import play

CASES = sorted(path for path in Path(__file__).parents[2].glob("reloads/*") if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_house_sees_what_the_case_says(house, case):
    assert await play(house, case) == (case / "timeline.txt").read_text()


def test_there_are_many_cases():
    assert len(CASES) >= 40
