"""What a runner tells of itself and its cluster."""

from eshet_rules.cluster.entries import Modules
from eshet_rules.cluster.summary import summarize
from eshet_rules.config import ClusterSettings, Where
from tests.support.rosters import FedRoster


def test_a_summary_counts_what_each_runner_runs_and_names_what_none_runs():
    fed = FedRoster()
    attic = fed.join("attic", ["hall", "bath"])
    fed.join("cellar", ["hall"], is_draining=True)
    fed.lease("hall", "attic")
    fed.lease("bath", "attic", released=True)
    modules = Modules(runs={"hall": "1", "bath": "1"}, excluded={"camera": "1"}, helpers={"h": "1"})
    settings = ClusterSettings(
        labels=("upstairs",),
        where=(("camera", Where("label == 'gpu'")), ("bath", Where("runner == 'attic'"))),
    )
    assert summarize(fed.roster, attic.presence, settings, modules) == {
        "cluster": "house",
        "runner": "attic",
        "host": "machine",
        "labels": ["upstairs"],
        "weight": 1.0,
        "draining": False,
        "runners": {"attic": 1, "cellar": 0},
        "held": {"attic": ["hall"]},
        "without_runner": ["bath", "camera"],
        "needs": {"camera": "label == 'gpu'"},
    }


def test_modules_of_a_runner_that_is_gone_have_none():
    fed = FedRoster()
    attic = fed.join("attic", ["hall"])
    fed.join("cellar", ["hall"])
    fed.lease("hall", "cellar")
    fed.end("cellar")
    modules = Modules(runs={"hall": "1"}, excluded={}, helpers={})
    summary = summarize(fed.roster, attic.presence, ClusterSettings(), modules)
    assert (summary["runners"], summary["without_runner"]) == ({"attic": 0}, ["hall"])


def test_a_message_has_room_for_a_summary_of_any_number_of_modules():
    fed = FedRoster()
    names = [f"module{number:04}" for number in range(3000)]
    attic = fed.join("attic", names)
    for name in names:
        fed.lease(name, "attic")
    modules = Modules(runs=dict.fromkeys(names, "1"), excluded={}, helpers={})
    summary = summarize(fed.roster, attic.presence, ClusterSettings(), modules)
    assert summary["runners"] == {"attic": 3000}
    assert summary["held"]["attic"] == names[: len(summary["held"]["attic"])]
    assert 1000 < len(summary["held"]["attic"]) < 2000
