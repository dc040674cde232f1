"""The records of all runners are read in windows of time, the last first."""

from datetime import datetime, timedelta

import pytest

from eshet_rules.audit.query import stamp_of
from eshet_rules.why.explanation import explain
from eshet_rules.why.windows import WindowedRecords

NOON = datetime.fromisoformat("2026-11-25T12:00:00Z")


def at(seconds):
    return stamp_of(NOON + timedelta(seconds=seconds))


def output(seconds, runner, path, value, **others):
    return {
        "event": "output.published", "path": path, "module": "m", "rule": f"m.{path[1:]}",
        "time": at(seconds), "value": value, "outcome": "done", "cause": f"{runner} {seconds}",
        "runner": runner, **others,
    }  # fmt: skip


def shown(seconds, runner, path, value):
    return {
        "event": "input.received", "kind": "state", "path": path, "module": "m",
        "time": at(seconds), "value": value, "parent": None, "runner": runner,
    }  # fmt: skip


class Trail:
    """Records of all runners, and the windows that were read."""

    def __init__(self, *records):
        self.records = records
        self.read = []

    def __call__(self, wanted):
        self.read.append((wanted.path, wanted.since))
        return [each for each in self.records if wanted.matches(each)]


def explained(trail, path="/lamp", seconds=3600):
    return explain(path, WindowedRecords(trail), before=at(seconds))


LAMP = output(5.020, "cellar", "/lamp", True, inputs={"/hall": True}, duration=0.001)
HALL = output(5.010, "attic", "/hall", True, duration=0.030)
"""It ends after the other runner has received it."""


def test_an_output_of_another_runner_is_the_reason_for_an_input():
    trail = Trail(shown(4.990, "cellar", "/hall", True), HALL, LAMP)
    lamp = explained(trail)
    assert (lamp.output["runner"], lamp.is_by_rule) == ("cellar", True)
    [hall] = lamp.inputs
    assert hall.explanation.is_by_rule
    assert hall.explanation.output["runner"] == "attic"


def test_another_value_is_one_from_outside():
    later = shown(4.995, "cellar", "/hall", False)
    [hall] = explained(Trail(shown(4.990, "cellar", "/hall", True), HALL, later, LAMP)).inputs
    assert hall.explanation.is_from_outside


def test_only_as_much_is_read_as_is_needed():
    trail = Trail(output(0, "attic", "/lamp", False), output(3000, "cellar", "/lamp", True))
    records = WindowedRecords(trail)
    for seconds, value in ((3600, True), (3600, True), (2500, False)):
        assert records.output("/lamp", at(seconds))["value"] is value
    assert [since for _, since in trail.read] == [
        at(3600 - 600 - 60),
        at(2500 - 600 - 60),
        at(2500 - 600 - 4800 - 60),
    ]


@pytest.mark.parametrize("seconds", [600, 601, 5000, 50_000, 500_000, 5_000_000, 50_000_000])
def test_a_record_of_any_age_is_found(seconds):
    found = explained(Trail(output(3600 - seconds, "attic", "/lamp", 1)))
    assert found.output["value"] == 1
    assert explained(Trail(output(3601, "attic", "/lamp", 1))).output is None


def test_an_output_that_began_in_the_window_before_is_found():
    edge = 3600 - 600
    found = explained(Trail(output(edge + 1, "attic", "/lamp", 1, duration=2.0)))
    assert found.output["time"] == at(edge - 1)
