"""Answers about a path of which nothing is recorded."""

from datetime import UTC, datetime

import pytest

from eshet import Client
from eshet.server import Server
from eshet_rules.why.answer import WhyAnswer, facts_of
from eshet_rules.why.explanation import Explanation
from eshet_rules.why_not.answer import ask_why_not

NOW = datetime(2026, 11, 25, tzinfo=UTC)
RULE = ["scenes.off", "running", ""]


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def client(server):
    async with Client(server=server, client_id="rules") as client:
        await client.action_register("/scenes/off", lambda: None)
        await (await client.state_register("/hall/lux")).changed(5)
        yield client


@pytest.fixture
def why(client):
    async def why(path, **known):
        nothing = {"writers": [], "readers": [], "stopped": [], "drive": None, "places": {}}
        nothing |= {"is_recording": True, "is_secret": False}
        facts = await facts_of(client, path, {**nothing, **known})
        return list(WhyAnswer(path, Explanation(path), facts).lines(NOW))

    return why


@pytest.fixture
def why_not(client):
    async def why_not(path):
        async def answer(wanted):
            nothing = {"rules": [], "others": [], "stopped": [], "readers": [], "broken": {}}
            return {**nothing, "path": path, "wanted": wanted, "drive": None, "is_secret": False}

        async def used():
            return frozenset({"/bath/fan"})

        return list((await ask_why_not(client, path, [], answer, used)).lines(None, NOW))

    return why_not


async def test_an_action_was_not_called_and_has_no_value(why, why_not):
    assert await why("/scenes/off", writers=[RULE]) == [
        "/scenes/off is an action, and no call of it is recorded",
        "written by scenes.off",
        "provided by rules",
    ]
    assert (await why_not("/scenes/off"))[1:] == [
        "it is an action, which has no value: `eshet call /scenes/off` calls it",
        "provided by rules",
    ]


async def test_a_path_that_a_rule_reads_and_of_which_nothing_has_come(why):
    assert await why("/hall/lux", readers=[RULE]) == [
        "/hall/lux is 5 now",
        "/hall/lux: nothing of it is recorded yet",
        "read by scenes.off",
        "provided by rules",
    ]


async def test_a_directory_is_named_as_one(why, why_not):
    assert await why("/hall") == [
        "/hall: no rule of this runner has read or written it",
        "this is a directory: `eshet ls -r /hall` lists what is in it",
    ]
    assert (await why_not("/bath"))[-1].startswith("this is a directory: ")
    assert (await why_not("/bath/fna"))[-1] == "nothing provides this path; did you mean /bath/fan?"
    assert (await why("/garden"))[-1] == "nothing provides this path; `eshet ls -r` lists all paths"


async def test_a_path_of_another_program_names_it(server, why):
    async with (
        Client(server=server, client_id="zigbee2mqtt") as other,
        Client(server=server) as one,
    ):
        await other.state_register("/lamp")
        await one.state_register("/oven")
        assert (await why("/lamp"))[-1] == "provided by zigbee2mqtt"
        [said] = (await why("/oven"))[-1:]
        assert said.startswith("provided by a program without a client id of its own (")
        assert (await why("/meta/ls"))[-1] == "provided by the server"
