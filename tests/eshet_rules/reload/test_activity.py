"""What counts as activity of a module in the runner's loop, for its reports and the checkpoint."""

import asyncio
import threading
from contextvars import Context

import pytest

from eshet import Client
from eshet.server import Server
from eshet_rules.config import RuleSettings
from eshet_rules.modules.importer import Importer
from eshet_rules.reload import checkpoint_writer
from eshet_rules.reload.checkpoint import Checkpoint
from eshet_rules.reload.checkpoint_writer import CheckpointWriter, wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.guard.rule_loop import MUCH, RuleLoop
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.threads import RunnerThreads

HELPER = """
    from eshet import yarp
    shared = yarp.Value(0)
    rung = yarp.Event()
    """

HALL = """
    import asyncio
    import _h
    from eshet import yarp
    from eshet_rules import keep, rule

    seen = yarp.Value(0)

    @rule
    async def hall(client):
        total = keep("total", 0)
        _h.shared.on_value_changed(lambda n: setattr(total, "value", n))
        await yarp.state_register("/hall/total", total)
        await yarp.state_register("/hall/rings", yarp.len(yarp.time_window(_h.rung, 3600)))
        hall_total.append(total)

        async def change():
            await go.wait()
            total.value += 1

        tasks.append(asyncio.create_task(change()))

    go = asyncio.Event()
    tasks = []
    hall_total = []
    """

BATH = """
    import _h
    from eshet_rules import rule

    @rule
    async def bath(client):
        await client.action_register("/bath/set", lambda n: setattr(_h.shared, "value", n))
        await client.action_register("/bath/ring", lambda: _h.rung.emit(1))
    """


class House:
    """Two modules that share a helper, and a third one, in the runner's loop."""

    def __init__(self, folder, log, server):
        self.viewer = Client(server=server)
        self.reloader = Reloader(
            Importer(folder.path, TaskScope),
            lambda module: Client(server=server, client_id=module),
            log.logger,
        )
        self.threads = RunnerThreads()
        self.checkpoint = Checkpoint(folder.path.parent / "checkpoint", log.logger)
        self.writer = CheckpointWriter(self.reloader, self.checkpoint, log.logger, self.threads)

    async def settle(self):
        """Write until nothing is left to write."""
        for _ in range(4):
            await self.writer.write()

    def kept(self):
        """Return the total in the checkpoint."""
        return self.checkpoint.read(wall_epoch())["hall"].kept("hall")["total"][1]

    def rings(self):
        """Return the description of the window in the checkpoint."""
        snapshot = self.checkpoint.read(wall_epoch())["hall"]
        [window] = [each for each in snapshot.nodes if "time_window" in each.description.label]
        return str(window.data)


@pytest.fixture
def in_house(folder, log):
    """Run an async function with a house."""

    def run(function):
        async def main():
            async with Server() as server:
                house = House(folder, log, server)
                folder.write("_h.py", HELPER)
                folder.write("hall.py", HALL)
                folder.write("bath.py", BATH)
                assert await house.reloader.update(folder.sources())
                async with house.viewer:
                    await house.settle()
                    await function(house)
                    await house.reloader.close()
                house.threads.close()

        with asyncio.Runner(loop_factory=RuleLoop) as runner:
            runner.run(main())
        log.clear()

    return run


def test_at_rest_no_module_is_packed_again(in_house):
    async def rest(house):
        reader = house.reloader.activity.reader()
        for _ in range(2):
            reader.look()
        await house.settle()
        assert not reader.look()
        for _ in range(2):
            house.reloader.reports()
        assert house.reloader.reports() is house.reloader.reports()

    in_house(rest)


def test_a_value_that_a_library_sets_from_its_own_thread_is_in_the_checkpoint(in_house):
    async def change(house):
        [total] = house.reloader.instances["hall"].version.module.hall_total
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work():
            loop.call_soon_threadsafe(setattr, total, "value", 7, context=Context())
            loop.call_soon_threadsafe(done.set, context=Context())

        thread = threading.Thread(target=work)
        thread.start()
        await done.wait()
        thread.join()
        await house.writer.write()
        assert house.kept() == 7

    in_house(change)


def test_a_value_of_a_helper_that_another_module_sets_counts_for_all_who_import_it(in_house):
    async def change(house):
        await house.viewer.action_call("/bath/set", 5)
        await house.writer.write()
        assert house.kept() == 5
        empty = house.rings()
        await house.viewer.action_call("/bath/ring")
        await house.writer.write()
        assert house.rings() != empty

    in_house(change)


def test_times_are_packed_again_after_the_clock_was_set(in_house, monkeypatch):
    async def set_clock(house):
        await house.viewer.action_call("/bath/ring")
        await house.settle()
        before = house.rings()
        await house.settle()
        assert house.rings() == before
        ahead = wall_epoch() - 3600
        monkeypatch.setattr(checkpoint_writer, "wall_epoch", lambda: ahead)
        await house.writer.write()
        assert house.rings() != before

    in_house(set_clock)


def test_a_task_that_waits_counts_when_it_goes_on(in_house):
    async def change(house):
        module = house.reloader.instances["hall"].version.module
        module.go.set()
        await module.tasks[0]
        await house.writer.write()
        assert house.kept() == 1

    in_house(change)


def test_a_report_is_made_again_after_the_activity_that_it_was_made_in(in_house):
    async def call(house):
        hall = house.reloader.instances["hall"]
        first = house.reloader.reports()
        hall.version.scope.note_activity()
        second = house.reloader.reports()
        assert second is not first
        third = house.reloader.reports()
        assert third is not second
        assert house.reloader.reports() is third

    in_house(call)


def test_a_callback_that_waited_long_for_its_turn_counts_when_it_runs(in_house):
    async def change(house):
        module = house.reloader.instances["hall"].version.module
        [total] = module.hall_total
        reader = house.reloader.activity.reader()
        [rule] = (each for each in house.reloader.supervised() if each.name == "hall.hall")
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def change_in_place():
            total.value.append(1)
            done.set()

        total.value = []
        await house.settle()
        with rule.attempt_scope.active():
            for _ in range(10 * MUCH):
                loop.call_soon(int)
            loop.call_soon(change_in_place)
        while not done.is_set():
            active = reader.look()
            await asyncio.sleep(0)
        assert "hall" in active | reader.look()
        await house.writer.write()
        assert house.kept() == [1]

    in_house(change)


def test_the_report_of_a_disabled_rule_is_right_though_reports_were_made_while_it_ended(in_house):
    async def disable(house):
        house.reloader.configure(lambda rule: RuleSettings(disabled="by command"))
        following = asyncio.create_task(house.reloader.follow())
        while not following.done():
            house.reloader.reports()
            await asyncio.sleep(0)
        assert [each.status.why for each in house.reloader.reports()] == ["by command"] * 2

    in_house(disable)
