"""Modules of which nobody can be asked, as text."""

from eshet_rules.cluster.absence import silence, unknown_writers


def test_of_many_modules_without_a_runner_the_first_are_named():
    notes = unknown_writers(["a", "b", "c", "d", "e"], {"b": "label == 'gpu'"})
    assert notes == [
        "no runner of the cluster runs a: what it writes is not known",
        "no runner of the cluster runs b, which needs a runner with label == 'gpu': what it writes "
        "is not known",
        "no runner of the cluster runs c: what it writes is not known",
        "no runner of the cluster runs 2 more: what they write is not known",
    ]


def test_a_runner_that_does_not_answer_is_shown_with_its_first_modules():
    assert silence([]) == "it does not answer"
    assert silence(["hall"]) == "it does not answer, and runs hall"
    assert silence(list("abcdefg")) == "it does not answer, and runs a, b, c, d, e and 2 more"
