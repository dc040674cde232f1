"""A restart is a reload through a file."""

import asyncio
import hashlib
import itertools
import random
import threading
from datetime import UTC, datetime, timedelta

import msgpack
import pytest

from eshet import Client, Unknown
from eshet.clock import wall_now
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import Checkpoint
from eshet_rules.reload.checkpoint_writer import CheckpointWriter, wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.threads import RunnerThreads
from tests.support.hostile import EXPANDING, HOSTILE

HEAD = """
    from eshet import yarp
    from eshet_rules import keep, rule
    """


class Restarts:
    """A house whose runner is killed, and started again from its checkpoint."""

    def __init__(self, house, path):
        self.house = house
        self.checkpoint = Checkpoint(path, house.log.logger)
        self.threads = RunnerThreads()

    async def remember(self):
        house = self.house
        await CheckpointWriter(
            house.reloader, self.checkpoint, house.log.logger, self.threads
        ).write()

    async def kill(self):
        """End the runner, of which nothing is left but the checkpoint that was last written."""
        await self.house.reloader.close()

    async def start(self, seconds=0):
        server = self.house.server
        self.house.reloader = Reloader(
            Importer(self.house.folder.path, TaskScope),
            lambda module: Client(server=server, client_id=f"test/{module}"),
            self.house.log.logger,
            inherited=self.checkpoint.read(wall_epoch()),
        )
        return await self.house.update(seconds)


@pytest.fixture
def restarts(house, tmp_path_factory):
    return Restarts(house, tmp_path_factory.mktemp("state") / "house" / "checkpoint")


def module(text):
    return HEAD + "\n    @rule\n    async def it():\n" + text


LIGHT = module("""
        motion = await yarp.event_listen("/motion")
        on = yarp.no_repeat(yarp.len(yarp.time_window(motion, 60)) > 0)
        await yarp.state_register("/light", on)
        await yarp.action_call("/lamp", on)
    """)


async def test_a_window_ends_at_its_time_over_a_kill(house, restarts, advance):
    lamp = await house.calls("/lamp")
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", LIGHT)
    await house.reload()
    lamp.clear()
    await move("somebody")
    await advance(29)
    await restarts.remember()
    await advance(1)
    await restarts.kill()
    await advance(10)
    await restarts.start()
    assert await house.get("/light") is True
    await advance(19)
    assert await house.get("/light") is True
    await advance(1)
    assert await house.get("/light") is False
    assert lamp == [[True], [False]]


@pytest.mark.parametrize("behind_s", [4 * 3600, 1_700_000_000])
@pytest.mark.parametrize(("down", "ends"), [(10, 20), (25, 5), (500, 1)])
async def test_a_window_ends_at_its_time_once_a_clock_that_was_behind_is_set(
    house, restarts, advance, behind_s, down, ends
):
    loop, behind = asyncio.get_running_loop(), timedelta(seconds=behind_s)
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", LIGHT)
    await house.reload()
    await move("somebody")
    await advance(27)
    await restarts.remember()
    await restarts.kill()
    await advance(down)
    loop.set_wall_time(wall_now(UTC) - behind)
    await restarts.start()
    await advance(3)
    assert await house.get("/light") is True
    loop.set_wall_time(wall_now(UTC) + behind)
    if down < 500:
        await advance(ends - 1)
        assert await house.get("/light") is True
    await advance(1)
    assert await house.get("/light") is False


async def test_a_window_waits_no_longer_than_when_it_was_written(house, restarts, advance):
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", LIGHT)
    await house.reload()
    await move("somebody")
    await advance(27)
    await restarts.remember()
    await restarts.kill()
    await advance(10)
    asyncio.get_running_loop().set_wall_time(datetime(1970, 1, 1, tzinfo=UTC))
    await restarts.start()
    await advance(32)
    assert await house.get("/light") is True
    await restarts.remember()  # on the wrong clock
    await restarts.kill()
    await restarts.start()
    await advance(2)
    assert await house.get("/light") is False


@pytest.mark.parametrize(("down", "rung"), [(3600, []), (8 * 3600, ["2026-01-01 07:30"])])
async def test_times_that_a_wrong_clock_was_put_over_are_not_missed(
    house, restarts, advance, down, rung
):
    bell, loop = [], asyncio.get_running_loop()
    await house.viewer.event_listen_cb("/bell", bell.append)
    house.write(
        "hall.py",
        module("""
        morning = yarp.schedule("07:30", tz="UTC", missed="emit")
        meant = yarp.fn(lambda meant: f"{meant:%Y-%m-%d %H:%M}")(morning)
        await yarp.event_register("/bell", meant)
    """),
    )
    await house.reload()
    await restarts.remember()
    await restarts.kill()
    await advance(down)
    right = wall_now(UTC)
    loop.set_wall_time(datetime(1970, 1, 1, tzinfo=UTC))
    await restarts.start()
    await advance(30)
    assert bell == []
    loop.set_wall_time(right + timedelta(seconds=30))
    await advance(1)
    assert bell == rung
    await advance(86_400)
    assert len(bell) == len(rung) + 1


async def test_the_clock_and_schedules_are_remembered_without_a_warning(house, restarts, advance):
    house.write(
        "hall.py",
        module("""
        clock = yarp.now(600, tz="Europe/Berlin")
        last = yarp.latest(yarp.schedule("*/20 * * * *", tz="Asia/Tokyo"), initial=None)
        before = yarp.window(clock, 2)
        await yarp.state_register("/clock", yarp.fn(lambda t: f"{t:%H:%M}")(clock))
        await yarp.state_register("/local", yarp.fn(lambda t: f"{t:%M}")(yarp.now(600)))
        await yarp.state_register("/last", yarp.fn(lambda t: t and f"{t:%H:%M %Z}")(last))
        await yarp.state_register("/before", yarp.fn(lambda ts: f"{ts[0]:%H:%M %Z}")(before))
    """),
    )
    await house.reload()
    await advance(1210)
    await restarts.remember()
    assert [r for r in house.log.records if r["level"] == "warning"] == []
    before = {path: await house.get(path) for path in ("/clock", "/local", "/last", "/before")}
    assert before == {
        "/clock": "01:20", "/local": "20", "/last": "09:20 JST", "/before": "01:10 CET"
    }  # fmt: skip
    await restarts.kill()
    house.log.clear()
    await restarts.start()
    assert {path: await house.get(path) for path in before} == before
    assert house.reloader.restored[1] == 0
    await advance(600)
    assert await house.get("/clock") == "01:30"
    assert await house.get("/before") == "01:20 CET"


async def test_when_it_was_written_is_in_a_checkpoint_that_changes_only_with_the_rest(
    house, restarts, advance
):
    house.write("hall.py", LIGHT)
    await house.reload()
    await restarts.remember()
    before = restarts.checkpoint.path.stat().st_mtime_ns, restarts.checkpoint.path.stat().st_ino
    await advance(10)
    await restarts.remember()
    after = restarts.checkpoint.path.stat()
    assert (after.st_mtime_ns, after.st_ino) == before


@pytest.mark.parametrize(
    ("down", "missed", "rung", "logged"),
    [
        (30, "drop", ["07:30"], []),
        (3600, "drop", [], ["schedule: datetime.datetime(2026, 1, 1, 7, 30"]),
        (3600, "emit", ["07:30"], []),
    ],
)
async def test_a_time_that_came_while_nobody_was_there(
    house, restarts, advance, down, missed, rung, logged
):
    bell = []
    await house.viewer.event_listen_cb("/bell", bell.append)
    house.write(
        "hall.py",
        module(f"""
        morning = yarp.schedule("07:30", tz="UTC", missed="{missed}")
        await yarp.event_register("/bell", yarp.fn(lambda meant: f"{{meant:%H:%M}}")(morning))
    """),
    )
    await house.reload()
    await advance(7.5 * 3600 - 10)
    await restarts.remember()
    await restarts.kill()
    await advance(down)
    await restarts.start()
    await advance(1)
    assert bell == rung
    told = [record for record in house.log.records if record["event"] == "module.state_handed_over"]
    assert [record["missed"][0].partition(", tz")[0] for record in told] == logged


async def test_what_fell_due_meanwhile_is_true_at_once(house, restarts, advance):
    lamp = await house.calls("/lamp")
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", LIGHT)
    await house.reload()
    await move("somebody")
    await advance(0)
    await restarts.remember()
    await restarts.kill()
    lamp.clear()
    await advance(3600)
    told = await house.watch("/light")
    await restarts.start()
    assert told == [Unknown, False]
    assert lamp == [[False]]


@pytest.mark.parametrize(("missed", "rung"), [("drop", []), ("emit", ["ding"])])
async def test_an_event_that_was_missed_is_dropped_and_logged_or_emitted_late(
    house, restarts, advance, missed, rung
):
    bell = []
    await house.viewer.event_listen_cb("/bell", bell.append)
    house.write(
        "hall.py",
        module(f"""
        motion = await yarp.event_listen("/motion")
        await yarp.event_register("/bell", yarp.delay(motion, 900, missed="{missed}"))
    """),
    )
    await house.reload()
    await house.viewer.event_register("/motion")
    await house.viewer.event_emit("/motion", "ding")
    await advance(0)
    await restarts.remember()
    await restarts.kill()
    await advance(1000)
    await restarts.start()
    assert bell == rung
    if missed == "drop":
        assert house.log.find("module.state_handed_over")["missed"] == ["delay of /motion: 'ding'"]


async def test_kept_values_machines_and_queues_survive(house, restarts, advance):
    lamp = await house.calls("/lamp")
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet.utils import RunSerially
        from eshet_rules import keep, rule

        def step(state, timeout, motions):
            if motions:
                return ("on", motions[-1]), 30
            return ("off", None) if timeout == 0 or state is yarp.FSM.START else state, timeout

        @rule(strategy=RunSerially(retry=True))
        async def it():
            motion = await yarp.event_listen("/motion")
            await yarp.state_register("/machine", yarp.FSM(step, [motion]).state)
            count = keep("count", {"motions": 0})
            await yarp.state_register("/count", count)
            motion.on_event(lambda _: setattr(count, "value", {"motions": 1}))
            await yarp.action_call("/gone", motion)
            await yarp.action_call("/lamp", motion)
        """,
    )
    await house.reload()
    await house.viewer.event_register("/motion")
    await house.viewer.event_emit("/motion", 7)
    await advance(1)
    assert lamp == [[7]]
    await restarts.remember()
    await restarts.kill()
    gone = await house.calls("/gone")
    await restarts.start()
    assert await house.get("/machine") == ["on", 7]
    assert await house.get("/count") == {"motions": 1}
    assert gone == [[7]]
    assert lamp == [[7]]
    await advance(29)
    assert await house.get("/machine") == ["off", None]


async def test_what_is_no_plain_data_is_left_out_and_told_once(house, restarts):
    house.write(
        "hall.py",
        module("""
        thing = keep("thing", object())
        number = keep("number", 7)
    """)
        + "\n        things.extend([thing, number])\n\n    things = []\n",
    )
    await house.reload()
    await restarts.remember()
    await restarts.remember()
    assert house.log.find("state.not_plain_data")["what"] == "'thing'"
    assert restarts.checkpoint.read(0)["hall"].kept() == {
        "number": [house.reloader.instances["hall"].version.source.version, 7]
    }


async def test_a_module_that_is_broken_at_the_start_loses_nothing(house, restarts, advance):
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", LIGHT)
    await house.reload()
    await move("somebody")
    await advance(0)
    await restarts.remember()
    await restarts.kill()
    house.write("hall.py", "a = = 1")
    await restarts.start()
    await restarts.remember()
    await restarts.kill()
    house.write("hall.py", LIGHT)
    await restarts.start()
    assert await house.get("/light") is True


async def test_the_same_is_not_written_twice(house, restarts):
    house.write("hall.py", LIGHT)
    await house.reload()
    await restarts.remember()
    written = restarts.checkpoint.path.stat().st_ino
    await restarts.remember()
    assert restarts.checkpoint.path.stat().st_ino == written


@pytest.mark.parametrize("place", [0, 10, 30, 60, -1])
async def test_a_damaged_file_is_set_aside(house, restarts, place):
    house.write("hall.py", LIGHT)
    await house.reload()
    await restarts.remember()
    path = restarts.checkpoint.path
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    await restarts.kill()
    assert await restarts.start()
    assert not path.exists()
    aside = house.log.find("checkpoint.damaged")["set_aside"]
    assert path.with_suffix(".damaged").read_bytes() == data
    assert aside == str(path.with_suffix(".damaged"))


async def test_any_cut_of_the_file_is_noticed(house, restarts):
    house.write("hall.py", LIGHT)
    await house.reload()
    await restarts.remember()
    path = restarts.checkpoint.path
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert restarts.checkpoint.read(0) == {}


async def test_a_folder_that_can_not_be_written_is_told_once(house, restarts, tmp_path_factory):
    house.write("hall.py", LIGHT)
    await house.reload()
    file = tmp_path_factory.mktemp("file") / "file"
    file.write_text("in the way")
    checkpoint = Checkpoint(file / "checkpoint", house.log.logger)
    rememberer = CheckpointWriter(house.reloader, checkpoint, house.log.logger, restarts.threads)
    await rememberer.write()
    await rememberer.write()
    assert "File exists" in house.log.find("checkpoint.not_written")["error"]


async def test_it_is_written_at_most_once_a_second(house, restarts, advance):
    house.write("hall.py", LIGHT)
    await house.reload()
    move = await house.viewer.event_register("/motion")
    rememberer = CheckpointWriter(
        house.reloader, restarts.checkpoint, house.log.logger, restarts.threads
    )
    running = asyncio.create_task(rememberer.run())
    files = set()
    for _ in range(30):
        await move("somebody")
        await advance(0.1)
        if restarts.checkpoint.path.exists():
            files.add(restarts.checkpoint.path.read_bytes())
    running.cancel()
    assert len(files) in (3, 4)


# --- what can't be remembered -------------------------------------------------------------------

HOSTILE_RULE = """
    import sys
    from eshet import yarp
    from eshet_rules import keep, rule
    from tests.support.hostile import EXPANDING, HOSTILE

    # {edit}

    @rule
    async def hostile():
        motion = await yarp.event_listen("/motion")
        things = yarp.fn(lambda _: (HOSTILE | EXPANDING)[{kind!r}]())(motion)
        window = yarp.time_window(things, 60)
        kept = keep("kept", None)
        things.on_event(lambda thing: setattr(kept, "value", thing))
        await yarp.state_register("/length", yarp.fn(len)(window))

    @rule
    async def good():
        motion = await yarp.event_listen("/motion")
        await yarp.state_register("/count", yarp.len(yarp.time_window(motion, 60)))
    """


@pytest.mark.parametrize("kind", HOSTILE | EXPANDING)
async def test_what_can_not_be_remembered_costs_its_own_node(house, restarts, advance, kind):
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", HOSTILE_RULE.format(kind=kind, edit=1))
    assert await house.reload()
    await move("somebody")
    await advance(0)
    for _ in range(3):
        await restarts.remember()
    told = [r for r in house.log.records if r["event"] == "state.not_plain_data"]
    assert {(r["rule"], r["what"]) for r in told} >= {("hall.hostile", "'kept'")}
    assert {r["rule"] for r in told} == {"hall.hostile"}
    assert len(told) == len({r["what"] for r in told})  # each once
    [kept] = [r for r in told if r["what"] == "'kept'"]
    assert kept["place"] == "hall.py:14"
    house.write("hall.py", HOSTILE_RULE.format(kind=kind, edit=2))
    assert await house.reload()
    assert await house.get("/count") == 1
    await move("somebody")
    await advance(0)
    await restarts.remember()
    await restarts.kill()
    assert await restarts.start()
    assert await house.get("/count") == 2


async def test_a_value_that_nests_deeper_with_each_event_is_kept_until_it_is_too_deep(
    house, restarts, advance
):
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import keep, rule

        @rule
        async def it():
            motion = await yarp.event_listen("/motion")
            kept, other = keep("kept", ()), keep("other", 0)

            @motion.on_event
            def nest(number):
                nested = kept.value
                for _ in range(number):
                    nested = (1, nested)
                kept.value = nested
                other.value += number

            await yarp.state_register("/other", other)
        """,
    )
    assert await house.reload()
    move = await house.viewer.event_register("/motion")
    for number in (200, 200, 1000, 5000):
        await move(number)
        await advance(0)
        await restarts.remember()
    what = house.log.find("state.not_plain_data")
    assert (what["what"], what["why"]) == ("'kept'", "it is nested too deeply, or contains itself")
    await restarts.kill()
    assert await restarts.start()
    assert await house.get("/other") == 6400


# --- what nothing refers to ---------------------------------------------------------------------


async def test_what_is_kept_is_kept_though_nothing_refers_to_it(house, restarts, advance):
    house.write(
        "hall.py",
        module("""
        import asyncio
        boots = keep("boots", 0)
        await asyncio.sleep(2)
        boots.value += 1
        await yarp.state_register("/boots", yarp.Value(boots.value))
    """),
    )
    for boots in (1, 2, 3):
        assert await restarts.start(3)
        assert await house.get("/boots") == boots
        await restarts.remember()
        await restarts.kill()


async def test_keep_in_a_callback_does_not_pile_up(house, advance):
    house.write(
        "hall.py",
        module("""
        motion = await yarp.event_listen("/motion")
        motion.on_event(lambda _: keep("count", 0))
    """),
    )
    assert await house.reload()
    move = await house.viewer.event_register("/motion")
    for _ in range(50):
        await move("somebody")
    await advance(0)
    assert len(house.reloader.snapshot("hall").kept()) == 1
    assert [str(memo.description) for memo in house.reloader.snapshot("hall").nodes] == ["'count'"]


# --- whatever the file holds --------------------------------------------------------------------

EVERYTHING = """
    import asyncio
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def it():
        motion = await yarp.event_listen("/motion")
        light = yarp.len(yarp.time_window(motion, 60)) > 0
        await yarp.state_register("/light", yarp.no_repeat(light))
        await yarp.action_call("/lamp", light)
        await yarp.event_register("/bell", yarp.delay(motion, 5))
        await yarp.event_register("/rang", yarp.rate_limit(motion, 5))
        await yarp.state_register("/count", keep("count", 0))
        await yarp.state_register("/quiet", yarp.event_to_value(yarp.debounce(motion, 5), 0))
        await yarp.state_register("/held", yarp.hold(motion, 5))
        machine = yarp.FSM(lambda state, timeout, ms: (1, 10) if ms else (0, timeout), [motion])
        await yarp.state_register("/machine", machine.state)
    """


def damaged(value, chance):
    """Return a value of msgpack with something else in place of one part of it."""
    if isinstance(value, bytes) and chance.random() < 0.9:
        try:
            inside = msgpack.unpackb(value, strict_map_key=False)
        except ValueError:  # as it was damaged before
            return chance.randbytes(20)
        return msgpack.packb(damaged(inside, chance))
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], damaged(value[place], chance), *value[place + 1 :]]
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return {**value, key: damaged(value[key], chance)}
    return chance.choice([None, 7, -1.5, 1e300, float("nan"), "", "x", b"", [], [[]], {}, {"a": 1},
                          {"last": 1}, [None, None], msgpack.ExtType(9, b"")])  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
async def test_any_checkpoint_with_a_right_checksum_starts_the_house(
    house, restarts, advance, seed
):
    chance = random.Random(seed)  # noqa: S311 - to get the same again
    lamp = await house.calls("/lamp")
    move = await house.viewer.event_register("/motion")
    house.write("hall.py", EVERYTHING)
    house.write_level("bath", 3)
    assert await house.reload()
    await move("somebody")
    await advance(1)
    await restarts.remember()
    await restarts.kill()
    path = restarts.checkpoint.path
    magic, body = path.read_bytes()[:25], path.read_bytes()[57:]
    for _ in range(chance.randrange(1, 4)):
        body = msgpack.packb(damaged(msgpack.unpackb(body, strict_map_key=False), chance))
    path.write_bytes(magic + hashlib.sha256(body).digest() + body)
    assert await restarts.start()
    lamp.clear()
    assert await house.get("/bath/level") == 3
    await advance(100)
    await move("somebody")
    await advance(1)
    assert await house.get("/light") is True
    await advance(100)
    assert lamp[-2:] == [[True], [False]]
    await restarts.remember()
    assert set(restarts.checkpoint.read(0)) == {"bath", "hall"}


# --- when it is written -------------------------------------------------------------------------


class OnASlowDisk(CheckpointWriter):
    """Takes its time to write, as time goes in tests."""

    seconds = 0.0
    writes = 0

    async def _write(self, data):
        self.writes += 1
        await asyncio.sleep(self.seconds)
        await super()._write(data)


@pytest.fixture
async def counting(house, advance):
    """A rule that keeps the time, ten times a second."""
    house.write(
        "hall.py",
        """
        import asyncio
        from eshet_rules import keep, rule

        @rule
        async def it():
            now = keep("now", 0.0)
            while True:
                now.value = asyncio.get_running_loop().time()
                await asyncio.sleep(0.1)
        """,
    )
    await house.update()
    return house


@pytest.fixture
def rememberer(counting, restarts, seconds):
    rememberer = OnASlowDisk(
        counting.reloader, restarts.checkpoint, counting.log.logger, restarts.threads
    )
    rememberer.seconds = seconds
    return rememberer


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.3])
async def test_what_is_in_the_file_is_never_older_than_a_second(
    rememberer, restarts, advance, seconds
):
    running = asyncio.create_task(rememberer.run())
    await advance(1)  # by then it is known how long a write takes
    for _ in range(200):
        await advance(0.05)
        [_, kept] = restarts.checkpoint.read(0)["hall"].kept()["now"]
        assert asyncio.get_running_loop().time() - kept < 1.0
    running.cancel()
    assert rememberer.writes <= (16 if seconds <= 0.05 else 40)


@pytest.mark.parametrize("seconds", [0.8])
async def test_a_disk_that_is_too_slow_is_logged_once(counting, rememberer, advance):
    running = asyncio.create_task(rememberer.run())
    await advance(20)
    running.cancel()
    assert counting.log.find("checkpoint.slow")["seconds"] == 0.8


@pytest.mark.parametrize("seconds", [0.4, 2.0])
async def test_packing_leaves_the_loop_to_the_rules_for_most_of_the_time(
    counting, restarts, advance, seconds
):
    loop, begins = asyncio.get_running_loop(), []

    class SlowToPack(Checkpoint):
        def pack(self, modules):
            begins.append(loop.time())
            loop._now += seconds  # as a long computation does
            return super().pack(modules)

    slow = SlowToPack(restarts.checkpoint.path, counting.log.logger)
    rememberer = CheckpointWriter(counting.reloader, slow, counting.log.logger, restarts.threads)
    running = asyncio.create_task(rememberer.run())
    await advance(30)
    running.cancel()
    pauses = [after - before for before, after in itertools.pairwise(begins)]
    assert len(pauses) >= 3
    assert min(pauses) > 2.99 * seconds
    assert counting.log.events().count("checkpoint.slow") == 1


async def test_the_last_write_waits_for_one_that_was_cancelled(counting, restarts):
    begun, gate = threading.Event(), threading.Event()
    checkpoint, order = restarts.checkpoint, []

    class Gated(Checkpoint):
        def write(self, data):
            order.append("begin")
            begun.set()
            assert gate.wait(10)
            super().write(data)
            order.append("end")

    gated = Gated(checkpoint.path, counting.log.logger)
    rememberer = CheckpointWriter(counting.reloader, gated, counting.log.logger, restarts.threads)
    first = asyncio.create_task(rememberer.write())
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    last = asyncio.create_task(rememberer.write())
    await asyncio.sleep(0)
    gate.set()
    await last
    assert order == ["begin", "end"] * (len(order) // 2)
    assert checkpoint.read(0)["hall"].kept()["now"]
