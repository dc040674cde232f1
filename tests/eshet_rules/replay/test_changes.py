"""Two versions of rules on the inputs of a recorded evening."""

from datetime import timedelta

import msgspec
import pytest

from eshet_rules.replay import changes
from eshet_rules.replay.changes import replay_change
from eshet_rules.runner.replay_process import Request, SourceFile
from tests.eshet_rules.replay.conftest import START

HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/light", lux < 40)
    await yarp.state_register("/hall/code", lux * 1)
"""

BATH = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    await yarp.state_register("/bath/light", await yarp.state_observe("/hall/light"))
"""


async def evening(house):
    lux = house.device("/hall/lux", 80, settable=False)
    await house.load("hall.py", "bath.py")
    await house.advance(10)
    for level in (60, 30, 60):
        await house.advance(minutes=10)
        await lux.report(level)
    await house.advance(minutes=1)


@pytest.fixture
def request_of(recorder, monkeypatch):
    recorder.write("hall", HALL)
    recorder.write("bath", BATH)
    recorder.live(evening)
    recorder.write("hall", "# half a fi")
    monkeypatch.setattr(changes, "wall_now", lambda zone: START + timedelta(hours=1))

    def file(name, text):
        return SourceFile(name, str(recorder.folder / f"{name}.py"), text.encode())

    def request_of(before, after, **others):
        """Return the request for modules given by their texts."""
        changed = {n: t for n, t in before.items() if after.get(n) != t}
        changed |= dict.fromkeys(after.keys() - before.keys())
        request = Request(
            str(recorder.folder),
            str(recorder.folder / "eshet-rules.toml"),
            str(recorder.trail),
            7200,
            [],
            [file(*each) for each in after.items()],
            {n: None if text is None else file(n, text) for n, text in changed.items()},
            sorted(changed),
            5,
        )
        return msgspec.structs.replace(request, **others)

    return request_of


def paths(result):
    return [line.partition(" ")[0] for line in result.differences]


def test_the_versions_are_compared_with_each_other_and_not_with_the_recording(request_of):
    before = {"hall": HALL.replace("* 1", "* 2"), "bath": BATH}
    after = {"hall": HALL.replace("* 1", "* 2").replace("< 40", "< 70"), "bath": BATH}
    result = replay_change(request_of(before, after))
    assert set(paths(result)) == {"/hall/light", "/bath/light"}
    assert paths(result)[0] == "/hall/light"  # of the changed module
    assert (result.error, result.more) == ("", 0)
    since = START - timedelta(hours=1)
    assert result.since == since.astimezone().isoformat(timespec="seconds")


def test_further_differences_are_counted(request_of):
    before = {"hall": HALL, "bath": BATH}
    after = {"hall": HALL.replace("< 40", "< 70"), "bath": BATH}
    everything = replay_change(request_of(before, after)).differences
    result = replay_change(request_of(before, after, most=1))
    assert (result.differences, result.more) == (everything[:1], len(everything) - 1)


def test_a_comment_is_no_difference(request_of):
    both = {"hall": HALL, "bath": BATH}
    result = replay_change(request_of(both, {**both, "hall": f"# new\n{HALL}"}))
    assert (result.differences, result.error, result.too_little) == ([], "", "")
    assert result.inputs == 3


def test_a_new_and_a_removed_module_are_compared(request_of):
    alone, both = {"hall": HALL}, {"hall": HALL, "bath": BATH}
    added = replay_change(request_of(alone, both))
    assert set(paths(added)) == {"/bath/light"}
    assert all("in addition" in each for each in added.differences)
    removed = replay_change(request_of(both, alone))
    assert all("no longer" in each for each in removed.differences)


def test_a_changed_module_that_can_not_be_set_up_is_an_error_and_another_one_is_left_out(
    request_of,
):
    broken = HALL.replace("< 40", "< dark")
    result = replay_change(request_of({"hall": HALL}, {"hall": broken}))
    assert result.error.startswith("hall can't be set up in the replay: ")
    assert "dark" in result.error
    others = {"bath": broken}
    after = {"hall": HALL.replace("< 40", "< 70"), **others}
    result = replay_change(request_of({"hall": HALL, **others}, after))
    assert (set(paths(result)), result.error) == ({"/hall/light"}, "")


def test_without_a_trail_or_inputs_the_result_says_what_to_do(request_of, tmp_path):
    both = {"hall": HALL}, {"hall": HALL.replace("< 40", "< 70")}
    result = replay_change(request_of(*both, trail=str(tmp_path / "none.jsonl")))
    assert "there is no audit trail yet" in result.error
    assert "inputs are recorded while the runner runs" in result.advice
    result = replay_change(request_of(*both, seconds=1))
    assert result.error == "the audit trail has no input or output of a rule in this time"


def test_secret_values_are_not_shown(request_of):
    after = {"hall": HALL.replace("* 1", "* 123456").replace("< 40", "< 70")}
    result = replay_change(request_of({"hall": HALL}, after, redact=["/hall/code"]))
    assert set(paths(result)) == {"/hall/light"}
