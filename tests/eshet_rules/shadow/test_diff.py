"""The trails of two runners are compared in the time in which both ran."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eshet_rules.audit.lines import encode
from eshet_rules.replay.comparison import describe
from eshet_rules.shadow.diff import compare_runners
from eshet_rules.testing.house import House

START = datetime(2026, 3, 28, 18, tzinfo=UTC)

RULE = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/motion")
    await yarp.set_value("/lamp", yarp.latest(motion, initial=0) * {factor})
"""


@pytest.fixture
def trail_of(tmp_path: Path) -> Callable[[int, float], Path]:
    """Return a function that runs a rule from a number of seconds on, and returns its trail."""

    def make(factor: int, begin: float) -> Path:
        folder = tmp_path / f"rules{factor}"
        folder.mkdir()
        (folder / "hall.py").write_text(RULE.format(factor=factor))

        async def evening(house: House) -> None:
            house.device("/lamp", 0)
            await house.load("hall.py")
            for number in range(round(begin), 30):
                await house.emit("/motion", number)
                await house.advance(1)

        with House([folder], START + timedelta(seconds=begin)) as house:
            house.run(evening(house))
            records = [each.record for each in house.happenings.all]
        trail = tmp_path / f"trail{factor}.jsonl"
        trail.write_bytes(b"".join(encode(r) for r in records if not isinstance(r, dict)))
        return trail

    return make


def test_only_the_time_of_both_is_compared(trail_of) -> None:
    real, shadow = trail_of(1, 0), trail_of(2, 10.2)
    end = START + timedelta(seconds=30)
    same, _, lacking = compare_runners(real, real, START, end)
    assert same == []
    assert len(lacking) == 0
    found, begin, _ = compare_runners(real, shadow, START + timedelta(seconds=10.2), end)
    values = [each.output.value for each in found if each.kind == "missing"]
    assert values
    assert min(values) >= 15  # the first seconds of the later one are not compared
    assert any("no longer" in line for line in describe(found, begin))
