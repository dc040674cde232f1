import asyncio

import pytest

from eshet import Client
from eshet.cause import Cause
from eshet.server import Server
from eshet_rules.runner.main import run
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.loops import Loops

LIMITS = RuleLimits(loop_rounds=5, loop_period=10)


def chain(*paths, after=None):
    """Return the last of causes that lead to each other."""
    for path in paths:
        after = Cause("event", path, after)
    return after


# --- the counting -------------------------------------------------------------------------------


def go_round(loops, rounds, seconds=0.0, now=0.0):
    """Let two rules answer each other; return what was told, by the round."""
    told = {}
    cause = None
    for number in range(rounds):
        for path, rule in (("/a", "hall.x"), ("/b", "bath.y")):
            cause = chain(path, after=cause)
            if (error := loops.on_input(cause, rule, LIMITS, now)) is not None:
                told.setdefault(number, error)
        now += seconds
    return told


def test_a_chain_that_comes_round_too_often_is_told_path_by_path():
    told = go_round(Loops(), rounds=6)
    assert list(told) == [5]
    assert told[5].rule == "hall.x"
    assert told[5].rounds == 5
    assert told[5].cycle == [
        "event /a received by hall.x",
        "event /b received by bath.y",
        "event /a received by hall.x",
    ]
    assert str(told[5]).startswith(
        "it has triggered itself 5 times in 0.0 s: event /a received by hall.x -> "
    )


def test_a_few_rounds_may_be_meant():
    assert go_round(Loops(), rounds=5) == {}


def test_slow_rounds_may_go_on_for_ever():
    assert go_round(Loops(), rounds=50, seconds=2.0) == {}
    assert go_round(Loops(), rounds=50, seconds=1.9) != {}


def test_a_hundred_effects_of_one_cause_are_no_loop():
    loops, root = Loops(), chain("/a")
    loops.on_input(root, "hall.x", LIMITS, 0)
    for number in range(100):
        effect = chain(f"/b{number}", after=root)
        assert loops.on_input(effect, "bath.y", LIMITS, 0) is None


def test_a_chain_of_timers_that_is_heard_again_and_again_is_no_loop():
    loops, timer = Loops(), chain("/begin")
    loops.on_input(timer, "hall.x", LIMITS, 0)
    for number in range(1000):
        timer = Cause("timer", "interval", timer)
        assert loops.on_input(chain("/tick", after=timer), "bath.y", LIMITS, number / 100) is None


def test_a_rule_with_several_callbacks_at_a_path_hears_once():
    loops, cause = Loops(), None
    for _ in range(5):
        cause = chain("/a", after=cause)
        for _ in range(10):
            assert loops.on_input(cause, "hall.x", LIMITS, 0) is None


def test_a_detour_by_timers_is_still_a_round():
    loops, cause = Loops(), None
    told = []
    for _ in range(6):
        cause = chain("/a", after=cause)
        told.append(loops.on_input(cause, "hall.x", LIMITS, 0))
        cause = Cause("timer", "delay", cause)
    assert told[-1].cycle == [
        "event /a received by hall.x",
        "timer delay",
        "event /a received by hall.x",
    ]


def test_the_number_of_remembered_inputs_is_limited():
    loops = Loops()
    for number in range(10_000):
        loops.on_input(chain(f"/{number}"), "hall.x", LIMITS, 0)
    assert len(loops._inputs) <= 4096


def test_a_loop_is_told_though_two_thousand_other_inputs_come_between_its_steps():
    loops, cause, told = Loops(), None, []
    for step in range(12):
        cause = chain(("/a", "/b")[step % 2], after=cause)
        told.append(loops.on_input(cause, ("hall.x", "bath.y")[step % 2], LIMITS, 0))
        for other in range(2000):
            loops.on_input(chain(f"/{step}/{other}"), "flood.z", LIMITS, 0)
    assert told[:10] == [None] * 10
    assert told[10] is not None
    assert told[10].rule == "hall.x"


# --- in a house ---------------------------------------------------------------------------------

PING = """
from eshet import yarp
from eshet_rules import rule

@rule
async def ping():
    pong = await yarp.state_observe("/pong")
    await yarp.state_register("/ping", yarp.fn(lambda n: (n or 0) + 1)(pong))
"""

PONG = PING.replace("/ping", "/x").replace("/pong", "/ping").replace("/x", "/pong")

ONE_SIDED = """
from eshet import yarp
from eshet_rules import rule

@rule
async def itself():
    heard = await yarp.event_listen("/echo")
    await yarp.event_register("/echo", yarp.fn(lambda n: n + 1)(heard))

@rule
async def other():
    await yarp.state_register("/other", yarp.Value(1))
"""

FAST_TIMER = """
import asyncio
from eshet_rules import rule

@rule
async def ticks(client):
    await client.event_register("/tick")
    while True:
        await asyncio.sleep(0.01)
        await client.event_emit("/tick", 1)

@rule
async def counts(client):
    await client.event_listen_cb("/tick", lambda _: None)
"""


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def start(folder, log, server, advance):
    """Start the runner, and let it come to rest."""
    runners = []

    async def start():
        runners.append(asyncio.create_task(run(folder.path, log.logger, server=server)))
        await advance(2)

    yield start
    for runner in runners:
        runner.cancel()
    await asyncio.gather(*runners, return_exceptions=True)


async def test_rules_that_trigger_each_other_through_states_are_cut_and_one_fails(
    folder, log, start, advance
):
    folder.write("ping.py", PING)
    folder.write("pong.py", PONG.replace("def ping", "def pong"))
    await start()
    await advance(60)
    told = log.find("rule.loop_cut")
    assert told["rounds"] == 100
    by_both = {"state /ping received by pong.pong", "state /pong received by ping.ping"}
    assert set(told["cycle"]) == by_both
    assert log.find("rule.stays_failed")["rule"] == told["rule"]


async def test_a_rule_that_triggers_itself_fails_and_the_others_go_on(
    folder, log, server, start, advance
):
    folder.write("echo.py", ONE_SIDED)
    await start()
    async with Client(server=server) as viewer:
        await viewer.event_emit("/echo", 0)
        await advance(60)
        assert log.find("rule.loop_cut")["rule"] == "echo.itself"
        assert await viewer.get("/other") == 1
    failed = [r["rule"] for r in log.records if r["event"] == "rule.stays_failed"]
    assert failed == ["echo.itself"]


async def test_a_fast_timer_is_no_loop(folder, log, start, advance):
    folder.write("ticks.py", FAST_TIMER)
    await start()
    await advance(30)
    assert "rule.loop_cut" not in log.events()
