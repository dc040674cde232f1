"""The answer of `why`: what it says of the present value beside that which is explained."""

import math
from datetime import UTC, datetime

import pytest

from eshet.unknown import Unknown
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.records.inputs_outputs import StatePublished, ValueSet
from eshet_rules.why.answer import Facts, WhyAnswer
from eshet_rules.why.explanation import explain
from eshet_rules.why.memory import recall, recent_records
from eshet_rules.why.sources import ListedRecords

NOW = datetime(2099, 11, 25, 12, 0, 5, tzinfo=UTC)
STAMP = "2099-11-25T12:00:01.000000Z"
RUNNING = ["hall.light", "running", ""]
DISABLED = ["hall.light", "disabled", "by command"]


def lines(value, *, kind=None, now, writers=(RUNNING,), is_recording=True):
    """Return the answer for a path; `kind` is that of the last output."""
    last = LastRecords()
    if kind is not None:
        fields = {"module": "hall", "rule": "hall.light", "path": "/lamp", "outcome": "done"}
        unknown = value is Unknown
        last.note_output(
            kind(STAMP, "debug", kind.EVENT, value=None if unknown else value, unknown=unknown,
                 **fields)
        )  # fmt: skip
    recalled = recall(last, "/lamp")
    known = {
        **recalled, "drive": None, "is_recording": is_recording, "is_secret": False, "places": {},
        "readers": [], "stopped": [], "writers": list(writers),
    }  # fmt: skip
    facts = Facts(known, [now], "lamp", ["/lamp"])
    explanation = explain("/lamp", recent_records(recalled, ListedRecords([])))
    return list(WhyAnswer("/lamp", explanation, facts).lines(NOW))


@pytest.mark.parametrize(
    "value",
    [
        1, Unknown, math.nan, [1, {"a": math.inf}], b"\x00\xff", {1: "one"}, "x" * 5000,
        [[["deep"]] * 3] * 1000,
    ],
    ids=lambda value: repr(value)[:12],
)  # fmt: skip
def test_a_value_that_a_rule_has_set_is_no_other_one_however_it_is_recorded(value):
    said = lines(value, kind=ValueSet, now=value)
    assert not any("Before:" in each for each in said)


@pytest.mark.parametrize(("value", "now"), [(True, False), (1, Unknown), (Unknown, 1)])
def test_another_value_than_a_rule_has_set_is_named(value, now):
    first, *_ = lines(value, kind=ValueSet, now=now)
    shown = "unknown" if now is Unknown else now
    assert first == f"/lamp is {shown} now, which no rule of this runner has set. Before:"


def test_a_value_that_a_running_rule_publishes_is_its_own_although_it_is_newer_than_the_record():
    assert lines(7, kind=StatePublished, now=8)[0].startswith("/lamp = 7, since")
    said = lines(7, kind=StatePublished, now=8, writers=[DISABLED])
    assert said[0] == "/lamp is 8 now, which no rule of this runner has set. Before:"


def test_without_a_trail_nothing_is_claimed_that_only_a_trail_could_tell():
    last = "the runner keeps no audit trail, so it does not know what happened"
    said = lines(7, kind=StatePublished, now=8, is_recording=False)
    assert said[0] == "/lamp is 8 now, and that is not recorded. Before:"
    assert said[-1] == last
    said = lines(None, now=8, is_recording=False)
    assert said == ["/lamp is 8 now", "written by hall.light", "provided by lamp", last]
    assert "no rule has sent anything to /lamp yet" in lines(None, now=8)[1]
