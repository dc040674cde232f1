"""How much two versions of rules were compared on."""

from datetime import UTC, datetime, timedelta

import pytest

from eshet_rules.replay.extent import extent_of
from eshet_rules.replay.recording import Input, Output, Recording

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def recording(seconds, inputs=(), compared_from=0.0):
    return Recording(
        START,
        START + timedelta(seconds=seconds),
        compared_from,
        [Input(at, "event", "/motion", 1) for at in inputs],
    )


def output(at, *, in_set_up=False):
    return Output(at, "hall.light", "set", "/light", True, in_set_up=in_set_up)


def test_inputs_and_outputs_count_from_when_versions_are_compared():
    extent = extent_of(
        recording(7200, [1, 3601, 3602], 3600.0),
        DAY,
        [output(3700), output(3800), output(3900, in_set_up=True)],
        [output(10), output(3700)],
    )
    assert (extent.inputs, extent.outputs, extent.too_little) == (2, 2, "")
    assert extent.since == START + timedelta(hours=1)
    hours = [f"{START + timedelta(hours=n):%Y-%m-%d %H:%M:%S}" for n in (1, 2)]
    local = extent.since.astimezone(UTC), extent.until.astimezone(UTC)
    assert [f"{each:%Y-%m-%d %H:%M:%S}" for each in local] == hours
    assert str(extent).startswith("2 inputs from ")


@pytest.mark.parametrize(
    ("seconds", "wanted", "inputs", "outputs", "text"),
    [
        (2, DAY, [1], [output(1)], "only 2 s of inputs are recorded"),
        (59, DAY, [], [], "only 59 s of inputs are recorded"),
        (60, DAY, [1], [], ""),
        (3600, DAY, [], [], "no inputs are recorded"),
        (3600, DAY, [], [output(1)], ""),  # of a schedule
        (30, timedelta(seconds=30), [1], [], ""),
    ],
)
def test_too_little_is_less_than_a_minute_or_nothing(seconds, wanted, inputs, outputs, text):
    assert extent_of(recording(seconds, inputs), wanted, outputs).too_little == text


def test_a_single_input_is_named_in_the_singular():
    assert str(extent_of(recording(60, [1]), DAY)).startswith("1 input from ")
