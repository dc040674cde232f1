"""Random rules, inputs, reloads and restarts in between: nobody notices any of these."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eshet import Client
from eshet.server import Server
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import decode, encode
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.house import House
from tests.support.recorded import recorded
from tests.support.rules import Folder, Log

STATES, EVENTS = ("/v0", "/v1"), ("/e0", "/e1")

# What makes a Value of a Value `{v}` or an Event `{e}`, and what makes an Event.
VALUES = [
    "{v} > 1", "({v} > 0) & ({w} > 1)", "yarp.hold({e}, 5)", "yarp.hold({v} > 1, 5)",
    "yarp.for_duration({v} > 0, 3)", "yarp.count({e})", "yarp.hysteresis({v}, 0, 2)",
    "yarp.len(yarp.time_window({e}, 4))", "NUMBER(yarp.time_window({v}, 4))",
    "yarp.latest({e}, initial=0)",
    "yarp.no_repeat({v})", "yarp.delay({v}, 2)", "yarp.debounce({v}, 2)", "yarp.rate_limit({v}, 3)",
    "yarp.scan({e}, lambda total, new: total + 1, 0)", "NUMBER(yarp.window({v}, 3))",
    "yarp.fold_state({e}, lambda state, _: state + 1, 0, timeouts={{2: (3, 0)}})",
    "yarp.default({v}, 0)", "yarp.filter({v}, lambda value: value != 1)",
    "yarp.hold({v} > 1, at_most=4)", "yarp.len(yarp.window({e}, 2))", "yarp.rate({e}, 3)",
    "yarp.throttle({v}, 3)", "yarp.latest({e}, {v})", "MACHINE({v}, {e})", "CHOICE({v}, {w})",
    "yarp.stale({v}, 3)", "yarp.stale({e}, SECONDS({w}))",
    "yarp.debounce({v} > 1, SECONDS({w}))", "yarp.delay({v}, SECONDS({w}))",
    "yarp.len(yarp.time_window({e}, SECONDS({w})))", "NUMBER(yarp.window({e}, SECONDS({w})))",
]  # fmt: skip
EVENTS_OF = [
    "yarp.rising({v} > 1)", "yarp.falling({v} > 1)", "yarp.changes({v})",
    "yarp.value_to_event({v})",
    "yarp.merge({e}, {f})", "yarp.delay({e}, 2)", "yarp.throttle({e}, 3)", "yarp.sample({v}, {e})",
    "yarp.merge({v}, {e})", "yarp.when({e}, {v} > 0)", "yarp.no_repeat({e})",
    "yarp.debounce({e}, 2)", "yarp.rate_limit({e}, 3)", "yarp.emit_at(DUE({v}))",
    "yarp.filter({e}, lambda value: value != 1)", "yarp.map_to({e}, {v})", "yarp.map_to({v}, 7)",
]  # fmt: skip
HEARD = [
    "{r}.on_value_changed(lambda value: record('{r}', value))",
    "yarp.on_value({r}, lambda value: record('{r}', value))",
]
SINKS = ["await yarp.action_call('/sink', '{r}', {r})", "await yarp.set_value('/device/{r}', {r})"]

RULE = """
import asyncio

from eshet import yarp
from eshet_rules import rule
from tests.support.recorded import record

NUMBER = yarp.fn(lambda window: sum(map(ord, repr(window))) % 5)
SECONDS = yarp.fn(lambda value: 2 if value == 1 else 3)

@yarp.fn
def DUE(value):
    return None if value == 2 else (asyncio.get_running_loop().time() // 1 + 2, value)

def MACHINE(value, event):
    def step(state, left, value, emissions):
        if emissions:
            return value, 3
        return (0, None) if left == 0 or state is yarp.FSM.START else (state, left)

    return yarp.FSM(step, [value, event]).state

def CHOICE(one, other):
    return yarp.switch(yarp.fn(lambda value: one if value == 1 else other)(one))

@rule
async def sample():
    v0, v1 = [await yarp.state_observe(path) for path in ("/v0", "/v1")]
    e0, e1 = [await yarp.event_listen(path) for path in ("/e0", "/e1")]
"""


@st.composite
def rules(draw):
    """Return the text of a rule: a graph, and who hears of what in it."""
    values, events = ["v0", "v1"], ["e0", "e1"]
    lines = [RULE]
    for number in range(draw(st.integers(1, 7))):
        is_event = draw(st.booleans())
        v, w = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        e, f = draw(st.sampled_from(events)), draw(st.sampled_from(events))
        made = draw(st.sampled_from(EVENTS_OF if is_event else VALUES)).format(v=v, w=w, e=e, f=f)
        lines.append(f"    r{number} = {made}\n")
        (events if is_event else values).append(f"r{number}")
    for each in [*values[2:], *events[2:]]:
        heard = draw(st.lists(st.sampled_from([*HEARD, *SINKS]), max_size=2, unique=True))
        lines += [f"    {how.format(r=each)}\n" for how in heard]
    return "".join(lines)


STEPS = st.lists(
    st.tuples(st.sampled_from([*STATES, *EVENTS, "time"]), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=12,
)


async def restart(house):
    """End the runner and start it again, at once, with what is in its checkpoint."""
    checkpoint = encode({"sample": house.reloader.snapshot("sample", wall_epoch())})
    await house.reloader.close()
    house.reloader = Reloader(
        Importer(house.folder.path, TaskScope),
        lambda module: Client(server=house.server, client_id=f"test/{module}"),
        house.log.logger,
        inherited=decode(checkpoint, wall_epoch()),
    )
    assert await house.update(0)


async def add_device(house, path, calls):
    """Register a state that is what it is set to."""

    async def set_to(value):
        calls.append((path, value))
        await house.viewer.state_changed(path, value)

    await house.viewer.state_register(path, set_to)


async def play(text, steps, folder, by):
    """Return what is heard after each step of a run with or without interruptions.

    Args:
        text: of the rule.
        steps: what happens, and whether there is an interruption after it.
        folder: for the rule.
        by: what interrupts: `"reload"`, `"restart"` or nothing.
    """
    loop = asyncio.get_running_loop()
    history, calls = [], []
    async with Server() as server:
        house = House(server, Folder(folder), Log(), loop.advance)
        await house.viewer.wait_for_connection()
        for path in STATES:
            await house.viewer.state_register(path)
            await house.viewer.state_changed(path, 0)
        for path in EVENTS:
            await house.viewer.event_register(path)
        await house.viewer.action_register("/sink", lambda *args: calls.append(list(args)))
        for number in range(7):
            await add_device(house, f"/device/r{number}", calls)
        house.write("sample.py", text)
        assert await house.update(0)
        for what, number, interrupted in steps:
            if what == "time":
                await loop.advance(number + 0.5)
            elif what in STATES:
                await house.viewer.state_changed(what, number)
            else:
                await house.viewer.event_emit(what, number)
            await loop.advance(0)
            if interrupted and by == "reload":
                house.reloader.renew(["sample"])
                assert await house.update(0)
            elif interrupted and by == "restart":
                await restart(house)
            history.append((what, number, recorded(), list(calls)))
            calls.clear()
        await house.reloader.close()
        await house.viewer.close()
    return history


TWO_TIMERS = (
    RULE
    + """
    r0 = yarp.debounce(v0, 2)
    r1 = yarp.debounce(v1, 2)
    r0.on_value_changed(lambda value: record('r0', value))
    r1.on_value_changed(lambda value: record('r1', value))
"""
)

NO_VALUE_YET = (
    RULE
    + """
    r0 = yarp.filter(v0 > -1, lambda value: value != 1)
    yarp.on_value(r0, lambda value: record('r0', value))
"""
)


def run(text, steps, by=None):
    folder = Path(tempfile.mkdtemp())
    loop = VirtualLoop()
    recorded()
    try:
        return loop.run_until_complete(play(text, steps, folder, by))
    finally:
        loop.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("by", ["reload", "restart"])
@settings(max_examples=150)
@example(TWO_TIMERS, [("/v1", 1, False), ("/v0", 1, True), ("time", 3, False)])
@example(NO_VALUE_YET, [("/v0", 0, True)])
@given(rules(), STEPS)
def test_callbacks_and_sinks_do_not_notice(by, text, steps):
    assert run(text, steps, by) == run(text, steps)
