"""An explanation goes on at the runner of the rule that an input came from."""

from datetime import UTC, datetime

from eshet_rules.why.answer import Facts, WhyAnswer
from eshet_rules.why.explanation import explain
from eshet_rules.why.memory import recent_records
from eshet_rules.why.merging import merge_known, unexplained
from eshet_rules.why.sources import ListedRecords


def at(seconds):
    return f"2026-11-25T18:30:{seconds:06.3f}Z"


def known(**others):
    nothing = {"inputs": {}, "outputs": {}, "skipped": {}, "places": {}, "drive": None}
    lists = {"readers": [], "stopped": [], "writers": []}
    return {**nothing, **lists, "is_recording": True, "is_secret": False, **others}


def output(path, rule, seconds, value, **others):
    return {
        "event": "output.published",
        "path": path,
        "module": rule.partition(".")[0],
        "rule": rule,
        "time": at(seconds),
        "value": value,
        "outcome": "done",
        "cause": f"cause of {path}",
        **others,
    }


def shown(path, seconds, value, **others):
    received = {"event": "input.received", "kind": "state", "module": "lamp", "path": path}
    return {**received, "time": at(seconds), "value": value, "parent": None, **others}


LAMP = output("/lamp", "lamp.follow", 2.010, True, inputs={"/hall": True}, duration=0.005)
HALL = output("/hall", "hall.follow", 2.020, True, inputs={"/motion": True}, duration=0.020)
"""It ends after the other runner has received it."""


def merged(hall_shown):
    cellar = known(
        outputs={"/lamp": LAMP},
        inputs={"/hall": hall_shown},
        writers=[["lamp.follow", "running", ""]],
    )
    answers = {"attic": known(), "cellar": cellar}
    assert unexplained([answers]) == {"/hall"}
    further = {"attic": known(outputs={"/hall": HALL}), "cellar": known()}
    assert unexplained([answers, further]) == {"/motion"}
    return merge_known(answers, [further])


def explained(whole):
    return explain("/lamp", recent_records(whole, ListedRecords([])))


def test_an_input_that_shows_the_output_of_another_runner_is_explained_by_it():
    whole = merged(shown("/hall", 2.004, True))
    explanation = explained(whole)
    assert explanation.output["runner"] == "cellar"
    [hall] = explanation.inputs
    assert hall.explanation.is_by_rule
    assert (hall.explanation.output["rule"], hall.explanation.output["runner"]) == (
        "hall.follow",
        "attic",
    )
    assert whole["writers"] == [["lamp.follow", "running", "", "cellar"]]


def test_another_value_since_is_one_from_outside():
    [hall] = explained(merged(shown("/hall", 2.004, False))).inputs
    assert hall.explanation.is_from_outside


def test_of_several_runners_the_one_with_the_last_output_counts():
    earlier = output("/lamp", "lamp.follow", 1, False)
    answers = {
        "attic": known(outputs={"/lamp": earlier}, skipped={"/lamp": {"unchanged": 2}}),
        "cellar": known(outputs={"/lamp": LAMP}, skipped={"/lamp": {"unchanged": 1}}),
    }
    whole = merge_known(answers, [])
    assert whole["outputs"]["/lamp"]["runner"] == "cellar"
    assert whole["skipped"] == {"/lamp": {"unchanged": 1}}


def test_rules_that_do_not_run_and_name_the_path_are_named_with_their_runners():
    failed = ["lamp.follow", "failed", "no such file"]
    whole = merge_known({"attic": known(), "cellar": known(naming=[failed])}, [])
    assert whole["naming"] == [[*failed, "cellar"]]
    facts = Facts(whole, [], None, [], "the cluster house")
    lines = list(WhyAnswer("/lamp", explained(whole), facts).lines(datetime.now(UTC)))
    assert lines[0] == "lamp.follow at cellar names it and is failed now: no such file"
