"""`eshet-rules why-not`, with real processes: each mistake of a beginner, and what it says."""

import contextlib
import json
import textwrap
from pathlib import Path

import pytest

from eshet.exceptions import ErrorValue
from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

RULES = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def dark():
        lux = await yarp.state_observe("/hall/lux")
        await yarp.state_register("/hall/dark", yarp.no_repeat(lux < 40))

    @rule
    async def light():
        motion = await yarp.event_listen("/hall/motion")
        dark = await yarp.state_observe("/hall/dark")
        await yarp.set_value("/hall/lamp", yarp.no_repeat(yarp.hold(motion, 600) & dark))

    @rule
    async def blinds():
        dark = await yarp.state_observe("/hall/dark")
        await yarp.set_value("/hall/blinds", yarp.delay(yarp.for_duration(dark, 9000), 9))

    @yarp.fn
    def is_cosy(lux):
        return lux == 30

    @rule
    async def mistyped():
        lux = await yarp.state_observe("/hall/brihtness")
        await yarp.set_value("/hall/shade", lux > 1000)

    @rule
    async def cosy():
        lux = await yarp.state_observe("/hall/lux")
        await yarp.state_register("/hall/cosy", is_cosy(lux))
    """


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def wait_until(house: SyncClient, path: str, value: object) -> None:
    while True:
        with contextlib.suppress(ErrorValue):  # it is still unknown
            if house.get(path) is value:
                return


def test_each_mistake_of_a_beginner_is_named(tmp_path: Path, server: str) -> None:
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", textwrap.dedent(RULES))
    where = ("--state-dir", str(tmp_path / "state"))
    rules = ("--rules", str(folder.path), *where)

    def why_not(*arguments: str) -> str:
        done = command("eshet-rules", "why-not", *arguments, *rules, server=server)
        return done.stdout + done.stderr

    with SyncClient(server=server) as house:
        lamp = house.state_register("/hall/lamp", lambda value: lamp.changed(value))
        lamp.changed(False)
        house.event_register("/hall/motion")
        with runner(folder, server, *where) as home:
            home.wait_for("runner.started")

            # A device that is offline.
            said = why_not("/hall/lamp")
            assert said.startswith(
                "/hall/lamp is False; for True:\n  hall.light (hall.py:14) sets it"
            )
            assert "/hall/lux unknown, needs < 40" in said
            assert "nothing provides this path" in said

            # A trigger that has never happened.
            lux = house.state_register("/hall/lux")
            lux.changed(81)
            wait_until(house, "/hall/dark", False)
            said = why_not("/hall/lamp")
            assert "/hall/lux 81, needs < 40, since " in said
            assert "/hall/motion has to happen: it has not happened since" in said
            assert "hall.dark (hall.py:8) provides it:" in said

            # A window of time that is not over yet.
            lux.changed(12)
            house.event_emit("/hall/motion", "cat")
            wait_until(house, "/hall/lamp", True)
            said = why_not("/hall/lamp")
            assert said.startswith("/hall/lamp is True; for False:")
            assert "time alone will do: at " in said
            assert "hold: 0 of 10 min" in said

            # A function of the user, and when it was True the last time.
            lux.changed(30)
            wait_until(house, "/hall/cosy", True)
            lux.changed(31)
            wait_until(house, "/hall/cosy", False)
            said = why_not("/hall/cosy", "--is", "true")
            assert "is_cosy at hall.py:33 False, needs True: computed from:" in said
            assert "/hall/lux 31" in said
            assert "the last time that hall.cosy made it True: " in said
            assert "  /hall/lux 30" in said

            # A person who has set another value since.
            lamp.changed(False)
            said = why_not("/hall/lamp")
            assert "it has that value already: True" in said
            assert "sent again only when it changes" in said

            # A mistyped path, and a path that no rule writes.
            mistyped = command("eshet-rules", "why-not", "/hall/lapm", *rules, server=server)
            assert mistyped.returncode == 1
            as_json = command(
                "eshet-rules", "why-not", "/hall/lapm", "--json", *rules, server=server
            )
            assert as_json.returncode == 1
            assert "did you mean /hall/lamp?" in why_not("/hall/lapm")
            assert "did you mean /hall/blinds?" in why_not("/hall/blnds")
            said = why_not("/hall/lux")
            assert "no rule of this runner writes /hall/lux" in said
            assert "read by hall.cosy, hall.dark" in said
            house.state_register("/hall/brightness")
            said = why_not("/hall/shade", "--is", "true")
            assert "/hall/brihtness unknown, needs > 1000" in said
            assert "nothing provides this path; did you mean /hall/brightness?" in said

            # A rule that is disabled.
            command("eshet-rules", "disable", "hall.light", server=server)
            assert "hall.light is disabled: by command" in why_not("/hall/lamp")
            content = json.loads(why_not("/hall/lamp", "--json"))
            assert content["stopped"] == [["hall.light", "disabled", "by command", ""]]

            # A module that can't be loaded.
            folder.write("cellar.py", 'yarp.set_value("/cellar/lamp", 1)')
            home.wait_for("module.import_failed")
            assert "the module cellar names it and is not loaded: " in why_not("/cellar/lamp")
            assert home.stop() == 0
    gone = command("eshet-rules", "why-not", "/x", *rules, server=server)
    assert gone.returncode == 1
    assert "there is no runner at" in gone.stderr
