"""A recorded day gives the same outputs again, and changed rules give others."""

import contextlib
import io
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from eshet import Unknown
from eshet_rules.replay.comparison import compare, describe
from eshet_rules.replay.recording import Input, read_recording
from eshet_rules.replay.replaying import replay

HALL = """
from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    lux = await yarp.state_observe("/hall/lux")
    on = yarp.no_repeat((yarp.len(yarp.time_window(motion, 120)) > 0) & (lux < 40))
    await yarp.set_value("/hall/lamp", on, strategy=RunSerially(retry=True))
    await yarp.state_register("/hall/light", on)

@rule
async def count():
    lamp = await yarp.state_observe("/hall/lamp")
    await yarp.state_register("/hall/switched", yarp.count(lamp))

@rule
async def tell():
    left_on = yarp.for_duration(await yarp.state_observe("/hall/lamp"), 600)
    texts = yarp.fn(lambda on: "the light is on" if on else yarp.NoValue)
    await yarp.action_call("/notify/phone", texts(left_on))
"""

HEATING = """
from eshet import yarp
from eshet_rules import rule

@rule
async def target(client):
    target = yarp.Value(21.0)
    await yarp.state_register("/heating/target", target, settable=True)
    temperature = await yarp.state_observe("/heating/temperature")
    heat = yarp.hysteresis(target - temperature, -0.5, 0.5)
    await yarp.set_value("/heating/valve", heat)
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/heating/dark", lux < 10)

@rule
async def clock():
    await yarp.state_register("/heating/hour", yarp.fn(lambda now: now.hour)(yarp.now(60)))

@rule
async def boost(client):
    async def boost(minutes):
        return minutes * 2
    await client.action_register("/heating/boost", boost)
"""


async def evening(house):
    """A few hours with all kinds of inputs, and devices that are slow, fail and go offline."""
    lux = house.device("/hall/lux", 80, settable=False)
    lamp = house.device("/hall/lamp", False, delay=0.25, fails=1)
    temperature = house.device("/heating/temperature", settable=False)
    house.device("/heating/valve", False)
    await house.load("hall.py", "heating.py")
    await house.advance(10)
    house.errors.clear()
    await temperature.report(20.2)
    await lux.report(12)
    for minute in range(40):
        await house.advance({10: 100, 20: 119.5}.get(minute, 13 * minute % 71))
        await house.emit("/hall/motion", minute)
        if minute % 7 == 3:
            await lux.report(12 if minute % 2 else 60)
        if minute % 9 == 4:
            await temperature.report(17.7 if minute == 31 else 19.0 + minute / 20)
        if minute == 20:
            await house.set("/heating/target", 18)
            assert await house.call("/heating/boost", 3) == 6
        if minute == 25:
            await lamp.offline()
            await house.advance(30)
            await lamp.online()
    await lamp.report(True)  # by hand
    await house.advance(minutes=30)


@pytest.fixture
def evening_recording(recorder):
    recorder.write("hall", HALL)
    recorder.write("heating", HEATING)
    return recorder.live(evening)


def test_the_same_rules_have_the_same_outputs(recorder, evening_recording):
    replayed = replay(recorder.folder, evening_recording)
    assert compare(evening_recording.outputs, replayed.outputs, within=0.001) == []
    assert len(replayed.outputs) > 90
    paths = {each.path for each in evening_recording.outputs}
    assert paths == {
        "/hall/lamp",
        "/hall/light",
        "/hall/switched",
        "/heating/dark",
        "/heating/hour",
        "/heating/target",
        "/heating/valve",
        "/notify/phone",
    }


def test_effects_of_rules_are_no_inputs(evening_recording):
    by_hand = [each for each in evening_recording.inputs if each.path == "/hall/lamp"]
    assert [each.value for each in by_hand][-1] is True
    assert len(by_hand) <= 4  # offline, online, and by hand
    assert {each.path for each in evening_recording.inputs} >= {"/hall/motion", "/heating/target"}
    assert Input in {type(each) for each in evening_recording.inputs}


def test_an_edit_of_a_comment_is_no_difference(recorder, evening_recording):
    recorder.write("hall", f"# a comment\n{HALL}\n# another one\n")
    replayed = replay(recorder.folder, evening_recording)
    assert compare(evening_recording.outputs, replayed.outputs, within=0.001) == []


CHANGES = [
    ("hall", "120", "60"),
    ("hall", "120", "119"),
    ("hall", "< 40", "< 75"),
    ("hall", "lux < 40", "lux > 40"),
    ("hall", "600", "900"),
    ("hall", '"/hall/lamp", on', '"/hall/lamp", ~on'),
    ("hall", "yarp.count(lamp)", "yarp.count(lamp) + 1"),
    ("hall", '"the light is on" if on', '"the lamp is on" if on'),
    ("heating", "-0.5, 0.5", "-0.1, 0.1"),
    ("heating", "21.0", "19.0"),
    ("heating", "lux < 10", "lux < 30"),
    ("heating", "now.hour", "now.hour % 12"),
]


@pytest.mark.parametrize(("module", "before", "after"), CHANGES)
def test_a_change_of_a_rule_is_found(recorder, evening_recording, module, before, after):
    text = {"hall": HALL, "heating": HEATING}[module]
    assert before in text
    recorder.write(module, text.replace(before, after))
    replayed = replay(recorder.folder, evening_recording)
    differences = compare(evening_recording.outputs, replayed.outputs)
    assert differences
    changed = {each.output.path.split("/")[1] for each in differences} - {"notify"}
    assert changed <= {module}
    lines = list(describe(differences, evening_recording.start))
    assert len(lines) <= len(differences)
    for each in differences:
        each.as_json(evening_recording.start)


def test_an_error_of_a_changed_rule_is_named(recorder, evening_recording):
    recorder.write("heating", HEATING.replace("now.hour", "now.our"))
    errors = "\n".join(replay(recorder.folder, evening_recording).errors)
    assert "heating.clock rule failed" in errors
    assert "our" in errors


def test_a_rule_of_its_own_takes_a_path_over(recorder, evening_recording):
    """What a device showed is not fed where a rule shows it now."""
    recorder.write("heating", HEATING.replace("/heating/target", "/hall/lux"))
    errors = "\n".join(replay(recorder.folder, evening_recording).errors)
    assert "path_already_exists" not in errors


def test_a_refusal_of_the_recording_is_no_error(recorder):
    recorder.write("hall", HALL)

    async def day(house):
        house.device("/hall/lamp", False, fails=1)
        house.device("/hall/lux", 12)
        await house.load("hall.py")
        await house.emit("/hall/motion")
        await house.advance(1)
        assert len(house.errors) == 1
        house.errors.clear()

    recording = recorder.live(day)
    [refusal] = [each.failed for each in recording.outputs if each.failed]
    assert "/hall/lamp fails" in refusal
    replayed = replay(recorder.folder, recording)
    assert replayed.errors == []
    assert [each.failed for each in replayed.outputs if each.failed] == [refusal]


def test_redacted_values_are_named(recorder):
    recorder.write("hall", HALL)

    async def day(house):
        house.device("/hall/lamp", False)
        house.device("/hall/lux", 12)
        await house.load("hall.py")
        await house.emit("/hall/motion", "[redacted]")
        await house.advance(1)

    recording = recorder.live(day)
    assert "the values of /hall/motion are redacted" in recording.lacking
    assert recording.first["/hall/lux"] == 12


def test_states_have_their_first_values(recorder, evening_recording):
    assert evening_recording.first["/hall/lux"] == 80
    assert evening_recording.first["/heating/temperature"] is Unknown


@pytest.mark.parametrize("seed", ["0", "1", "17"])
def test_the_output_is_the_same_in_each_process(recorder, evening_recording, seed):
    command = [sys.executable, "-m", "eshet_rules", "replay", str(recorder.folder), "--json"]
    options = ["--audit", str(recorder.trail), "--from", "2026-03-28T18:00:00+00:00"]
    texts = {
        subprocess.run(  # noqa: S603
            [*command, *options, "--to", "2026-03-29T06:00:00+00:00"],
            capture_output=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": each},
        ).stdout
        for each in (seed, "42")
    }
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) > 90


def test_the_sample_house_has_the_same_outputs(recorder):
    recorder.folder = Path(__file__).parents[3] / "rules"

    async def day(house):
        await house.load_all(recorder.folder)
        await house.advance(minutes=20)

    with contextlib.redirect_stdout(io.StringIO()):
        recording = recorder.live(day)
    replayed = replay(recorder.folder, recording)
    assert compare(recording.outputs, replayed.outputs, within=0.001) == []
    assert len(replayed.outputs) > 1000


def test_a_part_of_a_run_is_compared_with_the_state_of_before(recorder, evening_recording):
    """The window of the light has motions from before the compared time."""
    end = evening_recording.end
    for minutes in range(5, 60, 5):
        start = evening_recording.start + timedelta(minutes=minutes)
        recording = read_recording(recorder.trail, start, end, timedelta(days=1))
        replayed = replay(recorder.folder, recording)
        since = recording.compared_from
        assert since == pytest.approx(60 * minutes, abs=1)
        assert compare(recording.outputs, replayed.outputs, 0.001, since=since) == []


def test_a_module_that_can_not_be_set_up_is_named(recorder, evening_recording):
    recorder.write("heating", "import nothing_of_this_name\n")
    assert replay(recorder.folder, evening_recording).broken == ["heating"]
    recorder.write("heating", HEATING.replace("now.hour", "now.our"))
    assert replay(recorder.folder, evening_recording).broken == ["heating"]


def test_a_loop_in_a_rule_is_named(recorder):
    recorder.write(
        "clock",
        "import asyncio\n"
        "from eshet_rules import rule\n\n"
        "@rule\n"
        "async def ticks(client):\n"
        "    tick = await client.event_register('/tick')\n"
        "    while True:\n"
        "        await asyncio.sleep(5)\n"
        "        await tick(1)\n",
    )

    async def day(house):
        await house.load("clock.py")
        await house.advance(60)

    [lacking] = recorder.live(day).lacking
    assert lacking.startswith("what the functions of clock.ticks do in their loops is not compared")
