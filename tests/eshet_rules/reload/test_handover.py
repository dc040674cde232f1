"""What the house notices of a reload: nothing."""

import asyncio

import pytest

from eshet import Client, Unknown
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import decode, encode
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from tests.support.house import LEVEL

MOTION_LIGHT = """
    from eshet import yarp
    from eshet_rules import rule

    NOTE = {note!r}

    @rule
    async def light():
        motion = await yarp.event_listen("/hall/motion")
        on = yarp.len(yarp.time_window(motion, 60)) > 0
        await yarp.state_register("/hall/light", on)
        await yarp.action_call("/lamp/switch", yarp.no_repeat(on))
        {end}
    """


@pytest.fixture
async def hall(house):
    """A house whose hall light has gone on at 0 s; its log of calls and of states."""
    house.lamp = await house.calls("/lamp/switch")
    house.moves = await house.viewer.event_register("/hall/motion")
    house.write("hall.py", MOTION_LIGHT.format(note="first", end=""))
    await house.reload()
    house.lamp.clear()
    house.light = await house.watch("/hall/light")
    await house.moves("somebody")
    await house.advance(0)
    assert house.light == [False, True]
    return house


async def test_a_light_does_not_notice_an_edit_of_another_line(hall):
    await hall.advance(10)
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end=""))
    assert await hall.reload()
    await hall.advance(49)
    assert hall.light == [False, True]
    await hall.advance(1)
    assert hall.light == [False, True, False]
    assert hall.lamp == [[True], [False]]


async def test_a_light_does_not_notice_an_edit_that_fails(hall):
    await hall.advance(10)
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end="raise OSError('no line')"))
    assert not await hall.reload()
    await hall.advance(49)
    assert hall.light == [False, True]
    await hall.advance(1)
    assert hall.light == [False, True, False]
    assert hall.lamp == [[True], [False]]


async def test_the_log_tells_per_rule_what_was_kept(hall):
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end=""))
    await hall.reload()
    record = hall.log.find("module.state_handed_over")
    assert record["rule"] == "hall.light"
    assert record["kept"] == ["time_window of /hall/motion", "no_repeat of /hall/motion"]
    assert "afresh" not in record
    assert hall.log.events("hall") == [
        "module.loaded",
        "module.state_handed_over",
        "module.reloaded",
    ]


async def test_a_call_that_is_on_its_way_at_a_save_is_not_made_twice(house):
    calls, answer = [], asyncio.Event()

    async def ring(number):
        calls.append(number)
        await answer.wait()

    await house.viewer.action_register("/bell", ring)
    pressed = await house.viewer.event_register("/button")
    rule = """
        from eshet import yarp
        from eshet.utils import RunSerially
        from eshet_rules import rule

        NOTE = {note!r}

        @rule(strategy=RunSerially(retry=True))
        async def bell():
            await yarp.action_call("/bell", await yarp.event_listen("/button"))
        """
    house.write("hall.py", rule.format(note="first"))
    await house.reload()
    await pressed(1)
    await pressed(2)
    await house.advance(0)
    for note in ("second", "third"):
        house.write("hall.py", rule.format(note=note))
        assert await house.reload()
        await pressed(3)
        await house.advance(0)
    assert calls == [1]
    answer.set()
    await house.advance(0)
    assert calls == [1, 2, 3, 3]


class Away:
    """A connector to a server that can be away."""

    def __init__(self, server):
        self._server = server
        self._connections = []
        self.is_away = False

    async def connect(self, factory):
        if self.is_away:
            raise ConnectionRefusedError("the server is away")
        self._connections.append(await self._server.connect(factory))
        return self._connections[-1]

    def leave(self):
        self.is_away = True
        for connection in self._connections:
            connection.abort()


COUNTER = """
    from eshet import yarp
    from eshet_rules import keep, rule

    NOTE = {note!r}

    @rule
    async def counter():
        {ask}
        motion = await yarp.event_listen("/hall/motion")
        count = keep("count", 0)
        yarp.on_value(motion, lambda _: setattr(count, "value", count.value + 1))
        await yarp.state_register("/hall/count", count)
        recent = yarp.time_window(motion, 60)
        await yarp.state_register("/hall/recent", yarp.len(recent))
    """


@pytest.mark.parametrize("ask", ["pass", 'await (await yarp.get_default_eshet_client()).get("/x")'])
@pytest.mark.parametrize("saved", ["while it is away", "as it goes"])
async def test_what_a_rule_remembers_survives_saves_while_the_server_is_away(house, ask, saved):
    away = Away(house.server)
    reloader = Reloader(
        Importer(house.folder.path, TaskScope),
        lambda module: Client(server=away, client_id=f"test/{module}"),
        house.log.logger,
    )
    await (await house.viewer.state_register("/x")).changed(1)
    move = await house.viewer.event_register("/hall/motion")
    house.write("hall.py", COUNTER.format(note="first", ask=ask))
    assert await reloader.update(house.folder.sources())
    for _ in range(3):
        await move(None)
    await house.advance(0)
    for note in ("second", "third"):
        house.write("hall.py", COUNTER.format(note=note, ask=ask))
        update = asyncio.create_task(reloader.update(house.folder.sources()))
        if saved == "as it goes":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        away.leave()
        await house.advance(12)
        assert not update.done() or saved == "as it goes"
        away.is_away = False
        await house.advance(6)
        assert await update
    assert await house.get("/hall/count") == 3
    assert await house.get("/hall/recent") == 3
    await reloader.close()


async def test_a_set_up_that_fails_as_the_connection_is_lost_is_no_failure_of_the_rule(house):
    away = Away(house.server)
    reloader = Reloader(
        Importer(house.folder.path, TaskScope),
        lambda module: Client(server=away, client_id=f"test/{module}"),
        house.log.logger,
    )

    async def never():
        await asyncio.Event().wait()

    await house.viewer.action_register("/slow", never)
    house.write(
        "hall.py",
        """
        from eshet_rules import rule

        @rule
        async def asks(client):
            await client.action_call("/slow")
        """,
    )
    update = asyncio.create_task(reloader.update(house.folder.sources()))
    for _ in range(8):  # more often than a rule may fail
        await house.advance(5)
        away.leave()
        await house.advance(1)
        away.is_away = False
        await house.advance(6)
    assert await update
    [report] = reloader.reports()
    assert str(report.status.state) == "running"
    assert report.status.restarts == 0
    assert [record for record in house.log.records if record["level"] == "error"] == []
    away.leave()
    await house.advance(1)
    [report] = reloader.reports()
    assert report.status.why == "it waits for the connection"
    await reloader.close()


LAMP = """
    from eshet import yarp
    from eshet_rules import rule

    NOTE = {note!r}

    @rule
    async def lamp():
        dark = await yarp.state_observe("/dark")
        await yarp.set_value("/lamp", yarp.no_repeat(yarp.default(dark, False)))
    """


@pytest.fixture
async def lamp(house):
    """A lamp that publishes what it is set to, and a rule that sets it while it is dark."""
    house.sets = []

    async def set_lamp(value):
        house.sets.append(value)
        await house.lamp.changed(value)

    house.lamp = await house.viewer.state_register("/lamp", set_lamp)
    house.dark = await house.viewer.state_register("/dark")
    await house.dark.changed(True)
    house.write("hall.py", LAMP.format(note="first"))
    return house


@pytest.mark.parametrize(
    ("shown", "sets"), [(True, []), (False, [True]), (Unknown, [True])], ids=str
)
async def test_after_a_restart_a_device_is_set_that_shows_something_else(lamp, shown, sets):
    await lamp.reload()
    assert lamp.sets == [True]
    checkpoint = encode({"hall": lamp.reloader.snapshot("hall", wall_epoch())})
    await lamp.reloader.close()
    lamp.sets.clear()
    await lamp.lamp.changed(shown)
    reloader = Reloader(
        Importer(lamp.folder.path, TaskScope),
        lambda module: Client(server=lamp.server, client_id=f"test/{module}"),
        lamp.log.logger,
        inherited=decode(checkpoint, wall_epoch()),
    )
    await reloader.update(lamp.folder.sources())
    await lamp.advance(1)
    assert lamp.sets == sets
    await reloader.close()


@pytest.mark.parametrize("saved", [False, True])
async def test_a_setting_that_was_lost_with_the_connection_is_made_when_it_is_back(lamp, saved):
    away = Away(lamp.server)
    reloader = Reloader(
        Importer(lamp.folder.path, TaskScope),
        lambda module: Client(server=away, client_id=f"test/{module}"),
        lamp.log.logger,
    )
    await reloader.update(lamp.folder.sources())
    assert lamp.sets == [True]
    away.leave()  # which tells the rule that nobody knows whether it is dark
    await lamp.advance(1)
    assert lamp.sets == [True]
    if saved:
        lamp.write("hall.py", LAMP.format(note="second"))
        update = asyncio.create_task(reloader.update(lamp.folder.sources()))
        await lamp.advance(1)
    await lamp.dark.changed(False)
    await lamp.viewer.unregister("/lamp")
    away.is_away = False
    await lamp.advance(10)
    lamp.lamp = await lamp.viewer.state_register("/lamp", lambda value: lamp.sets.append(value))
    await lamp.advance(60)
    assert lamp.sets == [True, False]
    if saved:
        assert await update
    await reloader.close()


async def test_a_setting_outlasts_a_connection_that_is_lost_again_and_again(lamp):
    away = Away(lamp.server)
    reloader = Reloader(
        Importer(lamp.folder.path, TaskScope),
        lambda module: Client(server=away, client_id=f"test/{module}"),
        lamp.log.logger,
    )
    await reloader.update(lamp.folder.sources())
    held = asyncio.Event()
    await lamp.viewer.unregister("/lamp")

    async def never(value):
        lamp.sets.append(value)
        if not held.is_set():
            await asyncio.Event().wait()

    await lamp.viewer.state_register("/lamp", never)
    await lamp.dark.changed(False)
    for _ in range(12):  # more often than it is tried while there is a connection
        await lamp.advance(10)
        away.leave()
        await lamp.advance(1)
        away.is_away = False
    held.set()
    lamp.sets.clear()
    await lamp.advance(20)
    assert lamp.sets == [False]
    await reloader.close()


PLACES = ("bath", "hall")

PER_ROOM = """
    from eshet import yarp
    from eshet_rules import keep, rule

    NOTE = {note!r}

    async def count(room):
        motion = await yarp.event_listen(f"/{{room}}/motion")
        count = keep("n", 0)
        yarp.on_value(motion, lambda _: setattr(count, "value", count.value + 1))
        await yarp.state_register(f"/{{room}}/count", count)
        await yarp.state_register(f"/{{room}}/busy", yarp.hold(motion, 60, name="busy"))

    {rules}
    """


@pytest.mark.parametrize(
    "rules",
    [
        '@rule.each("bath", "hall")\n    async def room(name): await count(name)',
        '@rule\n    async def a(): await count("bath")\n'
        '    @rule\n    async def b(): await count("hall")',
    ],
    ids=["each", "two rules"],
)
async def test_names_of_what_is_kept_belong_to_the_rule(house, rules):
    moved = {room: await house.viewer.event_register(f"/{room}/motion") for room in PLACES}
    house.write("rooms.py", PER_ROOM.format(note="first", rules=rules))
    assert await house.reload()
    for room in ("bath", "bath", "hall"):
        await moved[room](None)
    await house.advance(61)
    await moved["hall"](None)
    await house.advance(0)
    for note in ("second", "third"):
        house.write("rooms.py", PER_ROOM.format(note=note, rules=rules))
        assert await house.reload()
    assert [await house.get(f"/{room}/count") for room in PLACES] == [2, 2]
    assert [await house.get(f"/{room}/busy") for room in PLACES] == [False, True]
    assert "afresh" not in house.log.records[-1]


async def test_a_path_moves_to_another_module_on_a_server_that_can_not_unregister(house):
    tree = house.server.router.tree
    tree.disown(tree.find(b"/meta/unregister"))
    house.write("a.py", LEVEL.format(name="shared", level="'a'") + OTHER)
    house.write("b.py", LEVEL.format(name="b", level=1))
    assert await house.update(10)
    told = await house.watch("/shared/level")
    other = await house.watch("/other")
    house.write("a.py", LEVEL.format(name="a", level=1) + OTHER)
    house.write("b.py", LEVEL.format(name="shared", level="'b'"))
    assert await house.update(10)
    assert told == ["a", Unknown, "b"]
    assert other == [1, Unknown, 1], "the module has left the server for a moment"
    assert [record["level"] for record in house.log.records if record["level"] != "info"] == []


OTHER = """
    @rule
    async def other():
        await yarp.state_register("/other", yarp.Value(1))
    """


@pytest.mark.parametrize("given", ["client", ""])
async def test_a_rule_that_closed_its_client_holds_up_no_save(house, given):
    closing = """
        import asyncio, contextlib
        from eshet import EshetError, yarp
        from eshet_rules import rule

        NOTE = {note!r}

        @rule
        async def closes({given}):
            with contextlib.suppress(EshetError):
                await (await yarp.get_default_eshet_client()).close()
            await asyncio.Event().wait()
        """
    house.write("bad.py", closing.format(note="first", given=given))
    house.write_level("good", 1)
    await house.update(2)
    for level in (2, 3):
        house.write("bad.py", closing.format(note=level, given=given))
        house.write_level("good", level)
        await house.update(15)
        assert await house.get("/good/level") == level
