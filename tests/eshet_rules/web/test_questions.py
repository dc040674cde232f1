"""Questions to the other runners of a cluster: a silent one delays a single answer."""

import asyncio
from types import SimpleNamespace

import pytest

from eshet import Client
from eshet_rules.web.questions import Questions
from tests.support.waiting import passing_time

SUMMARY = {
    "cluster": "house",
    "runner": "attic",
    "runners": {"attic": 1, "cellar": 2, "old-shed": 1},
    "held": {"cellar": ["hall", "lamp"]},
    "without_runner": ["camera", "oven"],
    "needs": {"camera": "label == 'gpu'"},
}


@pytest.fixture
async def questions(server):
    async with Client(server=server, client_id="page of the attic") as client:
        questions = Questions(SimpleNamespace(client=client, cluster=lambda: SUMMARY))
        yield questions
        await questions.close()


@pytest.fixture
async def others(server):
    """A client that stands for both other runners."""
    async with Client(server=server, client_id="others") as others:
        yield others


def seconds():
    return asyncio.get_running_loop().time()


async def test_all_other_runners_are_asked_and_named_as_in_paths(questions, others):
    for name in questions.names:
        await others.action_register(f"/eshet_rules/{name}/why", lambda path, of=name: [of, path])
    question = questions.begin()
    assert await question.ask("why", "/lamp") == {
        "cellar": ["cellar", "/lamp"],
        "old_shed": ["old_shed", "/lamp"],
    }
    assert question.gaps == []


async def test_a_silent_runner_is_left_out_until_it_has_answered(questions, others, advance):
    thawed = asyncio.Event()
    asked = []

    async def answer(path):
        asked.append(path)
        await thawed.wait()
        return path

    await others.action_register("/eshet_rules/cellar/why", answer)
    await others.action_register("/eshet_rules/old_shed/why", lambda path: path)
    began = seconds()
    question = questions.begin()
    asking = question.ask("why", "/lamp")
    assert await passing_time(asking, advance, 0.5) == {"old_shed": "/lamp"}
    assert await question.ask("why", "/hall") == {"old_shed": "/hall"}
    assert seconds() == began + 2
    assert question.gaps == [
        "this is without what the runner cellar knows: it does not answer, and runs hall, lamp",
    ]
    again = questions.begin()
    assert await again.ask("why", "/lamp") == {"old_shed": "/lamp"}
    assert (seconds(), again.gaps) == (began + 2, question.gaps)
    assert asked == ["/lamp"]
    thawed.set()
    await advance(1)
    assert (await questions.begin().ask("why", "/lamp")).keys() == {"cellar", "old_shed"}


async def test_a_runner_that_refuses_a_request_is_named_with_the_reason(questions, others):
    await others.action_register("/eshet_rules/cellar/why", lambda path: path)
    question = questions.begin()
    assert await question.ask("why", "/lamp") == {"cellar": "/lamp"}
    [gap] = question.gaps
    assert gap.startswith("this is without what the runner old_shed knows: ")


async def test_modules_that_no_runner_runs_are_named_with_the_condition(questions):
    assert questions.unknown_writers == [
        "no runner of the cluster runs camera, which needs a runner with label == 'gpu': what it "
        "writes is not known",
        "no runner of the cluster runs oven: what it writes is not known",
    ]


async def test_a_runner_in_no_cluster_asks_nobody(server):
    questions = Questions(SimpleNamespace(client=None, cluster=None))
    question = questions.begin()
    assert (questions.cluster, questions.names, questions.unknown_writers) == (None, [], [])
    assert (await question.ask("why", "/lamp"), question.gaps) == ({}, [])
