"""A restart is a reload through a file."""

import asyncio

import pytest

from eshet import Client, Unknown
from eshet_rules.checkpoint import Checkpoint
from eshet_rules.importer import Importer
from eshet_rules.reload import Reloader
from eshet_rules.remember import Rememberer, wall_zero
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.threads import RunnerThreads

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
        await Rememberer(house.reloader, self.checkpoint, house.log.logger, self.threads).write()

    async def kill(self):
        """End the runner, of which nothing is left but the checkpoint that was last written."""
        await self.house.reloader.close()

    async def start(self):
        server = self.house.server
        self.house.reloader = Reloader(
            Importer(self.house.folder.path, TaskScope),
            lambda module: Client(server=server, client_id=f"test/{module}"),
            self.house.log.logger,
            inherited=self.checkpoint.read(wall_zero()),
        )
        return await self.house.reload()


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
        assert house.log.find("handed over")["missed"] == ["delay of /motion: 'ding'"]


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
    assert house.log.find("will not survive a restart: it is no plain data")["what"] == "'thing'"
    assert restarts.checkpoint.read(0)["hall"].kept() == {
        "number": [house.reloader.alive["hall"].version.source.version, 7]
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
    aside = house.log.find("the checkpoint is damaged, starting afresh")["set_aside"]
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
    rememberer = Rememberer(house.reloader, checkpoint, house.log.logger, restarts.threads)
    await rememberer.write()
    await rememberer.write()
    assert "File exists" in house.log.find("can't write the checkpoint")["error"]


async def test_it_is_written_at_most_once_a_second(house, restarts, advance):
    house.write("hall.py", LIGHT)
    await house.reload()
    move = await house.viewer.event_register("/motion")
    rememberer = Rememberer(house.reloader, restarts.checkpoint, house.log.logger, restarts.threads)
    running = asyncio.create_task(rememberer.run())
    files = set()
    for _ in range(30):
        await move("somebody")
        await advance(0.1)
        if restarts.checkpoint.path.exists():
            files.add(restarts.checkpoint.path.read_bytes())
    running.cancel()
    assert len(files) in (3, 4)
