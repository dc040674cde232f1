import click
import pytest

from eshet.clock import wall_now
from eshet_rules.cli.table import table


def rule(**others):
    return {
        "rule": "hall.light",
        "module": "hall",
        "state": "running",
        "since": wall_now().astimezone().replace(hour=12, minute=30, second=5).isoformat(),
        "version": "3f2a91bc",
        "strategy": "RunInTask()",
        "restarts": 0,
        "last_error": None,
        "why": "",
        "running": 0,
        "queued": 0,
        "reads": [],
        "writes": [],
        **others,
    }


def lines(rules, broken=None):
    return click.unstyle(table(rules, broken or {})).splitlines()


def test_a_rule_is_a_line_below_the_names_of_the_columns():
    assert lines([rule(), rule(rule="hall.night_light", restarts=12)]) == [
        "RULE              STATE    SINCE     VERSION   RESTARTS  TASKS  STRATEGY",
        "hall.light        running  12:30:05  3f2a91bc  0         0      RunInTask()",
        "hall.night_light  running  12:30:05  3f2a91bc  12        0      RunInTask()",
    ]


def test_what_more_there_is_to_say_stands_below_it():
    shown = lines(
        [
            rule(
                state="failed",
                reads=["/lux", "/motion"],
                writes=["/light"],
                why="it failed again",
                last_error="ValueError: no",
            )
        ]
    )
    assert shown[2:] == [
        "    reads  /lux /motion",
        "    writes /light",
        "    why    it failed again",
        "    error  ValueError: no",
    ]


def test_an_error_that_is_why_is_told_once():
    shown = lines(
        [rule(state="failed", why="ValueError: no; save its file", last_error="ValueError: no")]
    )
    assert shown[2:] == ["    why    ValueError: no; save its file"]


@pytest.mark.parametrize(("running", "queued", "shown"), [(0, 0, "0"), (2, 0, "2"), (1, 7, "1+7")])
def test_tasks_that_wait_are_told_beside_those_that_run(running, queued, shown):
    assert f"  {shown} " in lines([rule(running=running, queued=queued)])[1]


def test_what_is_since_another_day_has_its_date():
    assert "2026-01-02 " in lines([rule(since="2026-01-02T12:00:00Z")])[1]


def test_a_module_that_could_not_be_loaded_is_told_last():
    shown = lines([rule()], {"bath": "bath.py:1: SyntaxError: invalid syntax"})
    assert shown[2:] == [
        "bath: the present version is not loaded",
        "    bath.py:1: SyntaxError: invalid syntax",
    ]


def test_without_rules_there_are_only_the_names_of_the_columns():
    assert len(lines([])) == 1


def test_what_comes_from_outside_can_not_drive_the_terminal():
    shown = table([rule(rule="a\x1b[2Jb", last_error="x\ny\x1b]0;z")], {"m\x07": "\x1b[1m"})
    assert "\x1b[2J" not in shown
    assert "\x1b]0" not in shown
    assert "\x07" not in shown
    assert "x\\ny" in shown


LONG = rule(
    rule="upstairs.bedroom_blinds[left]",
    strategy="RunSerially(only_latest=True, retry=True)",
    reads=[f"/upstairs/bedroom/sensor_{n}" for n in range(5)],
)


def test_columns_that_do_not_fit_are_left_out_and_the_strategy_stands_below():
    shown = lines([LONG, rule()])
    assert max(map(len, shown[:2])) <= 80
    assert shown[2] == "    runs   RunSerially(only_latest=True, retry=True)"
    assert "STRATEGY" in click.unstyle(table([LONG], {}, width=130))


def test_what_stands_below_is_wrapped_on_a_terminal():
    shown = click.unstyle(table([LONG], {}, width=70, wraps=True)).splitlines()
    assert max(map(len, shown)) <= 70
    assert shown[3].startswith("    reads  /upstairs/bedroom/sensor_0 ")
    assert shown[4].startswith(" " * 11 + "/upstairs")


def test_paths_that_nothing_provides_are_shown():
    shown = lines([rule(reads=["/lux"], not_provided=["/lux"])])
    assert shown[2:] == ["    reads  /lux", "    absent /lux (nothing provides this)"]


@pytest.mark.parametrize(
    ("version", "file_version", "what"),
    [
        ("3f2a91bc", "5b81d2f0", "the change of its file (5b81d2f0)"),
        (None, "5b81d2f0", "its new file (5b81d2f0)"),
        ("3f2a91bc", None, "the removal of its file"),
    ],
)
def test_a_change_that_waits_is_named(version, file_version, what):
    waiting = {"hall": {"version": version, "file_version": file_version}}
    shown = click.unstyle(table([rule()], {}, waiting=waiting)).splitlines()
    assert shown[2:] == [f"hall: {what} waits for `eshet-rules commit`"]


def test_a_module_that_is_rolled_back_is_named_with_the_reason():
    roll_back = {
        "version": "3f2a91bc",
        "file_version": "5b81d2f0",
        "since": rule()["since"],
        "by": "anna@house",
        "why": "too bright",
    }
    shown = click.unstyle(table([rule()], {}, rolled_back={"hall": roll_back})).splitlines()
    assert shown[2:] == [
        "hall: rolled back to 3f2a91bc since 12:30:05, until its file (5b81d2f0) changes",
        "    by     anna@house",
        "    why    too bright",
    ]


def test_the_rules_of_a_cluster_have_a_runner_and_its_runners_stand_below():
    member = {"name": "attic", "answers": True, "weight": 2.0, "labels": ["up"], "draining": True}
    shown = table(
        [rule(runner="attic")],
        {},
        members=[
            {**member, "modules": ["hall"]},
            {**member, "modules": [], "publication": "3f2a91bc"},
            {**member, "modules": [], "publication": "", "publication_problem": "not 3f: missing"},
            {"name": "cellar", "answers": False, "modules": ["lamp", "oven"]},
            {"name": "shed", "answers": False, "modules": []},
        ],
        without_runner={"camera": "label == 'gpu'", "hall": ""},
    )
    head, of_rule, *below = click.unstyle(shown).splitlines()
    assert head.endswith("  RUNNER")
    assert of_rule.endswith("  attic")
    assert below == [
        "runner attic: 1 module, weight 2, labels up, draining",
        "runner attic: 0 modules, weight 2, labels up, draining, publication 3f2a91bc",
        "runner attic: 0 modules, weight 2, labels up, draining, publication none, not 3f: missing",
        "runner cellar: does not answer, runs lamp, oven",
        "runner shed: does not answer",
        "camera: no runner of the cluster runs it, it needs a runner with label == 'gpu'",
        "hall: no runner of the cluster runs it",
    ]
