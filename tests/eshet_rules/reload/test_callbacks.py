"""Which callbacks of a rule are called at a save, and with what."""

import pytest

from eshet import Client, Unknown
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import decode, encode
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope

RULE = """
    from eshet import yarp
    from eshet.yarp import Value
    from eshet_rules import rule

    NOTE = {note!r}

    @rule
    async def light(log):
        lux = await yarp.state_observe("/lux")

        def tell(name):
            return lambda value: log.info("heard", name=name, value=value)
{text}
    """


class Rule:
    """A rule that follows `/lux`, and what its callbacks told since that was asked last."""

    def __init__(self, house, lux):
        self.house = house
        self.lux = lux
        self.note = 0

    async def save(self, text):
        self.note += 1
        lines = [f"        {line}" for line in text.strip("\n").splitlines()]
        self.house.write("hall.py", RULE.format(note=self.note, text="\n".join(lines)))
        assert await self.house.reload()
        return self.told()

    async def change(self, lux):
        await self.lux.changed(lux)
        await self.house.advance(0)
        return self.told()

    def told(self):
        assert [r for r in self.house.log.records if r["level"] == "error"] == []
        told = [(r["name"], r["value"]) for r in self.house.log.records if r["event"] == "heard"]
        self.house.log.clear()
        return told


@pytest.fixture
async def rule(house):
    lux = await house.viewer.state_register("/lux")
    await lux.changed(1)
    return Rule(house, lux)


COLLECTING = """
history = [lux.value]
yarp.on_value(lux, history.append)
yarp.on_value(lux, tell("lux"))
last = Value(inputs=(lux,), get_value=lambda: history[-1:])
last.on_value_changed(tell("last"))
"""


async def test_a_callback_that_runs_before_a_node_is_not_called_at_a_save(rule):
    assert await rule.save(COLLECTING) == [("lux", 1)]
    assert await rule.save(COLLECTING) == []
    assert await rule.change(2) == [("lux", 2), ("last", [2])]


async def test_a_callback_that_runs_before_a_node_begins_with_the_value_in_a_new_rule(rule):
    await rule.save("pass")
    assert await rule.save(COLLECTING) == [("lux", 1)]
    assert await rule.change(2) == [("lux", 2), ("last", [2])]


async def test_a_callback_that_runs_before_a_node_is_called_after_a_restart_if_it_differs(rule):
    house = rule.house
    await rule.save(COLLECTING)
    for lux, told in ((1, []), (2, [("lux", 2), ("last", [2])])):
        checkpoint = encode({"hall": house.reloader.snapshot("hall", wall_epoch())})
        await house.reloader.close()
        await rule.change(lux)
        house.reloader = Reloader(
            Importer(house.folder.path, TaskScope),
            lambda module: Client(server=house.server, client_id=f"test/{module}"),
            house.log.logger,
            inherited=decode(checkpoint, wall_epoch()),
        )
        assert await house.reload()
        assert rule.told() == told


TWO_NODES = """
seen = [lux.value]
lux.on_value_changed(seen.append)
first = Value(inputs=(lux,), get_value=lambda: seen[-1])
second = Value(inputs=(lux,), get_value=lambda: seen[-1] * 10)
yarp.on_value(first, tell("first"))
yarp.on_value(second, tell("second"))
"""


async def test_callbacks_of_two_nodes_that_read_what_one_collects_are_not_called_at_a_save(rule):
    assert await rule.save(TWO_NODES) == [("first", 1), ("second", 10)]
    assert await rule.change(2) == [("first", 2), ("second", 20)]
    for _ in range(2):
        assert await rule.save(TWO_NODES) == []
    assert await rule.change(3) == [("first", 3), ("second", 30)]


MAKING_NODES = """
def recent(lux):
    tell("made for")(lux)
    return {made}

recent = yarp.fn(recent)(lux)
await yarp.state_register("/recent", {followed})
"""


@pytest.mark.parametrize(
    ("made", "followed"),
    [
        ("yarp.len(yarp.time_window(motion, 100))", "yarp.switch(recent)"),
        (
            "[yarp.len(yarp.time_window(motion, 100))]",
            "yarp.switch(yarp.fn(lambda lengths: lengths[0])(recent))",
        ),
    ],
    ids=["a Value", "a list of Values"],
)
async def test_a_function_that_makes_nodes_is_called_once_and_follows_the_restored_ones(
    rule, made, followed
):
    text = 'motion = await yarp.event_listen("/motion")' + MAKING_NODES.format(
        made=made, followed=followed
    )
    moved = await rule.house.viewer.event_register("/motion")
    assert await rule.save(text) == [("made for", 1)]
    await moved("somebody")
    await rule.house.advance(50)
    for _ in range(2):
        assert await rule.save(text) == [("made for", 1)]
    assert await rule.house.get("/recent") == 1
    await moved("somebody")
    await rule.house.advance(49)
    assert await rule.house.get("/recent") == 2
    await rule.house.advance(2)
    assert await rule.house.get("/recent") == 1
    assert await rule.change(2) == [("made for", 2)]
    assert await rule.house.get("/recent") == 0


NO_CHANGE = """
def made(lux):
    return yarp.NoChange if lux == 2 else yarp.fn(lambda x: x * 10)(level)

level = await yarp.state_observe("/level")
await yarp.state_register("/made", yarp.switch(yarp.fn(made)(lux)))
"""


async def test_a_function_that_changes_nothing_at_a_save_does_not_follow_nodes_that_ended(rule):
    level = await rule.house.viewer.state_register("/level")
    await level.changed(5)
    await rule.save(NO_CHANGE)
    await rule.change(2)
    assert await rule.house.get("/made") == 50
    await rule.save(NO_CHANGE)
    assert await rule.house.get("/made") is Unknown
    await rule.change(1)
    assert await rule.house.get("/made") == 50
