"""The trails of two runners are compared in the time in which both ran."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import stamp_of
from eshet_rules.cli import main
from eshet_rules.exceptions import NeverBoth
from eshet_rules.replay.comparison import describe
from eshet_rules.runner.state_folder import state_folder
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


HOUR = 3600


def record(at: float, event: str, **fields: Any) -> dict[str, Any]:
    time = stamp_of(START + timedelta(seconds=at))
    return {"time": time, "level": "info", "event": event, **fields}


def run(begin: float, end: float, factor: int = 1, module: str = "hall") -> list[dict[str, Any]]:
    """Return the records of a run that was killed, with an output each second."""
    outputs = [
        record(
            at,
            "output.set",
            rule=f"{module}.light",
            module=module,
            path="/lamp",
            value=factor * at,
            outcome="done",
        )
        for at in range(round(begin) + 1, round(end))
    ]
    started = record(begin + 0.1, "runner.started", modules=1, folder="/rules")
    return [record(begin, "server.named", address="127.0.0.1:11236"), started, *outputs]


def stop(at: float) -> dict[str, Any]:
    return record(at, "runner.stopped")


Found = tuple[list[tuple[float, str]], str]


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., Found]:
    """Compare the records of two runners; return times and kinds of differences, and the limits."""

    def compare(
        real: list[dict[str, Any]], shadow: list[dict[str, Any]], end: float = HOUR
    ) -> Found:
        files = [tmp_path / "real.jsonl", tmp_path / "shadow.jsonl"]
        for file, records in zip(files, (real, shadow), strict=True):
            file.write_bytes(b"".join(map(encode, records)))
        found, begin, lacking = compare_runners(*files, START, START + timedelta(seconds=end))
        shift = (begin - START).total_seconds()
        times = [(round(each.output.at + shift, 3), each.kind) for each in found]
        return times, "\n".join(lacking)

    return compare


def clock(at: float) -> str:
    return f"{(START + timedelta(seconds=at)).astimezone():%H:%M:%S}"


def test_a_killed_runner_is_compared_in_each_of_its_runs(compared) -> None:
    """Outputs of the shadow while the real runner did not run are no difference."""
    real = [*run(0, 100), *run(200, 300), stop(300)]
    found, limits = compared(real, [*run(0, 400), stop(400)])
    assert found == []
    assert f"{clock(0)} to {START + timedelta(seconds=99):%Y-%m-%d}" in limits
    assert f"{clock(99)}, " in limits  # the last record before the kill
    assert limits.count(" to ") == 2
    assert f"{clock(300)}" in limits


def test_differences_are_found_in_each_time_in_which_both_ran(compared) -> None:
    real = [*run(0, 100), stop(100), *run(200, 300), stop(300)]
    found, _ = compared(real, [*run(0, 400, factor=2), stop(400)])
    times = {at for at, _ in found}
    assert times == {*range(5, 100), *range(205, 300)}
    assert {kind for _, kind in found} >= {"missing", "new"}


def test_runs_that_have_no_common_time_are_no_success(compared) -> None:
    with pytest.raises(NeverBoth) as caught:
        compared([*run(0, 100), stop(100)], [*run(200, 300), stop(300)])
    for at in (0, 100, 200, 300):
        assert clock(at) in str(caught.value)


def test_a_module_that_only_one_has_is_named_with_its_runner(compared) -> None:
    real = [*run(0, 100), *run(0, 100, module="bis")[2:], stop(100)]
    shadow = [*run(0, 100), *run(0, 100, module="count")[2:], stop(100)]
    for each in (real, shadow):
        each.sort(key=lambda record: record["time"])
    found, limits = compared(real, shadow)
    assert found == []
    assert "only the runner has outputs of bis: they are left out" in limits
    assert "only the shadow has outputs of count: they are left out" in limits


def test_a_rule_that_was_disabled_in_one_is_left_out_meanwhile(compared) -> None:
    commands = [
        record(20, "control.disable_requested", rules=["hall.light"]),
        record(50, "control.enable_requested", rules=["hall.light"]),
    ]
    whole = [*run(0, 100), stop(100)]
    off = [each for each in whole if not stamp(20) <= each["time"] <= stamp(50)]
    found, limits = compared(sorted([*off, *commands], key=lambda e: e["time"]), whole)
    assert found == []
    assert "runner: hall.light was disabled by command from" in limits


def stamp(at: float) -> str:
    return stamp_of(START + timedelta(seconds=at))


def test_a_shadow_without_state_is_named_only_with_differences(compared) -> None:
    text = "the shadow began without the state of the rules"
    assert text not in compared(run(0, 100), run(0, 100))[1]
    assert text in compared(run(0, 100), run(0, 100, factor=2))[1]


def test_a_shadow_of_another_folder_has_to_be_named(tmp_path) -> None:
    rules, state = tmp_path / "rules", tmp_path / "state"
    rules.mkdir()
    trail = state_folder(state, rules) / "audit" / "trail.jsonl"
    trail.parent.mkdir(parents=True)
    trail.write_bytes(b"".join(map(encode, run(0, 10))))
    arguments = ["shadow-diff", str(rules), "--state-dir", str(state)]
    done = CliRunner().invoke(main, arguments, prog_name="eshet-rules")
    assert done.exit_code == 2
    assert "if the shadow ran another folder, name it: --shadow FOLDER" in done.stderr
    done = CliRunner().invoke(
        main, [*arguments, "--shadow", str(tmp_path)], prog_name="eshet-rules"
    )
    assert "name it: --shadow" not in done.stderr
