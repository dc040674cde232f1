"""Rules that were disabled by command in the recorded time are off in the replay as well."""

from datetime import timedelta
from typing import Any

import pytest

from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import stamp_of
from eshet_rules.replay.comparison import compare
from eshet_rules.replay.recording import Disabled, read_recording
from eshet_rules.replay.replaying import replay
from tests.eshet_rules.replay.conftest import START

HALL = """
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def light():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/light", lux < 40)

@rule
async def count():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/count", yarp.count(lux))
"""


async def day(house):
    lux = house.device("/hall/lux", 80, settable=False)
    await house.load("hall.py")
    for minute in range(60):
        await house.advance(minutes=1)
        await lux.report(minute * 17 % 100)


def command(minute: float, verb: str) -> dict[str, Any]:
    event = f"control.{verb}_requested"
    time = stamp_of(START + timedelta(minutes=minute))
    return {"time": time, "level": "info", "event": event, "rules": ["hall.light"]}


@pytest.fixture
def recording_with(recorder):
    """Return a function that lives a day in which the light is off between two minutes."""

    def live(begin: float, end: float, since: float = 0):
        recorder.write("hall", HALL)
        whole = recorder.live(day)
        lines = recorder.trail.read_bytes().splitlines(keepends=True)
        first, last = (stamp_of(START + timedelta(minutes=each)) for each in (begin, end))
        kept = [
            line
            for line in lines
            if b'"rule":"hall.light"' not in line or not first <= line[9:36].decode() < last
        ]
        kept += [encode(command(begin, "disable"))]
        if end < 60:
            kept.append(encode(command(end, "enable")))
        kept.sort(key=lambda line: line[9:36])
        recorder.trail.write_bytes(b"".join(kept))
        return read_recording(recorder.trail, START + timedelta(minutes=since), whole.end)

    return live


@pytest.mark.parametrize(("begin", "end"), [(20.5, 40.5), (20.5, 90)])
def test_a_rule_is_off_while_it_was_disabled(recorder, recording_with, begin, end):
    recording = recording_with(begin, end)
    last = min(60 * end, recording.seconds)
    assert recording.disabled == [Disabled("hall.light", 60 * begin, last)]
    replayed = replay(recorder.folder, recording)
    assert not [
        each
        for each in replayed.outputs
        if each.rule == "hall.light" and 60 * begin < each.at < last
    ]
    assert [each for each in replayed.outputs if each.rule == "hall.light" and each.at < 1200]
    assert compare(recording.outputs, replayed.outputs) == []
    [text] = recording.lacking
    assert text.startswith("hall.light was disabled by command from 2026-03-28")


def test_a_rule_that_was_disabled_before_is_off_from_the_beginning(recorder, recording_with):
    recording = recording_with(5.5, 40.5, since=20)
    assert recording.disabled[0].begin == 0
    replayed = replay(recorder.folder, recording)
    early = [each for each in replayed.outputs if each.at < 1200]
    assert {each.rule for each in early} == {"hall.count"}
    assert {each.rule for each in replayed.outputs} == {"hall.count", "hall.light"}


def test_a_set_up_shows_that_a_rule_is_enabled_again(recorder, recording_with):
    """The file of the disabled rules was deleted before a restart."""
    recorder.write("hall", HALL)
    recorder.live(day)
    before = encode(command(-5, "disable"))
    recorder.trail.write_bytes(before + recorder.trail.read_bytes())
    recording = read_recording(recorder.trail, START, START + timedelta(hours=1))
    assert recording.disabled == []
