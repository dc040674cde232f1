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
