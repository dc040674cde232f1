"""Which cause an output has in the trail, for each way from an input to it.

A bell rings twice, 1 and then 2, and a rule says `/out`. What it says is told with why it is said:
`"1"` for the first ring, `"timer after 1"` for a timer that the first ring led to, and so on.
"""

import asyncio
import textwrap

import pytest

from tests.support.rules import Folder

RULE = """
import asyncio
import functools
from eshet import Unknown, yarp
from eshet.utils import RunInTask, RunSerially, in_task
from eshet_rules import RunConcurrently, RunLatest, RunSingle, keep, rule

@rule
async def rings(client):
    bell = await yarp.event_listen("/bell")
"""

BY_HAND = """
emit = await client.event_register("/out")
async def slow(n):
    await asyncio.sleep(5)
    await emit(n)
"""


def rule_of(body):
    return RULE + textwrap.indent(textwrap.dedent(body), "    ")


class Ringing:
    """A house with a bell, and what a rule says of its rings."""

    def __init__(self, house):
        self.house = house
        self.seen = 0

    async def load(self, body):
        self.house.folder.write("hall.py", rule_of(body))
        assert await self.house.update()
        self.seen = len(self.house.records())

    async def ring(self, *numbers):
        for number in numbers:
            await self.house.viewer.event_emit("/bell", number)

    def said(self, path="/out"):
        """Return what was said since the rule was loaded, and why."""
        records = self.house.records()
        rings = {
            r["cause"]: str(r["value"])
            for r in records
            if r["event"] == "input.received" and r["path"] == "/bell"
        }
        return [
            (r["value"], why(r, rings))
            for r in records[self.seen :]
            if r.get("path") == path and "outcome" in r
        ]


def why(record, rings):
    kind = record.get("trigger", "").partition(" ")[0]
    if record["cause"] in rings:
        return rings[record["cause"]]
    parent = rings.get(record.get("parent"), "set-up")
    return f"{kind} after {parent}" if record.get("parent") else kind


@pytest.fixture
async def ringing(house):
    return Ringing(house)


BOTH = [(1, "1"), (2, "2")]

AT_ONCE = {
    "the graph": 'await yarp.event_register("/out", bell)',
    "a function of it": 'await yarp.event_register("/out", yarp.fn(lambda n: n)(bell))',
    "a Value": 'await yarp.state_register("/out", yarp.event_to_value(bell))',
    "set_value": 'await yarp.set_value("/out", bell)',
    "action_call": """
        await yarp.action_call("/out", yarp.fn(lambda n: n)(bell))
    """,
    "a window": """
        await yarp.event_register("/out", yarp.fn(max)(yarp.changes(yarp.window(bell, 2))))
    """,
    "a task for each": 'await yarp.set_value("/out", bell, strategy=RunInTask())',
    "a queue": 'await yarp.set_value("/out", bell, strategy=RunSerially())',
    "a few at once": 'await yarp.set_value("/out", bell, strategy=RunConcurrently(1))',
    "keep": """
        kept = keep("last", 0)
        bell.on_event(functools.partial(setattr, kept, "value"))
        await yarp.state_register("/out", kept)
    """,
    "a batch": """
        out = yarp.Event()
        def ring(n):
            with yarp.transaction():
                out.emit(n)
        await client.event_listen_cb("/bell", ring)
        await yarp.event_register("/out", out)
    """,
}

BY_HAND_WAYS = {
    "a callback": 'await client.event_listen_cb("/bell", emit)',
    "a callback that takes a while": 'await client.event_listen_cb("/bell", slow)',
    "create_task": """
        async def start(n):
            asyncio.create_task(slow(n))
        await client.event_listen_cb("/bell", start)
    """,
    "a plain callback that creates a task": """
        tasks = set()
        await client.event_listen_cb("/bell", lambda n: tasks.add(asyncio.create_task(slow(n))))
    """,
    "a task of a task": """
        async def start(n):
            await asyncio.gather(asyncio.create_task(slow(n)))
        await client.event_listen_cb("/bell", lambda n: asyncio.create_task(start(n)))
    """,
    "TaskGroup": """
        async def start(n):
            async with asyncio.TaskGroup() as group:
                group.create_task(slow(n))
        await client.event_listen_cb("/bell", start)
    """,
    "in_task": 'await client.event_listen_cb("/bell", in_task(slow))',
    "in_task in the graph": "bell.on_event(in_task(slow))",
    "wrap_fn": "bell.on_event(RunSerially().wrap_fn(slow))",
    "to_thread and back": """
        loop = asyncio.get_running_loop()
        def work(n):
            asyncio.run_coroutine_threadsafe(emit(n), loop).result()
        async def start(n):
            await asyncio.to_thread(work, n)
        await client.event_listen_cb("/bell", start)
    """,
    "call_soon": """
        loop = asyncio.get_running_loop()
        bell.on_event(lambda n: loop.call_soon(in_task(emit), n))
    """,
    "call_later": """
        loop = asyncio.get_running_loop()
        bell.on_event(lambda n: loop.call_later(30, in_task(emit), n))
    """,
    "async for": """
        async for n in client.event_listen("/bell"):
            await emit(n)
    """,
    "async for, and a task": """
        async for n in client.event_listen("/bell"):
            asyncio.create_task(slow(n))
    """,
    "async for, slower than it rings": """
        async for n in client.event_listen("/bell"):
            await slow(n)
    """,
}


@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
@pytest.mark.parametrize("way", [*AT_ONCE, *BY_HAND_WAYS])
async def test_what_a_rule_says_has_the_cause_of_what_it_says_it_for(ringing, way, together):
    await ringing.house.viewer.state_register("/lamp")
    await ringing.load(AT_ONCE.get(way) or BY_HAND + textwrap.dedent(BY_HAND_WAYS[way]))
    await ringing.ring(1)
    await ringing.house.advance(0 if together else 40)
    await ringing.ring(2)
    await ringing.house.advance(100)
    assert [(n if n in (1, 2) else n[0], why) for n, why in ringing.said()] == BOTH


TIMERS = {
    "delay": (
        'await yarp.event_register("/out", yarp.delay(bell, 5))',
        [(1, "timer after 1"), (2, "timer after 2")],
    ),
    "delay of a Value": (
        'await yarp.state_register("/out", yarp.delay(yarp.event_to_value(bell), 5))',
        [(1, "timer after 1"), (2, "timer after 2")],
    ),
    "debounce": (
        'await yarp.event_register("/out", yarp.debounce(bell, 5))',
        [(2, "timer after 2")],
    ),
    "throttle": ('await yarp.event_register("/out", yarp.throttle(bell, 5))', [(1, "1")]),
    "rate_limit": (
        'await yarp.event_register("/out", yarp.rate_limit(bell, 5))',
        [(1, "1"), (2, "timer after 2")],
    ),
    "hold": (
        'await yarp.state_register("/out", yarp.hold(bell, 5))',
        [(True, "1"), (False, "timer after 2")],
    ),
    "hold at most": (
        """
        odd = yarp.event_to_value(bell) == 1
        await yarp.state_register("/out", yarp.hold(odd, 10, at_most=60))
        """,
        [(True, "1"), (False, "timer after 2")],  # it would have gone on without the second
    ),
    "for_duration": (
        """
        rung = yarp.default(yarp.event_to_value(bell), 0) > 0
        await yarp.state_register("/out", yarp.for_duration(rung, 5))
        """,
        [(True, "timer after 1")],
    ),
    "time_window": (
        'await yarp.state_register("/out", yarp.time_window(bell, 5))',
        [([1], "1"), ([1, 2], "2"), ([2], "timer after 1"), ([], "timer after 2")],
    ),
    "rate": (
        'await yarp.state_register("/out", yarp.rate(bell, 5))',
        [(0.2, "1"), (0.4, "2"), (0.2, "timer after 1"), (0.0, "timer after 2")],
    ),
    "emit_at": (
        """
        loop = asyncio.get_running_loop()
        at = yarp.Value(None)
        bell.on_event(lambda n: setattr(at, "value", (loop.time() + 5, n)))
        await yarp.event_register("/out", yarp.emit_at(at))
        """,
        [(2, "timer after 2")],
    ),
    "a state machine": (
        """
        def step(state, timeout, rung):
            if timeout == 0 or state is yarp.FSM.START:
                return "off", None
            return ("on", 5) if 1 in rung else (state, timeout)
        await yarp.state_register("/out", yarp.FSM(step, [bell]).state)
        """,
        [("on", "1"), ("off", "timer after 1")],  # the second leaves the timeout alone
    ),
    "fold_state": (
        """
        def step(state, n):
            return "on" if n == 1 else yarp.NoChange
        timeouts = {"on": (5, "off")}
        await yarp.state_register("/out", yarp.fold_state(bell, step, "start", timeouts=timeouts))
        """,
        [("on", "1"), ("off", "timer after 1")],
    ),
    "retry": (
        'await yarp.action_call("/nobody", bell, strategy=RunInTask(retry=True, max_attempts=2))',
        [([1], "1"), ([2], "2"), ([1], "1"), ([2], "2")],
    ),
}


@pytest.mark.parametrize("way", TIMERS)
async def test_what_comes_later_names_what_it_comes_for(ringing, way):
    body, expected = TIMERS[way]
    await ringing.load(body)
    await ringing.ring(1)
    await ringing.house.advance(1)
    await ringing.ring(2)
    await ringing.house.advance(100)
    assert ringing.said("/nobody" if way == "retry" else "/out") == expected


@pytest.mark.parametrize("way", ["delay", "time_window", "rate"])
async def test_of_what_comes_later_at_the_same_instant_each_names_its_own(ringing, way):
    body, expected = TIMERS[way]
    await ringing.load(body)
    await ringing.ring(1, 2)
    await ringing.house.advance(100)
    assert ringing.said() == expected


async def test_a_machine_that_goes_on_by_itself_names_each_step_by_the_one_before(ringing):
    await ringing.load(
        """
        timeouts = {"red": (5, "amber"), "amber": (5, "green")}
        state = yarp.fold_state(bell, lambda state, n: "red", "dark", timeouts=timeouts)
        await yarp.state_register("/out", state)
        """
    )
    await ringing.ring(1)
    await ringing.house.advance(20)
    red, amber, green = ringing.house.records(path="/out")[-3:]
    assert (red["value"], amber["value"], green["value"]) == ("red", "amber", "green")
    assert (amber["parent"], green["parent"]) == (red["cause"], amber["cause"])


@pytest.mark.parametrize(
    "timer", ['yarp.schedule("*/1 * * * *")', "yarp.value_to_event(yarp.now(60))"]
)
async def test_a_clock_starts_a_cause_each_time(ringing, timer):
    await ringing.load(
        f"""
        tick = yarp.count({timer})
        await yarp.state_register("/out", tick)
        """
    )
    set_up = ringing.house.records(path="/out")[-1]["cause"]
    await ringing.house.advance(180)
    said = ringing.house.records(path="/out", event="output.published")[1:]
    assert [r["value"] for r in said] == [1, 2, 3]
    assert len({r["cause"] for r in said}) == 3
    assert {r["parent"] for r in said} == {set_up}
    assert all(r["trigger"].startswith("timer ") for r in said)


async def test_of_a_batch_of_two_inputs_each_output_has_the_cause_of_its_own(ringing):
    await ringing.load(
        """
        door = await yarp.event_listen("/door")
        await yarp.event_register("/out", yarp.merge(bell, door))
        """
    )
    viewer = ringing.house.viewer
    await asyncio.gather(viewer.event_emit("/bell", 1), viewer.event_emit("/door", "open"))
    await ringing.house.advance(1)
    records = ringing.house.records()
    heard = {r["value"]: r["cause"] for r in records if r["event"] == "input.received"}
    said = {r["value"]: r["cause"] for r in records if r["event"] == "output.emitted"}
    assert said == {1: heard[1], "open": heard["open"]}
    assert heard[1] != heard["open"]


async def test_each_of_several_rules_says_it_for_the_same_input(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule.each("bath", "hall")
        async def light(room):
            await yarp.event_register(f"/{room}", await yarp.event_listen("/bell"))
        """,
    )
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(1)
    said = house.records(event="output.emitted")
    assert [r["rule"] for r in said] == ["hall.light[bath]", "hall.light[hall]"]
    assert len({r["cause"] for r in said}) == 1
    assert len({r["cause"] for r in house.records(path="/bell")}) == 1


# --- reloads and restarts -----------------------------------------------------------------------

GOES_ON = {
    "delay": ('await yarp.event_register("/out", yarp.delay(bell, 60))', (1, "timer after 1")),
    "debounce": (
        'await yarp.event_register("/out", yarp.debounce(bell, 60))',
        (1, "timer after 1"),
    ),
    "rate_limit": (
        """
        await yarp.event_register("/out", yarp.rate_limit(yarp.merge(bell, bell), 60))
        """,
        (1, "timer after 1"),
    ),
    "hold": ('await yarp.state_register("/out", yarp.hold(bell, 60))', (False, "timer after 1")),
    "time_window": (
        'await yarp.state_register("/out", yarp.time_window(bell, 60))',
        ([], "timer after 1"),
    ),
    "a state machine": (
        """
        def step(state, timeout, rung):
            if timeout == 0 or state is yarp.FSM.START:
                return "off", None
            return ("on", 60) if rung else (state, timeout)
        await yarp.state_register("/out", yarp.FSM(step, [bell]).state)
        """,
        ("off", "timer after 1"),
    ),
    "fold_state": (
        """
        timeouts = {"on": (60, "off")}
        await yarp.state_register(
            "/out", yarp.fold_state(bell, lambda state, n: "on", "off", timeouts=timeouts)
        )
        """,
        ("off", "timer after 1"),
    ),
    "retry": (
        """
        strategy = RunSerially(retry=True, retry_start=60, retry_end=60)
        await yarp.action_call("/out", bell, strategy=strategy)
        """,
        ([1], "1"),
    ),
}


@pytest.mark.parametrize("way", GOES_ON)
async def test_what_begins_in_one_version_and_ends_in_the_next_names_what_it_began_with(
    ringing, way
):
    body, last = GOES_ON[way]
    await ringing.load(body)
    await ringing.ring(1)
    await ringing.house.advance(20)
    before = len(ringing.said())
    await ringing.load(f"{textwrap.dedent(body)}\n# edited")
    assert "module.reloaded" in [r["event"] for r in ringing.house.records()]
    await ringing.house.advance(60)
    ringing.seen = 0
    assert len(ringing.said()) > before
    assert ringing.said()[-1] == last


@pytest.mark.parametrize("way", GOES_ON)
async def test_what_ends_after_a_restart_of_the_runner_names_what_began_before(ringing, way):
    body, last = GOES_ON[way]
    await ringing.load(body)
    await ringing.ring(1)
    await ringing.house.advance(20)
    await ringing.house.start_again()
    await ringing.house.advance(60)
    ringing.seen = 0
    assert ringing.said()[-1] == last


async def test_a_rule_that_fails_for_an_input_is_restarted_for_it(ringing):
    await ringing.load(
        """
        await yarp.event_register("/out", yarp.merge(bell))
        async for n in client.event_listen("/bell"):
            await client.event_emit("/nowhere", n)
        """
    )
    await ringing.ring(1)
    await ringing.house.advance(10)
    # The rule hears of the bell twice, in two ways.
    [bell] = {r["cause"] for r in ringing.house.records(path="/bell")}
    assert ringing.house.one(event="rule.failed")["cause"] == bell
    restarted = ringing.house.one(event="rule.restarted")
    assert restarted["parent"] == bell
    await ringing.ring(2)
    await ringing.house.advance(0)
    assert ringing.said()[-1] == (2, "2")


async def test_what_a_rule_does_after_it_was_told_to_restart_is_not_its_first_set_up(ringing):
    await ringing.load('await yarp.set_value("/out", 1)')
    await ringing.house.reloader.restart(["hall.rings"])
    await ringing.house.advance(1)
    first, second = ringing.house.records(event="output.set")
    assert (first["trigger"], second["trigger"]) == ("set-up hall", "restart hall.rings")
    assert first["cause"] != second["cause"]


# --- one rule after another ---------------------------------------------------------------------

TWO_RULES = """
from eshet import yarp
from eshet_rules import rule

@rule
async def second(client):
    {second}

@rule
async def first(client):
    bell = await yarp.event_listen("/bell")
    {first}

@rule
async def third(client):
    await yarp.state_register("/end", await yarp.state_observe("/out"))
"""

FOLLOWING = {
    "an event": (
        'await yarp.event_register("/mid", bell)',
        'await yarp.state_register("/out", yarp.event_to_value(await yarp.event_listen("/mid")))',
        ["/out", "/mid", "/bell"],
    ),
    "a state": (
        'await yarp.state_register("/mid", yarp.event_to_value(bell))',
        'await yarp.state_register("/out", await yarp.state_observe("/mid"))',
        ["/out", "/mid", "/bell"],
    ),
    "a property that is set": (
        'await yarp.set_value("/mid", bell)',
        """mid = yarp.Value(0)
    await client.prop_register("/mid", lambda: 0, lambda n: setattr(mid, "value", n))
    await yarp.state_register("/out", mid)""",
        ["/out", "/mid", "/bell"],
    ),
    "an action that is called": (
        'await yarp.action_call("/mid", bell)',
        """mid = yarp.Value(0)
    await client.action_register("/mid", lambda n: setattr(mid, "value", n))
    await yarp.state_register("/out", mid)""",
        ["/out", "/mid", "/bell"],
    ),
    "a lamp that is set": (
        'await yarp.set_value("/out", bell)',
        'await yarp.state_register("/out", yarp.Value(0), settable=True)',
        ["/out", "/out", "/bell"],
    ),
    "a lamp that takes a while": (
        'await yarp.set_value("/out", bell)',
        """lamp = yarp.Value(0)
    was_set = await yarp.state_register_set_event("/out", lamp)
    yarp.delay(was_set, 3).on_event(lambda n: setattr(lamp, "value", n))""",
        ["/out", "timer", "/out", "/bell"],
    ),
}


@pytest.mark.parametrize("modules", [1, 3])
@pytest.mark.parametrize("way", FOLLOWING)
async def test_where_one_rule_says_what_another_hears_the_chain_goes_on(house, way, modules):
    first, second, expected = FOLLOWING[way]
    text = TWO_RULES.format(first=first, second=second)
    if modules == 1:
        house.folder.write("hall.py", text)
    else:
        head, *rules = text.split("@rule\n")
        for name, each in zip(["second", "first", "third"], rules, strict=True):
            house.folder.write(f"{name}.py", f"{head}@rule\n{each}")
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(10)
    said = house.records(path="/end", event="output.published")[-1]
    assert said["value"] == 1
    assert house.whole_chain(said) == expected


@pytest.mark.parametrize(
    ("shown", "after", "chain"),
    [
        (lambda n: n, 2, ["/out", "/bell"]),
        (lambda n: float(n), 2, ["/out", "/bell"]),
        (lambda n: n, 11, ["/out"]),
        (lambda n: n + 1, 2, ["/out"]),
    ],
)
async def test_a_device_that_soon_shows_what_it_was_set_to_shows_it_for_that(
    house, shown, after, chain
):
    house.folder.write(
        "first.py", TWO_RULES.format(first='await yarp.set_value("/out", bell)', second="pass")
    )
    was_set = []
    lamp = await house.viewer.state_register("/out", was_set.append)
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(after)
    await lamp.changed(shown(was_set[-1]))
    await house.advance(0)
    said = house.records(path="/end", event="output.published")[-1]
    assert house.whole_chain(said) == chain
    # A second change to the same value, such as by hand, has another cause.
    await lamp.changed(0)
    await lamp.changed(shown(was_set[-1]))
    await house.advance(0)
    said = house.records(path="/end", event="output.published")[-1]
    assert house.whole_chain(said) == ["/out"]


async def test_what_another_program_does_at_another_path_is_not_known(house):
    house.folder.write(
        "first.py", TWO_RULES.format(first='await yarp.set_value("/in", bell)', second="pass")
    )
    lamp = await house.viewer.state_register("/out")
    await house.viewer.state_register("/in", lamp.changed)
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(1)
    said = house.records(path="/end", event="output.published")[-1]
    assert house.whole_chain(said) == ["/out"]


async def test_two_runners_on_one_server_know_nothing_of_each_others_causes(
    house, make_house, tmp_path_factory
):
    other = await make_house(rules=Folder(tmp_path_factory.mktemp("other")))
    house.folder.write(
        "first.py", rule_of('await yarp.state_register("/mid", yarp.event_to_value(bell))')
    )
    other.folder.write(
        "second.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def follows():
            await yarp.state_register("/end", await yarp.state_observe("/mid"))
        """,
    )
    assert await house.update()
    assert await other.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(1)
    mid = house.one(path="/mid", event="output.published")
    assert house.whole_chain(mid) == ["/bell"]
    end = other.records(path="/end", event="output.published")[-1]
    assert (end["value"], other.whole_chain(end)) == (1, ["/mid"])
    assert end["cause"] != mid["cause"]
