"""The other runners of a cluster, and their rules."""

from types import SimpleNamespace

import pytest

from eshet import Client
from eshet_rules.exceptions import ClusterIncomplete, UnknownName
from eshet_rules.web.other_runners import OtherRunners
from eshet_rules.web.questions import Questions

OWN = {
    "cluster": "house",
    "runner": "attic",
    "host": "one",
    "labels": [],
    "weight": 1,
    "runners": {"attic": 1, "cellar": 2, "shed": 1},
    "held": {"attic": ["hall"], "cellar": ["lamp", "oven"], "shed": ["gate"]},
    "without_runner": [],
    "needs": {},
    "page": None,
    "local_page": "http://127.0.0.1:11240/",
}
LOCAL = "http://127.0.0.1:11241/"


def rule(name, **others):
    shown = dict.fromkeys(("state", "since", "version", "strategy", "restarts", "errors"), "")
    return {"rule": name, "module": "", **shown, "reads": [], "writes": ["/lamp"], **others}


@pytest.fixture
async def cellar(server):
    """A client that stands for the runner cellar; shed is gone."""
    async with Client(server=server, client_id="cellar") as cellar:
        summary = {"runner": "cellar", "host": "one", "page": None, "local_page": LOCAL}
        await cellar.action_register("/eshet_rules/cellar/cluster", lambda: summary)
        pages = {
            "": {"rules": [rule("oven.heat")], "next": "oven.heat"},
            "oven.heat": {"rules": [rule("lamp.follow")], "next": None},
        }
        await cellar.action_register("/eshet_rules/cellar/list", pages.get)
        yield summary


@pytest.fixture
async def others(server, cellar):
    async with Client(server=server, client_id="page of the attic") as client:
        view = SimpleNamespace(client=client, cluster=lambda: OWN, name="attic")
        yield OtherRunners(view, Questions(view))


async def test_all_pages_of_rules_are_in_the_order_of_their_names(others):
    found = await others.rules()
    assert [(each["rule"], each["runner"]) for each in found] == [
        ("lamp.follow", "cellar"),
        ("oven.heat", "cellar"),
    ]
    searched = await others.now("oven")
    assert [each["rule"] for each in searched["rules"]] == ["oven.heat"]
    assert [(each["name"], each["answers"]) for each in searched["runners"]] == [
        ("attic", True),
        ("cellar", True),
        ("shed", False),
    ]


async def test_a_rule_comes_with_its_runner(others):
    answer = await others.rule("lamp.follow")
    assert (answer["rule"]["rule"], answer["runner"]["name"]) == ("lamp.follow", "cellar")
    assert answer["runner"]["modules"] == 2
    with pytest.raises(ClusterIncomplete, match="shed: it does not answer, and runs gate"):
        await others.rule("gate.open")


async def test_a_rule_of_nobody_is_unknown_if_all_answer(others, monkeypatch):
    monkeypatch.setitem(OWN, "runners", {"attic": 1, "cellar": 2})
    with pytest.raises(UnknownName, match=r"did you mean lamp\.follow"):
        await others.rule("lamp.folow")


@pytest.mark.parametrize(
    ("own", "changed", "page"),
    [
        ({}, {}, LOCAL),
        ({}, {"page": "https://cellar:11238/"}, "https://cellar:11238/"),
        ({}, {"host": "two"}, None),
        ({"local_page": None}, {}, None),
        ({}, {"local_page": None}, None),
    ],
)
async def test_a_page_on_the_machine_of_the_browser_is_linked(
    others, cellar, monkeypatch, own, changed, page
):
    for name, value in own.items():
        monkeypatch.setitem(OWN, name, value)
    cellar.update(changed)
    assert (await others.rule("lamp.follow"))["runner"]["page"] == page
