"""Commands for all runners of a cluster: real processes, joined by a real nats-server."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eshet_rules.web import schema
from tests.support.cluster_pair import Pair, pair
from tests.support.nats import NatsServer
from tests.support.processes import command


@pytest.fixture(scope="module")
def house(nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(nats, tmp_path_factory.mktemp("house")) as house:
        yield house


def test_list_shows_the_rules_of_all_runners_and_modules_without_one(house: Pair) -> None:
    listed = house.run("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    head, *lines = listed.stdout.splitlines()
    assert head.endswith("RUNNER")
    of_rules = [line for line in lines if line.startswith(("free.", "hall.", "lamp."))]
    assert [line.split()[0] for line in of_rules] == ["free.follow", "hall.follow", "lamp.follow"]
    assert [line.split()[-1] for line in of_rules] == ["attic", "attic", "cellar"]
    assert lines[-3:] == [
        "runner attic: 2 modules, weight 100, labels of_attic",
        "runner cellar: 1 module, weight 0.01, labels of_cellar",
        "camera: no runner of the cluster runs it, it needs a runner with label == 'gpu'",
    ]


def test_a_module_without_a_runner_is_named_with_the_reason(house: Pair) -> None:
    listed = house.run("list", "camera")
    [_, line] = listed.stdout.splitlines()
    assert line == "camera: no runner of the cluster runs it, it needs a runner with label == 'gpu'"
    reason = "no runner of the cluster runs camera, which needs a runner with label == 'gpu'"
    for action in ("disable", "restart"):
        refused = house.run(action, "camera")
        assert (refused.stderr, refused.returncode) == (f"eshet-rules: {reason}\n", 1)
    explained = house.run("why-not", "/camera", "--audit", "missing")
    assert f"{reason}: what it writes is not known" in explained.stderr


def test_list_as_json_has_the_runners_and_what_they_run(house: Pair) -> None:
    listed = json.loads(house.run("list", "--json").stdout)
    assert listed["cluster"] == "house"
    assert {each["name"]: each["modules"] for each in listed["runners"]} == {
        "attic": ["free", "hall"],
        "cellar": ["lamp"],
    }
    assert listed["without_runner"] == ["camera"]
    assert {rule["rule"]: rule["runner"] for rule in listed["rules"]} == {
        "free.follow": "attic",
        "hall.follow": "attic",
        "lamp.follow": "cellar",
    }


def test_commands_go_to_the_runner_of_the_module(house: Pair) -> None:
    restarted = house.run("restart", "hall", "lamp")
    assert (restarted.stdout, restarted.returncode) == (
        "restarted hall.follow at attic\nrestarted lamp.follow at cellar\n",
        0,
    )
    reloaded = house.run("reload", "lamp")
    assert reloaded.stdout == "reloaded lamp at cellar\n"
    unknown = house.run("restart", "lamb")
    assert (unknown.returncode, unknown.stdout) == (1, "")  # as of a single runner
    assert "there is no rule and no module 'lamb'; did you mean lamp" in unknown.stderr


def test_a_driven_path_is_released_where_it_is_driven(house: Pair) -> None:
    released = house.run("release", "/driven")
    assert (released.stdout, released.returncode) == ("the rules decide already over /driven\n", 0)
    unknown = house.run("release", "/hall")  # a rule writes it, but does not drive it
    assert (unknown.stdout, unknown.returncode) == ("", 1)
    assert "no rule drives /hall" in unknown.stderr


def test_a_disabled_rule_stays_disabled_where_its_module_goes(house: Pair) -> None:
    disabled = house.run("disable", "free")
    assert (disabled.stdout, disabled.stderr) == ("disabled free.follow at attic, cellar\n", "")
    drained = house.run("drain", "--runner", "attic")
    assert drained.stderr == ""
    assert drained.stdout == "gave up free\ngave up hall, which no other runner can run\n"
    assert drained.returncode == 1
    house.cellar.wait_for("module.loaded", module="free")
    assert house.states()["free.follow"] == "disabled"
    enabled = house.run("enable", "free")
    assert enabled.stdout == "enabled free.follow at attic, cellar\n"
    assert house.states()["free.follow"] == "running"
    undone = [house.run("drain", "--undo", "--runner", "attic").stdout for _ in range(2)]
    assert undone == ["attic runs modules again\n", "attic was not drained\n"]
    house.attic.wait_for("module.loaded", module="free")


def test_why_goes_on_at_the_runner_of_the_rule_before(house: Pair) -> None:
    explained = house.run("why", "/lamp", "--audit", "missing")
    lines = explained.stdout.splitlines()
    assert lines[0].startswith("/lamp = True, since ")
    assert "published by lamp.follow at cellar" in lines[1]
    assert any("published by hall.follow at attic" in line for line in lines[2:])
    assert "written by lamp.follow at cellar" in lines
    answer = json.loads(house.run("why", "/lamp", "--json", "--audit", "missing").stdout)
    [of_hall] = answer["inputs"]
    assert answer["output"]["runner"] == "cellar"
    assert of_hall["explanation"]["output"]["runner"] == "attic"


def test_why_not_and_graph_name_rules_of_all_runners(house: Pair) -> None:
    explained = house.run("why-not", "/lamp", "--audit", "missing")
    head, rule, condition, *_ = explained.stdout.splitlines()
    assert head == "/lamp is True; for False:"
    assert rule == "  lamp.follow at cellar (lamp.py:8) provides it; its value is True"
    assert condition.startswith("    /hall True, needs False, since ")
    advice = "; written by hall.follow at attic: `eshet-rules why-not /hall`"
    assert condition.endswith(advice)
    drawn = house.run("graph").stdout
    assert "hall.follow" in drawn
    assert "lamp.follow" in drawn


def test_a_value_without_a_path_is_not_said_to_be_provided_by_nothing(house: Pair) -> None:
    explained = house.run("why-not", "/free", "--audit", "missing").stdout
    assert "Value at free.py:7 True, needs False\n" in explained


def test_the_page_shows_the_other_runners_and_their_rules(house: Pair) -> None:
    cluster = house.ask_page("cluster")
    assert (cluster["cluster"], cluster["without_runner"]) == ("house", ["camera"])
    assert [(r["name"], r["answers"], r["is_this"], r["modules"]) for r in cluster["runners"]] == [
        ("attic", True, True, 2),
        ("cellar", True, False, 1),
    ]
    assert [(rule["rule"], rule["runner"]) for rule in cluster["rules"]] == [
        ("lamp.follow", "cellar")
    ]
    assert house.ask_page("cluster?search=free")["rules"] == []


def texts(answer: Any) -> list[str]:
    """Return the lines of an explanation of the page, without their indentation."""
    return [line["text"] for line in answer["lines"]]


def test_the_page_explains_with_what_all_runners_know(house: Pair) -> None:
    explained = house.ask_page("why?path=/lamp")
    assert explained["gaps"] == []
    lines = texts(explained)
    assert "published by lamp.follow at cellar" in lines[1]
    assert any("published by hall.follow at attic" in line for line in lines[2:])
    assert "written by lamp.follow at cellar" in lines
    assert explained["lines"][1]["rule"] == "lamp.follow"
    asked = house.ask_page("why-not?path=/lamp")
    assert asked["gaps"] == []
    assert texts(asked)[1] == "lamp.follow at cellar (lamp.py:8) provides it; its value is True"
    assert texts(asked)[2].endswith(
        "; written by hall.follow at attic: `eshet-rules why-not /hall`"
    )
    absent = house.ask_page("why-not?path=/camera")["gaps"]
    reason = "no runner of the cluster runs camera, which needs a runner with label == 'gpu'"
    assert absent == [f"{reason}: what it writes is not known"]


def test_the_page_of_a_path_has_the_rules_of_all_runners(house: Pair) -> None:
    hall = house.ask_page("path?path=/hall")
    assert (hall["cluster"], hall["gaps"]) == ("house", [])
    assert hall["writers"] == [["hall.follow", "running", "", "attic"]]
    assert hall["readers"] == [["lamp.follow", "running", "", "cellar"]]
    around = house.ask_page("path/graph?path=/hall")
    names = {item["name"] for item in around["items"]}
    assert {"hall.follow", "lamp.follow", "/lamp"} <= names


def test_the_overview_of_any_runner_has_the_problems_of_rules_of_all(house: Pair) -> None:
    def disabled() -> list[dict[str, str]]:
        problems = house.ask_page("overview")["problems"]
        return [each for each in problems if each["kind"] == "disabled"]

    # The page keeps what it knows of the rules of others for 2 s.
    assert house.run("disable", "lamp").returncode == 0
    while not (found := disabled()):
        pass
    [problem] = found
    assert (problem["subject"], problem["href"]) == ("lamp.follow", "#/rules/lamp.follow")
    assert problem["text"].startswith("at cellar: disabled by command")
    assert house.run("enable", "lamp").returncode == 0
    while disabled():
        pass


def test_the_page_knows_which_runner_has_a_rule(house: Pair) -> None:
    answer = house.ask_page("cluster/rules/lamp.follow")
    msgspec.convert(answer, schema.RemoteRuleAnswer)
    assert (answer["runner"]["name"], answer["runner"]["page"]) == ("cellar", None)
    assert (answer["rule"]["reads"], answer["rule"]["writes"]) == (["/hall"], ["/lamp"])
    status, message = house.refusal("cluster/rules/lamb.follow")
    assert status == 404
    assert "did you mean lamp.follow?" in message


def test_the_page_of_any_runner_says_who_decides_and_ends_an_override(house: Pair) -> None:
    driven = house.ask_page("path?path=/driven", of=house.cellar)
    assert driven["decides"]["decides"] == "free.follow"
    token = house.token("cellar")
    assert house.ask_page("release", token, of=house.cellar, path="/driven") == {"done": []}
    status, message = house.refusal("release", token, of=house.cellar, path="/hall")
    assert (status, "no rule drives /hall" in message) == (404, True)


def test_a_rule_that_is_disabled_on_the_page_stays_disabled_where_its_module_goes(
    house: Pair,
) -> None:
    token = house.token("attic")
    assert house.ask_page("rules/free.follow/disable", token)["done"] == ["free.follow"]
    house.cellar.wait_for("control.disable_requested", rules=["free.follow"])
    assert house.ask_page("rules/free.follow/enable", token)["done"] == ["free.follow"]


def test_a_runner_that_does_not_answer_is_named(nats: NatsServer, tmp_path: Path) -> None:
    with pair(nats, tmp_path, ttl=15) as house:
        house.cellar.process.send_signal(signal.SIGSTOP)
        try:
            explained = house.ask_page("why?path=/hall")
            asked = house.ask_page("why-not?path=/hall")
            disabled = house.run("disable", "hall")
        finally:
            house.cellar.process.send_signal(signal.SIGCONT)
        assert disabled.stdout == "disabled hall.follow at attic\n"
        problem = "it does not answer, and runs lamp"
        assert disabled.stderr.startswith(f"eshet-rules: cellar: {problem}; look at its log")
        assert disabled.returncode == 1
        followed = house.cellar.wait_for("control.disable_requested")
        assert followed["rules"] == ["hall.follow"]
        gap = f"this is without what the runner cellar knows: {problem}"
        assert (explained["gaps"][0], asked["gaps"][0]) == (gap, gap)
        assert "written by hall.follow at attic" in texts(explained)
        assert "hall.follow at attic (hall.py:8) provides it; its value is True" in texts(asked)


def test_list_names_the_modules_of_a_runner_that_does_not_answer(
    nats: NatsServer, tmp_path: Path
) -> None:
    with pair(nats, tmp_path, ttl=15) as house:
        house.cellar.process.send_signal(signal.SIGSTOP)
        try:
            listed = house.run("list")
        finally:
            house.cellar.process.send_signal(signal.SIGCONT)
        assert "\nrunner cellar: does not answer, runs lamp\n" in listed.stdout
        assert listed.returncode == 1


def test_why_names_the_module_of_a_runner_that_is_gone(nats: NatsServer, tmp_path: Path) -> None:
    with pair(nats, tmp_path) as house:
        assert house.cellar.stop() == 0
        house.attic.wait_for("cluster.runners_changed", gone=["cellar"])
        reason = "no runner of the cluster runs lamp, which needs a runner with runner == 'cellar'"
        note = f"{reason}: what it writes is not known"
        explained = house.run("why", "/lamp", "--audit", "missing")
        assert f"eshet-rules: {note}\n" in explained.stderr
        assert house.ask_page("why?path=/lamp")["gaps"] == [
            "no runner of the cluster runs camera, which needs a runner with label == 'gpu': what "
            "it writes is not known",
            note,
        ]


def test_the_shared_trail_explains_what_runners_did_that_are_gone(
    nats: NatsServer, tmp_path: Path
) -> None:
    with pair(nats, tmp_path) as house:
        assert house.cellar.stop() == 0  # it stores the rest of its trail
        house.attic.wait_for("cluster.runners_changed", gone=["cellar"])
        assert house.attic.stop() == 0
        config = str(tmp_path / "attic.toml")
        explained = command("eshet-rules", "why", "/lamp", "--cluster", "--config", config)
        lines = explained.stdout.splitlines()
        assert lines[0].startswith("/lamp = True, since ")
        assert lines[1].startswith("  published by lamp.follow at cellar (version ")
        assert any("published by hall.follow at attic" in line for line in lines[2:])
        assert any("published by free.follow at attic" in line for line in lines[2:])
        assert (explained.stderr, explained.returncode) == ("", 0)
        past = command("eshet-rules", "why", "/lamp", "--at", "2h", "--cluster", "--config", config)
        assert past.stdout.startswith("/lamp: nothing is recorded of it until ")
        for options in (["--runner", "attic"], ["--needed"]):
            wrong = house.run("why", "/lamp", "--cluster", *options)
            assert (wrong.returncode, wrong.stdout) == (2, "")
            assert "leave --audit, --runner and --needed out" in wrong.stderr
